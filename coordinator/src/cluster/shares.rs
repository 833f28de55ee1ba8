//! How many slots each job may take that takes what there is. A function of the replicated state alone, so that a worker whose connection
//! breaks for a moment changes nothing.
//!
//! 1. What the workers offer that are not being drained is there to be shared.
//! 2. Jobs with a fixed number go first: each keeps what it runs on, and gets what it lacks if all of that is there, oldest first. For this
//!    every other job that runs can be brought down to its least, and those that do not run can wait.
//! 3. Of the rest each of the others gets its least, oldest first; then always the one with the fewest slots gets one more, until all have
//!    their most, the slots are used up, or the limit of the namespace is. One whose least its namespace has no room for gets no more than
//!    it has.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use weir_core::JobId;

use super::{ClusterState, Desired, Job};

/// A job that takes what there is.
struct Claim<'a> {
    job: JobId,
    namespace: &'a str,
    least: u64,
    most: u64,
    /// Slots that it is to have so far.
    parallelism: u64,
    /// Slots that it runs on.
    has: u64,
}

impl ClusterState {
    /// The slots of each job that takes what there is, and is to run. Those of a job for whose least there is no room are its least: it
    /// waits for them.
    pub fn shares(&self) -> BTreeMap<JobId, u32> {
        self.shares_if(None)
    }

    /// The same if a job whose load decides was found to need so many.
    pub fn shares_if(&self, needs: Option<(JobId, u32)>) -> BTreeMap<JobId, u32> {
        let claim = |id: JobId, job| {
            let needed = needs.filter(|(other, _)| *other == id).map(|(_, needed)| u64::from(needed));
            claim(id, job).map(|claim| Claim { most: needed.unwrap_or(claim.most).max(claim.least), ..claim })
        };
        let active = || self.jobs.iter().filter(|(_, job)| job.status.is_active());
        let claims: Vec<Claim<'_>> = active().filter_map(|(id, job)| claim(*id, job)).collect();
        if claims.is_empty() {
            return BTreeMap::new();
        }
        let offered = self.workers.values().filter(|worker| !worker.draining);
        let offered: u64 = offered.map(|worker| u64::from(worker.slots)).sum();
        let fixed = || active().filter(|(id, job)| claim(**id, job).is_none()).map(|(_, job)| job);
        let reserved: u64 = claims.iter().map(|claim| claim.least.min(claim.has)).sum();
        let mut taken: u64 = fixed().map(has).sum();
        for job in fixed() {
            let lacks = u64::from(job.parallelism).saturating_sub(has(job));
            if taken.saturating_add(reserved).saturating_add(lacks) <= offered {
                taken = taken.saturating_add(lacks);
            }
        }
        let mut limits = self.limits(fixed());
        let mut free = offered.saturating_sub(taken);
        let mut shares = BTreeMap::new();
        let mut wanting = BinaryHeap::new();
        for (place, claim) in claims.iter().enumerate() {
            if !take(&mut limits, claim.namespace, claim.least) {
                shares.insert(claim.job, claim.least.min(claim.parallelism));
                free = free.saturating_sub(claim.least.min(claim.has));
                continue;
            }
            shares.insert(claim.job, claim.least);
            // One that waits leaves its slots to others meanwhile.
            let Some(rest) = free.checked_sub(claim.least) else { continue };
            free = rest;
            if claim.most > claim.least {
                wanting.push(Reverse((claim.least, place)));
            }
        }
        while let Some(Reverse((slots, place))) = wanting.pop().filter(|_| free > 0) {
            let claim = &claims[place];
            if !take(&mut limits, claim.namespace, 1) {
                continue;
            }
            free -= 1;
            let slots = slots + 1;
            shares.insert(claim.job, slots);
            if slots < claim.most {
                wanting.push(Reverse((slots, place)));
            }
        }
        shares.into_iter().map(|(job, slots)| (job, u32::try_from(slots).unwrap_or(u32::MAX))).collect()
    }

    /// What namespaces with a limit have left beside their jobs with a fixed number.
    fn limits<'a>(&'a self, fixed: impl Iterator<Item = &'a Job>) -> BTreeMap<&'a str, u64> {
        let limited =
            self.namespaces.iter().filter_map(|(name, namespace)| Some((name.as_str(), namespace.quota.slots?)));
        let mut limits: BTreeMap<&str, u64> = limited.map(|(name, slots)| (name, u64::from(slots))).collect();
        for job in fixed {
            take(&mut limits, &job.namespace, u64::from(job.parallelism));
        }
        limits
    }
}

/// What a job takes of what there is; `None` of one with a fixed number, and of one that is to end.
fn claim(id: JobId, job: &Job) -> Option<Claim<'_>> {
    let scaling = job.elastic().filter(|_| job.desired == Desired::Running && job.status.is_active())?;
    let (least, most) = (scaling.min_slots, job.most_slots(scaling));
    Some(Claim {
        job: id,
        namespace: &job.namespace,
        least: least.into(),
        most: most.into(),
        parallelism: job.parallelism.into(),
        has: has(job),
    })
}

/// Slots that it runs on.
fn has(job: &Job) -> u64 {
    job.execution.as_ref().map_or(0, |execution| execution.placement.slots.len() as u64)
}

/// Takes slots of a namespace; false if it has not as many left, and then all that it has are gone.
fn take(limits: &mut BTreeMap<&str, u64>, namespace: &str, slots: u64) -> bool {
    let Some(left) = limits.get_mut(namespace) else { return true };
    let enough = *left >= slots;
    *left = left.saturating_sub(slots);
    enough
}
