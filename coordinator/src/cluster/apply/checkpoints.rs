//! Checkpoints: completed, committed, forgotten. In that order, always.

use std::collections::BTreeSet;

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, JobId};

use super::Applied;
use crate::cluster::{Checkpoint, ClusterState, Job, JobStatus, Refusal};

impl ClusterState {
    pub(super) fn complete_checkpoint(&mut self, id: JobId, checkpoint: Checkpoint) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            job.check_current(id, checkpoint.attempt)?;
            if job.status != JobStatus::Running {
                return Err(Refusal::NotNow { job: id, status: job.status, cannot: "complete a checkpoint" });
            }
            if checkpoint.epoch <= job.last_epoch {
                return Err(Refusal::StaleEpoch { job: id, epoch: checkpoint.epoch, last: job.last_epoch });
            }
            if let Some(last) = job.newest().filter(|last| last.finished && last.attempt == checkpoint.attempt) {
                return Err(Refusal::InputEnded { job: id, epoch: last.epoch });
            }
            if checkpoint.committed {
                return Err(Refusal::BadValue("a checkpoint is completed before it is committed"));
            }
            job.last_epoch = checkpoint.epoch;
            job.start_from = None;
            job.checkpoints.push(checkpoint);
            Ok(Applied::Changed)
        })
    }

    pub(super) fn commit_checkpoint(&mut self, id: JobId, epoch: Epoch, at: i64) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            let checkpoint = job.checkpoint(epoch).ok_or(Refusal::NoSuchCheckpoint { job: id, epoch })?;
            if checkpoint.committed {
                return Ok(Applied::Unchanged);
            }
            for checkpoint in job.checkpoints.iter_mut().filter(|checkpoint| checkpoint.epoch <= epoch) {
                checkpoint.committed = true;
            }
            let checkpoints = job.trim();
            job.settle(id, at)?;
            Ok(Applied::Forgotten { job: id, checkpoints })
        })
    }

    pub(super) fn forget_checkpoint(&mut self, id: JobId, epoch: Epoch) -> Result<Applied, Refusal> {
        self.change(id, |_, job| {
            let checkpoint = job.checkpoint(epoch).ok_or(Refusal::NoSuchCheckpoint { job: id, epoch })?;
            if !checkpoint.committed {
                return Err(Refusal::Uncommitted { job: id, epoch });
            }
            // As long as an attempt has completed none, this is also the one that it was restored from.
            if job.status != JobStatus::Finished && job.restore_point().is_some_and(|point| point.epoch == epoch) {
                return Err(Refusal::CheckpointNeeded { job: id, epoch });
            }
            let checkpoints = job.checkpoints.extract_if(.., |checkpoint| checkpoint.epoch == epoch).collect();
            Ok(Applied::Forgotten { job: id, checkpoints })
        })
    }
}

impl Job {
    /// Forgets committed checkpoints that are more than are to be retained. Savepoints stay, and so does the one to go on from.
    fn trim(&mut self) -> Vec<Checkpoint> {
        let retained = usize::try_from(self.spec.settings.retained_checkpoints.max(1)).unwrap_or(usize::MAX);
        let needed = self.restore_point().map(|checkpoint| checkpoint.epoch);
        let ordinary =
            self.checkpoints.iter().rev().filter(|checkpoint| {
                checkpoint.committed && (!checkpoint.savepoint || bugs::is_on(Bug::SavepointTrimmed))
            });
        let surplus: BTreeSet<Epoch> = ordinary.skip(retained).map(|checkpoint| checkpoint.epoch).collect();
        self.checkpoints
            .extract_if(.., |checkpoint| surplus.contains(&checkpoint.epoch) && Some(checkpoint.epoch) != needed)
            .collect()
    }

    /// An attempt starts from an earlier checkpoint: what came after it has not been, for this job. Savepoints are a
    /// person's to give up.
    pub(super) fn forget_other_future(&mut self) -> Vec<Checkpoint> {
        let Some(from) = self.start_from else { return Vec::new() };
        self.checkpoints.extract_if(.., |checkpoint| checkpoint.epoch > from && !checkpoint.savepoint).collect()
    }
}
