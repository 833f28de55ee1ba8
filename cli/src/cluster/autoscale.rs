//! `weir jobs autoscale`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use weir_core::{Error, Result};
use weir_proto::client::{ClientRequest, JobDetail, LoadInfo, Scaling, ScalingBy, ScalingDecision, status};

use super::args::{AutoscaleArguments, JobArgument};
use super::client::Client;
use super::follow::describe;
use super::show::{self, Facts, since, table};
use super::{print, print_json};
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::figures::duration;
use crate::terminal::Screen;

/// Changes who decides, if that was asked for, and shows how things stand.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(
    client: &mut Client,
    screen: &Arc<Screen>,
    job: &JobArgument,
    change: &AutoscaleArguments,
    json: bool,
) -> Result<Exit> {
    let mut detail = describe(client, &job.reference()).await?;
    if let Some(scaling) = changed(&detail.scaling, change)? {
        client.call(ClientRequest::SetScaling { job: job.reference(), scaling }).await?;
        detail = describe(client, &job.reference()).await?;
    }
    match json {
        true => print_json(screen, &standing(&detail)),
        false => print(screen, &text(&detail, wall_millis(), screen)?),
    }
}

/// Who decides from now on; `None` if nothing was asked for.
fn changed(now: &Scaling, change: &AutoscaleArguments) -> Result<Option<Scaling>> {
    let AutoscaleArguments { on, dry_run, slots, off, min, max, target, catch_up, settle } = change;
    let by = match (on | dry_run, slots, off) {
        (true, ..) => Some(ScalingBy::Load),
        (_, true, _) => Some(ScalingBy::Slots),
        (.., true) => return Ok(Some(Scaling::by_hand())),
        _ => None,
    };
    let is_more = min.or(*max).or(*target).is_some() || catch_up.or(*settle).is_some();
    if by.is_none() && !is_more {
        return Ok(None);
    }
    if by.is_none() && now.by == ScalingBy::Hand {
        return Err(Error::user("a person decides how many slots the job has, so there are no bounds")
            .with_help("say who decides: --on, --dry-run or --slots"));
    }
    if by.unwrap_or(now.by) == ScalingBy::Slots && target.is_some() | catch_up.is_some() {
        return Err(Error::user("the slots that there are decide, so --target and --catch-up say nothing")
            .with_help("have the load decide: --on or --dry-run"));
    }
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(Scaling {
        by: by.unwrap_or(now.by),
        dry_run: if by.is_some() { *dry_run } else { now.dry_run },
        min_slots: min.unwrap_or(now.min_slots),
        max_slots: max.unwrap_or(now.max_slots),
        settle_ms: settle.map_or(now.settle_ms, millis),
        target_percent: target.unwrap_or(now.target_percent),
        catch_up_ms: catch_up.map_or(now.catch_up_ms, millis),
    }))
}

/// What `--json` prints.
#[derive(Serialize)]
struct Standing<'a> {
    job: String,
    slots: Option<u32>,
    parallelism: u32,
    scaling: &'a Scaling,
    load: Option<&'a LoadInfo>,
    decisions: &'a [ScalingDecision],
}

fn standing(job: &JobDetail) -> Standing<'_> {
    Standing {
        job: job.summary.full_name(),
        slots: job.summary.slots,
        parallelism: job.summary.parallelism,
        scaling: &job.scaling,
        load: job.load.as_ref(),
        decisions: &job.scaling_decisions,
    }
}

/// Who decides, in a line.
pub fn decided_by(scaling: &Scaling) -> String {
    // As it is said: without seconds where there are none.
    let millis = |millis| duration(Duration::from_millis(millis)).trim_end_matches(" 0 s").to_owned();
    let Scaling { min_slots, max_slots, settle_ms, target_percent, catch_up_ms, .. } = scaling;
    let within = match max_slots {
        most if *most == Scaling::MOST_SLOTS => format!("at least {min_slots}"),
        most => format!("{min_slots} to {most}"),
    };
    let settle = millis(*settle_ms);
    match scaling.by {
        ScalingBy::Hand => "a person".to_owned(),
        ScalingBy::Slots => format!("the slots that there are: {within}; more after {settle}, fewer at once"),
        ScalingBy::Load => {
            let dry = if scaling.dry_run { ", in a dry run" } else { "" };
            let catch_up = millis(*catch_up_ms);
            format!(
                "its load{dry}: {within}, {target_percent} % busy, a backlog read in {catch_up}; a change after {settle}"
            )
        }
    }
}

fn text(job: &JobDetail, now: i64, screen: &Screen) -> Result<String> {
    let summary = &job.summary;
    let mut facts = Facts::default();
    facts.add("job", summary.full_name());
    facts.add(
        "slots",
        match summary.slots {
            Some(slots) if slots != summary.parallelism => format!("{slots}, and {} soon", summary.parallelism),
            _ => summary.parallelism.to_string(),
        },
    );
    facts.add("decided by", decided_by(&job.scaling));
    if job.scaling.by == ScalingBy::Load {
        facts.add(
            "load",
            match &job.load {
                Some(load) => load.said.clone(),
                None if summary.status == status::RUNNING => {
                    "not known yet: it takes some seconds to be measured".to_owned()
                }
                None => format!("not known: the job is {}", summary.status),
            },
        );
    }
    let mut text = facts.text();
    if !job.scaling_decisions.is_empty() {
        text.push_str(&decisions(&job.scaling_decisions, now, screen.results_size())?);
    }
    Ok(text)
}

/// Oldest first.
fn decisions(decisions: &[ScalingDecision], now: i64, terminal: show::Terminal) -> Result<String> {
    let columns = vec![
        show::text("when", decisions, |decision| format!("{} ago", duration(since(now, decision.at)))),
        show::number("from", decisions, |decision| decision.from.into()),
        show::number("to", decisions, |decision| decision.to.into()),
        show::number("wanted", decisions, |decision| decision.wanted.into()),
        show::text("done", decisions, |decision| if decision.done { "yes" } else { "dry run" }.to_owned()),
        show::text("because", decisions, |decision| decision.reason.clone()),
    ];
    table(columns, terminal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        let hand = Scaling::default();
        let none = AutoscaleArguments::default();
        assert_eq!(changed(&hand, &none).unwrap(), None);
        let on = AutoscaleArguments { on: true, max: Some(8), ..AutoscaleArguments::default() };
        let load = changed(&hand, &on).unwrap().unwrap();
        assert_eq!(load, Scaling { by: ScalingBy::Load, max_slots: 8, ..hand.clone() });
        let target = AutoscaleArguments { target: Some(50), ..AutoscaleArguments::default() };
        assert_eq!(changed(&load, &target).unwrap(), Some(Scaling { target_percent: 50, ..load.clone() }));
        assert!(changed(&hand, &target).unwrap_err().help().unwrap().contains("--on"));
        let dry = AutoscaleArguments { dry_run: true, ..AutoscaleArguments::default() };
        assert_eq!(changed(&load, &dry).unwrap(), Some(Scaling { dry_run: true, ..load.clone() }));
        let slots = Scaling { by: ScalingBy::Slots, ..Scaling::default() };
        assert!(changed(&slots, &target).unwrap_err().to_string().contains("--target"));
        let off = AutoscaleArguments { off: true, ..AutoscaleArguments::default() };
        assert_eq!(changed(&load, &off).unwrap(), Some(hand));
    }

    #[test]
    fn who_decides_is_told_in_a_line() {
        let slots = Scaling { by: ScalingBy::Slots, ..Scaling::default() };
        assert_eq!(decided_by(&Scaling::default()), "a person");
        assert_eq!(decided_by(&slots), "the slots that there are: at least 1; more after 1 min, fewer at once");
        let load = Scaling { by: ScalingBy::Load, dry_run: true, min_slots: 2, max_slots: 8, ..Scaling::default() };
        assert_eq!(
            decided_by(&load),
            "its load, in a dry run: 2 to 8, 70 % busy, a backlog read in 5 min; a change after 1 min"
        );
    }
}
