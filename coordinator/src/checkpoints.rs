//! The checkpoints of one job, as a state machine without I/O: carries out what the [driver](CheckpointDriver) decides, up to
//! the point where something has to be read, written, sent or asked.
//!
//! ```text
//!   driver           executor                                    edge
//!   SendMarker ──────────────────────────────────────────────▶   SendMarker
//!                    what the next manifest follows    ──────▶   LoadBase       ──▶ BaseLoaded
//!   WriteManifest ─▶ follows the base, within a deadline ────▶   WriteManifest  ──▶ ManifestWritten
//!                    the manifest is made to count     ──────▶   Complete       ──▶ Completed
//!   Commit ────────▶ oldest first, repeated until done ──────▶   Commit         ──▶ Committed, CommitLost
//!                    that it is visible is noted       ──────▶   Acknowledge    ──▶ Acknowledged
//!   Retire ────────▶ too many runs are merged,         ──────▶   Merge          ──▶ Merged, MergeLost
//!                    or else what nobody needs goes    ──────▶   Retire
//! ```
//!
//! There are two edges. In a cluster the leader carries the effects out: a manifest counts when it is in the replicated state, and
//! workers commit and merge. In `weir run` it counts when it is written, and the process commits and merges by itself.
//!
//! Which checkpoints there are the edge knows best, so every step is given the [`Ledger`]. An executor lives as long as its
//! job: results may have to be committed before an attempt begins, and after it has ended.

mod commit;
mod effects;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Error, ErrorKind, Result};
use weir_state::{EpochContent, Manifest, ManifestHeader, MergedRuns, compaction, layout};

pub use self::effects::{AttemptConfig, CheckpointName, Effect, Event, Ledger, ManifestOrder, Timeouts};

use self::commit::CommitWork;
use crate::cluster::Checkpoint;
use crate::driver::{self, CheckpointDriver, CheckpointStats, DriverConfig, Takeover};
use crate::now::Now;

/// The checkpoints of one job.
#[derive(Debug)]
pub struct CheckpointExecutor {
    timeouts: Timeouts,
    commit: Option<CommitWork>,
    attempt: Option<AttemptWork>,
}

/// What is under way for the current attempt.
#[derive(Debug)]
struct AttemptWork {
    config: AttemptConfig,
    /// The checkpoint that the next one follows.
    base: Base,
    /// There once the base is known, and whoever runs the attempt has said where it stands.
    driver: Option<CheckpointDriver>,
    /// The manifest that is being written or made to count, and what it holds.
    writing: Option<Writing>,
    /// Runs that became one and are not in a manifest yet.
    merged: Vec<MergedRuns>,
    /// Runs of this checkpoint are being merged.
    merging: Option<Epoch>,
    /// No merge is tried before: the last one failed.
    merge_due: Duration,
    /// Why the last checkpoint failed.
    failure: Option<String>,
}

/// What is known of the manifest that the next one follows.
#[derive(Debug)]
enum Base {
    /// Nothing yet.
    Unknown,
    /// Storage could not say; it is asked again then.
    Due(Duration),
    /// It is being read.
    Loading,
    /// This; `None` if there is no checkpoint yet.
    Known(Option<Arc<Manifest>>),
}

/// A manifest on its way.
#[derive(Debug)]
struct Writing {
    name: CheckpointName,
    /// When it is given up, unless it is written by then.
    deadline: Duration,
    /// What is new in it.
    contents: Arc<Vec<EpochContent>>,
    /// Once it is written.
    manifest: Option<Arc<Manifest>>,
}

impl CheckpointExecutor {
    /// Nothing is under way.
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, commit: None, attempt: None }
    }

    /// An attempt begins. Its checkpoints are driven once it [`is_driven`](Self::is_driven).
    pub fn begin(&mut self, config: AttemptConfig, now: Now) {
        self.attempt = Some(AttemptWork {
            config,
            base: Base::Unknown,
            driver: None,
            writing: None,
            merged: Vec::new(),
            merging: None,
            merge_due: now.elapsed,
            failure: None,
        });
    }

    /// The attempt has ended, or was given up.
    pub fn end(&mut self) {
        self.attempt = None;
    }

    /// The attempt whose checkpoints are taken.
    pub fn attempt(&self) -> Option<Attempt> {
        Some(self.attempt.as_ref()?.config.attempt)
    }

    /// What decides about markers, once it does.
    pub fn driver(&self) -> Option<&CheckpointDriver> {
        self.attempt.as_ref()?.driver.as_ref()
    }

    /// Whether somebody decides about markers.
    pub fn is_driven(&self) -> bool {
        self.driver().is_some()
    }

    /// The checkpoint that is under way, and when it began.
    pub fn under_way(&self) -> Option<(Epoch, Duration)> {
        self.driver()?.under_way()
    }

    /// Checkpoints so far.
    pub fn stats(&self) -> CheckpointStats {
        self.driver().map(CheckpointDriver::stats).unwrap_or_default()
    }

    /// Why the last checkpoint failed.
    pub fn failure(&self) -> Option<&str> {
        self.attempt.as_ref()?.failure.as_deref()
    }

    /// Why results could not be made visible the last time.
    pub fn commit_failure(&self) -> Option<&str> {
        self.commit.as_ref()?.failure()
    }

    /// When the executor next wants an [`Event::Tick`]; `None` if it waits for something else.
    pub fn next_tick(&self) -> Option<Duration> {
        let attempt = self.attempt.as_ref();
        let driver = attempt.and_then(|attempt| attempt.driver.as_ref()?.next_tick());
        let writing = attempt.and_then(|attempt| attempt.writing.as_ref());
        let writing = writing.filter(|writing| writing.manifest.is_none()).map(|writing| writing.deadline);
        let base = attempt.and_then(|attempt| match attempt.base {
            Base::Due(due) => Some(due),
            Base::Unknown | Base::Loading | Base::Known(_) => None,
        });
        let commit = self.commit.as_ref().and_then(CommitWork::due);
        [driver, writing, base, commit].into_iter().flatten().min()
    }

    /// Whether the manifest that the next one follows is known. If not, it is asked for.
    pub fn is_base_known(&mut self, ledger: &Ledger<'_>, effects: &mut Vec<Effect>) -> bool {
        let Some(attempt) = &mut self.attempt else { return false };
        match (&attempt.base, ledger.followed) {
            (Base::Known(_), _) => return true,
            (Base::Loading | Base::Due(_), _) => return false,
            (Base::Unknown, None) => attempt.base = Base::Known(None),
            (Base::Unknown, Some(followed)) => {
                attempt.base = Base::Loading;
                effects.push(Effect::LoadBase(name_of(followed)));
            }
        }
        matches!(attempt.base, Base::Known(_))
    }

    /// From here on markers are sent. `takeover`: how far the attempt has come, if somebody else has begun it.
    pub fn drive(
        &mut self,
        config: DriverConfig,
        takeover: Takeover,
        now: Now,
        ledger: &Ledger<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(attempt) = &mut self.attempt else { return };
        let mut wanted = Vec::new();
        attempt.driver = Some(CheckpointDriver::take_over(config, now.elapsed, takeover, &mut wanted));
        self.carry_out(now, ledger, wanted, effects);
    }

    /// Takes in what has happened and says what is to be done, in order.
    pub fn step(&mut self, now: Now, ledger: &Ledger<'_>, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick => self.tick(now, ledger, effects),
            Event::Driver(event) => self.tell_driver(now, ledger, event, effects),
            Event::BaseLoaded(result) => self.base_loaded(now, result, effects),
            Event::ManifestWritten { epoch, result } => self.manifest_written(now, ledger, epoch, result, effects),
            Event::Completed(epoch) => self.completed(now, ledger, epoch, effects),
            Event::Committed { epoch, result } => self.committed(now, ledger, epoch, result, effects),
            Event::CommitLost => self.commit_lost(now),
            Event::Acknowledged { epoch, result } => self.acknowledged(now, ledger, epoch, result, effects),
            Event::Merged { epoch, result } => self.merged(now, epoch, result, effects),
            Event::MergeLost => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.merging = None;
                }
            }
            Event::Forgotten => self.retire(effects),
        }
    }

    fn tick(&mut self, now: Now, ledger: &Ledger<'_>, effects: &mut Vec<Effect>) {
        if let Some(attempt) = &mut self.attempt {
            if matches!(attempt.base, Base::Due(due) if due <= now.elapsed) {
                attempt.base = Base::Unknown;
            }
            let late = |writing: &&Writing| writing.manifest.is_none() && writing.deadline <= now.elapsed;
            // Storage takes it for ever. What it should hold comes with the next one. If it is written after all, nobody looks at
            // it, or it is the same once more.
            if let Some(epoch) = attempt.writing.as_ref().filter(late).map(|writing| writing.name.epoch) {
                let error = Error::environment("the checkpoint storage did not take its manifest in time").with_help(
                    "see what holds the storage up; how long it may take is execution.checkpointing.timeout",
                );
                self.manifest_written(now, ledger, epoch, Err(error), effects);
            }
        }
        if self.driver().and_then(CheckpointDriver::next_tick).is_some_and(|due| due <= now.elapsed) {
            self.tell_driver(now, ledger, driver::Event::Tick, effects);
        }
        self.commit_if_due(now, ledger, effects);
    }

    fn tell_driver(&mut self, now: Now, ledger: &Ledger<'_>, event: driver::Event, effects: &mut Vec<Effect>) {
        let Some(driver) = self.attempt.as_mut().and_then(|attempt| attempt.driver.as_mut()) else { return };
        let mut wanted = Vec::new();
        driver.step(now.elapsed, event, &mut wanted);
        self.carry_out(now, ledger, wanted, effects);
    }

    fn carry_out(&mut self, now: Now, ledger: &Ledger<'_>, wanted: Vec<driver::Effect>, effects: &mut Vec<Effect>) {
        for effect in wanted {
            match effect {
                driver::Effect::SendMarker(marker) => effects.push(Effect::SendMarker(marker)),
                driver::Effect::WriteManifest { epoch, contents, savepoint, finished } => {
                    self.write_manifest(now, epoch, contents, (savepoint, finished), effects);
                }
                driver::Effect::Commit(_) => self.commit_if_due(now, ledger, effects),
                driver::Effect::Retire(_) => self.tidy(now, ledger, effects),
                driver::Effect::Report(error) => {
                    if let Some(attempt) = &mut self.attempt {
                        attempt.failure = Some(error.report());
                    }
                    effects.push(Effect::Report(error));
                }
                driver::Effect::Finish(end) => effects.push(Effect::Finish(end)),
            }
        }
    }

    fn base_loaded(&mut self, now: Now, result: Result<Arc<Manifest>>, effects: &mut Vec<Effect>) {
        let Some(attempt) = &mut self.attempt else { return };
        let result = result.map_err(|error| error.context("the last checkpoint's manifest cannot be read"));
        match result {
            Ok(manifest) => attempt.base = Base::Known(Some(manifest)),
            // The attempt runs; that storage is away for a moment is no reason to end it.
            Err(error) if error.kind() == ErrorKind::Environment => {
                attempt.base = Base::Due(now.elapsed + self.timeouts.load_retry);
                attempt.failure = Some(error.report());
            }
            Err(error) => effects.push(Effect::Finish(driver::AttemptEnd::Failed(error))),
        }
    }

    fn write_manifest(
        &mut self,
        now: Now,
        epoch: Epoch,
        contents: Vec<EpochContent>,
        (savepoint, finished): (bool, bool),
        effects: &mut Vec<Effect>,
    ) {
        let Some(attempt) = &mut self.attempt else { return };
        let Base::Known(base) = &attempt.base else { return };
        let AttemptConfig { attempt: number, job, identity, places, parallelism, manifest_timeout, term } =
            &attempt.config;
        let header = ManifestHeader {
            job: job.clone(),
            identity: *identity,
            epoch,
            attempt: *number,
            savepoint,
            finished,
            parallelism: *parallelism,
            places: places.clone(),
        };
        let path = match term {
            Some(term) => layout::manifest_of_term(epoch, *number, *term),
            None => layout::manifest(epoch),
        };
        let name = CheckpointName { epoch, manifest: path };
        let contents = Arc::new(contents);
        let order = ManifestOrder {
            path: name.manifest.clone(),
            base: base.clone(),
            header,
            contents: contents.clone(),
            merged: std::mem::take(&mut attempt.merged),
        };
        let deadline = now.elapsed + *manifest_timeout;
        attempt.writing = Some(Writing { name, deadline, contents, manifest: None });
        effects.push(Effect::WriteManifest(order));
    }

    /// The manifest is durable, or is not.
    fn manifest_written(
        &mut self,
        now: Now,
        ledger: &Ledger<'_>,
        epoch: Epoch,
        result: Result<Arc<Manifest>>,
        effects: &mut Vec<Effect>,
    ) {
        let under_way = self.under_way();
        let Some(attempt) = &mut self.attempt else { return };
        let Some(writing) = attempt
            .writing
            .as_mut()
            .filter(|writing| writing.name.epoch == epoch || (result.is_ok() && bugs::is_on(Bug::LateManifest)))
        else {
            return;
        };
        let epoch = writing.name.epoch;
        match result {
            Ok(manifest) => {
                let took = under_way.map_or(Duration::ZERO, |(_, started)| now.elapsed.saturating_sub(started));
                let checkpoint = Checkpoint {
                    epoch,
                    attempt: attempt.config.attempt,
                    manifest: writing.name.manifest.clone(),
                    state_bytes: manifest.state_bytes(),
                    written_bytes: writing.contents.iter().map(|content| content.bytes).fold(0, u64::saturating_add),
                    completed_at: now.wall,
                    duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    savepoint: manifest.savepoint,
                    finished: manifest.finished,
                    parallelism: u32::try_from(attempt.config.parallelism).unwrap_or(u32::MAX),
                    committed: false,
                };
                writing.manifest = Some(manifest);
                if bugs::is_on(Bug::EarlyCommit) {
                    effects.push(Effect::Commit(writing.name.clone()));
                }
                effects.push(Effect::Complete(checkpoint));
            }
            Err(error) => {
                let contents = writing.contents.to_vec();
                attempt.writing = None;
                let error = error.context(format!("checkpoint {epoch} failed"));
                let failed = driver::Event::ManifestFailed { epoch, contents, error };
                self.tell_driver(now, ledger, failed, effects);
            }
        }
    }

    /// The manifest counts: its results are decided.
    fn completed(&mut self, now: Now, ledger: &Ledger<'_>, epoch: Epoch, effects: &mut Vec<Effect>) {
        let Some(attempt) = &mut self.attempt else { return };
        let Some(writing) = attempt.writing.take_if(|writing| writing.name.epoch == epoch) else { return };
        if !bugs::is_on(Bug::StaleBase) {
            attempt.base = Base::Known(writing.manifest);
        }
        attempt.failure = None;
        self.tell_driver(now, ledger, driver::Event::Completed(epoch), effects);
    }

    /// Has runs merged where there are too many, and otherwise deletes what no retained checkpoint needs.
    fn tidy(&mut self, now: Now, ledger: &Ledger<'_>, effects: &mut Vec<Effect>) {
        if self.is_merging() {
            return;
        }
        if let Some(attempt) = &mut self.attempt
            && attempt.merge_due <= now.elapsed
            && matches!(&attempt.base, Base::Known(Some(manifest)) if compaction::is_due(manifest))
            && let Some(followed) = ledger.followed
        {
            attempt.merging = Some(followed.epoch);
            effects.push(Effect::Merge(name_of(followed)));
            return;
        }
        self.retire(effects);
    }

    /// Deletes what no checkpoint of the ledger needs.
    fn retire(&self, effects: &mut Vec<Effect>) {
        if !self.is_merging() {
            effects.push(Effect::Retire);
        }
    }

    /// Whether a checkpoint is known to hold nothing to be committed.
    fn has_nothing_to_commit(&self, epoch: Epoch) -> bool {
        let base = self.attempt.as_ref().map(|attempt| &attempt.base);
        matches!(base, Some(Base::Known(Some(manifest))) if manifest.epoch == epoch && !manifest.has_committables())
    }

    /// A merge writes files that no manifest names yet, so nothing is deleted while one is under way.
    fn is_merging(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| attempt.merging.is_some() || !attempt.merged.is_empty())
    }

    fn merged(&mut self, now: Now, epoch: Epoch, result: Result<Vec<MergedRuns>>, effects: &mut Vec<Effect>) {
        let Some(attempt) = &mut self.attempt else { return };
        // Whatever the answer is, nobody merges any more. One to an earlier request is of no use: files that it names may have
        // been deleted since.
        let wanted = attempt.merging.take() == Some(epoch) || bugs::is_on(Bug::StaleMerge);
        match result {
            Ok(merged) if wanted => attempt.merged.extend(merged),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(epoch = epoch.0, error = error.report(), "runs could not be merged");
                attempt.merge_due = now.elapsed + self.timeouts.merge_retry;
                self.retire(effects);
            }
        }
    }
}

fn name_of(checkpoint: &Checkpoint) -> CheckpointName {
    CheckpointName { epoch: checkpoint.epoch, manifest: checkpoint.manifest.clone() }
}
