//! `weir submit`: plans a script here and runs it in the cluster.

use std::sync::Arc;

use weir_connectors::Registry;
use weir_core::{Error, JobGraph, Result};
use weir_proto::client::{ClientRequest, ClientResponse, JobRef, JobSettingsInfo, SubmitJob};
use weir_sql::diagnostics::error_at;
use weir_sql::{Script, Statement};

use super::args::SubmitArguments;
use super::client::{Client, expect_answer};
use super::follow::{Follow, OnInterrupt};
use super::goal::Goal;
use crate::exit::Exit;
use crate::result::{Output, ResultConnector, Results};
use crate::settings::Settings;
use crate::terminal::Screen;
use crate::{planning, script};

/// Submits the script, and watches the job unless told not to.
///
/// # Errors
/// Whatever is wrong with the script; what the cluster answers; why the job has failed.
pub async fn submit(arguments: &SubmitArguments, screen: &Arc<Screen>) -> Result<Exit> {
    let mut layers = arguments.script.layers()?;
    let parsed = weir_sql::parse(&script::read(&arguments.script)?)?;
    script::apply_settings(&parsed, &mut layers)?;
    let settings = Settings::resolve(&layers, 1);
    let graph = plan(&parsed, &settings, screen)?;
    if settings.state_dir.is_some() {
        screen.message("warning: execution.checkpointing.dir is for `weir run`: a cluster has its own storage\n");
    }

    let default_name = || settings.name.clone().unwrap_or_else(|| script::job_name(&arguments.script));
    let name = arguments.name.clone().unwrap_or_else(default_name);
    let coordinators = arguments.cluster.coordinators.as_deref().unwrap_or(&settings.coordinators);
    let mut client = Client::new(coordinators, arguments.cluster.timeout)?;
    let request = SubmitJob {
        namespace: arguments.namespace.clone(),
        name: name.clone(),
        fingerprint: graph.fingerprint(),
        graph: Arc::new(graph),
        sql: parsed.text.to_string(),
        parallelism: narrow(settings.parallelism),
        settings: job_settings(&settings),
    };
    let answer = client.call(ClientRequest::SubmitJob(request)).await?;
    let (job, already_there) = expect_answer!(
        answer,
        ClientResponse::Submitted { job, already_there } => (job, already_there)
    )?;
    let quiet = arguments.quiet || settings.quiet;
    if !quiet {
        let how = if already_there { "was submitted before, as" } else { "is submitted as" };
        screen.message(&format!("{name}: {how} job {job}\n"));
    }
    if arguments.detach {
        let text = format!("{job}\n");
        return super::print(screen, &text);
    }
    let on_interrupt = if arguments.stop_on_interrupt { OnInterrupt::Stop } else { OnInterrupt::Leave };
    let job = JobRef::Id(job);
    let follow = Follow { screen: screen.clone(), job, name, goal: Goal::Ended, on_interrupt, quiet };
    follow.run(&mut client).await
}

/// The script's dataflow, for other processes.
fn plan(parsed: &Script, settings: &Settings, screen: &Arc<Screen>) -> Result<JobGraph> {
    if let Some(query) = parsed.statements.iter().find(|statement| matches!(statement.value, Statement::Query(_))) {
        return Err(error_at(
            &parsed.text,
            query.span,
            "a SELECT alone has nobody in the cluster to print its rows to",
        )
        .with_help("write them into a table with INSERT INTO, or run the script here with `weir run`"));
    }
    let results = Results::new(screen.clone(), Output::Table, None);
    let connectors = Arc::new(Registry::builtin().with(ResultConnector(results)));
    let planned = planning::plan_elsewhere(parsed, settings, connectors)?;
    for warning in &planned.warnings {
        screen.message(&format!("warning: {warning}\n"));
    }
    planned.graph.ok_or_else(|| {
        Error::user("the script has nothing to run: no INSERT").with_help("`weir explain` shows what a script would do")
    })
}

fn job_settings(settings: &Settings) -> JobSettingsInfo {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    JobSettingsInfo {
        batch_rows: narrow(settings.batch_rows),
        checkpoint_interval_ms: settings.checkpoint_interval.map_or(0, millis),
        checkpoint_timeout_ms: millis(settings.checkpoint_timeout),
        tolerable_failures: narrow(settings.tolerable_failures),
        retained_checkpoints: narrow(settings.retained_checkpoints),
        restart_attempts: settings.restart.attempts.map(narrow),
        restart_initial_delay_ms: millis(settings.restart.initial),
        restart_maximum_delay_ms: millis(settings.restart.maximum),
        restart_stable_ms: millis(settings.restart.stable),
    }
}

/// The registry's bounds are far below this type's.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
