//! A case through Weir's planner and engine, as `weir run` does it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use weir_core::connector::RESULT_CONNECTOR;
use weir_core::{Error, ErrorKind, JobGraph, Result};
use weir_embedded::job::{self, JobEnd, Order, Progress, RunRequest, SystemClock};
use weir_functions::Functions;
use weir_sql::PlanOptions;

use crate::files::{self, Format};
use crate::generate::Case;
use crate::random::Random;
use crate::relation;
use crate::value::Row;
use crate::world::{OPTIONS, World, connectors};

/// How a job runs.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Subtasks of each operator.
    pub parallelism: usize,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Whether aggregations are split into two phases.
    pub two_phase: bool,
    /// Milliseconds between checkpoints.
    pub checkpoint_interval: Option<u64>,
    /// The job is stopped behind so many rows, and goes on with another parallelism.
    pub restart: Option<(i64, usize)>,
    /// Bytes of state in memory; the rest is looked up in the runs of checkpoints.
    pub memory_budget: Option<u64>,
    /// Tables are files of this format, and not in memory.
    pub format: Option<Format>,
}

/// How it ended.
#[derive(Debug)]
pub enum Outcome {
    /// With these rows.
    Rows(Vec<Row>),
    /// It was not planned.
    Refused(Error),
    /// It failed.
    Failed(Error),
}

/// No case takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

impl Setting {
    /// One of them, for a job that reads so many rows.
    pub fn random(random: &mut Random, rows: usize) -> Self {
        let mut parallelism = || *random.pick(&[1, 2, 4]);
        let (first, second) = (parallelism(), parallelism());
        let batch_rows = *random.pick(&[1, 2, 7, 4096]);
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let restart = random.chance(30).then(|| (random.between(0, rows), second));
        Self {
            parallelism: first,
            batch_rows,
            two_phase: random.chance(70),
            checkpoint_interval: random.chance(20).then_some(1),
            restart,
            memory_budget: random.chance(15).then_some(1),
            format: (restart.is_none() && random.chance(20)).then(|| *random.pick(&Format::ALL)),
        }
    }
}

/// The statements of a case.
pub fn script(case: &Case, options: impl Fn(&str) -> String) -> String {
    let tables: Vec<String> = case.tables.iter().map(|table| table.declaration(&options(&table.name))).collect();
    format!("{}{}", tables.concat(), relation::body(&case.query, &case.tables))
}

/// The tables of a case as files.
struct Files {
    folder: tempfile::TempDir,
    format: Format,
}

impl Files {
    fn write(case: &Case, format: Format) -> Result<Self> {
        let folder = tempfile::tempdir();
        let folder = folder.map_err(|error| Error::environment("no folder for files").with_source(error))?;
        for table in &case.tables {
            files::write(table, format, &folder.path().join(&table.name))?;
        }
        Ok(Self { folder, format })
    }

    fn options(&self, table: &str) -> String {
        let path = self.folder.path().join(table);
        format!("'connector' = 'filesystem', 'path' = '{}', 'format' = '{}'", path.display(), self.format.name())
    }
}

/// Plans and runs a case.
///
/// # Errors
/// If the machine cannot run it.
pub async fn run(case: &Case, setting: &Setting) -> Result<Outcome> {
    let world = World::new(case.tables.clone());
    let format = setting.format.filter(|format| case.tables.iter().all(|table| format.holds(table)));
    let files = format.map(|format| Files::write(case, format)).transpose()?;
    let options = |table: &str| files.as_ref().map_or(OPTIONS.to_owned(), |files| files.options(table));
    let graph = match plan(&script(case, options), setting, &world) {
        Ok(graph) => Arc::new(graph),
        Err(error) => return Ok(Outcome::Refused(error)),
    };
    let keeps_state = setting.restart.is_some() || setting.memory_budget.is_some();
    let folder = keeps_state.then(tempfile::tempdir).transpose();
    let folder = folder.map_err(|error| Error::environment("no folder for state").with_source(error))?;
    let request = |parallelism| RunRequest {
        graph: graph.clone(),
        connectors: connectors(&world),
        functions: Functions::built_in(),
        parallelism,
        compute_threads: 2,
        batch_rows: setting.batch_rows,
        checkpoint_interval: setting.checkpoint_interval.map(Duration::from_millis),
        checkpoint_timeout: PATIENCE,
        tolerable_failures: 0,
        retained_checkpoints: 1,
        state_dir: folder.as_ref().map(|folder| folder.path().to_owned()),
        memory_budget: setting.memory_budget,
        flush_interval: Some(job::FLUSH_INTERVAL),
        clock: Arc::new(SystemClock),
        watched: None,
    };
    let ended = match setting.restart {
        None => attempt(request(setting.parallelism), None).await,
        Some((rows, next)) => {
            world.read_at_most(rows);
            match attempt(request(setting.parallelism), Some(&world)).await {
                Ok(JobEnd::Stopped { .. }) => {
                    world.read_at_most(i64::MAX);
                    attempt(request(next), None).await
                }
                ended => ended,
            }
        }
    };
    Ok(match ended {
        Ok(JobEnd::Finished) => Outcome::Rows(world.results()),
        Ok(end) => Outcome::Failed(Error::internal(format!("the job ended as {end:?}"))),
        Err(error) => Outcome::Failed(error),
    })
}

fn plan(script: &str, setting: &Setting, world: &Arc<World>) -> Result<JobGraph> {
    let script = weir_sql::parse(script)?;
    let options = PlanOptions {
        source_idle_timeout: None,
        late_table: None,
        two_phase: setting.two_phase,
        state_ttl: None,
        state_ttl_in_event_time: false,
        result_connector: RESULT_CONNECTOR.to_owned(),
        result_options: std::collections::BTreeMap::new(),
        directory: None,
        functions: Functions::built_in(),
    };
    let plan = weir_sql::plan(&script, connectors(world), &options)?;
    plan.graph.ok_or_else(|| Error::internal("a query has no dataflow"))
}

/// Runs the job to its end, or until the world's sources stand still.
async fn attempt(request: RunRequest, until: Option<&World>) -> Result<JobEnd> {
    let (progress, _) = watch::channel(Progress::default());
    let (stop, stopped) = mpsc::channel(1);
    let stopping = async {
        if let Some(world) = until {
            world.all_read().await;
            // A job that has ended meanwhile does not want to hear it.
            let _ = stop.send(Order::Savepoint).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = timeout(PATIENCE, job::run(request, progress, stopped)) => {
            ended.unwrap_or_else(|_| Err(Error::internal("the job does not come to its end")))
        }
        () = stopping => Err(Error::internal("what never ends has ended")),
    }
}

/// Whether a failure is one that data may cause.
pub fn is_of_data(error: &Error) -> bool {
    error.kind() == ErrorKind::Data
}
