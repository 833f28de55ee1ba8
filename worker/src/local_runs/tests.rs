//! A folder as the storage, so that what it serves can be taken away from it.

use weir_state::LocalStorage;

use super::*;

const RUN: &str = "runs/0000000000000001-1-worker.arrow";

struct Bench {
    folder: tempfile::TempDir,
    limit: u64,
}

impl Bench {
    fn new(limit: u64) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), limit }
    }

    fn remote(&self) -> Arc<dyn Storage> {
        Arc::new(LocalStorage::open(self.folder.path().join("remote")).unwrap())
    }

    fn open(&self) -> (LocalRuns, Arc<dyn Storage>) {
        let local = LocalRuns::new(self.folder.path().join("local"), self.limit);
        let storage = local.beside(self.remote(), "s3://bucket");
        (local, storage)
    }

    /// The only copy.
    fn copy(&self) -> PathBuf {
        let mut copies = self.copies();
        assert_eq!(copies.len(), 1);
        copies.remove(0)
    }

    fn copies(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("local/copies")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 7 + index / 251) as u8).collect()
}

#[test]
fn it_keeps_the_promises_of_the_storage_behind_it() {
    // Too little for all copies, so that some are dropped meanwhile.
    for limit in [1 << 30, 100_000] {
        let bench = Bench::new(limit);
        let local = LocalRuns::new(bench.folder.path().join("local"), limit);
        weir_state::conformance::storage(&|| local.beside(bench.remote(), "s3://bucket"));
        assert_eq!((local.bytes(), bench.copies().len()), (0, 0), "what is deleted has no copy");
    }
}

#[test]
fn a_copy_serves_after_a_restart_what_the_storage_would() {
    let bench = Bench::new(1 << 20);
    let content = bytes(3 * PIECE_BYTES + 100);
    bench.open().1.put(RUN, &content).unwrap();
    // Gone from the storage: whatever is served comes from the copy.
    bench.remote().delete(RUN).unwrap();
    let (_, storage) = bench.open();
    assert_eq!(storage.get(RUN).unwrap(), content);
    let piece = PIECE_BYTES as u64;
    for (offset, length) in [(0, 1), (piece - 1, 2), (piece, piece), (3 * piece, 100), (5, 3 * piece), (0, 0)] {
        let expected = &content[offset as usize..(offset + length) as usize];
        assert!(storage.get_range(RUN, offset, length).unwrap() == expected, "{length} bytes from {offset}");
    }
    assert!(bench.remote().get(RUN).is_err());
}

#[test]
fn only_runs_are_copied_and_only_for_their_storage() {
    let bench = Bench::new(1 << 20);
    let (local, storage) = bench.open();
    storage.put("checkpoints/1.json", b"manifest").unwrap();
    assert_eq!(local.bytes(), 0);
    storage.put(RUN, b"run").unwrap();
    assert_eq!(local.bytes(), 3);
    let other = LocalStorage::open(bench.folder.path().join("other")).unwrap();
    assert!(local.beside(Arc::new(other), "s3://other").get(RUN).is_err());
}

#[test]
fn a_damaged_copy_is_dropped_and_the_storage_asked() {
    for damage in [flip, cut, remove] {
        let bench = Bench::new(1 << 20);
        let content = bytes(2 * PIECE_BYTES);
        let (local, storage) = bench.open();
        storage.put(RUN, &content).unwrap();
        damage(&bench.copy());
        assert_eq!(storage.get(RUN).unwrap(), content);
        assert_eq!(local.bytes(), 0);
        assert_eq!(storage.get(RUN).unwrap(), content);
    }
}

fn flip(path: &Path) {
    let mut content = fs::read(path).unwrap();
    content[PIECE_BYTES + 1] ^= 1;
    fs::write(path, content).unwrap();
}

fn cut(path: &Path) {
    let content = fs::read(path).unwrap();
    fs::write(path, &content[..content.len() - 1]).unwrap();
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[test]
fn what_was_not_used_for_the_longest_time_makes_room() {
    let bench = Bench::new(100);
    let (local, storage) = bench.open();
    for run in ["runs/1", "runs/2", "runs/3"] {
        storage.put(run, &[0; 30]).unwrap();
    }
    storage.get("runs/1").unwrap();
    storage.put("runs/4", &[0; 30]).unwrap();
    assert_eq!(local.bytes(), 90);
    bench.remote().list("runs/").unwrap().iter().for_each(|run| bench.remote().delete(run).unwrap());
    for (run, kept) in [("runs/1", true), ("runs/2", false), ("runs/3", true), ("runs/4", true)] {
        assert_eq!(storage.get(run).is_ok(), kept, "{run}");
    }
    storage.put("runs/5", &[0; 101]).unwrap();
    assert_eq!(local.bytes(), 90, "larger than all the room there is");
    drop((local, storage));
    let smaller = LocalRuns::new(bench.folder.path().join("local"), 50);
    assert_eq!(smaller.bytes(), 30);
    assert_eq!(bench.copies().len(), 1);
}

#[test]
fn what_is_deleted_leaves_no_copy() {
    let bench = Bench::new(1 << 20);
    let (local, storage) = bench.open();
    storage.put(RUN, b"run").unwrap();
    storage.delete(RUN).unwrap();
    assert_eq!(local.bytes(), 0);
    assert!(bench.copies().is_empty());
    assert!(storage.get(RUN).is_err());
}

#[test]
fn a_damaged_catalog_is_begun_anew() {
    let bench = Bench::new(1 << 20);
    bench.open().1.put(RUN, b"run").unwrap();
    for entry in fs::read_dir(bench.folder.path().join("local/catalog")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::write(path, b"nonsense").unwrap();
        }
    }
    let (local, storage) = bench.open();
    assert_eq!(local.bytes(), 0);
    assert!(bench.copies().is_empty());
    assert_eq!(storage.get(RUN).unwrap(), b"run");
    storage.put("runs/2", b"another").unwrap();
    assert_eq!(local.bytes(), 7);
}

#[test]
fn without_a_usable_folder_there_are_no_copies() {
    let bench = Bench::new(1 << 20);
    fs::write(bench.folder.path().join("local"), b"a file").unwrap();
    let (local, storage) = bench.open();
    storage.put(RUN, b"run").unwrap();
    assert_eq!(local.bytes(), 0);
    assert_eq!(storage.get(RUN).unwrap(), b"run");
}

#[test]
fn of_a_file_that_is_written_in_pieces_there_is_a_copy_if_it_is_not_too_large() {
    let bench = Bench::new(u64::MAX);
    let (local, storage) = bench.open();
    let write = |path: &str, pieces: usize| {
        let mut object = storage.create(path).unwrap();
        (0..pieces).for_each(|_| object.write_all(&vec![7; 1 << 20]).unwrap());
        object.finish().unwrap();
    };
    write(RUN, 2);
    assert_eq!(local.bytes(), 2 << 20);
    fs::remove_dir_all(bench.folder.path().join("remote/runs")).unwrap();
    assert_eq!(storage.get_range(RUN, 5, 3).unwrap(), [7; 3]);
    let large = RUN.replace("worker", "merge");
    write(&large, (COPIED_BYTES >> 20) + 1);
    assert_eq!(local.bytes(), 2 << 20);
    assert_eq!(bench.remote().get_range(&large, COPIED_BYTES as u64, 3).unwrap(), [7; 3]);
}
