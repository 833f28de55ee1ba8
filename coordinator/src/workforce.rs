//! How many workers the jobs of a cluster want, for whoever can start and end some: a script behind a webhook, or Kubernetes. No I/O, no
//! clock.
//!
//! More are asked for at once, fewer when fewer have been enough for a while. What is asked for is a number, and the same is said again and
//! again, so that whoever missed it hears it.
//!
//! Whoever is asked for fewer ends some, so fewer than there are have to be known to be enough. A new leader does not know what was asked
//! for before: it says nothing for that while, unless jobs want more than are here. How many are needed is not known either while none is
//! here that tells how many slots it has: then none is asked to go.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::cluster::{ClusterState, Desired};

/// Bounds, and how patient to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkforceConfig {
    /// The fewest workers.
    pub min_workers: u32,
    /// The most workers.
    pub max_workers: u32,
    /// Slots that are to be free when all jobs have theirs: room for what a lost worker ran.
    pub spare_slots: u32,
    /// Fewer workers are asked for when they have been enough for so long.
    pub release_after: Duration,
    /// After so long the same number is said again.
    pub repeat_after: Duration,
}

impl Default for WorkforceConfig {
    fn default() -> Self {
        Self {
            min_workers: 1,
            max_workers: 100,
            spare_slots: 0,
            release_after: Duration::from_secs(600),
            repeat_after: Duration::from_secs(60),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Workforce {
    /// The cluster's name.
    pub cluster: String,
    /// Workers that there should be.
    pub wanted_workers: u32,
    /// Workers that are here and not being drained.
    pub workers: u32,
    /// Slots that jobs want, and those that are to be spare.
    pub wanted_slots: u32,
    /// Slots that the workers offer.
    pub slots: u32,
    /// Slots of one worker, the largest.
    pub slots_per_worker: u32,
    /// Workers that run nothing: those to end first.
    pub idle_workers: Vec<String>,
}

impl Workforce {
    /// What the jobs of a cluster want. A job that takes what there is asks for its least.
    pub fn of(state: &ClusterState, config: &WorkforceConfig) -> Self {
        let runs = state.jobs.values().filter(|job| job.status.is_active() && job.desired != Desired::Stopped);
        let mut wanted: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for job in runs {
            let (wanted, has) = wanted.entry(&job.namespace).or_default();
            *wanted = wanted.saturating_add(job.wanted_slots());
            *has = has.saturating_add(job.parallelism);
        }
        // What a namespace may not have helps none of its jobs.
        let jobs = wanted.into_iter().map(|(namespace, (wanted, has))| {
            let limit = state.namespaces.get(namespace).and_then(|namespace| namespace.quota.slots);
            limit.map_or(wanted, |limit| wanted.min(limit.max(has)))
        });
        let wanted_slots = jobs.fold(config.spare_slots, u32::saturating_add);
        let here = || state.workers.iter().filter(|(_, worker)| !worker.draining);
        let slots_per_worker = here().map(|(_, worker)| worker.slots).max().unwrap_or(0);
        let needed = match (wanted_slots, slots_per_worker) {
            (0, _) => 0,
            // How many slots one has is known when it is here.
            (_, 0) => 1,
            (slots, each) => slots.div_ceil(each),
        };
        let used = |id| state.used_slots(id) > 0;
        Self {
            cluster: state.cluster.clone(),
            wanted_workers: needed.clamp(config.min_workers, config.max_workers.max(config.min_workers)),
            workers: u32::try_from(here().count()).unwrap_or(u32::MAX),
            wanted_slots,
            slots: here().map(|(_, worker)| worker.slots).fold(0, u32::saturating_add),
            slots_per_worker,
            idle_workers: here().filter(|(id, _)| !used(id)).map(|(id, _)| id.to_string()).collect(),
        }
    }
}

/// What was asked for, and what may be soon.
#[derive(Debug, Default)]
pub struct Asking {
    /// When this leader first looked.
    began: Option<Duration>,
    /// The most workers that were here since.
    most_here: u32,
    asked: Option<(Duration, u32)>,
    /// Since when fewer would do, and the most that would have been needed since.
    fewer: Option<(Duration, u32)>,
}

impl Asking {
    /// What is to be asked for now, if anything.
    pub fn look(&mut self, now: Duration, wanted: Workforce, config: &WorkforceConfig) -> Option<Workforce> {
        let term = now.saturating_sub(*self.began.get_or_insert(now));
        self.most_here = self.most_here.max(wanted.workers);
        // Nobody is sent away because another coordinator leads now.
        let asked = self.asked.map_or(
            self.most_here.clamp(config.min_workers, config.max_workers.max(config.min_workers)),
            |(_, asked)| asked,
        );
        let is_unknown = wanted.slots_per_worker == 0 && wanted.wanted_slots > 0;
        let number = if wanted.wanted_workers >= asked || is_unknown {
            self.fewer = None;
            wanted.wanted_workers.max(asked)
        } else {
            let (since, most) = self.fewer.unwrap_or((now, 0));
            let most = most.max(wanted.wanted_workers);
            self.fewer = Some((since, most));
            let is_over = now.saturating_sub(since) >= config.release_after;
            self.fewer = self.fewer.filter(|_| !is_over);
            if is_over { most } else { asked }
        };
        if self.asked.is_none() {
            let lacks = wanted.wanted_workers > wanted.workers;
            // Those that are there make themselves known within moments.
            let quiet = match (lacks, self.most_here) {
                (true, 0) => config.repeat_after.min(config.release_after),
                (true, _) => Duration::ZERO,
                (false, _) => config.release_after,
            };
            if term < quiet {
                return None;
            }
        }
        let is_due =
            self.asked.is_none_or(|(at, asked)| asked != number || now.saturating_sub(at) >= config.repeat_after);
        is_due.then(|| {
            self.asked = Some((now, number));
            Workforce { wanted_workers: number, ..wanted }
        })
    }

    /// The number that was last asked for.
    pub fn asked(&self) -> Option<u32> {
        self.asked.map(|(_, number)| number)
    }
}

#[cfg(test)]
mod tests;
