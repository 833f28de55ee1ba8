//! One job in one process: the seam between the command line and the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use weir_core::{ConnectorRegistry, Epoch, Error, EventTime, JobGraph, Result};

/// What to run and how.
pub struct RunRequest {
    /// The job.
    pub graph: JobGraph,
    /// Where its tables are opened.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// Its name.
    pub name: String,
    /// Subtasks of each operator.
    pub parallelism: usize,
    /// Threads that run operators.
    pub compute_threads: usize,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Time between checkpoints; `None`: only the last one.
    pub checkpoint_interval: Option<Duration>,
    /// When a checkpoint is given up.
    pub checkpoint_timeout: Duration,
    /// Checkpoints that may fail in a row before the job does.
    pub tolerable_failures: u32,
    /// How many completed checkpoints are kept.
    pub retained_checkpoints: usize,
    /// Where state is kept; `None`: nowhere.
    pub state_dir: Option<PathBuf>,
}

/// How far a job is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Rows that sources have read.
    pub rows_in: u64,
    /// Rows that sinks have taken.
    pub rows_out: u64,
    /// Rows that came too late to count.
    pub late_rows: u64,
    /// Records that could not be decoded.
    pub rejected_rows: u64,
    /// Least watermark of the sinks.
    pub watermark: EventTime,
    /// Checkpoints completed in this run.
    pub checkpoints: u64,
    /// The last of them.
    pub last_checkpoint: Option<CheckpointProgress>,
    /// State in memory, roughly.
    pub state_bytes: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            rows_in: 0,
            rows_out: 0,
            late_rows: 0,
            rejected_rows: 0,
            watermark: EventTime::MIN,
            checkpoints: 0,
            last_checkpoint: None,
            state_bytes: 0,
        }
    }
}

/// A completed checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointProgress {
    /// Its epoch.
    pub epoch: Epoch,
    /// How long it took.
    pub duration: Duration,
    /// What it wrote.
    pub bytes: u64,
    /// When it completed, in milliseconds since 1970.
    pub at: i64,
}

/// How a user wants a job to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// With a savepoint.
    Savepoint,
    /// At once, keeping nothing.
    Cancel,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All input was read and all results are out.
    Finished,
    /// An earlier run of it had come to that.
    AlreadyFinished,
    /// It stopped with a savepoint.
    Stopped {
        /// The savepoint's epoch.
        epoch: Epoch,
    },
    /// It stopped without one.
    Cancelled,
}

/// Runs a job to its end.
///
/// # Errors
/// What made the job fail.
pub async fn run(
    _request: RunRequest,
    _progress: watch::Sender<Progress>,
    _stop: mpsc::Receiver<Stop>,
) -> Result<Outcome> {
    Err(Error::internal("the engine is not part of this build"))
}
