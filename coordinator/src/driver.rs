//! The markers and checkpoints of one attempt, as a state machine without I/O.
//!
//! ```text
//!   markers      ── 5 flush ── 6 checkpoint ── 7 flush ── 8 flush ── 9 checkpoint ──▶   one sequence of epochs
//!
//!             Tick: interval over            Reported                 Completed               Committed
//!   pending:  none ────────────────▶ Gathering ──────────▶ Writing ──────────────────▶ Committing ─────────▶ none
//!               ▲     SendMarker        │       WriteManifest           Commit                    Retire
//!               └───────────────────────┘
//!        deadline over, or a failure: the epoch is given up, its files go into the next one's manifest
//! ```
//!
//! Two values say where an attempt stands: the last marker that was sent, and the one checkpoint that is pending. They are
//! independent: while a checkpoint is gathered, written or committed, flush markers pass, several a second, in jobs that have
//! operators with pending updates, and whenever a subtask asks for one. So the epochs of checkpoints have gaps, and the last
//! marker need not have been a checkpoint's.
//!
//! At any time at most one checkpoint is completed and not committed: the next one's marker is sent when its results are out. A
//! driver that takes an attempt over finishes what the one before has completed first.
//!
//! That the manifest counts is the commit point: before, the epoch may fail and nothing has happened; from there on the
//! epoch's results are decided, and committing is repeated until it succeeds. What a given-up epoch had
//! captured is not captured again, so its report is carried over, in order, into the next manifest.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, Error, Marker, MarkerKind};
use weir_state::EpochContent;

mod interface;
#[cfg(test)]
mod tests;

pub use interface::{AttemptEnd, CheckpointStats, DriverConfig, Effect, Event, FlushConfig, StopKind, Takeover};

/// Markers and checkpoints of one attempt.
#[derive(Debug)]
pub struct CheckpointDriver {
    config: DriverConfig,
    /// The last marker that was sent. Epochs count on from it.
    last_marker: Marker,
    /// When that was.
    marked: Duration,
    /// The checkpoint that is under way.
    pending: Option<Pending>,
    /// When the next checkpoint is due; `None`: when something asks for it.
    due: Option<Duration>,
    /// A subtask waits for a marker.
    marker_wanted: bool,
    /// Markers that may wait for sources: those that were said to wait, and those that were sent since.
    backlog: usize,
    /// The last epoch whose manifest counts.
    completed: Epoch,
    /// Which participants have reported which epochs behind that one. Whoever is not sure of having been heard says it again,
    /// and that may be after the epoch was given up.
    reported: BTreeSet<(Epoch, usize)>,
    /// What was reported and is in no manifest yet, oldest first.
    carried: Vec<EpochContent>,
    exhausted: bool,
    stop: Option<StopKind>,
    /// The checkpoint that was asked for and has not begun.
    asked: Option<MarkerKind>,
    ended: bool,
    over: bool,
    failures: u32,
    stats: CheckpointStats,
}

/// A checkpoint that is under way.
#[derive(Debug, Clone, Copy)]
struct Pending {
    marker: Marker,
    started: Duration,
    stage: Stage,
    /// What was asked for, if it begins because of that.
    asked: Option<MarkerKind>,
}

/// So many markers may wait for sources before no flush markers are sent any more. A worker that says nothing for a while, because it
/// stands still, must have room for them.
const FLUSH_BACKLOG: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Workers are to report.
    Gathering,
    /// Its manifest is being made to count.
    Writing,
    /// Its results are decided and not known to be visible.
    Committing,
}

impl CheckpointDriver {
    /// A driver for a job that starts `now`.
    pub fn new(config: DriverConfig, now: Duration) -> Self {
        Self {
            last_marker: Marker { epoch: config.last_epoch, kind: MarkerKind::Checkpoint },
            marked: now,
            pending: None,
            due: config.interval.map(|interval| now + config.first.map_or(interval, |first| first.min(interval))),
            marker_wanted: false,
            backlog: 0,
            completed: config.last_epoch,
            config,
            reported: BTreeSet::new(),
            carried: Vec::new(),
            exhausted: false,
            stop: None,
            asked: None,
            ended: false,
            over: false,
            failures: 0,
            stats: CheckpointStats::default(),
        }
    }

    /// A driver for an attempt that another one has begun. Whatever marker that one sent last everybody gets; what it completed
    /// is committed, and otherwise the checkpoint that it began is brought to its end.
    pub fn take_over(config: DriverConfig, now: Duration, takeover: Takeover, effects: &mut Vec<Effect>) -> Self {
        let mut driver = Self::new(config, now);
        driver.exhausted = takeover.exhausted;
        driver.stop = takeover.stop;
        let completed = Marker { epoch: driver.completed, kind: MarkerKind::Checkpoint };
        let completed = takeover.completed_end.unwrap_or(completed);
        driver.last_marker = takeover.last_marker.unwrap_or(completed);
        if let Some(marker) = takeover.last_marker {
            // Sources that have it already do not take it again.
            effects.push(Effect::SendMarker(marker));
        }
        let pending = |marker: Marker, stage| {
            let asked = Some(marker.kind).filter(|kind| *kind == MarkerKind::Savepoint);
            Some(Pending { marker, started: now, stage, asked })
        };
        if !takeover.committed && !bugs::is_on(Bug::OvertakenCommit) {
            driver.pending = pending(completed, Stage::Committing);
            effects.push(Effect::Commit(completed.epoch));
        } else if let Some(marker) = takeover.last_capture {
            driver.pending = pending(marker, Stage::Gathering);
        }
        for (participant, content) in takeover.reported {
            driver.reported(participant, content, effects);
        }
        driver.begin_if_due(now, effects);
        driver
    }

    /// Whether a savepoint that is asked for now will be taken.
    pub fn takes_savepoints(&self) -> bool {
        !self.is_ending() && self.stop.is_none() && !self.exhausted && !self.over
    }

    /// The last marker that was sent.
    pub fn last_marker(&self) -> Marker {
        self.last_marker
    }

    /// Whether the marker that ends the job was sent: none finds its way behind it, for the sources have ended.
    fn is_ending(&self) -> bool {
        self.last_marker.kind.ends()
    }

    /// The checkpoint that is under way, and when it began.
    pub fn under_way(&self) -> Option<(Epoch, Duration)> {
        self.pending.filter(|_| !self.over).map(|pending| (pending.marker.epoch, pending.started))
    }

    /// Checkpoints so far.
    pub fn stats(&self) -> CheckpointStats {
        self.stats
    }

    /// When the driver next wants a [`Event::Tick`]; `None` if it waits for something else.
    pub fn next_tick(&self) -> Option<Duration> {
        if self.over {
            return None;
        }
        let checkpoint = match self.pending {
            Some(Pending { started, stage: Stage::Gathering, .. }) => Some(started + self.config.timeout),
            // Whoever writes, or commits, says what has come of it.
            Some(Pending { stage: Stage::Writing | Stage::Committing, .. }) => None,
            None => self.due.filter(|_| !self.is_ending()),
        };
        [checkpoint, self.flush_due()].into_iter().flatten().min()
    }

    /// When the next flush marker is due.
    fn flush_due(&self) -> Option<Duration> {
        if self.backlog >= FLUSH_BACKLOG || (self.is_ending() && !bugs::is_on(Bug::MarkerBehindStop)) {
            return None;
        }
        let FlushConfig { interval, pause } = self.config.flush;
        let wanted = self.marker_wanted.then_some(pause);
        [interval, wanted].into_iter().flatten().min().map(|after| self.marked + after)
    }

    /// Takes in what has happened at `now` and says what is to be done, in order.
    pub fn step(&mut self, now: Duration, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Tick => self.tick(now, effects),
            Event::SourcesExhausted => {
                self.exhausted = true;
                self.begin_if_due(now, effects);
            }
            Event::Stop(kind) => {
                self.stop = Some(kind);
                self.begin_if_due(now, effects);
            }
            Event::Savepoint => {
                self.ask(MarkerKind::Savepoint);
                self.begin_if_due(now, effects);
            }
            Event::Checkpoint => {
                self.ask(MarkerKind::Checkpoint);
                self.begin_if_due(now, effects);
            }
            Event::MarkerWanted => {
                self.marker_wanted = true;
                self.flush_if_due(now, effects);
            }
            Event::Backlog(markers) => {
                self.backlog = markers;
                self.flush_if_due(now, effects);
            }
            Event::Reported { participant, content } => self.reported(participant, content, effects),
            Event::ReportFailed { epoch, error } if self.expects(epoch, Stage::Gathering) => {
                self.give_up(now, error, effects);
            }
            Event::Completed(epoch) if self.expects(epoch, Stage::Writing) => {
                self.enter(Stage::Committing);
                self.completed = epoch;
                self.reported.retain(|(of, _)| *of > epoch);
                effects.push(Effect::Commit(epoch));
            }
            Event::ManifestFailed { epoch, contents, error } if self.expects(epoch, Stage::Writing) => {
                self.carried = contents;
                self.give_up(now, error, effects);
            }
            Event::Committed(epoch) if self.expects(epoch, Stage::Committing) => self.committed(now, effects),
            Event::CommitFailed { epoch, error } if self.expects(epoch, Stage::Committing) => {
                self.failures += 1;
                if self.failures > self.config.tolerable_failures {
                    self.finish(AttemptEnd::Failed(error), effects);
                } else {
                    effects.push(Effect::Report(error));
                }
            }
            Event::Ended => {
                self.ended = true;
                self.finish_if_over(effects);
            }
            // An answer that comes after its epoch was given up.
            Event::ReportFailed { .. }
            | Event::Completed(_)
            | Event::ManifestFailed { .. }
            | Event::Committed(_)
            | Event::CommitFailed { .. } => {}
        }
    }

    fn expects(&self, epoch: Epoch, stage: Stage) -> bool {
        !self.over && self.pending.is_some_and(|pending| pending.marker.epoch == epoch && pending.stage == stage)
    }

    fn enter(&mut self, stage: Stage) {
        if let Some(pending) = &mut self.pending {
            pending.stage = stage;
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.next_tick().is_none_or(|due| now < due) {
            return;
        }
        match self.pending {
            None if !self.is_ending() && self.due.is_some_and(|due| due <= now) => {
                self.begin(now, MarkerKind::Checkpoint, effects);
            }
            Some(Pending { marker, started, stage: Stage::Gathering, .. }) if started + self.config.timeout <= now => {
                let error = Error::environment(format!(
                    "checkpoint {} was not complete after {:?}",
                    marker.epoch, self.config.timeout
                ))
                .with_help(
                    "a slow sink or a long computation holds the marker up; see execution.checkpointing.timeout",
                );
                self.give_up(now, error, effects);
            }
            // Whether a manifest is there must be known before anything else is decided.
            Some(_) | None => {}
        }
        self.flush_if_due(now, effects);
    }

    /// Sends a flush marker if it is time. Any other marker does as well, and puts it off.
    fn flush_if_due(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if !self.over && self.flush_due().is_some_and(|due| due <= now) {
            self.send(now, MarkerKind::Flush, effects);
        }
    }

    fn send(&mut self, now: Duration, kind: MarkerKind, effects: &mut Vec<Effect>) -> Marker {
        let marker = Marker { epoch: self.last_marker.epoch.next(), kind };
        (self.last_marker, self.marked, self.marker_wanted) = (marker, now, false);
        self.backlog += 1;
        effects.push(Effect::SendMarker(marker));
        marker
    }

    /// Starts the last checkpoint, or one that the user wants, as soon as nothing else is under way.
    fn begin_if_due(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.is_superseded() {
            self.pending = None;
        }
        if self.pending.is_some() || self.is_ending() || self.over {
            return;
        }
        match self.stop {
            _ if self.exhausted => self.begin(now, MarkerKind::Drain, effects),
            Some(StopKind::Savepoint | StopKind::Checkpoint) => self.begin(now, MarkerKind::Stop, effects),
            Some(StopKind::Drain) => self.begin(now, MarkerKind::Drain, effects),
            None => {
                if let Some(kind) = self.asked {
                    self.begin(now, kind, effects);
                }
            }
        }
    }

    /// Whether the pending checkpoint holds up the last one, and is of use to nobody once that is there. What is reported of it all the same
    /// goes into the last one's manifest.
    fn is_superseded(&self) -> bool {
        let superseded = |pending: &Pending| {
            pending.stage == Stage::Gathering
                && pending.marker.kind == MarkerKind::Checkpoint
                && pending.asked.is_none()
        };
        self.exhausted && self.pending.as_ref().is_some_and(superseded)
    }

    /// A savepoint does as well where a checkpoint is asked for.
    fn ask(&mut self, kind: MarkerKind) {
        if self.asked != Some(MarkerKind::Savepoint) {
            self.asked = Some(kind);
        }
    }

    fn begin(&mut self, now: Duration, kind: MarkerKind, effects: &mut Vec<Effect>) {
        let marker = self.send(now, kind, effects);
        self.due = self.config.interval.map(|interval| now + interval);
        self.pending = Some(Pending { marker, started: now, stage: Stage::Gathering, asked: self.asked.take() });
    }

    fn reported(&mut self, participant: usize, content: EpochContent, effects: &mut Vec<Effect>) {
        let epoch = content.epoch;
        if epoch <= self.completed {
            return;
        }
        if !self.reported.insert((epoch, participant)) && !bugs::is_on(Bug::ReportTwice) {
            return;
        }
        self.carried.push(content);
        let reports = if bugs::is_on(Bug::ReportTwice) {
            self.carried.iter().filter(|content| content.epoch == epoch).count()
        } else {
            self.reported.range((epoch, 0)..=(epoch, usize::MAX)).count()
        };
        let wanted = match self.config.participants {
            participants if bugs::is_on(Bug::MissingReport) => (participants - 1).max(1),
            participants => participants,
        };
        if reports == wanted
            && let Some(pending) = self.pending.filter(|_| self.expects(epoch, Stage::Gathering))
        {
            let kind = pending.marker.kind;
            self.enter(Stage::Writing);
            self.stats.last_bytes = self.carried.iter().map(|content| content.bytes).fold(0, u64::saturating_add);
            let finished = self.is_finished_by(kind);
            // The job goes on from the last checkpoint of a stop: nobody but its owner may decide that it can go.
            let asked_to_stop = matches!(self.stop, Some(StopKind::Savepoint | StopKind::Drain));
            let kept = kind.ends() && !finished && asked_to_stop;
            effects.push(Effect::WriteManifest {
                epoch,
                contents: std::mem::take(&mut self.carried),
                savepoint: kept || kind == MarkerKind::Savepoint,
                finished,
            });
        }
    }

    /// Whether nothing is left to be read behind a marker of this kind.
    fn is_finished_by(&self, kind: MarkerKind) -> bool {
        let exhausted = self.exhausted || bugs::is_on(Bug::FinishedByStop);
        kind == MarkerKind::Drain || (kind == MarkerKind::Stop && exhausted)
    }

    fn give_up(&mut self, now: Duration, error: Error, effects: &mut Vec<Effect>) {
        let given_up = self.pending.take();
        self.stats.failed += 1;
        self.failures += 1;
        // The last marker cannot be sent again: the subtasks behind it have ended.
        if self.is_ending() || self.failures > self.config.tolerable_failures {
            self.finish(AttemptEnd::Failed(error), effects);
            return;
        }
        if bugs::is_on(Bug::DroppedContents) {
            self.carried.clear();
        }
        effects.push(Effect::Report(error));
        // It was promised.
        if let Some(kind) = given_up.and_then(|pending| pending.asked) {
            self.ask(kind);
        }
        self.begin_if_due(now, effects);
    }

    fn committed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        let Some(Pending { marker, started, .. }) = self.pending.take() else { return };
        self.failures = 0;
        self.stats.completed += 1;
        self.stats.last = Some((marker.epoch, now.saturating_sub(started)));
        self.stats.last_at = now;
        effects.push(Effect::Retire(marker.epoch));
        self.begin_if_due(now, effects);
        self.finish_if_over(effects);
    }

    fn finish_if_over(&mut self, effects: &mut Vec<Effect>) {
        let decided = |pending: &Pending| bugs::is_on(Bug::EndBeforeCommit) && pending.stage == Stage::Committing;
        if self.ended && self.is_ending() && self.pending.as_ref().is_none_or(decided) {
            let Marker { epoch, kind } = self.last_marker;
            let finished = self.is_finished_by(kind);
            self.finish(if finished { AttemptEnd::Finished } else { AttemptEnd::Stopped(epoch) }, effects);
        }
    }

    fn finish(&mut self, end: AttemptEnd, effects: &mut Vec<Effect>) {
        if !self.over {
            self.over = true;
            effects.push(Effect::Finish(end));
        }
    }
}
