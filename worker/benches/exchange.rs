//! Rows a second from one subtask to another: over a channel in the process, and over loopback TCP to another worker with
//! windows of several sizes.
//!
//! `cargo bench -p weir-worker --bench exchange`

#![allow(clippy::disallowed_methods, reason = "a measurement")]
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a measurement")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use async_trait::async_trait;
use tokio::runtime::{Builder, Handle};
use weir_core::connector::{
    AssignedSplit, Boundedness, DiscoveryContext, OptionInfo, Role, SinkContext, SourceContext, SplitPosition,
};
use weir_core::{
    Attempt, Batch, Connector, ConnectorRegistry, Edge, Epoch, Exchange, Incarnation, JobGraph, JobId, JobIdentity,
    Location, Marker, MarkerKind, NodeSpec, OperatorSpec, OutputPort, Parallelism, PlacedWorker, Placement, Result,
    Sink, SinkSpec, Source, SourceEvent, SourceSpec, Split, SplitDiscovery, TableSpec, WorkerId,
};
use weir_functions::Functions;
use weir_state::MemoryStorage;
use weir_worker::network::{FRAME_BYTES, Network, NetworkConfig, Process, TcpTransport};
use weir_worker::{BlockingThreads, Command, Deployment, ExchangeLimits, JobHandle, Part, SystemClock, WorkerEvent};

const BATCH_ROWS: usize = 8192;
const BATCHES: usize = 4000;

/// Makes the same batch again and again, and throws away what it is given.
struct Repeat(RecordBatch);

/// The rows of one subtask; `left` batches are to come.
struct Rows {
    batch: RecordBatch,
    left: usize,
    split: Arc<str>,
}

struct Nowhere;

fn batch() -> RecordBatch {
    let rows = 0..BATCH_ROWS as i64;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let others: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone().map(|row| row * 7)));
    let texts = rows.map(|row| if row % 4 == 0 { format!("a text of more bytes {row}") } else { row.to_string() });
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
    RecordBatch::try_from_iter([("number", numbers), ("other", others), ("text", texts)]).unwrap()
}

#[async_trait]
impl Connector for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn supports(&self, _: Role) -> bool {
        true
    }

    fn options(&self, _: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _: &TableSpec, _: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _: &TableSpec) -> Boundedness {
        Boundedness::Bounded
    }

    async fn open_discovery(&self, _: &TableSpec, _: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        Ok(Box::new(Two(Some(["0", "1"]))))
    }

    async fn open_source(&self, _: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        // The sink is in slot 0; what it gets comes from slot 1.
        let left = if context.subtask == 1 { BATCHES } else { 0 };
        Ok(Box::new(Rows { batch: self.0.clone(), left, split: context.subtask.to_string().into() }))
    }

    async fn open_sink(&self, _: &TableSpec, _: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Nowhere))
    }
}

/// A split for each subtask.
struct Two(Option<[&'static str; 2]>);

#[async_trait]
impl SplitDiscovery for Two {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        let split = |name: &str| Split { name: name.into(), sequence: name.into(), description: String::new() };
        Ok(self.0.take().map(|names| names.map(split).into()))
    }
}

#[async_trait]
impl Source for Rows {
    fn assign(&mut self, _: Vec<AssignedSplit>) -> Result<()> {
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        if self.left == 0 {
            return Ok(SourceEvent::SplitFinished { split: self.split.clone() });
        }
        self.left -= 1;
        Ok(SourceEvent::Rows { split: self.split.clone(), records: self.batch.clone(), rejected: Vec::new() })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        Vec::new()
    }
}

#[async_trait]
impl Sink for Nowhere {
    async fn write(&mut self, _: Batch) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, _: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

impl ConnectorRegistry for Repeat {
    fn get(&self, _: &str) -> Option<Arc<dyn Connector>> {
        Some(Arc::new(Repeat(self.0.clone())))
    }

    fn names(&self) -> Vec<&'static str> {
        vec![self.name()]
    }
}

fn graph(batch: &RecordBatch) -> JobGraph {
    let table = TableSpec::new("table", "repeat", BTreeMap::new(), batch.schema());
    let mut graph = JobGraph::new();
    let node = |name: &str, operator, inputs, parallelism| NodeSpec {
        parallelism,
        ..NodeSpec::new(name, operator, inputs, batch.schema())
    };
    let source =
        SourceSpec { table: table.clone(), projection: None, filter: None, watermark: None, rows_per_second: None };
    let discovery = graph.discover(&table);
    let from = graph.add(node("Source", OperatorSpec::Source(source), vec![discovery], Parallelism::Job));
    let edge = Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Rebalance };
    graph.add(node("Sink", OperatorSpec::Sink(SinkSpec { table }), vec![edge], Parallelism::Single));
    graph
}

async fn worker(name: &str, window: u64) -> (Arc<Network>, PlacedWorker) {
    let (worker, incarnation) = (WorkerId(name.into()), Incarnation(1));
    let transport = TcpTransport::listen("127.0.0.1:0", FRAME_BYTES, None).await.unwrap();
    let address = transport.local_address().unwrap().to_string();
    let mut config = NetworkConfig::new("bench", Process { worker: worker.clone(), incarnation });
    config.window = window;
    (Arc::new(Network::start(config, Arc::new(transport))), PlacedWorker { worker, incarnation, address })
}

async fn two_workers(window: u64) -> Vec<Part> {
    let ((a, placed_a), (b, placed_b)) = (worker("a", window).await, worker("b", window).await);
    let placement = Placement { workers: vec![placed_a, placed_b], slots: vec![0, 1] };
    [a, b].map(|network| Part::share(placement.clone(), network).unwrap()).into()
}

/// Runs the job to its end and returns how long it took.
async fn run(parts: Vec<Part>, compute: &Handle) -> Duration {
    let batch = batch();
    let graph = Arc::new(graph(&batch));
    let mut opened = Vec::new();
    for part in parts {
        let deployment = Deployment {
            job: JobId(1),
            identity: JobIdentity(1),
            graph: graph.clone(),
            connectors: Arc::new(Repeat(batch.clone())),
            functions: Functions::built_in(),
            part,
            part_name: "bench".into(),
            attempt: Attempt(1),
            restore: None,
            storage: Arc::new(MemoryStorage::default()),
            keeps_state: false,
            batch_rows: BATCH_ROWS,
            memory_budget: None,
            clock: Arc::new(SystemClock),
            compute: compute.clone(),
            blocking: Arc::new(BlockingThreads),
            limits: ExchangeLimits::default(),
            checkpoint_interval: None,
        };
        opened.push(weir_worker::open(deployment).await.unwrap());
    }
    let start = Instant::now();
    let mut running: Vec<JobHandle> = opened.into_iter().map(|part| part.start()).collect();
    for part in &mut running {
        while !matches!(part.event().await.unwrap(), WorkerEvent::SourcesExhausted) {}
    }
    for part in &running {
        part.command(Command::Marker(Marker { epoch: Epoch(1), kind: MarkerKind::Stop })).await;
    }
    for part in &mut running {
        while !matches!(part.event().await.unwrap(), WorkerEvent::Finished) {}
    }
    let rows: u64 = running.iter().map(|part| part.metrics().totals().rows_out).sum();
    assert_eq!(rows, (BATCHES * BATCH_ROWS) as u64);
    start.elapsed()
}

/// The best of five runs: the machine may be busy with others.
async fn report(name: &str, compute: &Handle, parts: impl AsyncFn() -> Vec<Part>) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        best = best.min(run(parts().await, compute).await);
    }
    let rows = (BATCHES * BATCH_ROWS) as f64 / best.as_secs_f64();
    println!("{name:<28} {:>8.1} million rows/s", rows / 1e6);
}

fn main() {
    let compute = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        report("in the process", compute.handle(), async || vec![Part::whole(2)]).await;
        for kib in [64, 256, 1024, 4096, 16384] {
            report(&format!("loopback, window {kib} KiB"), compute.handle(), async || two_workers(kib * 1024).await)
                .await;
        }
    });
}
