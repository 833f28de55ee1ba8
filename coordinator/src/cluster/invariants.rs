//! What is true of the replicated state after every command.

use std::collections::BTreeSet;

use weir_core::Attempt;

use super::queries::slots_per_worker;
use super::{ClusterState, DEFAULT_NAMESPACE, Desired, Job, JobStatus};

impl ClusterState {
    /// Checks everything that must hold. For tests and simulations; in debug builds also after every command.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn check(&self) -> Result<(), String> {
        if self.cluster.is_empty() {
            return ensure(*self == Self::default(), || "there is something before the first command".into());
        }
        ensure(self.namespaces.contains_key(DEFAULT_NAMESPACE), || "there is no default namespace".into())?;
        let mut names = BTreeSet::new();
        for (id, job) in &self.jobs {
            ensure(names.insert((&job.namespace, &job.name)), || format!("job {id} has the name of another"))?;
            ensure(self.namespaces.contains_key(&job.namespace), || format!("job {id} is in no namespace"))?;
            ensure(id.0 > 0 && id.0 < self.next_job, || format!("job {id} has a number that was not given out"))?;
            self.check_execution(job).map_err(|what| format!("job {id}: {what}"))?;
            check_checkpoints(job).map_err(|what| format!("job {id}: {what}"))?;
            check_status(job).map_err(|what| format!("job {id}: {what}"))?;
        }
        self.check_slots()
    }

    fn check_slots(&self) -> Result<(), String> {
        for (worker, used) in self.used_by_others(None) {
            let offered = self.workers.get(worker).map_or(0, |here| here.slots);
            ensure(used <= offered, || format!("{used} slots of worker {worker} are used, of {offered}"))?;
        }
        Ok(())
    }

    fn check_execution(&self, job: &Job) -> Result<(), String> {
        let runs = matches!(job.status, JobStatus::Deploying | JobStatus::Running);
        ensure(job.execution.is_some() == runs, || format!("is {}, against its execution", job.status))?;
        let Some(execution) = &job.execution else { return Ok(()) };
        let running = job.status == JobStatus::Running;
        ensure(execution.running_since.is_some() == running, || "runs since another time than it does".into())?;
        ensure(job.attempt > Attempt::default(), || "runs without an attempt".into())?;
        let placement = &execution.placement;
        for placed in &placement.workers {
            let here = self.workers.get(&placed.worker).map(|here| here.incarnation);
            ensure(here == Some(placed.incarnation), || format!("runs on worker {}, which is lost", placed.worker))?;
        }
        let placed: u64 = slots_per_worker(placement).map(|(_, slots)| u64::from(slots)).sum();
        ensure(usize::try_from(placed) == Ok(placement.slots.len()), || "has a slot on no worker".into())?;
        let own = job.newest().is_some_and(|newest| newest.attempt == job.attempt);
        let restored = job.restore_point().map(|checkpoint| checkpoint.epoch);
        ensure(own || execution.restored == restored, || "was restored from another checkpoint".into())
    }
}

fn check_checkpoints(job: &Job) -> Result<(), String> {
    let pairs = || job.checkpoints.iter().zip(job.checkpoints.iter().skip(1));
    ensure(pairs().all(|(a, b)| a.epoch < b.epoch), || "its checkpoints are not in order".into())?;
    ensure(pairs().all(|(a, b)| a.attempt <= b.attempt), || "an old attempt has completed a checkpoint".into())?;
    ensure(pairs().all(|(a, b)| a.committed || !b.committed), || "a checkpoint was committed out of order".into())?;
    if let Some(newest) = job.newest() {
        ensure(newest.epoch <= job.last_epoch, || "a checkpoint is newer than the last".into())?;
        ensure(newest.attempt <= job.attempt, || "an attempt to come has completed a checkpoint".into())?;
        let settled = job.execution.is_none() || newest.committed || newest.attempt == job.attempt;
        ensure(settled, || "it runs before an earlier attempt's results are committed".into())?;
    }
    if let Some(from) = job.start_from {
        let exists = job.checkpoint(from).is_some_and(|checkpoint| !checkpoint.finished);
        ensure(exists, || format!("it cannot go on from checkpoint {from}"))?;
    }
    Ok(())
}

fn check_status(job: &Job) -> Result<(), String> {
    ensure(job.parallelism > 0, || "it has no parallelism".into())?;
    let cancelled = job.status == JobStatus::Cancelled;
    ensure((job.desired == Desired::Cancelled) == cancelled, || "it is cancelled by halves".into())?;
    let retries = job.last_failure.as_ref().is_some_and(|failure| failure.retry_at.is_some());
    let restarts = job.status == JobStatus::Restarting;
    ensure(retries == restarts, || format!("it is {}, against the time of its next attempt", job.status))?;
    let at_rest = matches!(job.status, JobStatus::Stopped | JobStatus::Finished);
    ensure(!at_rest || job.uncommitted().is_none(), || format!("it is {} and not committed", job.status))?;
    let waits = matches!(job.status, JobStatus::Scheduling | JobStatus::Restarting);
    let idle = waits && job.uncommitted().is_none() && (job.input_has_ended() || job.desired == Desired::Stopped);
    ensure(!idle, || "it waits for nothing".into())
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
