//! What is retained is known: the storage is asked once, by each leader.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};

use weir_core::plugin::ArtifactHash;
use weir_core::{Attempt, Epoch, OperatorUid, TableSpec};
use weir_state::{EpochContent, ManifestHeader, MemoryStorage, SinkCommittables, StagedRun};

use super::*;
use crate::checkpoints::ManifestOrder;

/// A storage that counts what it is asked.
#[derive(Clone, Default)]
struct Counting {
    objects: MemoryStorage,
    listings: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Storages for Counting {
    fn open(&self, _url: &str) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

impl Storage for Counting {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.objects.put(path, bytes)
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.objects.get(path)
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.objects.get_range(path, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        self.objects.list(prefix)
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.objects.delete(path)
    }

    fn locate(&self, path: &str) -> String {
        self.objects.locate(path)
    }
}

impl Counting {
    /// Listings and reads since the last call.
    fn asked(&self) -> (u64, u64) {
        (self.listings.swap(0, Ordering::Relaxed), self.reads.swap(0, Ordering::Relaxed))
    }
}

fn place() -> StoragePlace {
    StoragePlace { url: "memory:jobs/1".into() }
}

fn file(epoch: u64, attempt: u64) -> String {
    format!("{}.arrow", layout::runs_prefix(Epoch(epoch), Attempt(attempt), "staged"))
}

fn manifest(epoch: u64, attempt: u64) -> String {
    layout::manifest_of_term(Epoch(epoch), Attempt(attempt), 1)
}

/// A checkpoint whose sink has staged a file, in which the two newest stay.
fn checkpoint(leader: &CheckpointStorages, storage: &Counting, epoch: u64, attempt: u64, kept: &[String]) {
    storage.put(&file(epoch, attempt), b"rows").unwrap();
    let table = TableSpec::new("t", "kafka", BTreeMap::new(), Arc::new(arrow_schema::Schema::empty()));
    let run = StagedRun { file: file(epoch, attempt), rows: 1, length: 4, crc32: 0 };
    let sink = SinkCommittables { staged: vec![run], ..SinkCommittables::nothing(OperatorUid("s".into()), table) };
    let content = EpochContent { epoch: Epoch(epoch), committables: vec![sink], ..EpochContent::default() };
    let header = ManifestHeader {
        job: "job".into(),
        identity: Default::default(),
        epoch: Epoch(epoch),
        attempt: Attempt(attempt),
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: Default::default(),
    };
    let written = leader.execute(StorageOperation::WriteManifest {
        place: place(),
        order: ManifestOrder {
            path: manifest(epoch, attempt),
            base: None,
            header,
            contents: Arc::new(vec![content]),
            merged: Vec::new(),
        },
    });
    assert!(matches!(written, StorageOutcome::Manifest(Ok(_))));
    leader.execute(StorageOperation::Retire { place: place(), manifests: kept.to_vec() });
}

#[test]
fn a_leader_asks_the_storage_once_and_then_knows() {
    let storage = Counting::default();
    let first = CheckpointStorages::new(Arc::new(storage.clone()));
    for epoch in 1..6 {
        let kept: Vec<String> = (epoch.max(2) - 1..=epoch).map(|epoch| manifest(epoch, 1)).collect();
        checkpoint(&first, &storage, epoch, 1, &kept);
        assert_eq!(storage.asked(), (u64::from(epoch == 1), 0), "epoch {epoch}");
    }
    let left = [manifest(4, 1), manifest(5, 1), file(4, 1), file(5, 1)];
    assert_eq!(storage.objects.list("").unwrap(), left);

    // The next leader's attempt has a checkpoint; the one before it had died in the middle of an upload.
    storage.put(&file(6, 1), b"of no use").unwrap();
    let second = CheckpointStorages::new(Arc::new(storage.clone()));
    checkpoint(&second, &storage, 6, 2, &[manifest(5, 1), manifest(6, 2)]);
    assert_eq!(storage.asked(), (1, 1), "one manifest of the first leader's is kept, and orphans are looked for");
    let left = [manifest(5, 1), manifest(6, 2), file(5, 1), file(6, 2)];
    assert_eq!(storage.objects.list("").unwrap(), left);
    checkpoint(&second, &storage, 9, 2, &[manifest(6, 2), manifest(9, 2)]);
    assert_eq!(storage.asked(), (0, 0));

    // The first one leads again. What it knew is old, and does no harm; what the second had not come to delete is found. Then the
    // second one leads again, in the same attempt.
    checkpoint(&first, &storage, 10, 2, &[manifest(9, 2), manifest(10, 2)]);
    let left = [manifest(9, 2), manifest(10, 2), file(9, 2), file(10, 2)];
    assert_eq!(storage.objects.list("").unwrap(), left);
    checkpoint(&first, &storage, 11, 2, &[manifest(10, 2), manifest(11, 2)]);
    checkpoint(&second, &storage, 13, 2, &[manifest(11, 2), manifest(13, 2)]);
    let left = [manifest(11, 2), manifest(13, 2), file(11, 2), file(13, 2)];
    assert_eq!(storage.objects.list("").unwrap(), left);
}

#[test]
fn files_of_plugins_that_no_job_needs_are_deleted_and_nothing_else() {
    let storage = Counting::default();
    let hash = |byte| ArtifactHash::from_bytes([byte; 32]);
    let (needed, left_over) = (hash(1), hash(2));
    for path in [needed.as_str(), left_over.as_str(), "README"] {
        storage.put(path, b"content").unwrap();
    }
    let leader = CheckpointStorages::new(Arc::new(storage.clone()));
    leader.execute(StorageOperation::Collect { place: place(), needed: BTreeSet::from([needed.clone()]) });
    assert_eq!(storage.objects.list("").unwrap(), [needed.as_str(), "README"]);
}
