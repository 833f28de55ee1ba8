//! A job under test, as `weir run` runs it, one step at a time.
//!
//! A step ends when what it brings has been passed on by all sources, and a checkpoint has passed behind it whose results are out. So
//! nothing depends on how fast anything is. Some jobs are also stopped where the file does not say so, from a seed: behind some rows of a
//! step, with a savepoint or, as in a crash, with nothing but a checkpoint behind an earlier row; and go on at another parallelism.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use weir_core::hash::mix;
use weir_core::{Error, EventTime, JobGraph, OperatorSpec, Result, TableSpec};
use weir_functions::Functions;
use weir_operators::Scan;

use super::connector::INLINE;
use super::script::connectors;
use super::world::{Item, World};
use crate::job::{self, JobEnd, Order, Progress, RunRequest};
use crate::settings::Settings;

/// No step takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// A job that is stopped at random is stopped so many times at most within one batch of input.
const MOST_STOPS: usize = 2;

/// How a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// At this parallelism, without other stops than those of the file.
    Steady(usize),
    /// Stopped again and again, at places that follow from this seed.
    Stopped(u64),
}

impl Mode {
    /// The same for a query in this line of a file: others stop elsewhere.
    #[must_use]
    pub fn for_line(self, line: usize) -> Self {
        match self {
            Mode::Steady(_) => self,
            Mode::Stopped(seed) => Mode::Stopped(mix(seed ^ mix(line as u64))),
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mode::Steady(parallelism) => write!(f, "at parallelism {parallelism}"),
            Mode::Stopped(seed) => write!(f, "stopped and restored, seed {seed}"),
        }
    }
}

/// See the module's documentation.
pub struct Job {
    graph: Arc<JobGraph>,
    world: Arc<World>,
    settings: Settings,
    times: Vec<TableTime>,
    /// Subtasks of sources at parallelism 1.
    sources: usize,
    parallelism: usize,
    /// Where state is kept, if it is.
    folder: Option<Folder>,
    /// What decides about stops, if there are any.
    random: Option<Random>,
    running: Option<Running>,
}

struct Running {
    job: Pin<Box<dyn Future<Output = Result<JobEnd>> + Send>>,
    orders: mpsc::Sender<Order>,
}

impl Job {
    /// A job that does not run yet. `keeps_state`: it can be stopped, and go on.
    ///
    /// # Errors
    /// If its watermarks cannot be computed, or there is no room for its state.
    pub fn new(
        graph: Arc<JobGraph>,
        world: Arc<World>,
        settings: Settings,
        mode: Mode,
        keeps_state: bool,
    ) -> Result<Self> {
        let mut times = Vec::new();
        let mut sources = 0;
        for node in graph.nodes() {
            let OperatorSpec::Source(source) = &node.spec.operator else { continue };
            if source.table.connector != INLINE {
                continue;
            }
            sources += 1;
            if source.watermark.is_some() {
                let scan = Scan::new(source, node.spec.schema.clone(), &Functions::built_in())?;
                times.push(TableTime { table: source.table.clone(), scan, time: EventTime::MIN });
            }
        }
        let (parallelism, random) = match mode {
            Mode::Steady(parallelism) => (parallelism, None),
            Mode::Stopped(seed) => (1, Some(Random(seed))),
        };
        // The second of the usual runs keeps state too, though it is never read.
        let keeps_state = keeps_state || parallelism > 1 || random.is_some() || settings.memory_budget.is_some();
        let folder = keeps_state.then(Folder::new).transpose()?;
        Ok(Self { graph, world, settings, times, sources, parallelism, folder, random, running: None })
    }

    fn start(&mut self) {
        self.world.begin_attempt();
        let request = RunRequest {
            graph: self.graph.clone(),
            connectors: connectors(&self.world),
            functions: Functions::built_in(),
            parallelism: self.parallelism,
            compute_threads: 2,
            batch_rows: self.settings.batch_rows,
            checkpoint_interval: None,
            checkpoint_timeout: PATIENCE,
            tolerable_failures: 0,
            retained_checkpoints: 1,
            state_dir: self.folder.as_ref().map(|folder| folder.0.clone()),
            memory_budget: self.settings.memory_budget,
            flush_interval: None,
            clock: self.world.clone(),
            watched: None,
        };
        let (progress, _) = watch::channel(Progress::default());
        let (orders, receiver) = mpsc::channel(1);
        self.running = Some(Running { job: Box::pin(job::run(request, progress, receiver)), orders });
    }

    /// Rows come.
    ///
    /// # Errors
    /// If the job fails.
    pub async fn input(&mut self, table: &str, rows: RecordBatch) -> Result<()> {
        let time = self.time_behind(table, &rows);
        let stops = self.below(MOST_STOPS + 1);
        self.bring(Item { table: table.to_owned(), rows, time }, stops).await?;
        self.step().await
    }

    /// Event time of a table goes on without a row.
    ///
    /// # Errors
    /// If the job fails.
    pub async fn watermark(&mut self, table: &str, time: EventTime) -> Result<()> {
        let Some(known) = self.times.iter_mut().find(|known| known.table.name == table) else {
            return Err(Error::user(format!("the query reads no table `{table}` with a watermark")));
        };
        known.time = known.time.max(time);
        let (time, rows) = (known.time, RecordBatch::new_empty(known.table.schema.clone()));
        self.world.release(Item { table: table.to_owned(), rows, time: Some(time) }, None);
        self.step().await
    }

    /// The clock goes on, to milliseconds since 1970.
    ///
    /// # Errors
    /// If the job fails.
    pub async fn clock(&mut self, now: i64) -> Result<()> {
        self.world.set_clock(now);
        self.step().await
    }

    /// All input of a job that ends: nothing of it is late.
    ///
    /// # Errors
    /// If the job fails.
    pub async fn answer(&mut self, tables: Vec<(String, RecordBatch)>) -> Result<()> {
        // A job that reads nothing ends by itself, at any moment.
        let tables = if self.sources == 0 { Vec::new() } else { tables };
        for (table, rows) in tables {
            let stops = 1 + self.below(MOST_STOPS);
            self.bring(Item { table, rows, time: None }, stops).await?;
        }
        self.end().await
    }

    /// The job is stopped with a savepoint, and goes on, perhaps at another parallelism.
    ///
    /// # Errors
    /// If the job fails.
    pub async fn restart(&mut self, parallelism: Option<usize>) -> Result<()> {
        self.settle().await?;
        match self.ordered(Order::Savepoint).await? {
            JobEnd::Stopped { .. } => {}
            end => return Err(ended(end)),
        }
        self.parallelism = match self.random {
            Some(_) => self.below(3) + 1,
            None => parallelism.unwrap_or(self.parallelism),
        };
        Ok(())
    }

    /// Releases an item; in jobs that are stopped at random, it is stopped so many times on the way.
    async fn bring(&mut self, item: Item, stops: usize) -> Result<()> {
        let (count, mut from) = (item.rows.num_rows(), 0);
        if self.random.is_none() {
            self.world.release(item, None);
            return Ok(());
        }
        self.world.release(item, Some(0));
        for _ in 0..stops {
            let to = from + self.below(count - from + 1);
            if self.below(2) == 0 {
                self.world.release_up_to(Some(to));
                self.restart(None).await?;
            } else {
                // What is behind the checkpoint has been computed, and is to be forgotten.
                let checkpoint = from + self.below(to - from + 1);
                self.world.release_up_to(Some(checkpoint));
                self.step().await?;
                self.world.release_up_to(Some(to));
                self.settle().await?;
                self.crash().await?;
            }
            from = to;
        }
        self.world.release_up_to(None);
        Ok(())
    }

    /// The job ends as it stands, and goes on from its last checkpoint, perhaps at another parallelism.
    async fn crash(&mut self) -> Result<()> {
        match self.ordered(Order::Cancel).await? {
            JobEnd::Cancelled => {}
            end => return Err(ended(end)),
        }
        self.parallelism = self.below(3) + 1;
        Ok(())
    }

    /// A number below a bound, from the seed; 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        self.random.as_mut().map_or(0, |random| random.below(bound))
    }

    /// The input ends, and with it the job.
    ///
    /// # Errors
    /// If the job fails.
    pub async fn end(&mut self) -> Result<()> {
        self.world.end();
        if self.running.is_none() {
            self.start();
        }
        match self.until_end().await? {
            JobEnd::Finished => Ok(()),
            end => Err(ended(end)),
        }
    }

    /// Nothing more is wanted of the job.
    ///
    /// # Errors
    /// If it had failed.
    pub async fn leave(&mut self) -> Result<()> {
        if self.running.is_some() {
            self.ordered(Order::Cancel).await?;
        }
        Ok(())
    }

    /// Asks a job that runs to end, and waits until it has.
    async fn ordered(&mut self, order: Order) -> Result<JobEnd> {
        if let Some(running) = &self.running {
            // One that has ended by itself says so.
            let _ = running.orders.send(order).await;
        }
        self.until_end().await
    }

    async fn until_end(&mut self) -> Result<JobEnd> {
        let Some(running) = self.running.take() else { return Err(Error::internal("no job runs")) };
        timeout(PATIENCE, running.job).await.unwrap_or_else(|_| Err(stuck()))
    }

    /// What was released passes through the job.
    async fn step(&mut self) -> Result<()> {
        self.settle().await?;
        let (answer, answered) = oneshot::channel();
        let orders = self.running()?.orders.clone();
        let checkpoint = async move {
            // A job that has ended says so by itself.
            let _ = orders.send(Order::Checkpoint(answer)).await;
            answered.await
        };
        match self.meanwhile(checkpoint).await? {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::internal("the job did not take a checkpoint")),
        }
    }

    async fn settle(&mut self) -> Result<()> {
        if self.running.is_none() {
            self.start();
        }
        let (world, readers) = (self.world.clone(), self.sources * self.parallelism);
        self.meanwhile(async move { world.settle(readers).await }).await
    }

    /// Waits for something while the job runs.
    async fn meanwhile<T>(&mut self, wait: impl Future<Output = T>) -> Result<T> {
        let running = self.running()?;
        let ended = tokio::select! {
            biased;
            ended = &mut running.job => ended,
            waited = timeout(PATIENCE, wait) => return waited.map_err(|_| stuck()),
        };
        self.running = None;
        Err(self::ended(ended?))
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().ok_or_else(|| Error::internal("no job runs"))
    }

    fn time_behind(&mut self, table: &str, rows: &RecordBatch) -> Option<EventTime> {
        self.times.iter_mut().find(|known| known.table.name == table).map(|known| known.behind(rows))
    }
}

fn ended(end: JobEnd) -> Error {
    Error::internal(format!("the job ended before its time, as {end:?}"))
}

fn stuck() -> Error {
    Error::internal(format!("the job stands still since {PATIENCE:?}"))
}

/// How far the event time of a table is, by the expression of its own watermark.
struct TableTime {
    table: TableSpec,
    scan: Scan,
    time: EventTime,
}

impl TableTime {
    /// Behind these rows too. A row for which there is no time makes the job fail or is passed over; that shows there.
    fn behind(&mut self, rows: &RecordBatch) -> EventTime {
        let read = match &self.table.projection {
            None => Ok(rows.clone()),
            Some(columns) => rows.project(columns),
        };
        let scanned = read.ok().and_then(|read| self.scan.rows(read).ok());
        self.time = scanned.and_then(|scanned| scanned.time).map_or(self.time, |time| self.time.max(time));
        self.time
    }
}

/// A folder for state, for as long as the value lives.
struct Folder(PathBuf);

/// Tells the folders of this process apart.
static FOLDERS: AtomicU64 = AtomicU64::new(0);

impl Folder {
    fn new() -> Result<Self> {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        // In memory where there is such a place: nothing of it has to outlive a crash of the machine.
        let base =
            Some(Path::new("/dev/shm")).filter(|path| path.is_dir()).map_or_else(std::env::temp_dir, Path::to_owned);
        let path = base.join(format!("weir-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|error| Error::environment(format!("cannot make {}", path.display())).with_source(error))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mix(self.0) % (bound.max(1) as u64)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
