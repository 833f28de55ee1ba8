//! Copies are written, found, and found to be damaged.
#![allow(clippy::unwrap_used, reason = "tests")]

use weir_state::LocalStorage;

use super::*;
use crate::cluster::Command;

fn copy(term: u64, index: u64) -> StateCopy {
    let mut state = ClusterState::default();
    state.apply(Command::Found { cluster: "fox-1".into(), storage: "file:///c".into() }).unwrap();
    state.next_job = index;
    StateCopy { term, index, at: 1_700_000_000_000, state }
}

/// The storage of all clusters, and that of the fox.
fn storages() -> (tempfile::TempDir, LocalStorage, LocalStorage) {
    let folder = tempfile::tempdir().unwrap();
    let (all, fox) =
        (LocalStorage::open(folder.path()).unwrap(), LocalStorage::open(folder.path().join("fox-1")).unwrap());
    (folder, all, fox)
}

fn place(found: &Found) -> (u64, u64) {
    (found.copy.term, found.copy.index)
}

#[test]
fn a_copy_is_read_as_it_was_written_and_every_changed_byte_is_noticed() {
    let bytes = copy(3, 7).to_bytes().unwrap();
    assert!(bytes.starts_with(b"weir-copy 1 "));
    assert_eq!(StateCopy::from_bytes(&bytes, "c").unwrap(), copy(3, 7));
    for position in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let error = StateCopy::from_bytes(&changed, "c").unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Data | ErrorKind::User), "byte {position}: {error}");
        let cut = StateCopy::from_bytes(&bytes[..position], "c").unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Data, "{position} bytes: {cut}");
    }
    let later = StateCopy::from_bytes(b"weir-copy 2 something else\n", "c").unwrap_err();
    assert_eq!(later.kind(), ErrorKind::User);
}

#[test]
fn the_newest_is_that_of_the_last_term_and_five_are_kept() {
    let (_folder, all, fox) = storages();
    for index in 1..=6 {
        write(&fox, &copy(2, index * 100)).unwrap();
    }
    assert_eq!(place(&newest(&all, "fox-1").unwrap()), (2, 600));
    write(&fox, &copy(40, 250)).unwrap();
    fox.put("coordinators/snapshots/notes", b"a person's").unwrap();
    write(&fox, &copy(40, 251)).unwrap();
    let found = newest(&all, "fox-1").unwrap();
    assert_eq!((place(&found), found.damaged.len()), ((40, 251), 0));
    let names: Vec<_> = fox.list(FOLDER).unwrap();
    let places: Vec<_> = names.iter().filter_map(|path| place_of(path)).collect();
    assert_eq!((places, names.len()), (vec![(2, 400), (2, 500), (2, 600), (40, 250), (40, 251)], 6));
}

#[test]
fn a_copy_may_be_written_twice_but_a_damaged_one_does_not_pass_for_it() {
    let (_folder, all, fox) = storages();
    write(&fox, &copy(1, 1)).unwrap();
    write(&fox, &StateCopy { at: 5, ..copy(1, 1) }).unwrap();
    assert_eq!(newest(&all, "fox-1").unwrap().copy.at, copy(1, 1).at);
    fox.put(&copy(1, 2).path(), b"half of i").unwrap();
    assert_eq!(write(&fox, &copy(1, 2)).unwrap_err().kind(), ErrorKind::Environment);
}

#[test]
fn damaged_and_moved_copies_are_passed_over_and_named() {
    let (_folder, all, fox) = storages();
    write(&fox, &copy(1, 1)).unwrap();
    let bytes = copy(1, 2).to_bytes().unwrap();
    fox.put(&copy(1, 2).path(), &bytes[..bytes.len() - 1]).unwrap();
    fox.put(&copy(1, 3).path(), &copy(1, 1).to_bytes().unwrap()).unwrap();
    let found = newest(&all, "fox-1").unwrap();
    assert_eq!(place(&found), (1, 1));
    let damaged: Vec<String> = found.damaged.iter().map(Error::report).collect();
    assert!(damaged[0].contains("-0000000000000003") && damaged[0].contains("moved"), "{damaged:?}");
    assert!(damaged[1].contains("-0000000000000002") && damaged[1].contains("checksum"), "{damaged:?}");
}

#[test]
fn without_a_good_copy_it_is_said_what_there_is() {
    let (_folder, all, fox) = storages();
    assert_eq!(clusters(&all).unwrap(), [""; 0]);
    let error = newest(&all, "fox-1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().contains("there is no copy"), "{error}");
    fox.put(&copy(1, 2).path(), b"nonsense\n").unwrap();
    let error = newest(&all, "fox-1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.report().contains("none of the copies"), "{}", error.report());
    let hen = LocalStorage::open(all.locate("hen-2").as_str()).unwrap();
    write(&hen, &copy(1, 1)).unwrap();
    assert_eq!(clusters(&all).unwrap(), ["fox-1", "hen-2"]);
}
