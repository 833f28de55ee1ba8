//! What an operator reads of the cluster's life in the log of the leader, at `info`: workers that come and go, jobs that start, fail and
//! end.

use tracing::{info, warn};
use weir_core::JobId;

use crate::cluster::{Applied, ClusterState, Command, Job, JobStatus, Refusal};

/// A command has been applied; `state` is the one after it, and `before` the status of the job that it is about.
pub(super) fn tell(
    state: &ClusterState,
    before: Option<JobStatus>,
    command: &Command,
    outcome: &Result<Applied, Refusal>,
) {
    if !outcome.as_ref().is_ok_and(|applied| *applied != Applied::Unchanged) {
        return;
    }
    match command {
        Command::Found { cluster, storage } => info!(cluster, storage, "the cluster is founded"),
        Command::RegisterWorker { worker, address, slots, .. } => info!(%worker, address, slots, "a worker has come"),
        Command::LoseWorker { worker, reason, .. } => info!(%worker, reason, "a worker is gone"),
        Command::DrainWorker { worker, draining } => info!(%worker, draining, "a worker is drained, or works again"),
        _ => {}
    }
    let Some((id, job)) = job_of(command).and_then(|id| Some((id, state.jobs.get(&id)?))) else {
        if let Command::SubmitJob { namespace, name, parallelism, .. } = command {
            info!(name = %format_args!("{namespace}/{name}"), parallelism, "a job was submitted");
        }
        return;
    };
    if let Command::AttemptFailed { attempt, kind, report, .. } = command {
        let name = full_name(job);
        match kind {
            // Nobody has to act: the cluster has lost something, and starts the job again.
            None => info!(job = %id, name, %attempt, report, "an attempt was lost"),
            Some(_) => warn!(job = %id, name, %attempt, report, "an attempt has failed"),
        }
    }
    if before != Some(job.status) {
        told_status(id, job);
    }
}

fn told_status(id: JobId, job: &Job) {
    let (name, status) = (full_name(job), job.status);
    let attempt = job.attempt;
    match status {
        JobStatus::Failed => warn!(job = %id, name, %attempt, "a job has failed, and is not started again"),
        JobStatus::Running => info!(job = %id, name, %attempt, "a job runs"),
        JobStatus::Stopped | JobStatus::Finished | JobStatus::Cancelled => {
            info!(job = %id, name, %attempt, %status, "a job has ended");
        }
        JobStatus::Scheduling | JobStatus::Deploying | JobStatus::Restarting => {
            info!(job = %id, name, %attempt, %status, "a job is about to start");
        }
    }
}

fn full_name(job: &Job) -> String {
    format!("{}/{}", job.namespace, job.name)
}

/// The job that a command is about, if it may change what the job does.
pub(super) fn job_of(command: &Command) -> Option<JobId> {
    match command {
        Command::StartAttempt { job, .. }
        | Command::AttemptRunning { job, .. }
        | Command::AttemptFailed { job, .. }
        | Command::RetryJob { job, .. }
        | Command::CommitCheckpoint { job, .. }
        | Command::EndAttempt { job, .. }
        | Command::StopJob { job, .. }
        | Command::CancelJob { job, .. }
        | Command::AdoptState { job, .. }
        | Command::RestartJob { job, .. } => Some(*job),
        _ => None,
    }
}
