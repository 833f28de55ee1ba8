//! A job whose parts run on several workers, connected over TCP, gives what it gives in one process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use weir_connectors::Registry;
use weir_core::{
    Attempt, Epoch, Incarnation, JobGraph, JobId, JobIdentity, Marker, MarkerKind, PlacedWorker, Placement, WorkerId,
};
use weir_functions::Functions;
use weir_sql::PlanOptions;
use weir_state::{LocalStorage, Manifest, ManifestHeader, Storage};
use weir_worker::network::{FRAME_BYTES, Network, NetworkConfig, Process, TcpTransport};
use weir_worker::{
    BlockingThreads, Command, Committer, Deployment, ExchangeLimits, JobHandle, Part, SystemClock, WorkerEvent,
};

use crate::batch::oracle::{Row, difference, rows_of_csv};
use crate::flights;

const HOPS: &str = "SELECT window_start, origin, COUNT(*), AVG(dep_delay)
    FROM TABLE(HOP(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' HOUR, INTERVAL '3' HOUR))
    GROUP BY window_start, window_end, origin";

/// Queries and the columns of their results. The third has one subtask behind its exchange, for all workers.
const CASES: &[(&str, &str)] = &[
    ("starts TIMESTAMP(3), origin STRING, departures BIGINT, mean DOUBLE", HOPS),
    (
        "tailnum STRING, first INT, second INT, at TIMESTAMP(3)",
        "SELECT a.tailnum, a.flight, b.flight, b.time_hour FROM flights a JOIN flights b
         ON a.tailnum = b.tailnum
            AND b.time_hour BETWEEN a.time_hour + INTERVAL '1' HOUR AND a.time_hour + INTERVAL '5' HOUR",
    ),
    (
        "starts TIMESTAMP(3), departures BIGINT",
        "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(time_hour), INTERVAL '1' DAY))
         GROUP BY window_start, window_end",
    ),
];

/// Which worker has which slot.
const PLACEMENTS: &[&[u32]] = &[&[0, 1], &[0, 0, 1], &[1, 2, 0, 2]];

/// Workers of a cluster, each with a port of its own.
struct Workers {
    networks: Vec<Arc<Network>>,
    placed: Vec<PlacedWorker>,
}

impl Workers {
    async fn start(count: u64) -> Self {
        let mut workers = Self { networks: Vec::new(), placed: Vec::new() };
        for number in 0..count {
            let (worker, incarnation) = (WorkerId(format!("worker-{number}")), Incarnation(number));
            let transport = TcpTransport::listen("127.0.0.1:0", FRAME_BYTES, None).await.unwrap();
            let address = transport.local_address().unwrap().to_string();
            let me = Process { worker: worker.clone(), incarnation };
            let network = Network::start(NetworkConfig::new("test", me), Arc::new(transport));
            workers.networks.push(Arc::new(network));
            workers.placed.push(PlacedWorker { worker, incarnation, address });
        }
        workers
    }

    fn parts(&self, slots: &[u32]) -> Vec<Part> {
        let placement = Placement { workers: self.placed.clone(), slots: slots.to_vec() };
        let networks = self.networks.iter();
        networks.map(|network| Part::share(placement.clone(), network.clone()).unwrap()).collect()
    }
}

/// A job that writes into a folder.
struct Job {
    graph: Arc<JobGraph>,
    connectors: Arc<Registry>,
    storage: Arc<dyn Storage>,
    attempt: Attempt,
    latest: Option<Manifest>,
    epoch: Epoch,
}

/// What the parts of a job have said so far.
struct Running {
    parts: Vec<(JobHandle, bool)>,
}

impl Job {
    fn new(folder: &Path, data: &Path, case: &(&str, &str), source: &str) -> Self {
        let table = flights::table(data, "64kb").replace("'format'", &format!("{source}'format'"));
        let text = format!(
            "{table}CREATE TABLE result ({}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
               'csv.header' = 'false');\nINSERT INTO result {};\n",
            case.0,
            folder.join("out").display(),
            case.1
        );
        let connectors = Arc::new(Registry::builtin());
        let options = PlanOptions {
            source_idle_timeout: None,
            late_table: None,
            two_phase: true,
            state_ttl: None,
            state_ttl_in_event_time: false,
            result_connector: "print".into(),
            result_options: Default::default(),
            directory: None,
            functions: Functions::built_in(),
        };
        let planned = weir_sql::plan(&weir_sql::parse(&text).unwrap(), connectors.clone(), &options).unwrap();
        let storage = Arc::new(LocalStorage::open(folder.join("state")).unwrap());
        let graph = Arc::new(planned.graph.unwrap());
        Self { graph, connectors, storage, attempt: Attempt(0), latest: None, epoch: Epoch(0) }
    }

    async fn start(&mut self, parts: Vec<Part>) -> Running {
        self.attempt = Attempt(self.attempt.0 + 1);
        let mut opened = Vec::new();
        for (number, part) in parts.into_iter().enumerate() {
            let deployment = Deployment {
                job: JobId(1),
                identity: JobIdentity(1),
                graph: self.graph.clone(),
                connectors: self.connectors.clone(),
                functions: Functions::built_in(),
                part,
                part_name: format!("worker-{number}"),
                attempt: self.attempt,
                restore: self.latest.clone(),
                storage: self.storage.clone(),
                keeps_state: true,
                batch_rows: 256,
                memory_budget: None,
                clock: Arc::new(SystemClock),
                compute: Handle::current(),
                blocking: Arc::new(BlockingThreads),
                limits: ExchangeLimits::default(),
                checkpoint_interval: None,
            };
            opened.push(weir_worker::open(deployment).await.unwrap());
        }
        // Some start before others do: what they send is waited for.
        Running { parts: opened.into_iter().rev().map(|part| (part.start(), false)).collect() }
    }

    /// Sends a marker through the job and commits what it closes.
    async fn pass(&mut self, running: &mut Running, kind: MarkerKind) {
        self.epoch = self.epoch.next();
        for (part, _) in &running.parts {
            part.command(Command::Marker(Marker { epoch: self.epoch, kind })).await;
        }
        let mut contents = Vec::new();
        for (part, exhausted) in &mut running.parts {
            contents.push(loop {
                match event(part).await {
                    WorkerEvent::SourcesExhausted => *exhausted = true,
                    WorkerEvent::Reported(report) => {
                        assert_eq!(report.epoch, self.epoch);
                        break report;
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
        let header = ManifestHeader {
            job: "test".into(),
            identity: Default::default(),
            epoch: self.epoch,
            attempt: self.attempt,
            savepoint: false,
            finished: false,
            parallelism: 1,
            places: Default::default(),
        };
        let manifest = Manifest::with_contents(self.latest.as_ref(), header, &contents);
        let committer = Committer { connectors: self.connectors.clone(), blocking: Arc::new(BlockingThreads) };
        let storage: Arc<dyn Storage> = self.storage.clone();
        committer.commit(&storage, &manifest).await.unwrap();
        self.latest = Some(manifest);
    }

    /// Takes checkpoints until all sources are exhausted, or `enough` says so.
    async fn checkpoints(&mut self, running: &mut Running, enough: impl Fn(&Running, Epoch) -> bool) {
        while !running.parts.iter().all(|(_, exhausted)| *exhausted) && !enough(running, self.epoch) {
            self.pass(running, MarkerKind::Checkpoint).await;
        }
    }

    async fn end(&mut self, mut running: Running, kind: MarkerKind) {
        self.pass(&mut running, kind).await;
        for (part, _) in &mut running.parts {
            assert!(matches!(event(part).await, WorkerEvent::Finished));
        }
    }
}

async fn event(part: &mut JobHandle) -> WorkerEvent {
    let event = tokio::time::timeout(Duration::from_secs(60), part.event()).await;
    let event = event.expect("a part of the job stands still").expect("a part of the job is gone");
    if let WorkerEvent::Failed(error) | WorkerEvent::PeerLost(error) = &event {
        panic!("{}", error.report());
    }
    event
}

fn rows(folder: &Path) -> Vec<Row> {
    let mut text = String::from("header\n");
    for entry in std::fs::read_dir(folder.join("out")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() && !entry.file_name().to_string_lossy().starts_with(['.', '_']) {
            text.push_str(&std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    rows_of_csv(&text)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Rows of the job in one process.
async fn in_one_process(data: &Path, case: &(&str, &str)) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(folder.path(), data, case, "");
    let mut running = job.start(vec![Part::whole(2)]).await;
    job.checkpoints(&mut running, |_, _| false).await;
    job.end(running, MarkerKind::Stop).await;
    rows(folder.path())
}

fn unpacked(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let data = folder.path().join("flights.csv");
    flights::unpack(&data);
    data
}

#[test]
fn several_workers_give_what_one_process_gives() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpacked(&folder);
    runtime().block_on(async {
        let workers = Workers::start(3).await;
        for case in CASES {
            let expected = in_one_process(&data, case).await;
            assert!(!expected.is_empty());
            for slots in PLACEMENTS {
                let folder = tempfile::tempdir().unwrap();
                let mut job = Job::new(folder.path(), &data, case, "");
                let mut running = job.start(workers.parts(slots)).await;
                job.checkpoints(&mut running, |_, _| false).await;
                job.end(running, MarkerKind::Stop).await;
                assert!(job.epoch > Epoch(1), "no checkpoint was taken in between");
                let found = rows(folder.path());
                assert!(found == expected, "{} on {slots:?}: {}", case.1, difference(&expected, &found));
            }
        }
    });
}

#[test]
fn a_job_goes_on_from_its_checkpoint_on_other_workers() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpacked(&folder);
    runtime().block_on(async {
        let workers = Workers::start(3).await;
        let case = &CASES[0];
        let expected = in_one_process(&data, case).await;
        let folder = tempfile::tempdir().unwrap();
        let mut job = Job::new(folder.path(), &data, case, "");
        for slots in PLACEMENTS {
            let mut running = job.start(workers.parts(slots)).await;
            let until = Epoch(job.epoch.0 + 2);
            job.checkpoints(&mut running, |_, epoch| epoch >= until).await;
            // Whatever runs behind the last checkpoint is given up.
        }
        let mut running = job.start(workers.parts(&[2, 1, 0])).await;
        job.checkpoints(&mut running, |_, _| false).await;
        job.end(running, MarkerKind::Stop).await;
        let found = rows(folder.path());
        assert!(found == expected, "{}", difference(&expected, &found));
    });
}

#[test]
fn a_drain_closes_all_windows_of_an_endless_input() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpacked(&folder);
    runtime().block_on(async {
        let workers = Workers::start(2).await;
        let case = &CASES[0];
        let expected = in_one_process(&data, case).await;
        let flights = std::fs::read_to_string(&data).unwrap().lines().count() as u64 - 1;
        let folder = tempfile::tempdir().unwrap();
        let mut job = Job::new(folder.path(), &data, case, "'source.monitor-interval' = '10ms', ");
        let mut running = job.start(workers.parts(&[0, 1])).await;
        let read = |running: &Running| running.parts.iter().map(|(part, _)| part.metrics().totals().rows_in).sum();
        job.checkpoints(&mut running, |running, _| {
            let rows: u64 = read(running);
            rows == flights
        })
        .await;
        job.pass(&mut running, MarkerKind::Checkpoint).await;
        let before = rows(folder.path());
        assert!(before.len() < expected.len(), "the last windows are open while there may be more input");
        job.end(running, MarkerKind::Drain).await;
        let found = rows(folder.path());
        assert!(found == expected, "{}", difference(&expected, &found));
    });
}

#[test]
fn who_loses_a_peer_says_so_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = unpacked(&folder);
    runtime().block_on(async {
        let mut workers = Workers::start(2).await;
        let folder = tempfile::tempdir().unwrap();
        let mut job = Job::new(folder.path(), &data, &CASES[0], "'source.monitor-interval' = '10ms', ");
        let mut running = job.start(workers.parts(&[0, 1])).await;
        job.checkpoints(&mut running, |_, epoch| epoch >= Epoch(2)).await;
        // Parts were started from the last to the first.
        let (survivor, _) = running.parts.swap_remove(1);
        drop(running);
        workers.networks.truncate(1);
        let mut survivor = survivor;
        let failed = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                match survivor.event().await {
                    Some(WorkerEvent::PeerLost(error)) => break error,
                    Some(_) => {}
                    None => panic!("it said nothing"),
                }
            }
        });
        let error = failed.await.unwrap();
        assert_eq!(error.kind(), weir_core::ErrorKind::Environment);
        assert!(error.to_string().contains("the connection to worker worker-1 at 127.0.0.1:"), "{}", error.report());
    });
}
