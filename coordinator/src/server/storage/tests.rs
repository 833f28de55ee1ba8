//! What is retained is known: the storage is asked once, by each leader.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use weir_core::plugin::ArtifactHash;
use weir_core::{Attempt, Epoch, OperatorUid, TableSpec};
use weir_proto::client::ArtifactPiece;
use weir_proto::client::artifacts::LARGEST;
use weir_state::{EpochContent, ManifestHeader, MemoryStorage, SinkCommittables, StagedRun};

use super::*;
use crate::checkpoints::ManifestOrder;

/// A storage that counts what it is asked.
#[derive(Clone, Default)]
struct Counting {
    objects: MemoryStorage,
    listings: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
    /// What was deleted, in order.
    deleted: Arc<Mutex<Vec<String>>>,
    /// Whether objects cannot be read.
    broken: Arc<AtomicBool>,
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
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::environment("it is away"));
        }
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
        self.deleted.lock().unwrap().push(path.to_owned());
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
    let piece = |hash: &ArtifactHash| format!("{}.0-7", hash.as_str());
    let (piece_of_needed, piece_left_over) = (piece(&needed), piece(&left_over));
    for path in [needed.as_str(), &piece_of_needed, left_over.as_str(), &piece_left_over, "README"] {
        storage.put(path, b"content").unwrap();
    }
    let leader = CheckpointStorages::new(Arc::new(storage.clone()));
    leader.execute(StorageOperation::Collect { place: place(), needed: BTreeSet::from([needed.clone()]) });
    assert_eq!(storage.objects.list("").unwrap(), [needed.as_str(), &piece_of_needed, "README"]);
}

/// A file as a client sends it.
struct Sent {
    hash: ArtifactHash,
    file: Vec<u8>,
}

impl Sent {
    fn new(file: &[u8]) -> Self {
        Self { hash: ArtifactHash::from_bytes(Sha256::digest(file).into()), file: file.to_vec() }
    }

    /// Sends the bytes from `offset` to `end`; how many are there then.
    fn put(&self, storage: &Counting, offset: usize, end: usize) -> Result<u64> {
        let bytes = self.file[offset..end].to_vec().into();
        let (hash, size) = (self.hash.clone(), self.file.len() as u64);
        let piece = ArtifactPiece { hash, size, offset: offset as u64, bytes };
        let leader = CheckpointStorages::new(Arc::new(storage.clone()));
        match leader.execute(StorageOperation::PutArtifact { place: place(), piece }) {
            StorageOutcome::Answer(answer) => answer.map(|answer| match answer {
                ClientResponse::ArtifactHere { bytes } => bytes,
                other => panic!("{other:?}"),
            }),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_plugin_that_is_sent_in_pieces_is_there_as_one_file_or_not_at_all() {
    let (storage, sent) = (Counting::default(), Sent::new(b"a shared library"));
    let names = || storage.objects.list("").unwrap();
    assert_eq!(sent.put(&storage, 0, 0).unwrap(), 0, "the first question");
    assert_eq!(sent.put(&storage, 0, 7).unwrap(), 7);
    assert_eq!(sent.put(&storage, 0, 7).unwrap(), 7, "an answer may be lost");
    assert_eq!(sent.put(&storage, 9, 16).unwrap(), 7, "what does not follow is not taken");
    assert_eq!(sent.put(&storage, 7, 9).unwrap(), 9);
    assert!(!names().contains(&sent.hash.to_string()));
    assert_eq!(sent.put(&storage, 9, 16).unwrap(), 16);
    assert_eq!(names(), [sent.hash.to_string()], "no piece is left");
    assert_eq!(storage.objects.get(sent.hash.as_str()).unwrap(), sent.file);
    assert_eq!(sent.put(&storage, 0, 0).unwrap(), 16, "it is there already");
}

#[test]
fn a_file_under_the_hash_of_another_one_is_refused_and_leaves_nothing() {
    let (storage, sent) = (Counting::default(), Sent::new(b"a shared library"));
    let forged = Sent { file: b"another library!".to_vec(), hash: sent.hash.clone() };
    assert_eq!(forged.put(&storage, 0, 8).unwrap(), 8);
    let refused = forged.put(&storage, 8, 16).unwrap_err();
    assert_eq!(refused.kind(), weir_core::ErrorKind::User);
    assert_eq!(storage.objects.list("").unwrap(), [""; 0]);
    assert_eq!(sent.put(&storage, 0, 16).unwrap(), 16, "the right one is not kept out");
}

#[test]
fn pieces_that_were_deleted_meanwhile_are_asked_for_again() {
    let (storage, sent) = (Counting::default(), Sent::new(b"a shared library"));
    sent.put(&storage, 0, 5).unwrap();
    sent.put(&storage, 5, 10).unwrap();
    storage.objects.delete(&format!("{}.0-5", sent.hash.as_str())).unwrap();
    assert_eq!(sent.put(&storage, 10, 16).unwrap(), 0);
    assert_eq!(sent.put(&storage, 0, 5).unwrap(), 10);
    assert_eq!(sent.put(&storage, 10, 16).unwrap(), 16);
    assert_eq!(storage.objects.get(sent.hash.as_str()).unwrap(), sent.file);
}

#[test]
fn pieces_outlive_a_storage_that_fails_where_they_are_put_together() {
    let (storage, sent) = (Counting::default(), Sent::new(b"a shared library"));
    sent.put(&storage, 0, 8).unwrap();
    // The first look at the file that is to be made fails.
    storage.broken.store(true, Ordering::Relaxed);
    assert_eq!(sent.put(&storage, 8, 16).unwrap_err().kind(), weir_core::ErrorKind::Environment);
    storage.broken.store(false, Ordering::Relaxed);
    assert_eq!(storage.objects.list("").unwrap().len(), 2, "both pieces");
    assert_eq!(sent.put(&storage, 0, 0).unwrap(), 16, "nothing has to be sent again");
}

#[test]
fn a_file_is_put_together_by_one_at_a_time() {
    let assembled = artifacts::Assembled::default();
    let (storage, sent) = (Counting::default(), Sent::new(b"a shared library"));
    let alone = assembled.begin(&sent.hash);
    assert!(alone.is_some());
    let piece = |offset: usize, end: usize| ArtifactPiece {
        hash: sent.hash.clone(),
        size: sent.file.len() as u64,
        offset: offset as u64,
        bytes: sent.file[offset..end].to_vec().into(),
    };
    let busy = artifacts::put(&storage, &piece(0, 16), &assembled).unwrap_err();
    assert_eq!(busy.kind(), weir_core::ErrorKind::Environment);
    drop(alone);
    assert_eq!(artifacts::put(&storage, &piece(0, 0), &assembled).unwrap(), 16);
}

#[test]
fn who_reads_goes_before_the_rows() {
    let storage = Counting::default();
    for name in ["part-1-0.arrow", "reader-1"] {
        storage.put(name, b"").unwrap();
    }
    let leader = CheckpointStorages::new(Arc::new(storage.clone()));
    leader.execute(StorageOperation::ForgetResults { place: place() });
    assert_eq!(*storage.deleted.lock().unwrap(), ["reader-1", "part-1-0.arrow"]);
    for name in ["part-1-0.arrow", "reader-1"] {
        storage.put(name, b"").unwrap();
    }
    leader.execute(StorageOperation::Delete { place: place() });
    assert_eq!(storage.deleted.lock().unwrap()[2..], ["reader-1", "part-1-0.arrow"]);
}

#[test]
fn a_plugin_that_is_too_large_is_refused_before_it_is_sent() {
    let storage = Counting::default();
    let hash = ArtifactHash::from_bytes([1; 32]);
    let piece = ArtifactPiece { hash, size: LARGEST + 1, offset: 0, bytes: vec![1].into() };
    let leader = CheckpointStorages::new(Arc::new(storage.clone()));
    let outcome = leader.execute(StorageOperation::PutArtifact { place: place(), piece });
    assert!(matches!(outcome, StorageOutcome::Answer(Err(_))), "{outcome:?}");
    assert_eq!(storage.asked(), (0, 0));
}
