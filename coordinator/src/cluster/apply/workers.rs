//! Workers come and go. With a worker goes every attempt that used it.

use weir_core::bugs::{self, Bug};
use weir_core::{Incarnation, JobId, WorkerId};

use super::Applied;
use crate::cluster::{ClusterState, Refusal, Worker};

/// Slots of one worker, and of one job: what is placed is kept in lists.
pub(super) const MAX_SLOTS: u32 = 1 << 16;
/// Bytes of what a worker says of itself.
const MAX_TEXT: usize = 512;

impl ClusterState {
    pub(super) fn register_worker(&mut self, id: WorkerId, mut new: Worker, at: i64) -> Result<Applied, Refusal> {
        // Names of workers stand in messages; hosts and ports make good ones.
        if id.0.is_empty() || id.0.len() > 256 || !id.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::BadName { of: "worker", name: id.0.chars().take(256).collect() });
        }
        if new.slots > MAX_SLOTS {
            return Err(Refusal::BadValue("a worker offers 65536 slots at most"));
        }
        if new.address.len() > MAX_TEXT || new.version.len() > MAX_TEXT {
            return Err(Refusal::BadValue("the address and the version of a worker have 512 bytes at most"));
        }
        let outcome = match self.workers.get(&id) {
            None => Applied::Changed,
            Some(here) if here.incarnation == new.incarnation || bugs::is_on(Bug::IncarnationIgnored) => {
                // What an operator has decided about this process still holds.
                new.draining = here.draining;
                let used = self.used_slots(&id);
                if new.slots < used {
                    return Err(Refusal::SlotsInUse { worker: id, offered: new.slots, used });
                }
                if *here == new {
                    return Ok(Applied::Unchanged);
                }
                Applied::Changed
            }
            Some(_) => {
                Applied::Lost { jobs: self.fail_attempts_on(&id, &format!("worker {id} was started anew"), at)? }
            }
        };
        self.workers.insert(id, new);
        Ok(outcome)
    }

    pub(super) fn lose_worker(
        &mut self,
        id: &WorkerId,
        incarnation: Incarnation,
        reason: &str,
        at: i64,
    ) -> Result<Applied, Refusal> {
        let here = self.workers.get(id).ok_or_else(|| Refusal::NoSuchWorker(id.clone()))?;
        if here.incarnation != incarnation {
            let current = here.incarnation;
            return Err(Refusal::StaleIncarnation { worker: id.clone(), incarnation, current });
        }
        let jobs = self.fail_attempts_on(id, &format!("worker {id} was lost: {reason}"), at)?;
        self.workers.remove(id);
        Ok(Applied::Lost { jobs })
    }

    pub(super) fn drain_worker(&mut self, id: WorkerId, draining: bool) -> Result<Applied, Refusal> {
        let Some(worker) = self.workers.get_mut(&id) else { return Err(Refusal::NoSuchWorker(id)) };
        if worker.draining == draining {
            return Ok(Applied::Unchanged);
        }
        worker.draining = draining;
        Ok(Applied::Changed)
    }

    /// Nobody has to do anything about these failures: they are the cluster's.
    fn fail_attempts_on(&mut self, worker: &WorkerId, report: &str, at: i64) -> Result<Vec<JobId>, Refusal> {
        let mut failed: Vec<_> = self.executions_on(worker).map(|(id, job, _)| (id, job.clone())).collect();
        for (id, job) in &mut failed {
            job.fail_attempt(*id, None, report.to_owned(), at)?;
        }
        let ids = failed.iter().map(|(id, _)| *id).collect();
        self.jobs.extend(failed);
        Ok(ids)
    }
}
