//! What storages promise, over a store in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use object_store::memory::InMemory;
use weir_state::{Storage, conformance};

use crate::errors::Credentials;
use crate::storage::ObjectStorage;
use crate::threads::Threads;

#[test]
fn a_bucket_keeps_what_storages_promise() {
    for (prefix, part_bytes) in [("", 1 << 20), ("some/prefix", 100_000), ("p", 1000)] {
        let (client, threads) = (Arc::new(InMemory::new()), Threads::start().unwrap());
        let open = || -> Arc<dyn Storage> {
            let url = format!("s3://bucket/{prefix}");
            let storage = ObjectStorage::new(client.clone(), threads.clone(), &url, prefix, Credentials("")).unwrap();
            Arc::new(storage.with_part_bytes(part_bytes))
        };
        conformance::storage(&open);
    }
}
