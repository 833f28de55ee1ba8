//! What storages promise, in a real store.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;

use weir_state::{Storages, conformance};

use crate::ObjectStorages;

/// Where a bucket for tests is; `tests/services/s3 run` says it.
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says where the store is")]
fn bucket() -> String {
    std::env::var("WEIR_TEST_BUCKET").expect("WEIR_TEST_BUCKET is the URL of a bucket; tests/services/s3 run sets it")
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn a_real_bucket_keeps_what_storages_promise() {
    let url = format!("{}/conformance-{}", bucket(), std::process::id());
    // Other processes have clients of their own.
    conformance::storage(&|| ObjectStorages::default().open(&url).unwrap());
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn a_large_object_is_uploaded_in_parts() {
    let storages = ObjectStorages::default();
    let storage = storages.open(&format!("{}/large-{}", bucket(), std::process::id())).unwrap();
    let content: Vec<u8> = (0..50_000_003_u32).map(|index| (index * 7 + index / 251) as u8).collect();
    let mut object = storage.create("runs/a").unwrap();
    object.write_all(&content).unwrap();
    assert!(storage.list("").unwrap().is_empty(), "a part of an object is no object");
    object.finish().unwrap();
    assert!(storage.get("runs/a").unwrap() == content);
    assert_eq!(storage.get_range("runs/a", 40_000_000, 1000).unwrap(), content[40_000_000..40_001_000]);
    storage.delete("runs/a").unwrap();
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn a_bucket_that_is_not_there_is_an_error_when_it_is_opened() {
    let error = ObjectStorages::default().open("s3://no-such-bucket-of-weir/a").err().unwrap();
    assert!(error.report().contains("s3://no-such-bucket-of-weir/a"), "{}", error.report());
}
