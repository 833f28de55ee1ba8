//! The checkpoint protocol of one job, as a state machine without I/O.
//!
//! ```text
//!             Tick: interval over            Reported              ManifestWritten            Committed
//!   Waiting ────────────────────▶ Gathering ──────────▶ Writing ──────────────────▶ Committing ─────────▶ Waiting
//!      ▲     SendMarker              │       WriteManifest           Commit                    Retire
//!      └─────────────────────────────┘
//!        deadline over, or a failure: the epoch is given up, its files go into the next one's manifest
//! ```
//!
//! The manifest is the commit point: before it is written the epoch may fail and nothing has happened; once it is
//! written the epoch's results are decided, and committing is repeated until it succeeds. What a given-up epoch had
//! captured is not captured again, so its report is carried over, in order, into the next manifest.

use std::collections::BTreeSet;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, Error, Marker, MarkerKind};
use weir_state::EpochContent;

#[cfg(test)]
mod tests;

/// When to checkpoint, and how patient to be.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// Pause between the starts of checkpoints; `None`: only the last one is taken.
    pub interval: Option<Duration>,
    /// How long a checkpoint may take before it is given up.
    pub timeout: Duration,
    /// Checkpoints that may fail in a row before the job does.
    pub tolerable_failures: u32,
    /// The last epoch of earlier executions.
    pub last_epoch: Epoch,
    /// When the first checkpoint is taken, if that is sooner than the interval: after a failure results should not wait long.
    pub first: Option<Duration>,
    /// How many workers report each epoch.
    pub participants: usize,
}

/// How to end a job early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// Take a savepoint, commit it, end.
    Savepoint,
    /// Let all windows fire, as if the input had ended; then as above.
    Drain,
    /// Take a checkpoint, commit it, end; the job will go on from it in another shape.
    Checkpoint,
}

/// How far an execution had come when another coordinator takes it over.
#[derive(Debug, Default)]
pub struct Takeover {
    /// What workers have reported of epochs behind the last completed one.
    pub reported: Vec<(usize, EpochContent)>,
    /// The last marker that any of them was given, if it is behind the last completed epoch.
    pub last_marker: Option<Marker>,
    /// The last completed epoch's marker, if the execution ends with it.
    pub completed_end: Option<Marker>,
    /// Whether the last completed epoch is committed.
    pub committed: bool,
    /// Whether every source has come to its end.
    pub exhausted: bool,
    /// How the user wants the job to end, if so.
    pub stop: Option<StopKind>,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// Every source has come to its end.
    SourcesExhausted,
    /// The user wants the job to end.
    Stop(StopKind),
    /// The user wants a checkpoint that is kept.
    Savepoint,
    /// What one worker adds to an epoch is durable.
    Reported {
        /// Which of the participants.
        participant: usize,
        /// What it adds.
        content: EpochContent,
    },
    /// The epoch's state could not be stored; the worker keeps it for the next epoch.
    ReportFailed {
        /// Which epoch.
        epoch: Epoch,
        /// Why.
        error: Error,
    },
    /// The epoch's manifest is durable.
    ManifestWritten(Epoch),
    /// The epoch's manifest is not there: nothing of it will ever be read.
    ManifestFailed {
        /// Which epoch.
        epoch: Epoch,
        /// What it would have held, handed back.
        contents: Vec<EpochContent>,
        /// Why.
        error: Error,
    },
    /// The sinks have made the epoch visible, and that is durably known.
    Committed(Epoch),
    /// Committing failed; it has to be tried again.
    CommitFailed {
        /// Which epoch.
        epoch: Epoch,
        /// Why.
        error: Error,
    },
    /// All subtasks have ended in order.
    Ended,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send this marker from every source.
    SendMarker(Marker),
    /// Write the manifest of the content's epoch: the previous manifest and what is new, oldest first.
    WriteManifest {
        /// What is new.
        contents: Vec<EpochContent>,
        /// Whether it is kept until the user deletes it.
        savepoint: bool,
        /// Whether the job is over with it: its sources are exhausted.
        finished: bool,
    },
    /// Let the sinks make the epoch visible, and record that it is done. Safe to repeat.
    Commit(Epoch),
    /// Checkpoints before this epoch are not needed any more.
    Retire(Epoch),
    /// A checkpoint was given up; tell people.
    Report(Error),
    /// The job is over.
    Finish(AttemptEnd),
}

/// How an attempt ended in order, or why it cannot go on.
#[derive(Debug)]
pub enum AttemptEnd {
    /// Its sources are exhausted, and all results are committed.
    Finished,
    /// It was stopped with a savepoint of this epoch.
    Stopped(Epoch),
    /// It cannot go on.
    Failed(Error),
}

/// What is known of the checkpoints so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckpointStats {
    /// The last completed one and how long it took, from marker to commit.
    pub last: Option<(Epoch, Duration)>,
    /// Bytes that it wrote.
    pub last_bytes: u64,
    /// When it was completed, on the driver's clock.
    pub last_at: Duration,
    /// Completed in this execution.
    pub completed: u64,
    /// Given up in this execution.
    pub failed: u64,
}

/// Checkpoints of one execution of a job.
#[derive(Debug)]
pub struct CheckpointDriver {
    config: DriverConfig,
    phase: Phase,
    epoch: Epoch,
    /// Start of the last checkpoint.
    started: Duration,
    /// When the next one is due; `None`: when something asks for it.
    due: Option<Duration>,
    /// Kind of the last marker.
    kind: MarkerKind,
    /// The last epoch whose manifest is known to be durable.
    completed: Epoch,
    /// Which participants have reported which epochs behind that one. Whoever is not sure of having been heard says it again,
    /// and that may be after the epoch was given up.
    reported: BTreeSet<(Epoch, usize)>,
    /// What was reported and is in no manifest yet, oldest first.
    carried: Vec<EpochContent>,
    exhausted: bool,
    stop: Option<StopKind>,
    savepoint: bool,
    /// The marker that ends the job has been sent.
    stopping: bool,
    ended: bool,
    failures: u32,
    stats: CheckpointStats,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Gathering,
    Writing,
    /// Holds when the next try is due, if the last one failed.
    Committing(Option<Duration>),
    Over,
}

/// Pause between two tries to commit.
const COMMIT_RETRY: Duration = Duration::from_millis(500);

impl CheckpointDriver {
    /// A driver for a job that starts `now`.
    pub fn new(config: DriverConfig, now: Duration) -> Self {
        Self {
            epoch: config.last_epoch,
            completed: config.last_epoch,
            due: config.interval.map(|interval| now + config.first.map_or(interval, |first| first.min(interval))),
            config,
            phase: Phase::Waiting,
            started: now,
            kind: MarkerKind::Checkpoint,
            reported: BTreeSet::new(),
            carried: Vec::new(),
            exhausted: false,
            stop: None,
            savepoint: false,
            stopping: false,
            ended: false,
            failures: 0,
            stats: CheckpointStats::default(),
        }
    }

    /// A driver for an execution that another one has begun: the epoch that is under way is brought to its end.
    pub fn take_over(config: DriverConfig, now: Duration, takeover: Takeover, effects: &mut Vec<Effect>) -> Self {
        let mut driver = Self::new(config, now);
        driver.exhausted = takeover.exhausted;
        driver.stop = takeover.stop;
        if let Some(marker) = takeover.completed_end {
            (driver.epoch, driver.kind, driver.stopping) = (marker.epoch, marker.kind, true);
            if !takeover.committed {
                driver.phase = Phase::Committing(None);
            }
            return driver;
        }
        let Some(marker) = takeover.last_marker else {
            for (participant, content) in takeover.reported {
                driver.reported(participant, content, effects);
            }
            driver.begin_if_due(now, effects);
            return driver;
        };
        driver.epoch = marker.epoch;
        driver.kind = marker.kind;
        driver.stopping = marker.kind.ends();
        driver.phase = Phase::Gathering;
        // Sources that have it already do not take it again.
        effects.push(Effect::SendMarker(marker));
        for (participant, content) in takeover.reported {
            driver.reported(participant, content, effects);
        }
        driver
    }

    /// Whether a savepoint that is asked for now will be taken.
    pub fn takes_savepoints(&self) -> bool {
        !self.stopping && self.stop.is_none() && !self.exhausted && self.phase != Phase::Over
    }

    /// The last marker that was sent: epoch and kind.
    pub fn last_marker(&self) -> Marker {
        Marker { epoch: self.epoch, kind: self.kind }
    }

    /// When the checkpoint that is under way began.
    pub fn under_way(&self) -> Option<(Epoch, Duration)> {
        matches!(self.phase, Phase::Gathering | Phase::Writing | Phase::Committing(_))
            .then_some((self.epoch, self.started))
    }

    /// Checkpoints so far.
    pub fn stats(&self) -> CheckpointStats {
        self.stats
    }

    /// When the driver next wants a [`Event::Tick`]; `None` if it waits for something else.
    pub fn next_tick(&self) -> Option<Duration> {
        match self.phase {
            // No marker finds its way behind the last one: the sources have ended.
            Phase::Waiting if self.stopping => None,
            Phase::Waiting => self.due,
            Phase::Gathering | Phase::Writing => Some(self.started + self.config.timeout),
            Phase::Committing(retry) => retry,
            Phase::Over => None,
        }
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
                self.savepoint = true;
                self.begin_if_due(now, effects);
            }
            Event::Reported { participant, content } => self.reported(participant, content, effects),
            Event::ReportFailed { epoch, error } if self.expects(epoch, &Phase::Gathering) => {
                self.give_up(now, error, effects);
            }
            Event::ManifestWritten(epoch) if self.expects(epoch, &Phase::Writing) => {
                self.phase = Phase::Committing(None);
                self.completed = epoch;
                self.reported.retain(|(of, _)| *of > epoch);
                effects.push(Effect::Commit(epoch));
            }
            Event::ManifestFailed { epoch, contents, error } if self.expects(epoch, &Phase::Writing) => {
                self.carried = contents;
                self.give_up(now, error, effects);
            }
            Event::Committed(epoch) if epoch == self.epoch && matches!(self.phase, Phase::Committing(_)) => {
                self.committed(now, effects);
            }
            Event::CommitFailed { epoch, error }
                if epoch == self.epoch && matches!(self.phase, Phase::Committing(_)) =>
            {
                self.failures += 1;
                if self.failures > self.config.tolerable_failures {
                    self.finish(AttemptEnd::Failed(error), effects);
                } else {
                    self.phase = Phase::Committing(Some(now + COMMIT_RETRY));
                    effects.push(Effect::Report(error));
                }
            }
            Event::Ended => {
                self.ended = true;
                self.finish_if_over(effects);
            }
            // An answer that comes after its epoch was given up.
            Event::ReportFailed { .. }
            | Event::ManifestWritten(_)
            | Event::ManifestFailed { .. }
            | Event::Committed(_)
            | Event::CommitFailed { .. } => {}
        }
    }

    fn expects(&self, epoch: Epoch, phase: &Phase) -> bool {
        epoch == self.epoch && self.phase == *phase
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.next_tick().is_none_or(|due| now < due) {
            return;
        }
        match self.phase {
            Phase::Waiting => self.begin(now, MarkerKind::Checkpoint, effects),
            Phase::Gathering => {
                let error = Error::environment(format!(
                    "checkpoint {} was not complete after {:?}",
                    self.epoch, self.config.timeout
                ))
                .with_help(
                    "a slow sink or a long computation holds the marker up; see execution.checkpointing.timeout",
                );
                self.give_up(now, error, effects);
            }
            Phase::Committing(_) => {
                self.phase = Phase::Committing(None);
                effects.push(Effect::Commit(self.epoch));
            }
            // Whether a manifest is there must be known before anything else is decided.
            Phase::Writing | Phase::Over => {}
        }
    }

    /// Starts the last checkpoint, or one that the user wants, as soon as nothing else is under way.
    fn begin_if_due(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Waiting || self.stopping {
            return;
        }
        match self.stop {
            _ if self.exhausted => self.begin(now, MarkerKind::Stop, effects),
            Some(StopKind::Savepoint | StopKind::Checkpoint) => self.begin(now, MarkerKind::Stop, effects),
            Some(StopKind::Drain) => self.begin(now, MarkerKind::Drain, effects),
            None if self.savepoint => self.begin(now, MarkerKind::Savepoint, effects),
            None => {}
        }
    }

    fn begin(&mut self, now: Duration, kind: MarkerKind, effects: &mut Vec<Effect>) {
        self.epoch = self.epoch.next();
        self.kind = kind;
        self.stopping = kind.ends();
        if kind == MarkerKind::Savepoint {
            self.savepoint = false;
        }
        self.started = now;
        self.due = self.config.interval.map(|interval| now + interval);
        self.phase = Phase::Gathering;
        effects.push(Effect::SendMarker(Marker { epoch: self.epoch, kind }));
    }

    fn reported(&mut self, participant: usize, content: EpochContent, effects: &mut Vec<Effect>) {
        if content.epoch <= self.completed {
            return;
        }
        if !self.reported.insert((content.epoch, participant)) && !bugs::is_on(Bug::ReportTwice) {
            return;
        }
        let current = self.expects(content.epoch, &Phase::Gathering);
        self.carried.push(content);
        let reports = if bugs::is_on(Bug::ReportTwice) {
            self.carried.iter().filter(|content| content.epoch == self.epoch).count()
        } else {
            self.reported.range((self.epoch, 0)..=(self.epoch, usize::MAX)).count()
        };
        if current && reports == self.config.participants {
            self.phase = Phase::Writing;
            self.stats.last_bytes = self.carried.iter().map(|content| content.bytes).fold(0, u64::saturating_add);
            let finished = self.stopping && (self.exhausted || self.kind == MarkerKind::Drain);
            // The job goes on from the last checkpoint of a stop: nobody but its owner may decide that it can go.
            let kept = self.stopping && !finished && self.stop != Some(StopKind::Checkpoint);
            effects.push(Effect::WriteManifest {
                contents: std::mem::take(&mut self.carried),
                savepoint: kept || self.kind == MarkerKind::Savepoint,
                finished,
            });
        }
    }

    fn give_up(&mut self, now: Duration, error: Error, effects: &mut Vec<Effect>) {
        self.stats.failed += 1;
        self.failures += 1;
        // The last marker cannot be sent again: the subtasks behind it have ended.
        if self.stopping || self.failures > self.config.tolerable_failures {
            self.finish(AttemptEnd::Failed(error), effects);
            return;
        }
        effects.push(Effect::Report(error));
        // It was promised.
        self.savepoint |= self.kind == MarkerKind::Savepoint;
        self.phase = Phase::Waiting;
        self.begin_if_due(now, effects);
    }

    fn committed(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        self.failures = 0;
        self.stats.completed += 1;
        self.stats.last = Some((self.epoch, now.saturating_sub(self.started)));
        self.stats.last_at = now;
        self.phase = Phase::Waiting;
        effects.push(Effect::Retire(self.epoch));
        self.begin_if_due(now, effects);
        self.finish_if_over(effects);
    }

    fn finish_if_over(&mut self, effects: &mut Vec<Effect>) {
        if self.ended && self.stopping && self.phase == Phase::Waiting {
            let finished = self.exhausted || self.kind == MarkerKind::Drain;
            let outcome = if finished { AttemptEnd::Finished } else { AttemptEnd::Stopped(self.epoch) };
            self.finish(outcome, effects);
        }
    }

    fn finish(&mut self, outcome: AttemptEnd, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            effects.push(Effect::Finish(outcome));
        }
    }
}
