//! Disks that are full, read-only, or no folders at all.
use super::*;

#[tokio::test]
async fn a_folder_that_is_none_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = open(&table(&path, &[]), context(1, 0)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Environment);
        assert!(error.to_string().contains("file") && error.help().is_some(), "{error}");
    }
}

/// A small filesystem of memory; `None` where that is not allowed.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "weir-test"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_committed_stays() {
    let Some(disk) = SmallDisk::mount("size=256k") else {
        println!("skipped: mounting a filesystem is not allowed here");
        return;
    };
    for format in ["json", "parquet", "arrow"] {
        let path = disk.0.path().join(format);
        let table = table(&path, &[("format", format), ("parquet.compression", "uncompressed")]);
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        let first = prepared(&mut sink, 0..10, 1).await;
        commit(&table, vec![first]).await.unwrap();
        let before = visible(&path);

        let mut error = None;
        for epoch in 2..1000 {
            let start = epoch * 20_000;
            let result = match sink.write(batch(start..start + 20_000)).await {
                Ok(()) => sink.prepare(Epoch(epoch as u64)).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(failed) = result {
                error = Some(failed);
                break;
            }
        }
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Environment, "{}", error.report());
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.help().unwrap().contains("make room"), "{}", error.report());
        assert_eq!(visible(&path), before);
        drop(sink);
        // The next attempt has the room that the failed one had taken.
        let mut sink = open(&table, context(2, 1)).await.unwrap();
        let second = prepared(&mut sink, 10..20, 2).await;
        commit(&table, vec![second]).await.unwrap();
        assert_eq!(visible(&path).len(), 2);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said() {
    let Some(disk) = SmallDisk::mount("size=64k,ro") else {
        println!("skipped: mounting a filesystem is not allowed here");
        return;
    };
    let error = open(&table(disk.0.path(), &[]), context(1, 0)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains(disk.0.path().to_str().unwrap()) && error.help().is_some(), "{error}");
}
