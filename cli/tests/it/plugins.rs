//! Jobs of plugins, in one process.

#![allow(clippy::disallowed_methods, reason = "rows that come out later are waited for")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::rust_jobs::example;
use crate::weir::{Ran, command, file, path, weir};

/// Words in CSV files, and where their counts go.
pub struct Words(TempDir);

impl Words {
    pub fn new() -> Self {
        let words = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(words.path("in")).unwrap();
        words
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these words; it is there at once.
    pub fn say(&self, name: &str, words: &[&str]) {
        let lines: String =
            words.iter().enumerate().map(|(second, word)| format!("{word},2026-01-01 00:00:{second:02}\n")).collect();
        std::fs::write(self.path(name), lines).unwrap();
        std::fs::rename(self.path(name), self.path("in").join(format!("{name}.csv"))).unwrap();
    }

    pub fn arguments(&self) -> Vec<String> {
        let argument = |name: &str, folder: &str| format!("{name}={}", self.path(folder).display());
        vec!["--arg".into(), argument("input", "in"), "--arg".into(), argument("output", "out")]
    }

    fn run(&self, more: &[&str]) -> Ran {
        self.command(more).output().unwrap().into()
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = command(&["run"]);
        command.arg(example("weir_test_plugin")).args(self.arguments()).args(more);
        command
    }

    /// Every row that came out: the word and which time it was.
    pub fn counted(&self) -> Vec<(String, i64)> {
        let files = std::fs::read_dir(self.path("out")).into_iter().flatten().map(|entry| entry.unwrap().path());
        let visible = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("part-");
        let lines = files.filter(visible).flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let rows = lines.map(|line| {
            let row: serde_json::Value = serde_json::from_str(&line).unwrap();
            (row["word"].as_str().unwrap().to_owned(), row["n"].as_i64().unwrap())
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort();
        rows
    }

    /// Returns when so many rows are out.
    pub fn wait_for(&self, rows: usize) {
        let start = Instant::now();
        while self.counted().len() < rows {
            assert!(start.elapsed() < Duration::from_secs(60), "{:?} came out", self.counted());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Each word as often as it came, numbered from 1.
pub fn numbered(words: &[&str]) -> Vec<(String, i64)> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut rows: Vec<_> = words
        .iter()
        .map(|word| {
            let count = counts.entry(word.to_uppercase()).or_default();
            *count += 1;
            (word.to_uppercase(), *count)
        })
        .collect();
    rows.sort();
    rows
}

const SAID: [&str; 7] = ["a", "b", "a", "a word that is longer than others", "b", "a", "c"];

#[test]
fn a_plugin_runs_between_sql_on_any_number_of_subtasks() {
    for parallelism in ["1", "3"] {
        let words = Words::new();
        words.say("first", &SAID);
        words.run(&["--parallelism", parallelism]).code(0).says(&["counted-words: "]);
        assert_eq!(words.counted(), numbered(&SAID), "parallelism {parallelism}");
    }
}

#[test]
fn its_state_goes_on_at_another_parallelism() {
    let words = Words::new();
    words.say("first", &SAID);
    let state = words.path("state");
    let more = [
        "--arg",
        "watch=100 ms",
        "--state-dir",
        state.to_str().unwrap(),
        "-D",
        "execution.checkpointing.interval=100ms",
    ];
    let mut said = SAID.to_vec();
    for (parallelism, name) in [("2", "second"), ("3", "third"), ("1", "fourth")] {
        let started = words.command(&more).args(["--parallelism", parallelism]).stderr(Stdio::piped()).spawn().unwrap();
        words.wait_for(said.len());
        words.say(name, &["a", "d"]);
        said.extend(["a", "d"]);
        words.wait_for(said.len());
        assert!(Command::new("kill").args(["-INT", &started.id().to_string()]).status().unwrap().success());
        Ran::from(started.wait_with_output().unwrap()).code(0).says(&["savepoint"]);
    }
    assert_eq!(words.counted(), numbered(&said));
}

#[test]
fn what_goes_wrong_while_a_job_is_planned_is_told_and_nothing_runs() {
    let words = Words::new();
    words.say("first", &SAID);
    let cases: [(&str, i32, &[&str]); 4] = [
        ("error", 3, &["a word of which there is no count", "use another word"]),
        ("panic", 2, &["the plugin panicked in the description of its job: a word too many", "src/fault.rs:"]),
        ("abort", 2, &["crashed while it described its job: signal 6"]),
        ("segfault", 2, &["crashed while it described its job: signal 11 (SIGSEGV"]),
    ];
    for (fault, code, says) in cases {
        words.run(&["--arg", &format!("fault={fault}"), "--arg", "where=plan"]).code(code).says(says);
    }
    assert!(!words.path("out").exists());
}

#[test]
fn a_job_that_is_not_planned_in_time_is_told_and_nothing_is_left() {
    let words = Words::new();
    let says = ["has not said what is in it within 30 seconds"];
    words.run(&["--arg", "fault=loop", "--arg", "where=plan"]).code(2).says(&says);
    assert!(!words.path("out").exists());
}

#[test]
fn what_goes_wrong_while_a_job_runs_makes_it_fail() {
    let words = Words::new();
    words.say("first", &SAID);
    let says = ["Plugin(counts)", "a word of which there is no count", "use another word"];
    words.run(&["--arg", "fault=error"]).code(3).says(&says);
    let says = ["Plugin(counts)", "the plugin panicked in `process`: a word too many at ", "src/count.rs:"];
    words.run(&["--arg", "fault=panic"]).code(2).says(&says);
    assert!(words.counted().is_empty());
}

#[test]
fn arguments_are_the_plugins_own() {
    let words = Words::new();
    words
        .run(&["--arg", "colour=red"])
        .code(2)
        .says(&["there is no argument `colour`", "it takes `input` and `output`"]);
    words.run(&["--arg", "input=/elsewhere"]).code(2).says(&["the argument `input` is given twice"]);
    let script = file(".sql", "SELECT 1");
    weir(&["run", path(&script), "--arg", "input=a"]).code(2).says(&["a script takes no arguments"]);
    let no_plugin = file(".so", "SELECT 1");
    weir(&["run", path(&no_plugin)]).code(2).says(&["is no plugin: it is no shared library"]);
    weir(&["run", "/nowhere/libjob.so"]).code(2).says(&["cannot read the plugin /nowhere/libjob.so"]);
}

#[test]
fn a_job_is_explained_without_running() {
    let words = Words::new();
    let ran: Ran =
        command(&["explain"]).arg(example("weir_test_plugin")).args(words.arguments()).output().unwrap().into();
    let out = ran.code(0).out;
    assert!(out.contains("Plugin(counts)  [count of weir-test-plugin "), "{out}");
    assert!(out.contains("hash(word) ─ "), "{out}");
    assert!(!Path::new(&words.path("out")).exists());
}

#[test]
fn a_new_crate_is_written_once_and_has_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("silent-sensors");
    let made = weir(&["new", path.to_str().unwrap()]).code(0);
    assert!(made.out.contains("weir run target/debug/libsilent_sensors.so"), "{}", made.out);
    let read = |file: &str| std::fs::read_to_string(path.join(file)).unwrap();
    assert!(read("Cargo.toml").contains("name = \"silent-sensors\""));
    assert!(read("src/lib.rs").contains("weir_jobs::export!(silent_sensors);"));
    assert!(read("tests/job.rs").contains("use silent_sensors::{"));
    weir(&["new", path.to_str().unwrap()]).code(2).says(&["exists already"]);
    let other = directory.path().join("My Job");
    weir(&["new", other.to_str().unwrap()]).code(2).says(&["`My Job` cannot be the name of a crate"]);
    weir(&["new", directory.path().join("other").to_str().unwrap(), "--sdk", "/nowhere"])
        .code(2)
        .says(&["the SDK is not in /nowhere"]);
}
