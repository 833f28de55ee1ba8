//! Versions of a job in a cluster: those whose state fits go on, and others are refused while the one that is there runs on.

use super::processes::{Cluster, until};
use crate::plugins::{Words, numbered};
use crate::rust_jobs::example;
use crate::weir::Ran;

const OFTEN: [&str; 2] = ["-D", "execution.checkpointing.interval=100ms"];

/// Submits a version of the job that counts words.
fn submit(cluster: &Cluster, words: &Words, version: &str, more: &[&str]) -> Ran {
    let file = example("weir_test_versions").display().to_string();
    let (version, arguments) = (format!("version={version}"), words.arguments());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let first = ["submit", &file, "--name", "tallies", "--detach", "-p", "2", "--arg", &version, OFTEN[0], OFTEN[1]];
    cluster.weir(&[&first[..], &arguments, more].concat())
}

/// What was said until now, and whether all of it was counted, once.
struct Said(Words, Vec<&'static str>, usize);

impl Said {
    fn new() -> Self {
        Self(Words::new(), Vec::new(), 0)
    }

    fn say(&mut self, words: &[&'static str]) {
        self.1.extend(words);
        self.2 += 1;
        self.0.say(&format!("words-{}", self.2), words);
        self.0.wait_for(self.1.len());
        let mut counted = numbered(&self.1);
        counted.iter_mut().for_each(|(word, _)| *word = word.to_lowercase());
        counted.sort();
        assert_eq!(self.0.counted(), counted);
    }
}

#[test]
fn versions_whose_state_fits_go_on_and_others_are_refused_while_the_job_runs_on() {
    let cluster = Cluster::start(2, 1);
    let mut said = Said::new();
    submit(&cluster, &said.0, "first", &[]).code(0).says(&["tallies: is submitted as job 1"]);
    said.say(&["a", "b", "a", "a word that is longer than others"]);
    let before = cluster.until_checkpoint("tallies");

    let refused = [
        ("narrowed", "state 'seen' does not fit: column 'n' was Int32 and is Int16"),
        ("retyped", "state 'seen' does not fit: column 'n' was Int32 and is Utf8View"),
        ("required", "it has no column 'more', which cannot be null and has no default"),
        ("dropped", "there is state 'seen', which it no longer keeps and does not say is dropped or renamed"),
        ("rekeyed", "state 'seen' does not fit: column 'key.key' was Utf8View and is Int64"),
    ];
    for (version, why) in refused {
        let ran = submit(&cluster, &said.0, version, &[]).code(2);
        let ran = ran.says(&[
            "job 1 is left as it is: this version could not go on with its state",
            ": operator counted/sink/plugin tally (tally): ",
            why,
        ]);
        ran.says(&["submit a version whose state fits", "under another --name"]);
        said.say(&["a", "c"]);
        let job = cluster.job("tallies");
        let is_same = |what: &str| assert_eq!(job[what], before[what], "{version}: {job:#}");
        ["status", "attempt", "restarts", "fingerprint", "parallelism"].into_iter().for_each(is_same);
    }

    for version in ["added", "removed", "widened"] {
        let attempt = cluster.until_checkpoint("tallies")["attempt"].as_u64().unwrap();
        let goes_on = submit(&cluster, &said.0, version, &[]).code(0);
        goes_on.says(&["tallies: goes on with these settings and weir-test-versions 0.1.0 ("]);
        said.say(&["b", "a", "d"]);
        cluster.until_job("tallies", "runs in another attempt", |job| {
            job["status"] == "running" && job["attempt"] == attempt + 1
        });
    }
    cluster.until_checkpoint("tallies");
    let back = submit(&cluster, &said.0, "removed", &[]).code(2);
    back.says(&["column 'n' was Int64 and is Int32"]);
    said.say(&["a", "b", "d"]);
    assert_eq!(cluster.job("tallies")["restarts"], 0);
}

/// Its operators are made in child processes, to be compared as to be run.
#[test]
fn a_version_whose_plugin_is_isolated_is_compared_too() {
    let cluster = Cluster::start(1, 2);
    let mut said = Said::new();
    submit(&cluster, &said.0, "first", &["--isolation", "process"]).code(0);
    said.say(&["a", "b", "a"]);
    cluster.until_checkpoint("tallies");
    submit(&cluster, &said.0, "retyped", &[]).code(2).says(&["column 'n' was Int32 and is Utf8View"]);
    submit(&cluster, &said.0, "added", &[]).code(0).says(&["goes on with these settings"]);
    said.say(&["a", "c"]);
    let job = cluster.until_checkpoint("tallies");
    assert_eq!((&job["attempt"], &job["restarts"]), (&2.into(), &0.into()), "{job:#}");
}

/// It is compared with what the attempt keeps: there is no checkpoint to be compared with.
#[test]
fn a_version_is_refused_before_the_first_checkpoint_too() {
    let cluster = Cluster::start(1, 2);
    let mut said = Said::new();
    let seldom = ["-D", "execution.checkpointing.interval=1h"];
    let file = example("weir_test_versions").display().to_string();
    let arguments = said.0.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let submit = |version: &str| {
        let version = format!("version={version}");
        let first = ["submit", &file, "--name", "tallies", "--detach", "--arg", &version, seldom[0], seldom[1]];
        cluster.weir(&[&first[..], &arguments].concat())
    };
    submit("first").code(0);
    submit("narrowed").code(2).says(&["what runs now: ", "column 'n' was Int32 and is Int16"]);
    submit("added").code(0).says(&["goes on with these settings"]);
    cluster.until_job("tallies", "has its second attempt", |job| job["status"] == "running" && job["attempt"] == 2);
    said.0.say("words", &["a", "b"]);
    said.1.extend(["a", "b"]);
    cluster.until_job("tallies", "has read what was said", |job| job["figures"]["rows_in"] == 2);
    cluster.weir(&["jobs", "stop", "tallies"]).code(0);
    said.0.wait_for(2);
}

#[test]
fn a_job_that_was_taken_back_to_state_that_does_not_fit_is_told_which_version_helps() {
    let cluster = Cluster::start(1, 2);
    let mut said = Said::new();
    submit(&cluster, &said.0, "first", &[]).code(0);
    said.say(&["a", "b", "a"]);
    cluster.weir(&["jobs", "savepoint", "tallies"]).code(0);
    let checkpoints = cluster.json(&["checkpoints", "list", "tallies"]);
    let savepoint = checkpoints.as_array().unwrap().iter().find(|checkpoint| checkpoint["savepoint"] == true);
    let savepoint = savepoint.unwrap()["epoch"].to_string();
    for version in ["short", "renewed"] {
        cluster.until_checkpoint("tallies");
        submit(&cluster, &said.0, version, &[]).code(0);
        said.say(&["a"]);
    }
    cluster.until_checkpoint("tallies");
    // Nobody has compared this version with that checkpoint.
    cluster.weir(&["jobs", "restart", "tallies", "--from", &savepoint, "--detach"]).code(0);
    until("the job has failed", || (cluster.job("tallies")["status"] == "failed").then_some(()));
    let doctor = cluster.weir(&["jobs", "doctor", "tallies"]).code(5).out;
    assert!(doctor.contains("column 'length' was Int64 and is Utf8View"), "{doctor}");
    assert!(doctor.contains("submit under the name tallies a version whose state fits, or the one before"), "{doctor}");
    assert!(!doctor.contains("jobs restart"), "{doctor}");

    let same = submit(&cluster, &said.0, "renewed", &["-D", "state.checkpoints.num-retained=3"]).code(2);
    same.says(&["column 'length' was Int64 and is Utf8View"]);
    submit(&cluster, &said.0, "short", &[]).code(0).says(&["goes on with these settings"]);
    cluster.until_checkpoint("tallies");
}

/// A job in SQL whose aggregate another function makes, with another accumulator.
#[test]
fn a_job_in_sql_is_compared_in_the_same_way() {
    let cluster = Cluster::start(1, 2);
    let words = Words::new();
    let (file, input, output) = (example("weir_test_versions"), words.path("in"), words.path("out"));
    let submit = |function: &str| {
        let script = format!(
            "CREATE FUNCTION total AS '{function}' USING ARTIFACT '{}';
             CREATE TABLE words (word STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
               'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '100 ms');
             CREATE TABLE counted (word STRING, n BIGINT) WITH (
               'connector' = 'filesystem', 'path' = '{}', 'format' = 'json');
             INSERT INTO counted SELECT word, total(1) FROM TUMBLE(TABLE words, DESCRIPTOR(ts), INTERVAL '1' HOUR)
               GROUP BY window_start, window_end, word",
            file.display(),
            input.display(),
            output.display()
        );
        cluster.weir(&["submit", "-e", &script, "--name", "sums", "--detach", OFTEN[0], OFTEN[1]])
    };
    submit("narrow").code(0);
    words.say("first", &["a", "b", "a"]);
    cluster.until_job("sums", "has read the first file, and keeps it", |job| {
        job["figures"]["rows_in"] == 3 && job["last_checkpoint"]["state_bytes"].as_u64() > Some(0)
    });
    cluster.until_checkpoint("sums");
    let refused = submit("text").code(2);
    refused.says(&[
        "job 1 is left as it is",
        "/window-aggregate: state 'panes' does not fit: column '",
        "Int32 and is ",
    ]);
    assert_eq!(cluster.job("sums")["attempt"], 1);
    submit("wide").code(0).says(&["goes on with these settings"]);
    cluster.until_job("sums", "runs in another attempt", |job| job["status"] == "running" && job["attempt"] == 2);
    words.say("second", &["a", "b"]);
    std::fs::write(words.path("in/third.csv"), "z,2026-01-01 02:00:00\n").unwrap();
    words.wait_for(2);
    assert_eq!(words.counted(), [("a".to_owned(), 3), ("b".to_owned(), 2)], "with what was there before");
}

#[test]
fn a_version_with_other_tables_is_told_which_and_what_is_different() {
    let cluster = Cluster::start(1, 2);
    let mut said = Said::new();
    submit(&cluster, &said.0, "first", &[]).code(0);
    said.say(&["a"]);
    let wide = ["--arg", "wide=true"];
    let refused = submit(&cluster, &said.0, "first", &wide).code(2);
    refused.says(&["another definition", "table counted: column 'spare' was Int32 and is Int64"]);
    said.say(&["a", "b"]);
    cluster
        .weir(&["jobs", "cancel", "tallies"])
        .code(0)
        .says(&["tallies: cancelled; with `weir jobs restart 1` it goes on from"]);
    submit(&cluster, &said.0, "first", &wide).code(2).says(&["is cancelled", "column 'spare' was Int32 and is Int64"]);
}
