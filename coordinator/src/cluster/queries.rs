//! What a leader asks of the replicated state.

use std::collections::BTreeMap;

use weir_core::bugs::{self, Bug};
use weir_core::{JobId, JobIdentity, PlacedWorker, Placement, WorkerId};

use super::{ClusterState, Execution, Job};
use crate::scheduler::Candidate;

/// What the jobs of a namespace that have not ended use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The sum of their parallelisms.
    pub slots: u64,
    /// How many they are.
    pub jobs: u64,
    /// Bytes of their newest checkpoints.
    pub state_bytes: u64,
}

impl ClusterState {
    /// What a job is known by outside this cluster. The name of the cluster is random, numbers of jobs are never used again, and where
    /// coordinators have lost some of their log, time has gone on.
    pub fn identity(&self, id: JobId, job: &Job) -> JobIdentity {
        JobIdentity::of(&format!("{}/{id}/{}", self.cluster, job.submitted_at))
    }

    /// The job of a name.
    pub fn job_by_name(&self, namespace: &str, name: &str) -> Option<(JobId, &Job)> {
        let mut jobs = self.jobs.iter();
        jobs.find(|(_, job)| job.namespace == namespace && job.name == name).map(|(id, job)| (*id, job))
    }

    /// What is deployed or runs on a worker.
    pub fn executions_on(&self, worker: &WorkerId) -> impl Iterator<Item = (JobId, &Job, &Execution)> {
        let executions = self.jobs.iter().filter_map(|(id, job)| Some((*id, job, job.execution.as_ref()?)));
        executions.filter(move |(_, _, execution)| execution.placement.position(worker).is_some())
    }

    /// Slots of a worker that jobs use.
    pub fn used_slots(&self, worker: &WorkerId) -> u32 {
        self.used_by_others(None).get(worker).copied().unwrap_or(0)
    }

    /// Slots of a worker that no job uses; none if it is not here. Whether it is being drained makes no difference.
    pub fn free_slots(&self, worker: &WorkerId) -> u32 {
        self.workers.get(worker).map_or(0, |here| here.slots.saturating_sub(self.used_slots(worker)))
    }

    /// The workers for the scheduler. Slots that `job` has itself count as free: it gives them back before it is placed anew.
    pub fn candidates(&self, job: Option<JobId>) -> Vec<Candidate> {
        let used = self.used_by_others(job);
        let candidate = |(id, worker): (&WorkerId, &super::Worker)| Candidate {
            worker: PlacedWorker {
                worker: id.clone(),
                incarnation: worker.incarnation,
                address: worker.address.clone(),
            },
            free: worker.slots.saturating_sub(used.get(id).copied().unwrap_or(0)),
            total: worker.slots,
            draining: worker.draining && !bugs::is_on(Bug::DrainIgnored),
            too_old: false,
        };
        self.workers.iter().map(candidate).collect()
    }

    /// What the jobs of a namespace use.
    pub fn usage(&self, namespace: &str) -> Usage {
        self.usage_of_others(namespace, None)
    }

    /// What the jobs of a namespace use, without one of them.
    pub(super) fn usage_of_others(&self, namespace: &str, without: Option<JobId>) -> Usage {
        let jobs = self.jobs.iter().filter(|(id, job)| job.namespace == namespace && Some(**id) != without);
        jobs.filter(|(_, job)| job.status.is_active()).fold(Usage::default(), |usage, (_, job)| usage.with(job))
    }

    /// Slots in use, per worker that has any, without those of one job.
    pub(super) fn used_by_others(&self, without: Option<JobId>) -> BTreeMap<&WorkerId, u32> {
        let mut used = BTreeMap::new();
        if without.is_some() && bugs::is_on(Bug::OverbookedSlots) {
            return used;
        }
        let jobs = self.jobs.iter().filter(|(id, _)| Some(**id) != without);
        for execution in jobs.filter_map(|(_, job)| job.execution.as_ref()) {
            for (worker, slots) in slots_per_worker(&execution.placement) {
                let sum: &mut u32 = used.entry(worker).or_default();
                *sum = sum.saturating_add(slots);
            }
        }
        used
    }
}

impl Usage {
    /// The usage with one job more.
    #[must_use]
    pub(super) fn with(self, job: &Job) -> Self {
        let state_bytes = job.restore_point().map_or(0, |checkpoint| checkpoint.state_bytes);
        Self {
            slots: self.slots.saturating_add(u64::from(job.counted_slots())),
            jobs: self.jobs.saturating_add(1),
            state_bytes: self.state_bytes.saturating_add(state_bytes),
        }
    }
}

/// The workers of a placement, in order, and how many slots each has there.
pub(super) fn slots_per_worker(placement: &Placement) -> impl Iterator<Item = (&WorkerId, u32)> {
    let mut counts = vec![0_u32; placement.workers.len()];
    for position in placement.slots.iter().filter_map(|position| usize::try_from(*position).ok()) {
        if let Some(count) = counts.get_mut(position) {
            *count = count.saturating_add(1);
        }
    }
    placement.workers.iter().map(|placed| &placed.worker).zip(counts)
}
