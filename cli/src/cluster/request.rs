//! From a script to the request that has a cluster run it.

use std::sync::Arc;
use std::time::Duration;

use weir_core::{Error, JobGraph, Result};
use weir_proto::client::{JobSettingsInfo, Scaling, ScalingBy, SubmitJob};
use weir_sql::Plan;

use crate::settings::{Autoscaler, Settings};

/// The dataflow of a script.
///
/// # Errors
/// If it has none.
pub fn graph_of(planned: Plan) -> Result<JobGraph> {
    planned.graph.ok_or_else(|| {
        Error::user("the script has nothing to run: no INSERT, no SELECT")
            .with_help("`weir explain` shows what a script would do")
    })
}

/// The request that runs it.
pub fn request(namespace: &str, sql: String, settings: &Settings, name: String, graph: JobGraph) -> SubmitJob {
    SubmitJob {
        namespace: namespace.to_owned(),
        name,
        fingerprint: graph.fingerprint(),
        graph: Arc::new(graph),
        // What the catalog has said may be long, and hold secrets of others.
        sql,
        parallelism: narrow(settings.parallelism),
        settings: job_settings(settings),
        awaits_state: false,
        scaling: scaling(settings),
    }
}

/// Who decides on the slots of a job; `None` if nobody has said anything.
fn scaling(settings: &Settings) -> Option<Scaling> {
    let autoscaler = &settings.autoscaler;
    let by = match autoscaler {
        Autoscaler { enabled: true, .. } => ScalingBy::Load,
        Autoscaler { takes_what_there_is: true, .. } => ScalingBy::Slots,
        _ if settings.parallelism_is_given => return Some(Scaling::by_hand()),
        _ => return None,
    };
    Some(Scaling {
        by,
        dry_run: by == ScalingBy::Load && !autoscaler.acts,
        min_slots: narrow(autoscaler.least),
        max_slots: narrow(autoscaler.most),
        settle_ms: millis(autoscaler.settle),
        target_percent: narrow(autoscaler.target_percent),
        catch_up_ms: millis(autoscaler.catch_up),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn job_settings(settings: &Settings) -> JobSettingsInfo {
    JobSettingsInfo {
        batch_rows: narrow(settings.batch_rows),
        memory_budget: settings.memory_budget,
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

/// A number would address another job.
///
/// # Errors
/// If it is one.
pub fn check_name(name: &str) -> Result<()> {
    if !is_number(name) {
        return Ok(());
    }
    Err(Error::user(format!("a job cannot be called {name}: that would mean job number {name}"))
        .with_help(format!("choose a name that is no number, such as job-{name}")))
}

/// Whether a name could be taken for the number of a job.
pub fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}
