//! Queries in this process, with their results as columns: a thousand processes would take minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use weir_connectors::Registry;
use weir_core::connector::{Boundedness, OptionInfo, RESULT_CONNECTOR, Role, SinkContext};
use weir_core::{Batch, Connector, Epoch, Error, Location, Result, Sink, TableSpec};
use weir_embedded::job::{self, JobEnd, Progress, RunRequest, SystemClock};
use weir_functions::Functions;
use weir_sql::PlanOptions;

/// What came of a query.
pub enum Answer {
    /// These columns.
    Rows(SchemaRef, Vec<RecordBatch>),
    /// There is no plan for it.
    Refused(Error),
    /// Its job failed.
    Failed(Error),
}

/// Runs a script of one query.
pub fn run(script: &str) -> Answer {
    let results = Results::default();
    let connectors = Arc::new(Registry::builtin().with(results.clone()));
    let options = PlanOptions {
        source_idle_timeout: None,
        late_table: None,
        two_phase: true,
        state_ttl: None,
        state_ttl_in_event_time: false,
        result_connector: RESULT_CONNECTOR.to_owned(),
        result_options: BTreeMap::new(),
        directory: None,
        functions: Functions::built_in(),
    };
    let planned = weir_sql::parse(script).and_then(|script| weir_sql::plan(&script, connectors.clone(), &options));
    let graph = match planned {
        Ok(plan) => plan.graph.unwrap(),
        Err(error) => return Answer::Refused(error),
    };
    let request = RunRequest {
        graph: Arc::new(graph),
        connectors,
        functions: Functions::built_in(),
        parallelism: 1,
        compute_threads: 1,
        batch_rows: 4096,
        checkpoint_interval: None,
        checkpoint_timeout: Duration::from_secs(60),
        tolerable_failures: 0,
        retained_checkpoints: 1,
        state_dir: None,
        memory_budget: None,
        flush_interval: None,
        clock: Arc::new(SystemClock),
        watched: None,
    };
    let (progress, _) = watch::channel(Progress::default());
    let (_stop, stopped) = mpsc::channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(job::run(request, progress, stopped)) {
        Ok(JobEnd::Finished) => {
            let (schema, batches) = results.taken();
            Answer::Rows(schema, batches)
        }
        Ok(end) => Answer::Failed(Error::internal(format!("the job ended as {end:?}"))),
        Err(error) => Answer::Failed(error),
    }
}

/// The connector behind a `SELECT`, which keeps the rows.
#[derive(Clone, Default)]
struct Results(Arc<Mutex<(Option<SchemaRef>, Vec<RecordBatch>)>>);

impl Results {
    fn taken(&self) -> (SchemaRef, Vec<RecordBatch>) {
        let mut results = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (results.0.take().unwrap(), std::mem::take(&mut results.1))
    }
}

#[async_trait]
impl Connector for Results {
    fn name(&self) -> &'static str {
        RESULT_CONNECTOR
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Bounded
    }

    async fn open_sink(&self, table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(table.schema.clone());
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Sink for Results {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        let records = batch.into_appended()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.push(records);
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}
