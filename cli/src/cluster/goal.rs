//! What a command waits for, and whether a job has come to that. Pure functions of what the cluster tells.

use std::time::Duration;

use weir_core::{Attempt, Epoch, Error, ErrorKind};
use weir_proto::client::{CheckpointInfo, JobDetail, JobSummary, status};

use crate::figures::{bytes, duration};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The job has done its work, or was stopped with what it needs to go on.
    Done,
    /// The job's end, also if somebody cancels it.
    Ended,
    /// A new attempt runs.
    Running {
        /// The last attempt before.
        after: Attempt,
    },
    /// A new attempt runs, on other slots than the last one.
    Rescaled {
        /// The last attempt before.
        after: Attempt,
        /// Whether slots that are missing are waited for.
        waits: bool,
    },
    /// A savepoint is complete.
    Savepoint {
        /// It is the first one behind this epoch.
        after: Epoch,
        /// The attempt that takes it.
        by: Attempt,
    },
}

/// How far a job is from a goal.
#[derive(Debug)]
pub enum Look {
    /// Not there yet; how it stands.
    Waiting(String),
    /// There; what to tell.
    Reached(String),
    /// It will not come to that.
    Missed(Error),
}

impl Goal {
    /// How far the job is.
    pub fn look(&self, job: &JobDetail) -> Look {
        match self {
            Goal::Done => done(job),
            Goal::Ended => ended(job),
            Goal::Running { after } => running(job, *after),
            Goal::Rescaled { after, waits } => rescaled(job, *after, *waits),
            Goal::Savepoint { after, by } => savepoint(job, *after, *by),
        }
    }
}

fn done(job: &JobDetail) -> Look {
    match job.summary.status.as_str() {
        status::CANCELLED => {
            Look::Missed(Error::user(format!("job {} was cancelled meanwhile", job.summary.full_name())))
        }
        _ => ended(job),
    }
}

fn ended(job: &JobDetail) -> Look {
    let summary = &job.summary;
    match summary.status.as_str() {
        status::FINISHED => Look::Reached("finished".into()),
        status::STOPPED => Look::Reached(match &summary.last_checkpoint {
            Some(last) if last.savepoint => format!("stopped with savepoint {}", last.epoch),
            // Nothing of it ran, so there was nothing to take a savepoint of.
            Some(last) => format!("stopped; its last checkpoint is {}", last.epoch),
            None => "stopped; it has no checkpoint".into(),
        }),
        status::CANCELLED => Look::Reached(cancelled(summary)),
        status::FAILED => Look::Missed(failure(summary)),
        _ => Look::Waiting(standing(job)),
    }
}

/// What has become of a job that was cancelled, and what may be done with it.
fn cancelled(job: &JobSummary) -> String {
    let number = job.job;
    let goes_on = match &job.last_checkpoint {
        Some(last) => format!("goes on from checkpoint {}", last.epoch),
        None => "begins anew, as it has no checkpoint".to_owned(),
    };
    format!("cancelled; with `weir jobs restart {number}` it {goes_on}, and `weir jobs delete {number}` removes it")
}

fn running(job: &JobDetail, after: Attempt) -> Look {
    let summary = &job.summary;
    match summary.status.as_str() {
        status::RUNNING if summary.attempt > after => {
            let pause = job.last_pause_ms.map_or_else(String::new, |pause| {
                format!("; processing paused for {}", duration(Duration::from_millis(pause)))
            });
            let slots = summary.slots.unwrap_or(summary.parallelism);
            let slots = format!("{slots} {}", if slots == 1 { "slot" } else { "slots" });
            Look::Reached(format!("attempt {} runs on {slots}{pause}", summary.attempt))
        }
        status::FINISHED => Look::Reached("finished".into()),
        status::FAILED => Look::Missed(failure(summary)),
        other @ (status::STOPPED | status::CANCELLED) => {
            Look::Missed(Error::user(format!("job {} was {other} meanwhile", summary.full_name())))
        }
        _ => Look::Waiting(standing(job)),
    }
}

/// What a job waits for that runs are slots: with those of before, perhaps in another attempt.
fn rescaled(job: &JobDetail, after: Attempt, waits: bool) -> Look {
    let summary = &job.summary;
    match &summary.waiting_for {
        Some(_) if waits && summary.status == status::RUNNING => Look::Waiting(standing(job)),
        Some(missing) if summary.status == status::RUNNING && summary.attempt == after => Look::Missed(
            Error::environment(format!("job {} runs on as it is: {missing}", summary.full_name())).with_help(
                "it is rescaled as soon as the slots are there, which --wait waits for; start a worker, or ask for fewer",
            ),
        ),
        _ => running(job, after),
    }
}

fn savepoint(job: &JobDetail, after: Epoch, by: Attempt) -> Look {
    let summary = &job.summary;
    let missed = |why: &str| {
        Look::Missed(
            Error::environment(format!("the savepoint of job {} did not come about: {why}", summary.full_name()))
                .with_help("see `weir jobs describe`, and take another"),
        )
    };
    let mut later = job.checkpoints.iter().filter(|checkpoint| checkpoint.epoch > after);
    if let Some(done) = later.clone().find(|checkpoint| checkpoint.savepoint) {
        let CheckpointInfo { epoch, state_bytes, duration_ms, manifest, .. } = done;
        let (size, took) = (bytes(*state_bytes), duration(Duration::from_millis(*duration_ms)));
        return Look::Reached(format!("savepoint {epoch} is complete: {size} in {took}, {manifest}"));
    }
    // It would have been the next one.
    if later.next().is_some() {
        return missed("another coordinator leads now, which has not heard of it");
    }
    if summary.attempt != by || summary.has_ended() {
        return missed("the job did not go on");
    }
    Look::Waiting(standing(job))
}

/// How the job stands, in a line.
pub fn standing(job: &JobDetail) -> String {
    let summary = &job.summary;
    let mut parts = vec![match summary.desired.as_str() {
        desired if desired == status::RUNNING || desired == summary.status => summary.status.clone(),
        desired => format!("{} (to be {desired})", summary.status),
    }];
    if let Some(progress) = job.checkpoint_in_progress {
        let since = duration(Duration::from_millis(progress.running_ms));
        parts.push(format!("checkpoint {} under way for {since}", progress.epoch));
    }
    parts.extend(summary.waiting_for.clone());
    if summary.status == status::RESTARTING
        && let Some(failure) = &summary.last_failure
    {
        parts.push(format!("after: {}", failure.report.lines().next().unwrap_or_default()));
    }
    parts.join(" · ")
}

/// The error that a job has failed with.
fn failure(job: &JobSummary) -> Error {
    let name = job.full_name();
    let Some(failure) = &job.last_failure else {
        return Error::environment(format!("job {name} has failed"));
    };
    let kind = failure.kind.unwrap_or(ErrorKind::Environment);
    Error::new(kind, format!("job {name} has failed")).with_source(failure.report.clone())
}
