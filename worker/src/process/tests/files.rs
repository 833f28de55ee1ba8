//! The data directory.

use weir_core::ErrorKind;

use super::super::DataDir;

#[test]
fn name_and_cluster_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let first = DataDir::open(folder.path()).unwrap();
    assert_eq!(first.cluster().unwrap(), None);
    assert_eq!(first.name("drawn", None).unwrap(), "drawn");
    first.remember_cluster("fox").unwrap();
    drop(first);
    let second = DataDir::open(folder.path()).unwrap();
    assert_eq!(second.cluster().unwrap().as_deref(), Some("fox"));
    assert_eq!(second.name("another", None).unwrap(), "drawn");
    let error = second.name("mine", Some("mine")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.help().unwrap().contains("--name drawn"), "{}", error.report());
}

#[test]
fn two_workers_do_not_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let _first = DataDir::open(folder.path()).unwrap();
    let error = DataDir::open(folder.path()).err().unwrap();
    assert!(error.help().unwrap().contains("--data-dir"), "{}", error.report());
}
