//! What an earlier run has left, and commits that do not come to an end in order.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use weir_core::{Attempt, Connector, ConnectorRegistry, Epoch, JobGraph, OperatorUid, TableSpec};
use weir_state::{Checkpoints, LocalStorage, Manifest, ManifestHeader, SinkCommittables};
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
    let store = CheckpointStore::open(Some(dir.path()), &graph, 1).await.unwrap();
    let committer = Committer { connectors: Arc::new(Broken), blocking: Arc::new(BlockingThreads) };
    let mut checkpoints = Checkpointing::new(store, committer, Arc::new(SystemClock));
    let error = checkpoints.finish_commits().await.unwrap_err();
    assert!(error.report().contains("panicked"), "{}", error.report());
}
