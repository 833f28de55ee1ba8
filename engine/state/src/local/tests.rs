//! The promises of a storage, kept by a folder.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use weir_core::ErrorKind;

use super::*;

fn storage() -> (tempfile::TempDir, LocalStorage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path().join("new/state")).unwrap();
    (folder, storage)
}

#[test]
fn an_object_never_changes() {
    let (_folder, storage) = storage();
    storage.put("runs/1/a", b"first").unwrap();
    storage.put("runs/1/a", b"first").unwrap();
    let error = storage.put("runs/1/a", b"other").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains(&storage.locate("runs/1/a")), "{error}");
    assert_eq!(storage.get("runs/1/a").unwrap(), b"first");
    let temporary = storage.root.join(TEMPORARY_FOLDER);
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "nothing is left behind, not by a failure either");
}

#[test]
fn no_two_writers_ever_use_the_same_name() {
    let (_folder, storage) = storage();
    // Two processes in containers take each other for themselves: they have the same number.
    let other = LocalStorage::open(&storage.root).unwrap();
    let first = storage.temporary().unwrap();
    let second = other.temporary().unwrap();
    let name = first.path.clone();
    assert_ne!(name, second.path);
    first.remove().unwrap();
    drop(second);
    let third = LocalStorage::open(&storage.root).unwrap().temporary().unwrap();
    assert_ne!(name, third.path, "not after it was free again either");
}

#[test]
fn an_object_that_is_written_in_pieces_is_there_when_it_is_finished() {
    let (_folder, storage) = storage();
    let write = |end: &[u8]| {
        let mut object = storage.create("runs/a").unwrap();
        // More than is collected before it is written.
        for _ in 0..100 {
            object.write_all(&[7; 10_000]).unwrap();
        }
        object.write_all(end).unwrap();
        object
    };
    let half = write(b"");
    assert!(storage.list("").unwrap().is_empty());
    drop(half);
    write(b"end").finish().unwrap();
    write(b"end").finish().unwrap();
    assert_eq!(write(b"END").finish().unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(write(b"ending").finish().unwrap_err().kind(), ErrorKind::Environment);
    assert_eq!(storage.get("runs/a").unwrap(), [[7; 1_000_000].as_slice(), b"end"].concat());
    let temporary = storage.root.join(TEMPORARY_FOLDER);
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_range_is_read_or_refused_as_a_whole() {
    let (_folder, storage) = storage();
    storage.put("a", b"0123456789").unwrap();
    assert_eq!(storage.get_range("a", 3, 4).unwrap(), b"3456");
    assert_eq!(storage.get_range("a", 10, 0).unwrap(), b"");
    for (offset, length) in [(3, 8), (11, 0), (u64::MAX, 2), (0, u64::MAX)] {
        let error = storage.get_range("a", offset, length).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains(&storage.locate("a")), "{error}");
    }
    assert_eq!(storage.get_range("b", 0, 0).unwrap_err().kind(), ErrorKind::Environment);
}

#[test]
fn a_listing_is_sorted_and_shows_objects_only() {
    let (_folder, storage) = storage();
    let _lock = storage.lock().unwrap();
    for path in ["runs/2/b", "runs/1/z", "runs/10", "runs/30", "commits/1"] {
        storage.put(path, b"").unwrap();
    }
    assert_eq!(storage.list("").unwrap(), ["commits/1", "runs/1/z", "runs/10", "runs/2/b", "runs/30"]);
    assert_eq!(storage.list("runs/").unwrap(), ["runs/1/z", "runs/10", "runs/2/b", "runs/30"]);
    assert_eq!(storage.list("runs/1").unwrap(), ["runs/1/z", "runs/10"]);
    assert_eq!(storage.list("run").unwrap().len(), 4);
    assert!(storage.list("nothing/").unwrap().is_empty());
    storage.delete("runs/10").unwrap();
    storage.delete("runs/10").unwrap();
    assert_eq!(storage.list("runs/1").unwrap(), ["runs/1/z"]);
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let (_folder, storage) = storage();
    for path in ["", "../x", "/etc/passwd", "runs/../../x", "."] {
        assert!(storage.put(path, b"").is_err(), "{path}");
        assert!(storage.get(path).is_err(), "{path}");
    }
}

#[test]
fn two_runs_never_share_a_folder() {
    let (folder, first) = storage();
    let second = LocalStorage::open(folder.path().join("new/state")).unwrap();
    let lock = first.lock().unwrap();
    let error = second.lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains(&first.root.display().to_string()), "{error}");
    drop(lock);
    second.lock().unwrap();
}

#[test]
fn what_a_dead_run_was_writing_is_removed() {
    let (_folder, storage) = storage();
    let leftover = storage.root.join(TEMPORARY_FOLDER).join("of a process that died");
    storage.put("a", b"").unwrap();
    fs::write(&leftover, b"half").unwrap();
    assert!(leftover.exists());
    let _lock = storage.lock().unwrap();
    assert!(!leftover.exists());
}

#[test]
fn what_writers_that_died_have_left_is_swept_away_and_nothing_else() {
    let (_folder, storage) = storage();
    storage.sweep().unwrap();
    storage.put("a", b"").unwrap();
    let leftover = storage.root.join(TEMPORARY_FOLDER).join("of a process that died");
    fs::write(&leftover, b"half").unwrap();
    let mut object = storage.create("b").unwrap();
    object.write_all(b"first").unwrap();
    LocalStorage::open(&storage.root).unwrap().sweep().unwrap();
    assert!(!leftover.exists());
    object.write_all(b" and second").unwrap();
    object.finish().unwrap();
    assert_eq!(storage.get("b").unwrap(), b"first and second");
    let temporary = storage.root.join(TEMPORARY_FOLDER);
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[test]
fn writers_and_sweepers_do_not_disturb_each_other() {
    let (_folder, storage) = storage();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                storage.sweep().unwrap();
            }
        });
        let put = |number: usize| storage.put(&format!("runs/{number}"), b"whole");
        let failed = (0..500).filter(|number| put(*number).is_err()).count();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(failed, 0);
    });
    assert_eq!(storage.list("").unwrap().len(), 500);
}

#[test]
fn errors_name_the_file_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = LocalStorage::open(file.join("state")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn only_a_place_without_objects_is_removed() {
    let (folder, storage) = storage();
    let root = folder.path().join("new/state");
    storage.put("runs/1/a", b"").unwrap();
    fs::write(root.join(TEMPORARY_FOLDER).join("of a process that died"), "").unwrap();
    let error = storage.vacate().unwrap_err();
    assert!(error.to_string().contains("cannot delete the folder"), "{error}");
    assert_eq!(storage.list("").unwrap(), ["runs/1/a"]);

    storage.delete("runs/1/a").unwrap();
    storage.vacate().unwrap();
    assert!(!root.exists() && folder.path().join("new").exists());
    storage.vacate().unwrap();
}
