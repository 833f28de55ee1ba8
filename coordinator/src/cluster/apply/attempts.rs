//! The life of an attempt: placed, running, failed or ended.

use std::collections::BTreeSet;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, ErrorKind, JobId, Placement};

use super::Applied;
use crate::cluster::queries::slots_per_worker;
use crate::cluster::{
    ClusterState, Desired, Execution, Job, JobFailure, JobStatus, PlacementDifference, Refusal, RestartPolicy,
};

impl ClusterState {
    pub(super) fn start_attempt(
        &mut self,
        id: JobId,
        attempt: Attempt,
        execution: Execution,
        as_before: bool,
        at: i64,
    ) -> Result<Applied, Refusal> {
        self.change(id, |state, job| {
            if job.status != JobStatus::Scheduling {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be started" });
            }
            if job.attempt.0.checked_add(1) != Some(attempt.0) {
                return Err(Refusal::StaleAttempt { job: id, attempt, last: job.attempt });
            }
            if bugs::is_on(Bug::DroppedCommit) {
                job.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.committed = true);
            }
            // Also one that the job does not go on from: what is decided becomes visible before anything else is.
            if let Some(checkpoint) = job.uncommitted() {
                return Err(Refusal::Uncommitted { job: id, epoch: checkpoint.epoch });
            }
            let from = job.restore_point();
            if let Some(last) = from.filter(|checkpoint| checkpoint.finished) {
                return Err(Refusal::InputEnded { job: id, epoch: last.epoch });
            }
            let wanted = from.map(|checkpoint| checkpoint.epoch);
            if execution.restored != wanted {
                let difference = PlacementDifference::RestorePoint { placed: execution.restored, wanted };
                return Err(Refusal::StalePlacement { job: id, difference });
            }
            state.check_placement(id, job, &execution.placement, as_before)?;
            job.take_update();
            job.attempt = attempt;
            job.execution = Some(Execution { running_since: None, ..execution });
            job.enter(id, JobStatus::Deploying, at)?;
            Ok(Applied::Forgotten { job: id, checkpoints: job.forget_other_future() })
        })
    }

    pub(super) fn attempt_running(&mut self, id: JobId, attempt: Attempt, at: i64) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            job.check_current(id, attempt)?;
            if job.status == JobStatus::Running {
                return Ok(Applied::Unchanged);
            }
            job.enter(id, JobStatus::Running, at)?;
            if let Some(execution) = &mut job.execution {
                execution.running_since = Some(at);
            }
            Ok(Applied::Changed)
        })
    }

    pub(super) fn attempt_failed(
        &mut self,
        id: JobId,
        attempt: Attempt,
        kind: Option<ErrorKind>,
        report: String,
        at: i64,
    ) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            job.check_current(id, attempt)?;
            job.fail_attempt(id, kind, report, at)?;
            Ok(Applied::Changed)
        })
    }

    pub(super) fn retry_job(&mut self, id: JobId, attempt: Attempt, at: i64) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            if job.attempt != attempt {
                return Err(Refusal::StaleAttempt { job: id, attempt, last: job.attempt });
            }
            if job.status != JobStatus::Restarting {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "be tried again" });
            }
            job.enter(id, JobStatus::Scheduling, at)?;
            job.restarts = job.restarts.saturating_add(1);
            Ok(Applied::Changed)
        })
    }

    pub(super) fn end_attempt(&mut self, id: JobId, attempt: Attempt, at: i64) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            job.check_current(id, attempt)?;
            if job.status != JobStatus::Running {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "end" });
            }
            let Some(last) = job.newest().filter(|checkpoint| checkpoint.attempt == attempt) else {
                return Err(Refusal::NoLastCheckpoint { job: id, attempt });
            };
            if !last.committed && !bugs::is_on(Bug::EndBeforeCommit) {
                return Err(Refusal::Uncommitted { job: id, epoch: last.epoch });
            }
            let end = match job.desired {
                _ if last.finished => JobStatus::Finished,
                Desired::Stopped => JobStatus::Stopped,
                // A drain that came too late for this attempt's last marker is done by the next one.
                Desired::Running | Desired::Drained | Desired::Cancelled => JobStatus::Scheduling,
            };
            job.execution = None;
            job.failures = 0;
            job.enter(id, end, at)?;
            Ok(Applied::Changed)
        })
    }

    /// A placement was made for a state that may have changed since.
    fn check_placement(&self, id: JobId, job: &Job, placement: &Placement, as_before: bool) -> Result<(), Refusal> {
        let bad = |reason| Err(Refusal::BadPlacement { job: id, reason });
        let stale = |difference| Err(Refusal::StalePlacement { job: id, difference });
        let placed = placement.slots.len();
        let wanted = usize::try_from(job.parallelism).unwrap_or(usize::MAX);
        if placed == 0 || if as_before { placed >= wanted } else { placed != wanted } {
            return stale(PlacementDifference::Parallelism { placed, wanted: job.parallelism });
        }
        let workers = placement.workers.len();
        if placement.slots.iter().any(|position| usize::try_from(*position).is_ok_and(|position| position >= workers)) {
            return bad("a slot is on a worker that it does not have");
        }
        let names: BTreeSet<_> = placement.workers.iter().map(|placed| &placed.worker).collect();
        if names.len() < workers {
            return bad("it has a worker twice");
        }
        if slots_per_worker(placement).any(|(_, slots)| slots == 0) {
            return bad("it has a worker without a slot");
        }
        let used = self.used_by_others(Some(id));
        for (placed, (worker, slots)) in placement.workers.iter().zip(slots_per_worker(placement)) {
            let here = self.workers.get(worker).ok_or_else(|| Refusal::NoSuchWorker(worker.clone()))?;
            if here.incarnation != placed.incarnation {
                return Err(Refusal::StaleIncarnation {
                    worker: worker.clone(),
                    incarnation: placed.incarnation,
                    current: here.incarnation,
                });
            }
            if here.address != placed.address {
                return stale(PlacementDifference::Address(worker.clone()));
            }
            if here.draining && !bugs::is_on(Bug::DrainIgnored) {
                return stale(PlacementDifference::Draining(worker.clone()));
            }
            let free = here.slots.saturating_sub(used.get(worker).copied().unwrap_or(0));
            if slots > free {
                return stale(PlacementDifference::Slots { worker: worker.clone(), placed: slots, free });
            }
        }
        Ok(())
    }
}

impl Job {
    pub(super) fn check_current(&self, id: JobId, attempt: Attempt) -> Result<(), Refusal> {
        let unfenced = bugs::is_on(Bug::NoFencing) && self.execution.is_some();
        if self.is_current(attempt) || unfenced {
            Ok(())
        } else {
            Err(Refusal::StaleAttempt { job: id, attempt, last: self.attempt })
        }
    }

    /// The current attempt has failed: nothing of it counts any more but what it has completed.
    pub(super) fn fail_attempt(
        &mut self,
        id: JobId,
        kind: Option<ErrorKind>,
        mut report: String,
        at: i64,
    ) -> Result<(), Refusal> {
        let running_since = self.execution.take().and_then(|execution| execution.running_since);
        let pause = self.pause_after(kind, &mut report, running_since, at);
        let retry_at = pause.map(|pause| at.saturating_add_unsigned(pause));
        self.last_failure = Some(JobFailure { attempt: self.attempt, kind, report, at, retry_at });
        if pause.is_none() {
            return self.enter(id, JobStatus::Failed, at);
        }
        self.enter(id, JobStatus::Restarting, at)?;
        self.settle(id, at)
    }

    /// The pause before the next attempt, in milliseconds; `None` if there is to be none. Counts the failure.
    fn pause_after(
        &mut self,
        kind: Option<ErrorKind>,
        report: &mut String,
        running_since: Option<i64>,
        at: i64,
    ) -> Option<u64> {
        if self.input_has_ended() {
            return Some(0);
        }
        let ran = running_since.map_or(0, |since| at.saturating_sub(since));
        let kind = match kind {
            // The cluster's fault, and over with the next attempt; unless it is not, as when workers do not reach each other.
            None => {
                let settled = ran >= SETTLED_MS || self.newest().is_some_and(|newest| newest.attempt == self.attempt);
                self.losses = if settled { 0 } else { self.losses.saturating_add(1) };
                return Some(pause_after_losses(self.losses));
            }
            Some(ErrorKind::User) => return None,
            Some(kind) => kind,
        };
        let again = self.last_failure.as_ref().filter(|last| {
            self.failures > 0 && kind == ErrorKind::Data && last.kind == Some(kind) && last.report == *report
        });
        if let Some(last) = again {
            report.push_str(&format!(
                "\nattempt {} failed on the same record before, so it is not tried again",
                last.attempt
            ));
            self.failures = self.failures.saturating_add(1);
            return None;
        }
        let policy = &self.spec.settings.restart;
        let stable = running_since.is_some() && u64::try_from(ran).is_ok_and(|ran| ran >= policy.stable_ms);
        self.failures = if stable { 1 } else { self.failures.saturating_add(1) };
        if policy.attempts.is_some_and(|limit| self.failures > limit) {
            return None;
        }
        Some(policy.pause(self.failures))
    }
}

/// An attempt that ran for so long, or completed a checkpoint, did not fail because of what it began with.
const SETTLED_MS: i64 = 2000;
/// So many attempts in a row are started at once: machines may well be lost together.
const PROMPT_LOSSES: u64 = 3;
/// The longest pause after attempts that were lost, in milliseconds.
const LONGEST_LOSS_PAUSE_MS: u64 = 10_000;

/// The pause after so many attempts in a row that were lost, in milliseconds.
fn pause_after_losses(losses: u64) -> u64 {
    match losses.checked_sub(PROMPT_LOSSES + 1) {
        None => 0,
        Some(doublings) => 100_u64
            .checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX))
            .map_or(LONGEST_LOSS_PAUSE_MS, |pause| pause.clamp(100, LONGEST_LOSS_PAUSE_MS)),
    }
}

impl RestartPolicy {
    /// The pause after so many failures in a row, in milliseconds.
    fn pause(&self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1);
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        self.initial_delay_ms.saturating_mul(factor).min(self.maximum_delay_ms)
    }
}
