//! The promises of a storage, kept by a folder.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::sync::Arc;

use weir_core::ErrorKind;

use super::*;

fn storage() -> (tempfile::TempDir, LocalStorage) {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path().join("new/state")).unwrap();
    (folder, storage)
}

#[test]
fn it_keeps_the_promises_of_a_storage() {
    let (_folder, storage) = storage();
    crate::conformance::storage(&|| Arc::new(LocalStorage::open(&storage.root).unwrap()));
    let temporary = storage.root.join(TEMPORARY_FOLDER);
    assert!(
        !temporary.exists() || fs::read_dir(temporary).unwrap().count() == 0,
        "nothing is left behind, not by a failure either"
    );
}

#[test]
fn the_folder_s_own_files_are_no_objects() {
    let (_folder, storage) = storage();
    let _lock = storage.lock().unwrap();
    assert!(storage.list("").unwrap().is_empty());
    for path in ["lock", "tmp/x", "tmp"] {
        assert!(storage.put(path, b"").is_err(), "{path}");
        assert!(storage.delete(path).is_err(), "{path}");
    }
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
