//! All coordinators and their logs are lost in the middle of everything, and `weir coordinator recover` brings the cluster back.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::nexmark::Bids;
use super::processes::{Cluster, until};
use crate::weir::{Ran, weir};

/// The copies of the state of the cluster, oldest first.
fn copied(cluster: &Cluster) -> Vec<PathBuf> {
    let list = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let clusters = list(cluster.folder().join("checkpoints"));
    let mut copies: Vec<PathBuf> = clusters.flat_map(|cluster| list(cluster.join("coordinators/snapshots"))).collect();
    copies.sort();
    copies
}

/// Whether the newest copy names a job.
fn is_copied(cluster: &Cluster, job: &str) -> bool {
    let newest = copied(cluster).pop().map(|path| fs::read_to_string(path).unwrap_or_default());
    newest.is_some_and(|text| text.contains(&format!("\"name\":\"{job}\"")))
}

pub fn recover(cluster: &Cluster, data_dir: &str) -> Ran {
    let storage = cluster.storage();
    let arguments = ["coordinator", "recover", "--storage", &storage, "--data-dir", &cluster.path(data_dir)];
    weir(&[&arguments[..], &["--listen", cluster.coordinator()]].concat())
}

fn epoch(job: &Value) -> u64 {
    job["last_checkpoint"]["epoch"].as_u64().unwrap_or(0)
}

#[test]
fn a_cluster_whose_logs_are_lost_goes_on_from_its_storage_and_writes_every_row_once() {
    let mut cluster = Cluster::start(1, 4);
    let bids = Bids { seconds: 15 };
    bids.submit(&cluster, "first", 2);
    cluster.until_checkpoint("first");
    bids.submit(&cluster, "second", 1);
    cluster.until_checkpoint("second");
    until("the second job is in a copy", || is_copied(&cluster, "second").then_some(()));
    // What is copied is old by now, and what has come since is visible.
    let before = epoch(&cluster.job("first"));
    let job = cluster.until_job("first", "has gone on", |job| epoch(job) > before + 3);

    cluster.kill("c1");
    cluster.kill("w1");
    fs::remove_dir_all(cluster.path("data")).unwrap();
    // Nobody has finished writing this one.
    let newest = copied(&cluster).pop().unwrap();
    let (term, index) = newest.file_name().unwrap().to_str().unwrap().split_once('-').unwrap();
    let torn = newest.with_file_name(format!("{term}-{:016}", index.parse::<u64>().unwrap() + 1));
    let bytes = fs::read(&newest).unwrap();
    fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();

    let recovered = recover(&cluster, "data").code(0);
    for text in [
        &format!("passed over: the copy {} is damaged", torn.display()),
        "job 1 default/first\n  was running, will be stopped once checkpoint",
        "job 2 default/second\n  was running, will be stopped once checkpoint",
        "is newer than the copy",
        "the log of coordinator 1 is in",
    ] {
        assert!(recovered.out.contains(text), "{text:?} is not in:\n{}", recovered.out);
    }
    assert!(!recovered.out.contains("in doubt"), "{}", recovered.out);
    recover(&cluster, "data").code(2).says(&["is not empty: a coordinator has its log there", "--data-dir"]);

    cluster.start_coordinator(1);
    cluster.start_worker("w1", 4);
    for name in ["first", "second"] {
        let stopped = cluster.until_job(name, "is stopped", |job| job["status"] == "stopped");
        assert_eq!(stopped["last_checkpoint"]["committed"], true, "{stopped:#}");
    }
    let stopped = cluster.job("first");
    assert!(epoch(&stopped) >= epoch(&job), "checkpoint {} was decided: {stopped:#}", epoch(&job));
    assert!(stopped["attempt"].as_u64() > job["attempt"].as_u64(), "{stopped:#}");
    for name in ["first", "second"] {
        cluster.weir(&["jobs", "restart", name]).code(0);
    }
    for name in ["first", "second"] {
        let finished = cluster.until_finished(name);
        assert!(finished["last_failure"].is_null(), "{finished:#}");
        bids.assert_result(&cluster, name);
    }
    // Copies go on, and the next one who recovers begins with the newest.
    until("the new leader has copied the state", || {
        let newest = copied(&cluster).pop()?;
        let (term, _) = newest.file_name()?.to_str()?.split_once('-')?;
        (term.parse::<u64>().ok()? > 1 << 24).then_some(())
    });
}

#[test]
fn where_there_is_nothing_to_recover_from_it_is_said() {
    let mut cluster = Cluster::of_coordinators(1);
    until("the founding is copied", || copied(&cluster).pop());
    cluster.kill("c1");
    recover(&cluster, "data").code(2).says(&["is not empty: a coordinator has its log there"]);

    let elsewhere = format!("file://{}", cluster.path("nowhere"));
    weir(&["coordinator", "recover", "--storage", &elsewhere]).code(2).says(&["there is no folder", "nowhere"]);
    assert!(!fs::exists(cluster.path("nowhere")).unwrap());
    fs::create_dir(cluster.path("nowhere")).unwrap();
    weir(&["coordinator", "recover", "--storage", &elsewhere, "--data-dir", &cluster.path("new")])
        .code(2)
        .says(&["there is no copy of the state of any cluster", "--storage"]);

    let storage = cluster.storage();
    let named = |name: &str| {
        let arguments = ["coordinator", "recover", "--storage", &storage, "--data-dir", &cluster.path("new")];
        weir(&[&arguments[..], &["--cluster", name]].concat())
    };
    named("weir-0").code(2).says(&["there is no copy of the state of a cluster weir-0"]);
    fs::create_dir_all(cluster.folder().join("checkpoints/hen-00000001/coordinators/snapshots")).unwrap();
    let hens =
        cluster.folder().join("checkpoints/hen-00000001/coordinators/snapshots/0000000000000001-0000000000000002");
    fs::write(&hens, "nonsense").unwrap();
    recover(&cluster, "new").code(2).says(&["there are several clusters", "hen-00000001, weir-", "--cluster"]);
    named("hen-00000001").code(3).says(&["none of the copies below", "is damaged"]);
    assert!(!fs::exists(cluster.path("new")).unwrap(), "a log was begun in vain");
    let any = ["coordinator", "recover", "--storage", &storage, "--listen", "0.0.0.0:7420"];
    weir(&any).code(2).says(&["nobody reaches a coordinator at 0.0.0.0:7420"]);

    fs::remove_dir_all(cluster.folder().join("checkpoints/hen-00000001")).unwrap();
    let recovered = recover(&cluster, "new").code(0);
    assert!(recovered.out.contains("it had no jobs"), "{}", recovered.out);
}
