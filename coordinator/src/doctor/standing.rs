//! Whether the job runs, and why not.

use weir_proto::client::{JobDetail, JobSummary, status};
use weir_state::is_misfit;

use super::{Finding, Looks, span};

/// An attempt that takes longer to open is worth a word.
const SLOW_START_MS: i64 = 10_000;

pub(super) fn examine(looks: &Looks<'_>) -> Vec<Finding> {
    let job = &looks.after.summary;
    if job.status == status::RUNNING {
        return Vec::new();
    }
    let failure = job.last_failure.as_ref().map_or("it is not known why", |failure| &failure.report);
    let found = match job.status.as_str() {
        status::FAILED if is_misfit(failure) => Finding::new(
            "state-does-not-fit",
            format!("the job has failed, since this version of it cannot go on with its state: {failure}"),
            format!(
                "a restart fails again: submit under the name {} a version whose state fits, or the one before; it goes on from its last \
                 checkpoint, and nothing is lost",
                job.name
            ),
        ),
        status::FAILED => Finding::new(
            "failed",
            format!("the job has failed and is not started again: {failure}"),
            format!("mend the cause, then `weir jobs restart {}`", job.full_name()),
        ),
        _ if job.waiting_for.is_some() => missing_slots(job),
        status::RESTARTING => Finding::new(
            "restarting",
            format!("the last attempt has failed, and the next one waits for its pause to be over: {failure}"),
            "mend the cause; the job starts again by itself",
        ),
        status::DEPLOYING => {
            let since = looks.now.saturating_sub(job.changed_at);
            let slow = if since > SLOW_START_MS { ", which is long" } else { "" };
            Finding::new(
                "starting",
                format!("workers have been opening its sources, sinks and state for {}{slow}", span(since)),
                "large state and systems outside that do not answer take time: the logs of the workers tell",
            )
        }
        status::SCHEDULING => Finding::new("starting", "the job is about to be started", "look again in a moment"),
        _ => Finding::new(
            "ended",
            format!("the job is {}: nothing of it runs", job.status),
            match job.status.as_str() {
                status::FINISHED => "its input has ended, and all results are out".to_owned(),
                _ => format!("`weir jobs restart {}` runs it again", job.full_name()),
            },
        ),
    };
    vec![found]
}

fn missing_slots(job: &JobSummary) -> Finding {
    let waiting = job.waiting_for.as_deref().unwrap_or_default();
    Finding::new(
        "missing-slots",
        format!("the job waits: it {waiting}"),
        format!(
            "start workers, end other jobs, or give it fewer: `weir jobs rescale {} -p N`; `weir workers list` shows who has room",
            job.full_name()
        ),
    )
}

/// It runs, and was found to need more slots than there are for it.
pub(super) fn more_slots_wanted(job: &JobDetail) -> Option<Finding> {
    let last = job.scaling_decisions.last().filter(|last| last.done && last.to == job.summary.parallelism)?;
    (last.wanted > last.to).then(|| {
        Finding::new(
            "more-slots-wanted",
            format!("its load needs {} slots, and {} are there for it: {}", last.wanted, last.to, last.reason),
            "start workers, or have them started: `--scale-webhook` of the coordinators; it takes the slots when they are there",
        )
    })
}

/// It has begun anew while it was looked at.
pub(super) fn restarted(looks: &Looks<'_>) -> Finding {
    let job = &looks.after.summary;
    let before = &looks.before.summary;
    // The last failure may be of long ago, and a rescale begin another attempt.
    let failure = job.last_failure.as_ref().filter(|failure| failure.attempt >= before.attempt);
    if failure.is_none() && job.restarts == before.restarts {
        return Finding::new(
            "restarted",
            format!("attempt {} has just begun, and not because of a failure", job.attempt),
            "ask again in a moment",
        )
        .passing();
    }
    let why = failure.map(|failure| format!(": {}", failure.report)).unwrap_or_default();
    Finding::new(
        "restarted",
        format!("attempt {} has just begun, the {}th restart{why}", job.attempt, job.restarts),
        "ask again in a moment; if it goes on like this, mend what the last failure names",
    )
}
