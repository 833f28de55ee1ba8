//! What an earlier run has left, and commits and manifests that do not come to an end in order.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc as channel};

use weir_coordinator::driver::FlushConfig;
use weir_core::{Attempt, Connector, ConnectorRegistry, Epoch, EventTime, JobGraph, OperatorUid, TableSpec};
use weir_functions::Functions;
use weir_state::{
    Checkpoints, EpochContent, LocalStorage, Manifest, ManifestHeader, MemoryStorage, OperatorDelta, SinkCommittables,
    Storage, layout,
};
use weir_worker::{BlockingThreads, SystemClock};

use super::*;

/// Connectors that break down when one is wanted.
struct Broken;

impl ConnectorRegistry for Broken {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        panic!("{name} is broken")
    }

    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A state directory whose only checkpoint was decided and not committed.
fn decided(graph: &JobGraph) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let header = ManifestHeader {
        job: graph.fingerprint(),
        identity: Default::default(),
        epoch: Epoch(1),
        attempt: Attempt(1),
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: BTreeMap::new(),
    };
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let sink = SinkCommittables {
        uid: OperatorUid("sink".into()),
        table: TableSpec::new("out", "filesystem", BTreeMap::new(), schema),
        committables: vec![vec![1]],
        staged: Vec::new(),
    };
    let checkpoints = Checkpoints::new(Arc::new(LocalStorage::open(dir.path()).unwrap()));
    checkpoints.write(&Manifest::following(None, header, Vec::new(), vec![sink])).unwrap();
    dir
}

#[tokio::test]
async fn a_job_does_not_start_behind_a_commit_that_panicked() {
    let graph = JobGraph::new();
    let dir = decided(&graph);
    let store = CheckpointStore::open(Some(dir.path()), &graph, Functions::built_in(), 1).await.unwrap();
    let committer = Committer { connectors: Arc::new(Broken), blocking: Arc::new(BlockingThreads) };
    let mut checkpoints = Checkpointing::new(store, committer, Arc::new(SystemClock));
    let error = checkpoints.finish_commits().await.unwrap_err();
    assert!(error.report().contains("panicked"), "{}", error.report());
}

/// A storage that takes the manifest of the first epoch only when it is let to.
struct Hanging {
    objects: MemoryStorage,
    gate: Mutex<Option<channel::Receiver<()>>>,
}

impl Storage for Hanging {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let gate = (path == layout::manifest(Epoch(1))).then(|| self.gate.lock().unwrap().take()).flatten();
        if let Some(gate) = gate {
            // It ends when the other end is gone.
            let _ = gate.recv();
        }
        self.objects.put(path, bytes)
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.objects.get(path)
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.objects.get_range(path, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.objects.list(prefix)
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.objects.delete(path)
    }

    fn locate(&self, path: &str) -> String {
        self.objects.locate(path)
    }
}

/// A job of which the test says what it reports, in a storage that hangs until the sender is dropped.
fn hanging(tolerable_failures: u32) -> (Checkpointing, channel::Sender<()>) {
    let (release, gate) = channel::channel();
    let storage = Arc::new(Hanging { objects: MemoryStorage::default(), gate: Mutex::new(Some(gate)) });
    let store = CheckpointStore::empty(storage, 1).unwrap();
    let committer = Committer { connectors: Arc::new(Broken), blocking: Arc::new(BlockingThreads) };
    let mut checkpoints = Checkpointing::new(store, committer, Arc::new(SystemClock));
    let attempt = AttemptConfig {
        attempt: Attempt(1),
        job: "job".into(),
        identity: Default::default(),
        places: BTreeMap::new(),
        parallelism: 1,
        manifest_timeout: Duration::from_secs(60),
        term: None,
    };
    let config = DriverConfig {
        interval: None,
        timeout: Duration::from_secs(600),
        tolerable_failures,
        last_epoch: Epoch(0),
        first: None,
        participants: 1,
        flush: FlushConfig { interval: None, pause: Duration::from_secs(1) },
    };
    checkpoints.begin(attempt, config);
    (checkpoints, release)
}

fn report(checkpoints: &mut Checkpointing, epoch: u64, operator: &str) {
    let operator = OperatorDelta { uid: OperatorUid(operator.into()), watermark: EventTime(1), tables: Vec::new() };
    let content = EpochContent { epoch: Epoch(epoch), operators: vec![operator], ..EpochContent::default() };
    checkpoints.step(Event::Driver(driver::Event::Reported { participant: 0, content }));
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_hangs_is_given_up_and_the_next_checkpoint_holds_what_it_should_have_held() {
    let (mut checkpoints, release) = hanging(1);
    checkpoints.step(Event::Driver(driver::Event::Savepoint));
    report(&mut checkpoints, 1, "a");
    tokio::time::advance(Duration::from_secs(59)).await;
    checkpoints.step(Event::Tick);
    assert_eq!(checkpoints.commands.len(), 1, "it may still come");
    tokio::time::advance(Duration::from_secs(1)).await;
    checkpoints.step(Event::Tick);
    assert_eq!(checkpoints.commands.len(), 2, "the savepoint was promised");
    assert!(checkpoints.executor.failure().unwrap().contains("did not take its manifest in time"));

    report(&mut checkpoints, 2, "b");
    let written = checkpoints.done().await.unwrap();
    checkpoints.step(written);
    let latest = checkpoints.store().latest().unwrap();
    let operators: Vec<&str> = latest.operators.iter().map(|operator| operator.uid.0.as_str()).collect();
    assert_eq!((latest.epoch, operators), (Epoch(2), vec!["a", "b"]));

    // What is written too late counts no more.
    drop(release);
    while let Some(event) = checkpoints.done().await {
        checkpoints.step(event);
    }
    assert_eq!(checkpoints.store().latest().unwrap().epoch, Epoch(2));
    assert!(checkpoints.end.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_last_manifest_hangs_ends_and_says_so() {
    let (mut checkpoints, _release) = hanging(9);
    checkpoints.step(Event::Driver(driver::Event::Stop(StopKind::Savepoint)));
    report(&mut checkpoints, 1, "a");
    tokio::time::advance(Duration::from_secs(60)).await;
    checkpoints.step(Event::Tick);
    let Some(AttemptEnd::Failed(error)) = checkpoints.end.take() else { panic!("it waits") };
    assert!(error.report().contains("checkpoint 1 failed"), "{}", error.report());
}
