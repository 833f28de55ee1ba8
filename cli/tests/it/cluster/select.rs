//! A `SELECT` in a cluster: its rows come once, whoever dies meanwhile, and nothing is left behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::nexmark::Bids;
use super::processes::{Cluster, until};
use crate::weir::weir;

/// Endless numbers, a hundred of them a second.
const ENDLESS: &str = "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100',
      'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '1000000');
    SET 'execution.checkpointing.interval' = '200ms';
    SELECT n FROM numbers";

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Folders in which rows wait, below the storage of a cluster that `weir coordinator` or `weir local` has.
fn folders(cluster: &Cluster) -> Vec<PathBuf> {
    let storage = cluster.json(&["cluster", "status"]);
    let of = |key: &str| storage[key].as_str().unwrap();
    let results = Path::new(of("storage").strip_prefix("file://").unwrap()).join(of("cluster")).join("results");
    let entries = std::fs::read_dir(results).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Neither a job nor a row is left of what was submitted.
#[track_caller]
fn assert_nothing_is_left(cluster: &Cluster) {
    let jobs = cluster.json(&["jobs", "list", "--all"]);
    assert_eq!(jobs.as_array().unwrap().len(), 0, "{jobs:#}");
    until("the folders of rows are gone", || folders(cluster).is_empty().then_some(()));
}

/// Waits until rows of a query were printed that goes on beside the test.
#[track_caller]
fn until_rows(cluster: &Cluster, query: &str, count: usize) {
    until("rows are printed", || (cluster.printed(query).lines().count() >= count).then_some(()));
}

#[test]
fn rows_of_a_select_are_those_of_weir_run() {
    let cluster = Cluster::local(4);
    let script = Bids { seconds: 20 }.select(false);
    let expected = weir(&["run", "--quiet", "-e", &script, "--output", "json"]).code(0).out;
    assert!(expected.lines().count() > 100, "{expected}");

    let ran = cluster.weir(&["submit", "-e", &script, "-p", "2"]).code(0);
    assert_eq!(sorted(&ran.out), sorted(&expected));
    let ran = ran.says(&["is submitted as job 1", "finished; "]);
    assert!(ran.err.contains("query-"), "a name of its own: {}", ran.err);
    assert_nothing_is_left(&cluster);

    let two = ENDLESS.replace("1000000", "2");
    let ran = cluster.weir(&["submit", "-e", &two, "--output", "csv", "--quiet", "--name", "two"]).code(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("n\n1\n2\n", ""));
    let ran = cluster.weir(&["submit", "-e", &two, "--output", "table", "--name", "two"]).code(0);
    assert!(ran.out.ends_with('┘') || ran.out.ends_with("┘\n"), "{}", ran.out);
    assert_nothing_is_left(&cluster);
}

#[test]
fn every_row_is_printed_once_though_workers_and_the_coordinator_die() {
    let mut cluster = Cluster::start(2, 2);
    let bids = Bids { seconds: 20 };
    let expected = weir(&["run", "--quiet", "-e", &bids.select(false), "--output", "json"]).code(0).out;
    cluster.begin("query", &["submit", "-e", &bids.select(true), "--name", "counts", "-p", "2"]);
    until_rows(&cluster, "query", 1);

    let job = cluster.until_checkpoint("counts");
    let victim = job["placement"]["workers"][0]["worker"].as_str().unwrap().to_owned();
    cluster.kill(&victim);
    // On a busy machine one restart may not be enough.
    let runs_elsewhere = |job: &serde_json::Value| job["status"] == "running" && job["attempt"].as_u64() > Some(1);
    cluster.until_job("counts", "runs elsewhere", runs_elsewhere);
    let printed = cluster.printed("query").lines().count();
    until_rows(&cluster, "query", printed + 1);
    cluster.kill("c1");
    cluster.start_coordinator(1);

    let ran = cluster.ended("query").code(0).says(&["finished; "]);
    assert_eq!(sorted(&ran.out), sorted(&expected));
    assert_nothing_is_left(&cluster);
}

#[test]
fn an_interrupt_cancels_the_job_and_deletes_it() {
    let mut cluster = Cluster::local(2);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        cluster.begin("query", &["submit", "-e", ENDLESS, "--name", "numbers"]);
        until_rows(&cluster, "query", 10);
        cluster.signal("query", signal);
        let ran = cluster.ended("query").code(code).says(&["numbers: cancelling", "numbers: cancelled"]);
        let rows: Vec<&str> = ran.out.lines().collect();
        let expected: Vec<String> = (1..=rows.len()).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(rows, expected, "rows of one subtask come in their order");
        assert_nothing_is_left(&cluster);
    }
}

#[test]
fn a_reader_that_is_gone_ends_the_job() {
    let mut cluster = Cluster::local(2);
    let mut rows = BufReader::new(cluster.begin_piped("query", &["submit", "-e", ENDLESS, "--name", "numbers"]));
    let mut line = String::new();
    rows.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"n\":1}\n");
    assert_eq!(cluster.job("numbers")["status"], "running", "rows come while the job runs");
    drop(rows);
    cluster.ended("query").code(0);
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_job_whose_client_was_killed_is_deleted_with_its_rows() {
    let mut cluster = Cluster::local(2);
    cluster.begin("query", &["submit", "-e", ENDLESS, "--name", "numbers"]);
    until_rows(&cluster, "query", 1);
    cluster.kill("query");
    assert_eq!(cluster.job("numbers")["status"], "running");
    assert_eq!(folders(&cluster).len(), 1);
    cluster.weir(&["jobs", "cancel", "numbers", "--wait"]).code(0);
    until("its last checkpoint is committed and the job deleted", || {
        (cluster.weir(&["jobs", "delete", "numbers"]).code == Some(0)).then_some(())
    });
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_job_that_fails_says_why_behind_the_rows_before() {
    let cluster = Cluster::local(2);
    // Three seconds, in which there are many checkpoints.
    let script = format!("{ENDLESS} WHERE 1000 / (300 - n) <> 0");
    let ran = cluster.weir(&["submit", "-e", &script, "-D", "restart-strategy.type=none"]).code(3);
    assert!(ran.err.contains("has failed"), "{}", ran.err);
    let rows = ran.out.lines().count();
    assert!((1..300).contains(&rows), "{rows} rows are in completed checkpoints");
    assert_nothing_is_left(&cluster);
}
