//! What the oracle knows of a job, and what must hold of it from one look to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use weir_coordinator::cluster::{ClusterState, Job, JobStatus};
use weir_core::{Attempt, Epoch, JobId, WorkerId};
use weir_proto::client::ScalingDecision;

/// What is known of a job.
#[derive(Debug, Clone)]
pub struct KnownJob {
    /// Its name.
    pub name: String,
    /// How far the newest leader has it.
    pub status: JobStatus,
    /// The highest attempt that was ever applied.
    pub attempt: Attempt,
    /// The newest checkpoint that was ever applied.
    pub last_epoch: Epoch,
    /// Why it failed last.
    pub failure: Option<String>,
    /// The checkpoint that results go on from: the newest one, or another one that a user had the job go on from.
    tip: Option<Epoch>,
    /// Every checkpoint that was completed, and the one that it followed.
    followed: BTreeMap<Epoch, Option<Epoch>>,
    /// Checkpoints that users had it go back to, or may have.
    wishes: BTreeSet<Epoch>,
    /// The last attempt that went on from another checkpoint than the newest.
    pub back: Option<Attempt>,
    /// Savepoints that there were.
    savepoints: BTreeSet<Epoch>,
    /// Checkpoints that the newest leader has: epoch, whether it is a savepoint, whether it is committed.
    checkpoints: Vec<(Epoch, bool, bool)>,
    /// The log that told of it is lost, and it has not been looked at since.
    log_lost: bool,
    scaled: Scaled,
}

/// When the number of a job's slots was last decided on.
#[derive(Debug, Clone, Default)]
struct Scaled {
    last: Option<ScalingDecision>,
    /// As the leader of this term has told.
    term: u64,
    since: Option<Instant>,
    /// The attempt that ran at the last look.
    running: Option<Attempt>,
}

/// A job goes on from another checkpoint than the newest, as a user wanted: an older one, or one that it was taken back from before.
#[derive(Debug, Clone)]
pub struct GoneBack {
    /// The checkpoint that it goes on from, and all that this one followed: only their results count.
    pub line: BTreeSet<Epoch>,
}

impl KnownJob {
    /// A job that was not there before.
    pub fn new(job: &Job) -> Self {
        Self {
            name: job.name.clone(),
            status: job.status,
            attempt: Attempt(0),
            last_epoch: Epoch(0),
            failure: None,
            tip: None,
            followed: BTreeMap::new(),
            wishes: BTreeSet::new(),
            back: None,
            savepoints: BTreeSet::new(),
            checkpoints: Vec::new(),
            log_lost: false,
            scaled: Scaled::default(),
        }
    }

    /// The log that told of it is lost. Epochs that left anything are passed over then, whether they were completed or not; and of
    /// savepoints of earlier attempts nobody knows.
    pub fn log_lost(&mut self) {
        self.log_lost = true;
        self.savepoints.clear();
    }

    /// A user may have the job go back to this checkpoint.
    pub fn may_go_back(&mut self, epoch: Epoch) {
        self.wishes.insert(epoch);
    }

    /// Looks at the job as a coordinator has it. `drained` are workers that were being emptied at the last look.
    ///
    /// # Errors
    /// What must not be.
    pub fn look(
        &mut self,
        id: JobId,
        state: &ClusterState,
        drained: impl Fn(&WorkerId) -> bool,
    ) -> Result<Option<GoneBack>, String> {
        let Some(job) = state.jobs.get(&id) else { return Ok(None) };
        let log_lost = std::mem::take(&mut self.log_lost);
        let last = Some(job.last_epoch).filter(|_| !log_lost);
        let completed = job.checkpoints.iter().map(|checkpoint| checkpoint.epoch).chain(last);
        for epoch in completed.filter(|epoch| *epoch > Epoch(0)) {
            if epoch > self.last_epoch {
                self.followed.insert(epoch, self.tip);
                (self.last_epoch, self.tip) = (epoch, Some(epoch));
            }
        }
        self.last_epoch = self.last_epoch.max(job.last_epoch);
        self.savepoints.extend(job.checkpoints.iter().filter(|checkpoint| checkpoint.savepoint).map(|c| c.epoch));
        if job.attempt <= self.attempt {
            return Ok(None);
        }
        self.attempt = job.attempt;
        let Some(execution) = &job.execution else { return Ok(None) };
        let drains = |worker: &WorkerId| state.workers.get(worker).is_some_and(|here| here.draining) && drained(worker);
        if let Some(placed) = execution.placement.workers.iter().find(|placed| drains(&placed.worker)) {
            let (attempt, worker) = (job.attempt, &placed.worker);
            return Err(format!("attempt {attempt} of job {id} got slots of {worker}, which is being drained"));
        }
        let from = execution.restored;
        if from == self.tip {
            return Ok(None);
        }
        let (attempt, tip) = (job.attempt, self.tip);
        if from.is_none_or(|from| !self.wishes.contains(&from)) {
            return Err(format!("attempt {attempt} of job {id} goes on from {from:?}, and {tip:?} was completed"));
        }
        self.tip = from;
        self.back = Some(job.attempt);
        let line = std::iter::successors(from, |epoch| self.followed.get(epoch).copied().flatten()).collect();
        Ok(Some(GoneBack { line }))
    }

    /// Looks at the job as the leader of the newest term has had it since that time.
    ///
    /// # Errors
    /// What must not be.
    pub fn look_at_newest(&mut self, id: JobId, job: &Job, term: u64, at: Instant) -> Result<(), String> {
        if job.last_epoch < self.last_epoch {
            return Err(format!(
                "job {id} has completed checkpoint {}, and the leader of term {term} knows of {} only",
                self.last_epoch, job.last_epoch
            ));
        }
        if job.attempt < self.attempt {
            return Err(format!("job {id} was at attempt {}, and is at {}", self.attempt, job.attempt));
        }
        let is_there = |epoch: &Epoch| job.checkpoints.iter().any(|checkpoint| checkpoint.epoch == *epoch);
        if let Some(gone) = self.savepoints.iter().find(|epoch| !is_there(epoch)) {
            return Err(format!("savepoint {gone} of job {id} is gone, and nobody has deleted it"));
        }
        self.scaled.look(id, job, term, at)?;
        self.status = job.status;
        self.failure = job.last_failure.as_ref().map(|failure| failure.report.clone());
        let known = |checkpoint: &weir_coordinator::cluster::Checkpoint| {
            (checkpoint.epoch, checkpoint.savepoint, checkpoint.committed)
        };
        self.checkpoints = job.checkpoints.iter().map(known).collect();
        Ok(())
    }

    /// What is wrong with the checkpoints of a job that is over, of which so many are to be kept.
    pub fn unsettled(&self, retained: u32) -> Option<String> {
        let name = &self.name;
        if let Some((epoch, ..)) = self.checkpoints.iter().find(|(_, _, committed)| !committed) {
            return Some(format!("checkpoint {epoch} of {name} is not committed"));
        }
        let ordinary = self.checkpoints.iter().filter(|(_, savepoint, _)| !savepoint).count();
        let most = usize::try_from(retained.max(1)).unwrap_or(usize::MAX);
        (ordinary == 0 || ordinary > most)
            .then(|| format!("{name} keeps {ordinary} checkpoints, and {most} are to be kept"))
    }
}

impl Scaled {
    /// A job that runs is not stopped for more slots before the last change has settled.
    fn look(&mut self, id: JobId, job: &Job, term: u64, at: Instant) -> Result<(), String> {
        let running = job.execution.as_ref().map(|_| job.attempt);
        let last = job.scaling_decisions.last();
        let before = std::mem::replace(self, Self { last: last.cloned(), term, running, ..self.clone() });
        if last == before.last.as_ref() && term == before.term {
            return Ok(());
        }
        // What one leader has decided may be in the log of the next, and be known under that only: its time was measured before.
        if last != before.last.as_ref() || before.since.is_none() {
            self.since = Some(at);
        }
        let ran_on = running.is_some() && running == before.running && term == before.term;
        let settle = job.scaling.as_ref().map(|scaling| Duration::from_millis(scaling.settle_ms));
        match (last, before.since.map(|since| at - since), settle) {
            (Some(last), Some(elapsed), Some(settle)) if last.to > last.from && ran_on && elapsed < settle => {
                Err(format!(
                    "job {id} is to be stopped for {} slots instead of {}, {elapsed:?} after the last change: that has not settled",
                    last.to, last.from
                ))
            }
            _ => Ok(()),
        }
    }
}
