//! What a driver is told, what it wants done, and how it is set.

use std::time::Duration;

use weir_core::{Epoch, Error, Marker};
use weir_state::EpochContent;

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
    /// When markers are sent between checkpoints.
    pub flush: FlushConfig,
}

/// When flush markers are sent.
#[derive(Debug, Clone, Copy)]
pub struct FlushConfig {
    /// Longest time between two markers, for jobs whose operators have pending updates; `None`: checkpoints are enough.
    pub interval: Option<Duration>,
    /// Shortest time between a marker and a flush marker behind it, however many ask for one.
    pub pause: Duration,
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
    /// The newest of those markers at which state is captured: that checkpoint is pending, or was given up.
    pub last_capture: Option<Marker>,
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
    /// An ordinary checkpoint is wanted now, whenever the next one is due.
    Checkpoint,
    /// A subtask cannot go on before the next marker. Any marker will do.
    MarkerWanted,
    /// So many markers at most wait at a worker for its sources to take them, or may still be on their way to it.
    Backlog(usize),
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
    /// The epoch's manifest is durable and counts.
    Completed(Epoch),
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
    /// Committing failed; it is tried again, also if the attempt fails for it.
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
    /// Send this marker into the dataflow.
    SendMarker(Marker),
    /// Write the manifest of an epoch: the previous manifest and what is new, oldest first.
    WriteManifest {
        /// The epoch.
        epoch: Epoch,
        /// What is new.
        contents: Vec<EpochContent>,
        /// Whether it is kept until the user deletes it.
        savepoint: bool,
        /// Whether the job is over with it: its sources are exhausted.
        finished: bool,
    },
    /// Let the sinks make the epoch visible, again and again until it is done, and record that it is.
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
