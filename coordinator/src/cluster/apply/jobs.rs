//! What users want of jobs.

use std::sync::Arc;

use weir_core::{Attempt, Epoch, JobId};
use weir_proto::client::{Scaling, ScalingBy};

use super::scaling::{check_scaling, kept_scaling};
use super::workers::MAX_SLOTS;
use super::{Applied, check_name};
use crate::cluster::{
    Checkpoint, ClusterState, Desired, Job, JobDifference, JobSpec, JobStatus, Refusal, table_changes,
};

/// Numbers of attempts and epochs that come from elsewhere leave room for all that follow.
const MOST_ADOPTED: u64 = 1 << 48;

impl ClusterState {
    pub(super) fn submit_job(
        &mut self,
        (namespace, name): (String, String),
        spec: Arc<JobSpec>,
        (parallelism, scaling): (u32, Option<Scaling>),
        awaits_state: bool,
        at: i64,
    ) -> Result<Applied, Refusal> {
        check_name("job", &name)?;
        check_parallelism(parallelism)?;
        scaling.as_ref().map_or(Ok(()), check_scaling)?;
        if !self.namespaces.contains_key(&namespace) {
            return Err(Refusal::NoSuchNamespace(namespace));
        }
        if let Some((job, there)) = self.job_by_name(&namespace, &name) {
            // Somebody has begun to give it its state, and does so once more.
            if awaits_state && there.awaits_state() && difference(there, &spec, parallelism).is_none() {
                return Ok(Applied::Submitted { job, already_there: true });
            }
            if !there.status.is_active() {
                let difference = other_definition(there, &spec);
                return Err(Refusal::NameOfEndedJob { namespace, name, job, status: there.status, difference });
            }
            return match difference(there, &spec, parallelism) {
                None => Ok(Applied::Submitted { job, already_there: true }),
                Some(difference) => Err(Refusal::NameTaken { namespace, name, job, difference }),
            };
        }
        let (desired, status) = match awaits_state {
            true => (Desired::Stopped, JobStatus::Stopped),
            false => (Desired::Running, JobStatus::Scheduling),
        };
        let job = Job {
            namespace,
            name,
            spec,
            update: None,
            parallelism,
            scaling: scaling.and_then(kept_scaling),
            scaling_decisions: Vec::new(),
            desired,
            status,
            attempt: Attempt::default(),
            execution: None,
            last_epoch: Epoch::default(),
            start_from: None,
            checkpoints: Vec::new(),
            failures: 0,
            restarts: 0,
            losses: 0,
            last_failure: None,
            submitted_at: at,
            changed_at: at,
            submitted_by: None,
            last_action: None,
        };
        self.admit(None, &job)?;
        let id = JobId(self.next_job);
        self.next_job = self.next_job.saturating_add(1);
        self.jobs.insert(id, job);
        Ok(Applied::Submitted { job: id, already_there: false })
    }

    /// What runs goes on as it is; it is up to the leader to end it with a checkpoint and to start the next attempt.
    pub(super) fn update_job(
        &mut self,
        id: JobId,
        spec: Arc<JobSpec>,
        parallelism: u32,
        scaling: Option<Scaling>,
    ) -> Result<Applied, Refusal> {
        check_parallelism(parallelism)?;
        scaling.as_ref().map_or(Ok(()), check_scaling)?;
        self.change(id, |state, job| {
            let (namespace, name) = (job.namespace.clone(), job.name.clone());
            if job.status == JobStatus::Finished {
                let difference = other_definition(job, &spec);
                return Err(Refusal::NameOfEndedJob { namespace, name, job: id, status: job.status, difference });
            }
            if let Some(difference) = other_definition(job, &spec) {
                return Err(Refusal::NameTaken { namespace, name, job: id, difference });
            }
            let before = job.counted_slots();
            job.parallelism = parallelism;
            let decides_anew = scaling.is_some();
            if let Some(scaling) = scaling {
                job.scaling = kept_scaling(scaling);
            }
            if job.counted_slots() > before && job.status.is_active() {
                state.admit_slots(id, job)?;
            }
            // No attempt has to end for another way to decide.
            if decides_anew && job.is_run_like(&spec) {
                return Ok(Applied::Updated { job: id });
            }
            // Its checkpoints know the job by the fingerprint that it was submitted with.
            let JobSpec { graph, fingerprint: _, sql, settings } = &*spec;
            let fingerprint = job.spec.fingerprint.clone();
            let spec = JobSpec { graph: graph.clone(), fingerprint, sql: sql.clone(), settings: settings.clone() };
            job.update = Some(Arc::new(spec));
            // What is to be committed yet is the sinks' of the plugin before, whose file is needed until then.
            let is_owed = job.spec.has_tables_of_plugins() && job.uncommitted().is_some();
            if job.execution.is_none() && !is_owed {
                job.take_update();
            }
            Ok(Applied::Updated { job: id })
        })
    }

    pub(super) fn stop_job(&mut self, id: JobId, drain: bool, at: i64) -> Result<Applied, Refusal> {
        let desired = if drain { Desired::Drained } else { Desired::Stopped };
        self.change(id, |_, job| {
            if !job.status.is_active() {
                return match job.status {
                    JobStatus::Stopped if job.desired == desired => Ok(Applied::Unchanged),
                    status => Err(Refusal::NotNow { job: id, status, cannot: "be stopped" }),
                };
            }
            // Also if that is desired already: what stood in the way then may be gone.
            let before = (job.desired, job.status);
            job.desired = desired;
            job.settle(id, at)?;
            Ok(if before == (job.desired, job.status) { Applied::Unchanged } else { Applied::Changed })
        })
    }

    pub(super) fn cancel_job(&mut self, id: JobId, at: i64) -> Result<Applied, Refusal> {
        self.change(id, |_, job| match job.status {
            JobStatus::Cancelled => Ok(Applied::Unchanged),
            status if !status.is_active() => Err(Refusal::NotNow { job: id, status, cannot: "be cancelled" }),
            _ => {
                job.desired = Desired::Cancelled;
                job.execution = None;
                job.enter(id, JobStatus::Cancelled, at)?;
                Ok(Applied::Changed)
            }
        })
    }

    pub(super) fn restart_job(&mut self, id: JobId, from: Option<Epoch>, at: i64) -> Result<Applied, Refusal> {
        self.change(id, |state, job| {
            if job.status == JobStatus::Finished {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be restarted" });
            }
            if let Some(epoch) = from {
                job.checkpoint(epoch).ok_or(Refusal::NoSuchCheckpoint { job: id, epoch })?;
                job.start_from = from;
            }
            if let Some(last) = job.restore_point().filter(|checkpoint| checkpoint.finished) {
                return Err(Refusal::InputEnded { job: id, epoch: last.epoch });
            }
            if !job.status.is_active() {
                state.admit(Some(id), job)?;
            }
            job.desired = Desired::Running;
            job.execution = None;
            job.failures = 0;
            if job.status != JobStatus::Scheduling {
                job.enter(id, JobStatus::Scheduling, at)?;
            }
            Ok(Applied::Changed)
        })
    }

    /// Its checkpoint is the first that the job has; attempts and epochs count on from there.
    pub(super) fn adopt_state(&mut self, id: JobId, checkpoint: Checkpoint, at: i64) -> Result<Applied, Refusal> {
        if checkpoint.epoch.0 > MOST_ADOPTED || checkpoint.attempt.0 > MOST_ADOPTED {
            return Err(Refusal::BadValue("no job has had so many attempts or checkpoints"));
        }
        if checkpoint.epoch.0 == 0 || checkpoint.attempt.0 == 0 || !checkpoint.committed || checkpoint.finished {
            return Err(Refusal::BadValue("a job goes on from a checkpoint that is committed, and has not ended"));
        }
        self.change(id, |state, job| {
            if !job.awaits_state() {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be given the state of another" });
            }
            (job.attempt, job.last_epoch) = (checkpoint.attempt, checkpoint.epoch);
            job.checkpoints = vec![checkpoint];
            state.admit(Some(id), job)?;
            job.desired = Desired::Running;
            job.enter(id, JobStatus::Scheduling, at)?;
            Ok(Applied::Changed)
        })
    }

    pub(super) fn rescale_job(&mut self, id: JobId, parallelism: u32) -> Result<Applied, Refusal> {
        check_parallelism(parallelism)?;
        self.change(id, |state, job| {
            if job.status == JobStatus::Finished {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be rescaled" });
            }
            // The load would take it back at once.
            let most = job.elastic().filter(|scaling| scaling.by == ScalingBy::Load).map(|scaling| scaling.max_slots);
            if most.is_some_and(|most| parallelism > most) {
                return Err(Refusal::BadValue(
                    "the load of the job decides on its slots, and it is to have fewer than that",
                ));
            }
            let before = std::mem::replace(&mut job.parallelism, parallelism);
            // Who says how many wants those, and not as many as there are.
            let followed = job.scaling.take_if(|scaling| scaling.by == ScalingBy::Slots).is_some();
            // To ask for less is allowed also where the limit was lowered under what is used.
            if parallelism > before && job.status.is_active() {
                state.admit_slots(id, job)?;
            }
            Ok(if before == parallelism && !followed { Applied::Unchanged } else { Applied::Changed })
        })
    }

    pub(super) fn delete_job(&mut self, id: JobId, discard: bool) -> Result<Applied, Refusal> {
        let job = self.jobs.get(&id).ok_or(Refusal::NoSuchJob(id))?;
        if job.status.is_active() {
            return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be deleted" });
        }
        // The user may know that what they belong into is gone for ever.
        if let Some(checkpoint) = job.uncommitted().filter(|_| !discard) {
            return Err(Refusal::Uncommitted { job: id, epoch: checkpoint.epoch });
        }
        let (spec, identity) = (job.spec.clone(), self.identity(id, job));
        self.jobs.remove(&id);
        Ok(Applied::Deleted { job: id, spec, identity })
    }
}

pub(super) fn check_parallelism(parallelism: u32) -> Result<(), Refusal> {
    match parallelism {
        0 => Err(Refusal::BadValue("a job has a parallelism of at least 1")),
        1..=MAX_SLOTS => Ok(()),
        _ => Err(Refusal::BadValue("a job has a parallelism of at most 65536")),
    }
}

/// That a submission computes something else than the job that is there.
fn other_definition(there: &Job, spec: &JobSpec) -> Option<JobDifference> {
    let is_other = !spec.computes_like(&there.spec);
    is_other.then(|| JobDifference::Definition { tables: table_changes(&there.spec.graph, &spec.graph) })
}

/// What makes a submission another job than the one that is there.
fn difference(there: &Job, spec: &JobSpec, parallelism: u32) -> Option<JobDifference> {
    if let Some(definition) = other_definition(there, spec) {
        Some(definition)
    } else if there.wanted().settings != spec.settings {
        Some(JobDifference::Settings)
    } else if there.parallelism != parallelism {
        Some(JobDifference::Parallelism)
    } else {
        None
    }
}
