//! A cluster that keeps its checkpoints in a bucket: `tests/services/s3 run cargo test --workspace --test it bucket -- --ignored`.
#![allow(clippy::disallowed_methods, reason = "whoever runs the tests says where the bucket is")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use weir_object_storage::ObjectStorages;
use weir_state::{Storage, Storages};

use super::nexmark::Bids;
use super::processes::{Cluster, until};
use super::recover::recover;
use crate::weir::weir;

/// A place in the bucket that no other run of the tests has.
fn place(name: &str) -> (String, Arc<dyn Storage>) {
    let bucket = std::env::var("WEIR_TEST_BUCKET").expect("tests/services/s3 run sets WEIR_TEST_BUCKET");
    let url = format!("{bucket}/{name}-{}", std::process::id());
    let storage = ObjectStorages::default().open(&url).unwrap();
    (url, storage)
}

/// Objects of jobs, without what the cluster knows of itself.
fn of_jobs(storage: &dyn Storage) -> Vec<String> {
    let all = storage.list("").unwrap();
    all.into_iter().filter(|path| path.contains("/jobs/") || path.contains("/results/")).collect()
}

/// Whether the newest copy of the cluster's state names a job.
fn is_copied(storage: &dyn Storage, job: &str) -> bool {
    let copies = storage.list("").unwrap().into_iter().filter(|path| path.contains("/coordinators/snapshots/"));
    let newest = copies.max().map(|path| String::from_utf8(storage.get(&path).unwrap()).unwrap());
    newest.is_some_and(|text| text.contains(&format!("\"name\":\"{job}\"")))
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn workers_and_coordinators_die_and_all_that_they_share_is_a_bucket() {
    let (url, storage) = place("killed");
    let mut cluster = Cluster::start_with_storage(&url, 2, 2);
    let bids = Bids { seconds: 15 };
    bids.submit(&cluster, "counts", 2);
    let job = cluster.until_checkpoint("counts");
    let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();
    cluster.kill(&victim);
    cluster.until_job("counts", "runs elsewhere", |job| job["attempt"].as_u64() > Some(1));
    cluster.until_checkpoint("counts");
    assert!(!of_jobs(&*storage).is_empty());

    // All is lost but the bucket.
    until("the job is in a copy of the cluster's state", || is_copied(&*storage, "counts").then_some(()));
    for process in ["c1", if victim == "w1" { "w2" } else { "w1" }] {
        cluster.kill(process);
    }
    for folder in ["data", "w1", "w2"] {
        fs::remove_dir_all(cluster.path(folder)).unwrap();
    }
    let recovered = recover(&cluster, "data").code(0);
    assert!(recovered.out.contains("counts"), "{}", recovered.out);
    cluster.start_coordinator(1);
    cluster.add_workers(2, 2);
    cluster.weir(&["jobs", "restart", "counts"]).code(0);
    cluster.until_finished("counts");
    bids.assert_result(&cluster, "counts");
    assert!(!fs::exists(cluster.path("checkpoints")).unwrap());

    cluster.weir(&["jobs", "delete", "counts"]).code(0);
    until("what the job had is gone", || of_jobs(&*storage).is_empty().then_some(()));
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn rows_of_a_select_come_through_the_bucket() {
    let (url, storage) = place("rows");
    let cluster = Cluster::start_with_storage(&url, 1, 2);
    let script = Bids { seconds: 20 }.select(false);
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = weir(&["run", "--quiet", "-e", &script, "--output", "json"]).code(0).out;
    assert!(expected.lines().count() > 100, "{expected}");
    let ran = cluster.weir(&["submit", "-e", &script, "-p", "2"]).code(0);
    assert_eq!(sorted(&ran.out), sorted(&expected));
    until("neither rows nor a job are left", || of_jobs(&*storage).is_empty().then_some(()));
}

#[test]
#[ignore = "wants an S3-compatible server"]
fn results_in_a_bucket_are_there_once_whichever_process_dies() {
    let (url, _) = place("checkpoints");
    let (out, results) = place("results");
    let mut cluster = Cluster::start_with_storage(&url, 3, 2);
    let bids = Bids { seconds: 15 };
    bids.submit_into(&cluster, "counts", Path::new(&out), 3);
    for round in 1..=3 {
        let job = cluster.until_checkpoint("counts");
        let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();
        cluster.kill(&victim);
        if round == 2 {
            cluster.kill("c1");
            cluster.start_coordinator(1);
        }
        cluster.until_job("counts", "runs elsewhere", |again| again["attempt"].as_u64() > job["attempt"].as_u64());
        cluster.start_worker(&victim, 2);
    }
    cluster.until_finished("counts");
    let paths = results.list("").unwrap().into_iter().filter(|path| path.starts_with("part-"));
    let texts = paths.map(|path| String::from_utf8(results.get(&path).unwrap()).unwrap());
    let mut rows: Vec<String> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    rows.sort();
    bids.assert_rows(&cluster, "counts", &rows);

    // A second job of the same query is told of what is there.
    let script = bids.into(Path::new(&out));
    let again = cluster.weir(&["submit", "-e", &script, "--name", "again", "--detach"]).code(0);
    again.says(&["holds results of an earlier job", &format!("{out}/part-")]);
}
