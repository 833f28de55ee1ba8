//! One job in one process: the seam between whoever runs it and the engine. Its checkpoints are taken as in a cluster, by the
//! same executor; what that asks for is done by this process.

mod checkpoints;
mod shell;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use weir_connectors::plugin::{JobConnectors, PluginTables};
use weir_coordinator::checkpoints::AttemptConfig;
use weir_coordinator::driver::{DriverConfig, FlushConfig};
use weir_core::{ConnectorRegistry, Epoch, Error, EventTime, JobGraph, JobId, Result};
use weir_functions::Functions;
use weir_state::Manifest;
use weir_worker::{BlockingThreads, Clock, Committer, Deployment, ExchangeLimits, Part, RunningJobs};

pub use weir_worker::SystemClock;

pub use self::checkpoints::moved_away;

use self::checkpoints::CheckpointStore;
use self::shell::{Checkpointing, Shell};
use crate::leftovers;
use crate::settings::Settings;

/// What to run and how.
pub struct RunRequest {
    /// The job.
    pub graph: Arc<JobGraph>,
    /// Where its tables are opened.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// What its operators may call.
    pub functions: Arc<Functions>,
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
    /// Longest time between two markers of a job whose operators have pending updates; `None`: they show at checkpoints only.
    pub flush_interval: Option<Duration>,
    /// Where processing time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where it is found by who watches it, and its name there.
    pub watched: Option<(Arc<RunningJobs>, String)>,
}

impl RunRequest {
    /// A job that is run as these settings say, on this machine's clock.
    pub fn new(
        settings: &Settings,
        graph: Arc<JobGraph>,
        connectors: Arc<dyn ConnectorRegistry>,
        functions: Arc<Functions>,
    ) -> Self {
        Self {
            graph,
            connectors,
            functions,
            parallelism: settings.parallelism,
            compute_threads: settings.compute_threads,
            batch_rows: settings.batch_rows,
            checkpoint_interval: settings.checkpoint_interval,
            checkpoint_timeout: settings.checkpoint_timeout,
            tolerable_failures: u32::try_from(settings.tolerable_failures).unwrap_or(u32::MAX),
            retained_checkpoints: settings.retained_checkpoints,
            state_dir: settings.state_dir.clone(),
            memory_budget: settings.memory_budget,
            flush_interval: Some(FLUSH_INTERVAL),
            clock: Arc::new(SystemClock),
            watched: None,
        }
    }
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
    /// For how long the capture of a subtask's state has stopped it at most.
    pub longest_capture: Duration,
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
            longest_capture: Duration::ZERO,
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

/// What a job is asked for while it runs.
#[derive(Debug)]
pub enum Order {
    /// A checkpoint whose marker is not sent yet. Answered when its results are out; not at all if the job ends before.
    Checkpoint(oneshot::Sender<()>),
    /// To stop with a savepoint.
    Savepoint,
    /// To stop at once, keeping nothing.
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

/// What [`RunRequest::flush_interval`] mostly is.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Shortest time between a marker and a flush marker behind it.
const FLUSH_PAUSE: Duration = Duration::from_millis(20);

/// Runs a job to its end.
///
/// # Errors
/// What made the job fail.
pub async fn run(
    request: RunRequest,
    progress: watch::Sender<Progress>,
    orders: mpsc::Receiver<Order>,
) -> Result<JobEnd> {
    let graph = request.graph.clone();
    let tables = PluginTables::new(request.functions.shared_plugins()).of_job(&graph);
    let connectors: Arc<dyn ConnectorRegistry> = Arc::new(JobConnectors::new(request.connectors, tables));
    let request = RunRequest { connectors: connectors.clone(), ..request };
    let store = CheckpointStore::open(
        request.state_dir.as_deref(),
        &graph,
        request.functions.clone(),
        request.retained_checkpoints,
    )
    .await?;
    if store.is_new() {
        for warning in leftovers::earlier_results(&graph, &*connectors).await? {
            tracing::warn!("{warning}");
        }
    }
    let (identity, is_durable) = (store.identity(), store.is_durable());
    let end = run_from(store, graph.clone(), request, progress, orders).await?;
    // Of one that has failed it may be all that is left of results that could not be shown.
    if !is_durable {
        leftovers::discard(&graph, &*connectors, identity).await;
    }
    Ok(end)
}

/// Runs a job from where its last run has left it.
async fn run_from(
    store: CheckpointStore,
    graph: Arc<JobGraph>,
    request: RunRequest,
    progress: watch::Sender<Progress>,
    orders: mpsc::Receiver<Order>,
) -> Result<JobEnd> {
    let (fingerprint, places) = (graph.fingerprint(), graph.places());
    let has_pending_updates = graph.has_pending_updates();
    let clock = request.clock;
    let committer = Committer { connectors: request.connectors.clone(), blocking: Arc::new(BlockingThreads) };
    let mut checkpoints = Checkpointing::new(store, committer, clock.clone());
    checkpoints.finish_commits().await?;
    let store = checkpoints.store();
    if store.is_finished() {
        return Ok(JobEnd::AlreadyFinished);
    }
    let compute = Compute::start(request.compute_threads)?;
    let attempt = AttemptConfig {
        attempt: store.attempt(),
        job: fingerprint,
        identity: store.identity(),
        places,
        parallelism: request.parallelism,
        manifest_timeout: request.checkpoint_timeout,
        term: None,
    };
    let config = DriverConfig {
        interval: request.checkpoint_interval,
        timeout: request.checkpoint_timeout,
        tolerable_failures: request.tolerable_failures,
        last_epoch: store.last_epoch(),
        first: None,
        participants: 1,
        flush: FlushConfig { interval: request.flush_interval.filter(|_| has_pending_updates), pause: FLUSH_PAUSE },
    };
    let opened = weir_worker::open(Deployment {
        job: JobId(1),
        identity: store.identity(),
        graph,
        connectors: request.connectors,
        functions: request.functions,
        part: Part::whole(request.parallelism),
        part_name: "worker".into(),
        attempt: store.attempt(),
        restore: store.latest().map(|manifest| Manifest::clone(manifest)),
        storage: store.storage().clone(),
        keeps_state: store.is_durable(),
        batch_rows: request.batch_rows,
        memory_budget: request.memory_budget,
        clock,
        compute: compute.handle(),
        blocking: Arc::new(BlockingThreads),
        limits: ExchangeLimits::default(),
        checkpoint_interval: request.checkpoint_interval,
    })
    .await?;
    if let Some((running, name)) = request.watched {
        running.add(JobId(1), &name, attempt.attempt, opened.metrics());
    }
    checkpoints.begin(attempt, config);
    Shell { job: opened.start(), checkpoints, progress }.run(orders).await
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
