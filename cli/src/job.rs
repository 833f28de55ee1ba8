//! One job in one process: the seam between the command line and the engine, and the shell around the checkpoint
//! driver. The driver decides; what it asks for is done here, by the worker's subtasks and the checkpoint store.

mod checkpoints;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use weir_coordinator::driver::{AttemptEnd, CheckpointDriver, DriverConfig, Effect, Event, FlushConfig, StopKind};
use weir_core::{ConnectorRegistry, Epoch, Error, EventTime, JobGraph, JobId, Result};
use weir_worker::{
    BlockingThreads, Clock, Command, Committer, Deployment, ExchangeLimits, JobHandle, Part, SystemClock, WorkerEvent,
};

use self::checkpoints::CheckpointStore;
use crate::clock::processor_time;

/// What to run and how.
pub struct RunRequest {
    /// The job.
    pub graph: JobGraph,
    /// Where its tables are opened.
    pub connectors: Arc<dyn ConnectorRegistry>,
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
    /// Bytes that the state of one slot may take in memory; `None`: no limit.
    pub memory_budget: Option<u64>,
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
    /// Records that are there for sources and have not been read, and for how long the oldest of them has been there; as far as
    /// sources know.
    pub lag: (u64, Duration),
    /// Least watermark of the sinks.
    pub watermark: EventTime,
    /// Checkpoints completed in this run.
    pub checkpoints: u64,
    /// The last of them.
    pub last_checkpoint: Option<CheckpointProgress>,
    /// State in memory, roughly.
    pub state_bytes: u64,
    /// Time since all sources and sinks were open.
    pub running: Duration,
    /// Processor time that this process has used since then, over all threads.
    pub processor: Duration,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            rows_in: 0,
            rows_out: 0,
            late_rows: 0,
            rejected_rows: 0,
            lag: (0, Duration::ZERO),
            watermark: EventTime::MIN,
            checkpoints: 0,
            last_checkpoint: None,
            state_bytes: 0,
            running: Duration::ZERO,
            processor: Duration::ZERO,
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
pub enum JobEnd {
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

/// Longest time between two markers of a job whose operators have pending updates.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Shortest time between a marker and a flush marker behind it.
const FLUSH_PAUSE: Duration = Duration::from_millis(20);
/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);

/// Runs a job to its end.
///
/// # Errors
/// What made the job fail.
pub async fn run(request: RunRequest, progress: watch::Sender<Progress>, stop: mpsc::Receiver<Stop>) -> Result<JobEnd> {
    let graph = Arc::new(request.graph);
    let has_pending_updates = graph.has_pending_updates();
    let mut store = CheckpointStore::open(request.state_dir.as_deref(), &graph, request.retained_checkpoints).await?;
    let committer = Committer { connectors: request.connectors.clone(), blocking: Arc::new(BlockingThreads) };
    store.finish_commit(&committer).await?;
    if store.is_finished() {
        return Ok(JobEnd::AlreadyFinished);
    }
    let compute = Compute::start(request.compute_threads)?;
    let clock = Arc::new(SystemClock);
    let opened = weir_worker::open(Deployment {
        job: JobId(1),
        graph,
        connectors: request.connectors.clone(),
        part: Part::whole(request.parallelism),
        part_name: "worker".into(),
        attempt: store.attempt(),
        restore: store.latest().cloned(),
        storage: store.storage().clone(),
        keeps_state: store.is_durable(),
        batch_rows: request.batch_rows,
        memory_budget: request.memory_budget,
        clock: clock.clone(),
        compute: compute.handle(),
        blocking: Arc::new(BlockingThreads),
        limits: ExchangeLimits::default(),
    })
    .await;
    match opened {
        Ok(opened) => {
            store.set_parallelism(request.parallelism);
            let start = Instant::now();
            let config = DriverConfig {
                interval: request.checkpoint_interval,
                timeout: request.checkpoint_timeout,
                tolerable_failures: request.tolerable_failures,
                last_epoch: store.last_epoch(),
                first: None,
                participants: 1,
                flush: FlushConfig { interval: has_pending_updates.then_some(FLUSH_INTERVAL), pause: FLUSH_PAUSE },
            };
            let driver = CheckpointDriver::new(config, Duration::ZERO);
            let shell = Shell {
                job: opened.start(),
                driver,
                store,
                committer,
                progress,
                clock,
                start,
                processor_at_start: processor_time(),
                outcome: None,
            };
            shell.run(stop).await
        }
        Err(error) => Err(error),
    }
}

/// The threads that operators run on: their own, so that this loop and the uploads never wait behind a batch.
struct Compute(Option<Runtime>);

impl Compute {
    fn start(threads: usize) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("weir-compute")
            .enable_time()
            .build()
            .map_err(|error| Error::environment("threads for the operators could not be started").with_source(error))?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> Handle {
        self.0.as_ref().expect("it is taken on drop only").handle().clone()
    }
}

impl Drop for Compute {
    /// A subtask in the middle of a batch ends with it; there is nothing left to wait for. Nor may anything wait here:
    /// a job that is given up is dropped in the middle of [`run`].
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Carries out what the driver asks for.
struct Shell {
    job: JobHandle,
    driver: CheckpointDriver,
    store: CheckpointStore,
    committer: Committer,
    progress: watch::Sender<Progress>,
    clock: Arc<dyn Clock>,
    start: Instant,
    processor_at_start: Duration,
    outcome: Option<Result<JobEnd>>,
}

impl Shell {
    async fn run(mut self, mut stop: mpsc::Receiver<Stop>) -> Result<JobEnd> {
        let mut next_progress = self.start;
        let mut running = true;
        loop {
            let due = self.driver.next_tick().map(|due| self.start + due);
            tokio::select! {
                event = self.job.event(), if running => match event {
                    Some(WorkerEvent::Failed(error) | WorkerEvent::PeerLost(error)) => return Err(error),
                    Some(WorkerEvent::SourcesExhausted) => self.step(Event::SourcesExhausted).await,
                    Some(WorkerEvent::MarkerWanted) => self.step(Event::MarkerWanted).await,
                    Some(WorkerEvent::Reported(content)) => {
                        self.step(Event::Reported { participant: 0, content }).await;
                    }
                    Some(WorkerEvent::ReportFailed { epoch, error }) => {
                        self.step(Event::ReportFailed { epoch, error }).await;
                    }
                    Some(WorkerEvent::Finished) => self.step(Event::Ended).await,
                    // All subtasks have ended; the driver still tries to commit, or waits for what will time out.
                    None if self.driver.next_tick().is_some() => running = false,
                    None => return Err(Error::internal("the job's subtasks are gone without a word")),
                },
                Some(stop) = stop.recv() => match stop {
                    Stop::Savepoint => self.step(Event::Stop(StopKind::Savepoint)).await,
                    Stop::Cancel => return Ok(JobEnd::Cancelled),
                },
                () = sleep_until(due.unwrap_or(self.start)), if due.is_some() => self.step(Event::Tick).await,
                () = sleep_until(next_progress) => {
                    next_progress = Instant::now() + PROGRESS;
                    self.tell_progress();
                }
            }
            if let Some(outcome) = self.outcome.take() {
                self.tell_progress();
                return outcome;
            }
        }
    }

    /// One event, and all that follows from it.
    async fn step(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut effects = Vec::new();
            self.driver.step(self.start.elapsed(), event, &mut effects);
            for effect in effects {
                events.extend(self.carry_out(effect).await);
            }
        }
    }

    /// Does what the driver asks for and brings back what came of it.
    async fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::SendMarker(marker) => self.job.command(Command::Marker(marker)).await,
            Effect::WriteManifest { epoch, contents, savepoint, finished } => {
                return Some(self.store.write(epoch, contents, savepoint, finished).await);
            }
            Effect::Commit(epoch) => {
                self.job.command(Command::Completed(epoch)).await;
                return Some(match self.store.finish_commit(&self.committer).await {
                    Ok(()) => Event::Committed(epoch),
                    Err(error) => Event::CommitFailed { epoch, error },
                });
            }
            Effect::Retire(_) => self.store.tidy().await,
            Effect::Report(error) => tracing::warn!(error = error.report(), "a checkpoint failed"),
            Effect::Finish(end) => {
                self.outcome = Some(match end {
                    AttemptEnd::Finished => Ok(JobEnd::Finished),
                    AttemptEnd::Stopped(epoch) => Ok(JobEnd::Stopped { epoch }),
                    AttemptEnd::Failed(error) => Err(error),
                });
            }
        }
        None
    }

    fn tell_progress(&self) {
        let totals = self.job.metrics().totals();
        let stats = self.driver.stats();
        let age = self.start.elapsed().saturating_sub(stats.last_at);
        let at = self.clock.now() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.progress.send_replace(Progress {
            rows_in: totals.rows_in,
            rows_out: totals.rows_out,
            late_rows: totals.late_rows,
            rejected_rows: totals.rejected_rows,
            lag: (totals.lag_records, totals.lag),
            watermark: totals.watermark,
            checkpoints: stats.completed,
            last_checkpoint: stats.last.map(|(epoch, duration)| CheckpointProgress {
                epoch,
                duration,
                bytes: stats.last_bytes,
                at,
            }),
            state_bytes: totals.state_bytes,
            running: self.start.elapsed(),
            processor: processor_time().saturating_sub(self.processor_at_start),
        });
    }
}
