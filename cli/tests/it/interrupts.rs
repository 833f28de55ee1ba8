//! ^C, SIGTERM, SIGKILL, and going on afterwards.

#![allow(clippy::disallowed_methods, reason = "a test of signals at some moment has to let time pass")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::weir::{Ran, command};

/// A bounded job that takes a few seconds.
const ROWS: usize = 3000;

fn numbers() -> String {
    format!(
        "CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '1000',
         'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{ROWS}');
         SELECT n FROM numbers"
    )
}

fn start(script: &str, more: &[&str], out: &Path) -> Child {
    let out = File::options().append(true).create(true).open(out).unwrap();
    command(&[&["run", "-e", script, "--output", "json"], more].concat())
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

fn wait_for_rows(out: &Path) {
    let start = Instant::now();
    while std::fs::metadata(out).map_or(0, |metadata| metadata.len()) == 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "no row was printed");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn printed(out: &Path) -> Vec<usize> {
    let text = std::fs::read_to_string(out).unwrap();
    let number = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_u64().unwrap() as usize;
    text.lines().map(number).collect()
}

#[track_caller]
fn assert_each_number_once(out: &Path) {
    let numbers = printed(out);
    assert_eq!(numbers.len(), ROWS, "rows");
    assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), (1..=ROWS).collect(), "different rows");
}

#[test]
fn interrupted_without_a_state_directory_nothing_is_kept_and_the_code_says_so() {
    let directory = tempfile::tempdir().unwrap();
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let out = directory.path().join(name);
        let child = start(&numbers(), &[], &out);
        wait_for_rows(&out);
        signal(&child, name);
        ended(child).code(code).says(&["stopping", "nothing was kept", "--state-dir"]);
    }
}

#[test]
fn interrupted_with_a_state_directory_the_job_goes_on_where_it_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let (out, state) = (directory.path().join("out"), directory.path().join("state"));
    let more = ["--state-dir", state.to_str().unwrap(), "-D", "execution.checkpointing.interval=200ms"];
    let child = start(&numbers(), &more, &out);
    wait_for_rows(&out);
    signal(&child, "-INT");
    let stopped = ended(child).code(0).says(&["savepoint", "go on with", "--state-dir"]);
    assert!(!stopped.err.contains("finished"), "{}", stopped.err);
    ended(start(&numbers(), &[&more[..], &["-p", "3"]].concat(), &out)).code(0).says(&["finished"]);
    assert_each_number_once(&out);
    ended(start(&numbers(), &more, &out)).code(0).says(&["had finished before"]);
    assert_each_number_once(&out);
}

#[test]
fn killed_and_resumed_until_it_ends_no_row_is_missing_and_a_kill_repeats_one_commit_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let (out, state) = (directory.path().join("out"), directory.path().join("state"));
    let more = ["--state-dir", state.to_str().unwrap(), "-D", "execution.checkpointing.interval=300ms"];
    let pauses = [700, 450, 900];
    for pause in pauses {
        let mut child = start(&numbers(), &more, &out);
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended(start(&numbers(), &more, &out)).code(0).says(&["finished"]);
    // A process that is killed between printing the rows of a commit and noting that it has, prints them again when it goes on; nothing is
    // known of stdout that could tell. So a row may be there once more for each kill, and no row is missing.
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    printed(&out).into_iter().for_each(|number| *times.entry(number).or_default() += 1);
    assert!(times.keys().copied().eq(1..=ROWS), "different rows");
    assert!(times.values().all(|times| *times <= 1 + pauses.len()), "{times:?}");
    let again: usize = times.values().map(|times| times - 1).sum();
    assert!(again < ROWS / 2, "{again} rows were printed again: more than those of three commits");
}
