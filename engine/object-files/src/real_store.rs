//! What is read of objects of a real store: `tests/services/s3 run cargo test --workspace --lib real_store:: -- --ignored`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "whoever runs the tests says where the bucket is")]

use weir_connectors::filesystem::{FileInfo, FileStore, Listing};
use weir_object_storage::ObjectStorages;
use weir_state::Storages;

use crate::read::ObjectFiles;

#[test]
#[ignore = "wants an S3-compatible server"]
fn an_object_is_read_as_long_as_it_is_the_one_that_was_seen() {
    let bucket = std::env::var("WEIR_TEST_BUCKET").expect("tests/services/s3 run sets WEIR_TEST_BUCKET");
    let url = format!("{bucket}/seen-{}", std::process::id());
    let storages = ObjectStorages::default();
    let (storage, files) = (storages.open(&url).unwrap(), ObjectFiles(storages));
    let content: Vec<u8> = (0..3_000_000_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    storage.put("a", &content).unwrap();
    let path = format!("{url}/a");
    let Listing::Files(listed) = files.list(&url).unwrap() else { panic!("there is a file") };
    assert_eq!(files.list(&path).unwrap(), Listing::Files(listed.clone()));
    assert_eq!(files.list(&format!("{url}/b")).unwrap(), Listing::NoMatch);
    assert!(files.open(&format!("{url}/b")).unwrap().is_none());

    let file = files.open(&path).unwrap().unwrap();
    let identity = file.identity().unwrap();
    assert_eq!(listed, [FileInfo::new(path.clone(), identity)], "a list says the same as a look");
    let mut bytes = vec![0; 100];
    let mut check = |from: usize| {
        let read = file.read_at(&mut bytes, from as u64)?;
        assert_eq!(bytes[..read], content[from..from + read]);
        std::io::Result::Ok(read)
    };
    assert_eq!(check(0).unwrap(), 100);
    assert_eq!(check(2_999_950).unwrap(), 50);
    assert_eq!(check(3_000_000).unwrap(), 0);

    // Another one of the same size takes its name: nothing of it is read, not even of what is asked for behind what is kept.
    storage.delete("a").unwrap();
    let other: Vec<u8> = content.iter().map(|byte| byte ^ 1).collect();
    storage.put("a", &other).unwrap();
    assert_eq!(check(100).unwrap(), 100, "what is kept is of the first one");
    assert!(check(1_500_000).unwrap_err().to_string().contains("another object"));
    assert_ne!(file.identity().unwrap(), identity);
    let again = files.open(&path).unwrap().unwrap();
    assert_ne!(again.identity().unwrap(), identity);
    assert_ne!(files.list(&url).unwrap(), Listing::Files(listed));
}
