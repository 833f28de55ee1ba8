//! Jobs from their deployment to their end.

#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime")]

use crate::allowed::Allowed;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use tokio::task::JoinHandle;
use weir_connectors::Registry;
use weir_core::{
    Attempt, Edge, Epoch, Exchange, JobGraph, JobId, JobIdentity, MarkerKind, NodeSpec, OperatorSpec, OutputPort,
    PlacedWorker, Placement, SinkSpec, SourceSpec, TableSpec,
};
use weir_functions::Functions;
use weir_proto::control::{AttemptPhase, Deploy, FromWorker, StoragePlace, ToWorker};
use weir_state::{FolderStorages, Storages};

use super::super::*;
use super::leader::{Leader, Line, complete, within};

/// Folders of a test, and a worker in them.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub registry: Registry,
    pub local_runs_bytes: Option<u64>,
}

pub struct Running {
    pub shutdown: mpsc::Sender<()>,
    pub worker: JoinHandle<Result<Ending>>,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), registry: Registry::builtin(), local_runs_bytes: None }
    }

    /// Starts a worker.
    pub fn worker(&self, incarnation: u64, coordinators: &[&Leader]) -> Running {
        let config = WorkerConfig {
            name: Some("w1".into()),
            incarnation: Incarnation(incarnation),
            data_dir: Some(self.folder.path().join("data")),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise: None,
            slots: 2,
            coordinators: coordinators.iter().map(|leader| leader.address.clone()).collect(),
            compute_threads: 1,
            drain_timeout: Duration::from_secs(60),
            local_runs_bytes: self.local_runs_bytes,
            tls: None,
            secrets: crate::secrets::Secrets::none(),
            allowed: Allowed::default(),
        };
        let (shutdown, words) = mpsc::channel(2);
        let worker =
            tokio::spawn(run(config, Arc::new(self.registry.clone()), Functions::built_in(), Arc::default(), words));
        Running { shutdown, worker }
    }

    pub fn storage(&self) -> StoragePlace {
        StoragePlace { url: format!("file://{}", self.folder.path().join("checkpoints").display()) }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    /// Numbers from 0 into files.
    pub fn deploy(&self, line: &Line, attempt: u64, source: TableSpec) -> Deploy {
        let path = self.output().to_str().unwrap().to_owned();
        let options = [("path".to_owned(), path), ("format".to_owned(), "csv".to_owned())];
        let sink = table("output", "filesystem", options);
        let worker = PlacedWorker {
            worker: line.hello.worker.clone(),
            incarnation: line.hello.incarnation,
            address: line.hello.address.clone(),
        };
        Deploy {
            job: JobId(1),
            identity: JobIdentity(1),
            attempt: Attempt(attempt),
            name: "default/numbers".into(),
            graph: Arc::new(graph(source, sink)),
            placement: Placement { workers: vec![worker], slots: vec![0, 0] },
            storage: self.storage(),
            restore: None,
            last_epoch: Epoch(0),
            batch_rows: 100,
            memory_budget: None,
            checkpoint_interval: None,
        }
    }

    /// The numbers that can be seen, sorted.
    fn numbers(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        let files = visible(&self.output());
        for line in files.iter().flat_map(|text| text.lines()) {
            numbers.extend(line.parse::<u64>());
        }
        numbers.sort_unstable();
        numbers
    }
}

fn visible(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.map(|entry| entry.unwrap().path());
    let shown =
        entries.filter(|path| path.is_file() && !path.file_name().unwrap().to_str().unwrap().starts_with(['.', '_']));
    shown.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

pub fn table<const N: usize>(name: &str, connector: &str, options: [(String, String); N]) -> TableSpec {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
    TableSpec::new(name, connector, BTreeMap::from(options), Arc::new(schema))
}

/// Numbers from 0, `rows` of them as fast as can be, or without end 20,000 a second.
pub fn sequence(rows: Option<u64>) -> TableSpec {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut numbers = table(
        "numbers",
        "datagen",
        [
            option("fields.n.kind", "sequence"),
            option("fields.n.start", "0"),
            option("fields.n.end", "1000000000000"),
            option("rows-per-second", "20000"),
        ],
    );
    if let Some(rows) = rows {
        numbers.options.extend([option("number-of-rows", &rows.to_string()), option("realtime", "false")]);
    }
    numbers
}

pub fn graph(source: TableSpec, sink: TableSpec) -> JobGraph {
    let schema = source.schema.clone();
    let mut graph = JobGraph::new();
    let discovery = graph.discover(&source);
    let source = SourceSpec { table: source, projection: None, filter: None, watermark: None, rows_per_second: None };
    let source = NodeSpec::new("Source(numbers)", OperatorSpec::Source(source), vec![discovery], schema.clone());
    let from = graph.add(source);
    let inputs = vec![Edge { from, port: OutputPort::Main, ordinal: 0, exchange: Exchange::Rebalance }];
    graph.add(NodeSpec::new("Sink(output)", OperatorSpec::Sink(SinkSpec { table: sink }), inputs, schema));
    graph
}

/// Waits until what was announced is there: the subtasks' end and the last report come in any order.
async fn last_report(line: &mut Line) -> weir_proto::control::Report {
    let (mut ended, mut report) = (false, None);
    while !ended || report.is_none() {
        match line.hear().await {
            FromWorker::Report(last) => report = Some(last),
            FromWorker::Status(status) => ended |= status.phase == AttemptPhase::Ended,
            other => panic!("{other:?}"),
        }
    }
    report.unwrap()
}

#[tokio::test]
async fn a_job_runs_through_checkpoints_to_its_end_and_a_restart_goes_on_from_there() {
    let mut bench = Bench::new();
    bench.local_runs_bytes = Some(1 << 20);
    let storage = bench.storage();
    let mut leader = Leader::start().await;
    let worker = bench.worker(7, &[&leader]);
    let mut line = leader.welcome(1).await;
    assert_eq!((line.hello.worker.0.as_str(), line.hello.cluster.as_deref(), line.hello.slots), ("w1", None, 2));
    line.run(bench.deploy(&line, 1, sequence(Some(1000)))).await;
    assert!(line.status().await.exhausted);
    assert_eq!(bench.numbers(), [0_u64; 0], "nothing is visible before it is committed");
    line.marker(1, 1, MarkerKind::Checkpoint).await;
    let (first, checkpoint) = complete(&storage, None, line.report().await);
    line.say(ToWorker::Completed { job: JobId(1), attempt: Attempt(1), epoch: Epoch(1) }).await;
    line.commit(&storage, &checkpoint).await;
    assert_eq!(bench.numbers(), (0..1000).collect::<Vec<u64>>());
    let figures = line.heartbeat().await.figures;
    assert_eq!((figures.len(), figures[0].waiting_markers), (1, 0));
    let rows: Vec<_> = figures[0].vertices.iter().map(|vertex| vertex.figures.rows_out).collect();
    assert_eq!(rows, [0, 1000, 1000], "of what finds the splits, of the source and of the sink");
    line.marker(1, 2, MarkerKind::Stop).await;
    let (_, checkpoint) = complete(&storage, Some(&first), last_report(&mut line).await);
    line.commit(&storage, &checkpoint).await;
    line.say(ToWorker::Cancel { job: JobId(1), attempt: Attempt(1) }).await;
    let merge = ToWorker::Merge {
        job: JobId(2),
        attempt: Attempt(1),
        storage: storage.clone(),
        checkpoint: checkpoint.clone(),
    };
    line.say(merge).await;
    assert!(matches!(line.hear().await, FromWorker::Merged { merged: Ok(runs), .. } if runs.is_empty()));
    worker.shutdown.send(()).await.unwrap();
    assert!(matches!(line.hear().await, FromWorker::Leaving));
    line.say(ToWorker::Farewell).await;
    assert_eq!(within(worker.worker).await.unwrap().unwrap(), Ending::Released);

    // The same worker, another process. What its last one wrote is read from its own disk.
    let runs = bench.folder.path().join("checkpoints/runs");
    std::fs::remove_dir_all(&runs).unwrap();
    let again = bench.worker(8, &[&leader]);
    let mut line = leader.welcome(1).await;
    assert_eq!(line.hello.cluster.as_deref(), Some("fox"));
    let deploy = bench.deploy(&line, 2, sequence(Some(1000)));
    line.run(Deploy { restore: Some(checkpoint), last_epoch: Epoch(2), ..deploy }).await;
    let begun = FolderStorages.open(&storage.url).unwrap().list("attempts/").unwrap();
    assert_eq!(begun, ["attempts/0000000000000001-0", "attempts/0000000000000002-2"]);
    assert!(line.status().await.exhausted, "it had been read to its end");
    line.marker(2, 3, MarkerKind::Stop).await;
    let report = last_report(&mut line).await;
    assert!(report.outcome.unwrap().committables.is_empty(), "no row comes twice");
    drop(again.shutdown);
    again.worker.abort();
}

#[tokio::test]
async fn a_job_goes_on_under_another_leader() {
    let bench = Bench::new();
    let storage = bench.storage();
    let (mut old, mut new) = (Leader::start().await, Leader::start().await);
    let _worker = bench.worker(7, &[&old, &new]);
    let mut line = old.welcome(1).await;
    let mut deploy = bench.deploy(&line, 1, sequence(None));
    // One subtask: two would not stop at the same number.
    deploy.placement.slots = vec![0];
    line.run(deploy).await;
    line.marker(1, 1, MarkerKind::Checkpoint).await;
    let lost = line.report().await;
    drop((line, old));

    let mut line = new.welcome(2).await;
    let [status] = line.hello.attempts.as_slice() else { panic!("{:?}", line.hello.attempts) };
    assert_eq!((&status.phase, status.last_epoch), (&AttemptPhase::Running, Epoch(1)));
    let report = line.report().await;
    assert_eq!((report.epoch, &report.outcome), (Epoch(1), &lost.outcome), "said again");
    let (first, checkpoint) = complete(&storage, None, report);
    line.say(ToWorker::Completed { job: JobId(1), attempt: Attempt(1), epoch: Epoch(1) }).await;
    line.commit(&storage, &checkpoint).await;
    while line.heartbeat().await.figures[0].vertices.iter().all(|vertex| vertex.figures.rows_out == 0) {}
    line.marker(1, 2, MarkerKind::Stop).await;
    let (_, checkpoint) = complete(&storage, Some(&first), last_report(&mut line).await);
    line.commit(&storage, &checkpoint).await;
    let numbers = bench.numbers();
    let strange = numbers.iter().zip(0_u64..).find(|(number, expected)| **number != *expected);
    assert_eq!(strange, None, "each number once, none left out");
    assert!(!numbers.is_empty());
}
