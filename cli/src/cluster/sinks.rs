//! `weir sinks`.

use std::sync::Arc;

use weir_core::Result;
use weir_proto::client::{ClientRequest, ClientResponse, EpochAudit, SinkAudit, SinksAudit, found, verdict};

use super::args::SinksCommand;
use super::client::{Client, expect_answer};
use super::show::{Facts, Terminal, number, table, text};
use super::{print, print_json, said};
use crate::exit::Exit;
use crate::terminal::Screen;

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: SinksCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    let SinksCommand::Audit { job, format } = command;
    let answer = client.call(ClientRequest::AuditSinks { job: job.reference() }).await?;
    let audit = expect_answer!(answer, ClientResponse::SinksAudited(audit) => audit)?;
    match format.json {
        true => print_json(screen, &audit)?,
        false if audit.sinks.is_empty() => said(screen, &format!("{}: it has no sinks", job.job))?,
        false => print(screen, &shown(&audit, screen.results_size())?)?,
    };
    Ok(if audit.passes() { Exit::Ok } else { Exit::Impaired })
}

fn shown(audit: &SinksAudit, terminal: Terminal) -> Result<String> {
    let sinks = audit.sinks.iter().map(|sink| sink_shown(sink, audit, terminal));
    Ok(sinks.collect::<Result<Vec<_>>>()?.join("\n"))
}

fn sink_shown(sink: &SinkAudit, audit: &SinksAudit, terminal: Terminal) -> Result<String> {
    let mut facts = Facts::default();
    facts.add("sink", format!("{} ({})", sink.table, sink.connector));
    let reason = sink.reason.as_deref().unwrap_or_default();
    facts.add(
        "verdict",
        match sink.verdict.as_str() {
            verdict::AGREES => format!("agrees: {}", agreed(&sink.epochs)),
            verdict::DISAGREES => format!("DISAGREES: {reason}"),
            verdict::NO_ACCOUNT => "keeps no account of its epochs: there is nothing to compare with".to_owned(),
            verdict::NOT_AUDITED => format!("NOT AUDITED: {reason}"),
            other => format!("{other}: {reason}"),
        },
    );
    if let (Some(target), Some(marker)) = (&sink.target, &sink.marker) {
        facts.add("written to", target);
        facts.add("account", marker);
        let written = sink.written.map_or_else(|| "nothing yet".to_owned(), |epoch| format!("epoch {epoch}"));
        facts.add("written up to", format!("{written}; the last completed epoch is {}", audit.last_completed));
    }
    let mut shown = facts.text();
    if !sink.epochs.is_empty() {
        shown.push_str(&epochs(&sink.epochs, terminal)?);
    }
    Ok(shown)
}

/// What was looked at of a sink that agrees.
fn agreed(epochs: &[EpochAudit]) -> String {
    let with_results = epochs.iter().filter(|at| at.committed && at.found != found::EMPTY).count();
    match with_results {
        0 => "no checkpoint that is kept has committed results to look for".to_owned(),
        1 => "the results of 1 committed checkpoint were looked for, and are there".to_owned(),
        several => format!("the results of {several} committed checkpoints were looked for, and are there"),
    }
}

fn epochs(epochs: &[EpochAudit], terminal: Terminal) -> Result<String> {
    let count = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
    let mut columns = vec![
        number("epoch", epochs, |epoch| epoch.epoch.0),
        text("cluster", epochs, |epoch| if epoch.committed { "committed" } else { "being committed" }.into()),
        text("there", epochs, |epoch| epoch.found.clone()),
    ];
    if epochs.iter().any(|epoch| epoch.rows.is_some()) {
        columns.push(text("rows", epochs, |epoch| count(epoch.rows)));
    }
    if epochs.iter().any(|epoch| epoch.files.is_some()) {
        columns.push(text("files", epochs, |epoch| count(epoch.files)));
    }
    table(columns, terminal)
}
