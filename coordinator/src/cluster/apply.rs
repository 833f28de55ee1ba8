//! The one function that changes the replicated state.
//!
//! A command is done as a whole or refused as a whole. For commands about a job that holds by construction: they work on a
//! copy of the job, which takes the job's place at the end ([`ClusterState::change`]). The others check first, then write.

mod attempts;
mod checkpoints;
mod jobs;
mod namespaces;
mod scaling;
mod tokens;
mod workers;

use std::sync::Arc;

use weir_core::{JobId, JobIdentity};

use super::{Checkpoint, ClusterState, Command, DEFAULT_NAMESPACE, Job, JobSpec, Namespace, Refusal};

/// What came of a command, as far as whoever proposed it cannot see it in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was so already.
    Unchanged,
    /// It is so now.
    Changed,
    /// The job is there.
    Submitted {
        /// Its number.
        job: JobId,
        /// Whether it was there before.
        already_there: bool,
    },
    /// A job that was there is run another way from its next attempt on.
    Updated {
        /// Which job.
        job: JobId,
    },
    /// A worker, or an earlier process of it, is gone.
    Lost {
        /// Jobs whose attempt has failed with it.
        jobs: Vec<JobId>,
    },
    /// Checkpoints are not kept any more: what only they need can be deleted.
    Forgotten {
        /// Whose.
        job: JobId,
        /// Which, oldest first; maybe none.
        checkpoints: Vec<Checkpoint>,
    },
    /// The job is forgotten: all its files can be deleted.
    Deleted {
        /// Which job.
        job: JobId,
        /// What was submitted.
        spec: Arc<JobSpec>,
        /// What it was known by.
        identity: JobIdentity,
    },
}

impl ClusterState {
    /// Carries a command out. Deterministic; a refused command has changed nothing.
    ///
    /// # Errors
    /// If the command does not fit the state.
    pub fn apply(&mut self, command: Command) -> Result<Applied, Refusal> {
        let outcome = match command {
            Command::Found { cluster, storage } => self.found(cluster, storage),
            _ if self.cluster.is_empty() => Err(Refusal::NotFounded),
            Command::RegisterWorker { worker, incarnation, address, slots, version, at } => {
                let registered = super::Worker { incarnation, address, slots, version, draining: false };
                self.register_worker(worker, registered, at)
            }
            Command::LoseWorker { worker, incarnation, reason, at } => {
                self.lose_worker(&worker, incarnation, &reason, at)
            }
            Command::DrainWorker { worker, draining } => self.drain_worker(worker, draining),
            Command::SubmitJob { namespace, name, spec, parallelism, awaits_state, scaling, at } => {
                self.submit_job((namespace, name), spec, (parallelism, scaling), awaits_state, at)
            }
            Command::AdoptState { job, checkpoint, at } => self.adopt_state(job, checkpoint, at),
            Command::UpdateJob { job, spec, parallelism, scaling, at: _ } => {
                self.update_job(job, spec, parallelism, scaling)
            }
            Command::StartAttempt { job, attempt, execution, as_before, at } => {
                self.start_attempt(job, attempt, execution, as_before, at)
            }
            Command::AttemptRunning { job, attempt, at } => self.attempt_running(job, attempt, at),
            Command::AttemptFailed { job, attempt, kind, report, at } => {
                self.attempt_failed(job, attempt, kind, report, at)
            }
            Command::RetryJob { job, attempt, at } => self.retry_job(job, attempt, at),
            Command::CompleteCheckpoint { job, checkpoint } => self.complete_checkpoint(job, checkpoint),
            Command::CommitCheckpoint { job, epoch, at } => self.commit_checkpoint(job, epoch, at),
            Command::ForgetCheckpoint { job, epoch } => self.forget_checkpoint(job, epoch),
            Command::EndAttempt { job, attempt, at } => self.end_attempt(job, attempt, at),
            Command::StopJob { job, drain, at } => self.stop_job(job, drain, at),
            Command::CancelJob { job, at } => self.cancel_job(job, at),
            Command::RestartJob { job, from, at } => self.restart_job(job, from, at),
            Command::RescaleJob { job, parallelism, at: _ } => self.rescale_job(job, parallelism),
            Command::SetScaling { job, scaling, at: _ } => self.set_scaling(job, scaling),
            Command::ScaleJob { job, decision } => self.scale_job(job, decision),
            Command::DeleteJob { job, discard } => self.delete_job(job, discard),
            Command::SetNamespace { namespace, quota } => self.set_namespace(namespace, quota),
            Command::DropNamespace { namespace } => self.drop_namespace(namespace),
            Command::ReplaceCatalog { namespace, version, statements } => {
                self.replace_catalog(namespace, version, statements)
            }
            Command::By { actor, command } => self.apply_by(actor, *command),
            Command::CreateToken { token, at } => self.create_token(token, at),
            Command::RevokeToken { name } => self.revoke_token(name),
        };
        debug_assert_eq!(self.check(), Ok(()));
        outcome
    }

    fn found(&mut self, cluster: String, storage: String) -> Result<Applied, Refusal> {
        if cluster.is_empty() {
            return Err(Refusal::BadName { of: "cluster", name: cluster });
        }
        if !self.cluster.is_empty() {
            return Ok(Applied::Unchanged);
        }
        self.cluster = cluster;
        self.storage = storage;
        self.next_job = 1;
        self.namespaces.insert(DEFAULT_NAMESPACE.to_owned(), Namespace::default());
        Ok(Applied::Changed)
    }

    /// Changes a job, unless the change is refused on the way.
    fn change<T>(
        &mut self,
        id: JobId,
        change: impl FnOnce(&Self, &mut Job) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut job = self.jobs.get(&id).ok_or(Refusal::NoSuchJob(id))?.clone();
        let outcome = change(self, &mut job)?;
        self.jobs.insert(id, job);
        Ok(outcome)
    }
}

/// Checks a name of a job or a namespace: it stands in paths, in commands and in logs.
fn check_name(of: &'static str, name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // A job is also addressed by its number.
    let is_number = of == "job" && name.bytes().all(|byte| byte.is_ascii_digit());
    if (1..=128).contains(&name.len()) && name.bytes().all(allowed) && !is_number {
        Ok(())
    } else {
        Err(Refusal::BadName { of, name: name.chars().take(128).collect() })
    }
}
