//! A sink that waits for a commit, in a worker that is told of the next marker.

use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use weir_core::connector::{
    AssignedSplit, Boundedness, DiscoveryContext, OptionInfo, Role, SinkContext, SourceContext, SplitPosition,
};
use weir_core::{
    Attempt, Batch, Connector, Epoch, JobId, Location, MarkerKind, Sink, Source, SourceEvent, Split, SplitDiscovery,
    TableSpec,
};
use weir_proto::control::{Deploy, ToWorker};

use super::jobs::{Bench, graph, table};
use super::leader::{Leader, Line};
use crate::ExchangeLimits;

/// Bytes that it stages for each batch, and batches of an epoch for which it stages as much.
const LOAD: usize = 4 << 20;
const LOADS: usize = 20;
/// Flush markers that are sent at once.
const MARKERS: u64 = 32;

/// Splits that are found at once, and bytes of a description: more than there is room for in front of a source.
const FOUND: usize = 1000;
const DESCRIPTION: usize = 4 << 10;

/// A connector whose sinks stage much, and whose sources have rows without end. Splits are found when there are permits.
#[derive(Clone)]
struct Hoards(Arc<Semaphore>);

fn staged() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("load", DataType::Utf8, true)]))
}

#[async_trait]
impl Connector for Hoards {
    fn name(&self) -> &'static str {
        "hoards"
    }

    fn supports(&self, role: Role) -> bool {
        matches!(role, Role::Source | Role::Sink)
    }

    fn options(&self, _given: &std::collections::BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> weir_core::Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> weir_core::Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    fn staged_schema(&self, _table: &TableSpec) -> SchemaRef {
        staged()
    }

    async fn open_discovery(
        &self,
        _table: &TableSpec,
        _context: DiscoveryContext,
    ) -> weir_core::Result<Box<dyn SplitDiscovery>> {
        Ok(Box::new(Finds { permits: self.0.clone(), found: 0 }))
    }

    async fn open_source(&self, _table: &TableSpec, _context: SourceContext) -> weir_core::Result<Box<dyn Source>> {
        Ok(Box::new(Ones::default()))
    }

    async fn open_sink(&self, _table: &TableSpec, _context: SinkContext) -> weir_core::Result<Box<dyn Sink>> {
        Ok(Box::new(Hoard::default()))
    }
}

struct Finds {
    permits: Arc<Semaphore>,
    found: usize,
}

#[async_trait]
impl SplitDiscovery for Finds {
    async fn next(&mut self) -> weir_core::Result<Option<Vec<Split>>> {
        if self.found > 0 {
            self.permits.acquire().await.unwrap().forget();
        }
        let name: Arc<str> = self.found.to_string().into();
        self.found += 1;
        Ok(Some(vec![Split { sequence: name.clone(), name, description: "x".repeat(DESCRIPTION) }]))
    }
}

/// Ones, one at a time, of the first of its splits.
#[derive(Default)]
struct Ones(Vec<Arc<str>>);

#[async_trait]
impl Source for Ones {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> weir_core::Result<()> {
        self.0.extend(splits.into_iter().map(|assigned| assigned.split.name));
        Ok(())
    }

    async fn next(&mut self) -> weir_core::Result<SourceEvent> {
        tokio::task::yield_now().await;
        let schema = table("numbers", "hoards", []).schema;
        let records = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1]))])?;
        Ok(SourceEvent::Rows { split: self.0[0].clone(), records, rejected: Vec::new() })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        self.0.iter().map(|split| SplitPosition { split: split.clone(), position: String::new() }).collect()
    }
}

#[derive(Default)]
struct Hoard {
    staged: Vec<Batch>,
    loads: usize,
}

#[async_trait]
impl Sink for Hoard {
    async fn write(&mut self, _batch: Batch) -> weir_core::Result<()> {
        let load = if self.loads < LOADS { LOAD } else { 1 };
        self.loads += 1;
        let load = StringArray::from(vec!["x".repeat(load)]);
        self.staged.push(Batch::append(RecordBatch::try_new(staged(), vec![Arc::new(load)])?));
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> weir_core::Result<Option<Vec<u8>>> {
        self.loads = 0;
        Ok(Some(Vec::new()))
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.staged)
    }
}

/// Bytes that one epoch has staged.
async fn reported(line: &mut Line, epoch: u64) -> u64 {
    let report = line.report().await;
    assert_eq!(report.epoch, Epoch(epoch));
    report.outcome.unwrap().committables[0].staged.iter().map(|run| run.length).sum()
}

#[tokio::test]
async fn what_it_waits_for_reaches_it_past_markers_that_it_holds_up() {
    let mut bench = Bench::new();
    let permits = Arc::new(Semaphore::new(0));
    bench.registry = bench.registry.with(Hoards(permits.clone()));
    let mut leader = Leader::start().await;
    let worker = bench.worker(7, &[&leader]);
    let mut line = leader.welcome(1).await;
    let source = table("numbers", "hoards", []);
    let mut deploy = bench.deploy(&line, 1, source.clone());
    deploy.graph = Arc::new(graph(source, table("output", "hoards", [])));
    deploy.placement.slots = vec![0];
    let checkpoint_interval = Some(std::time::Duration::from_millis(1));
    line.run(Deploy { checkpoint_interval, ..deploy }).await;
    line.marker(1, 1, MarkerKind::Checkpoint).await;
    reported(&mut line, 1).await;
    line.say(ToWorker::Completed { job: JobId(1), attempt: Attempt(1), epoch: Epoch(1) }).await;
    let (mut last, mut same) = (0, 0);
    while same < 10 {
        let rows =
            line.heartbeat().await.figures[0].vertices.iter().map(|vertex| vertex.figures.rows_in).max().unwrap();
        (last, same) = (rows, if rows == last { same + 1 } else { 0 });
    }
    // More splits than its sources take while they wait for the sink, and markers behind them until there is no room for more.
    permits.add_permits(FOUND);
    let mut next = 2;
    while line.heartbeat().await.figures[0].waiting_markers == 0 {
        for _ in 0..MARKERS {
            line.marker(1, next, MarkerKind::Flush).await;
            next += 1;
        }
    }
    line.marker(1, next, MarkerKind::Checkpoint).await;
    let bytes = reported(&mut line, next).await;
    assert!(bytes > ExchangeLimits::default().staged_ahead_bytes, "{bytes} bytes");
    drop(worker.shutdown);
    worker.worker.abort();
}
