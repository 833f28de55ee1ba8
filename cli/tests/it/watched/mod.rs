//! Folders that files are moved into while a job reads them: no row of files that come together is late, at whatever
//! parallelism, and whichever subtasks have nothing to read.

#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

mod cases;
mod rounds;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::weir::{command, weir};

/// A job that watches a folder and prints.
struct Watching {
    job: Child,
    lines: Lines<BufReader<ChildStdout>>,
    inbox: Inbox,
}

/// The folders: `in`, and `other` for a second table.
struct Inbox {
    folder: TempDir,
}

impl Inbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        ["in", "other"].iter().for_each(|name| std::fs::create_dir(folder.path().join(name)).unwrap());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Moves files in, one right after the other.
    fn put(&self, files: &BTreeMap<String, String>) {
        self.put_into("in", files);
    }

    fn put_into(&self, folder: &str, files: &BTreeMap<String, String>) {
        for (name, text) in files {
            std::fs::write(self.path(name), text).unwrap();
        }
        for name in files.keys() {
            std::fs::rename(self.path(name), self.path(folder).join(name)).unwrap();
        }
    }

    fn watch(self, idle_timeout: &str, query: &str, parallelism: u32) -> Watching {
        let table = |name: &str, folder: &str| {
            format!(
                "CREATE TABLE {name} (kind STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
                   'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '200ms',
                   'scan.watermark.idle-timeout' = '{idle_timeout}');\n",
                self.path(folder).display()
            )
        };
        let script = table("t", "in") + &table("other", "other") + query;
        let mut job = command(&["run", "-e", &script, "--quiet", "--output", "csv", "-p", &parallelism.to_string()])
            .arg("--state-dir")
            .arg(self.path("state"))
            .args(["-D", "execution.checkpointing.interval=50ms"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(job.stdout.take().unwrap()).lines();
        Watching { job, lines, inbox: self }
    }
}

impl Watching {
    /// So many rows of the result, without the header.
    fn rows(&mut self, count: usize) -> Vec<String> {
        let lines = self.lines.by_ref().map(Result::unwrap);
        lines.filter(|line| !line.starts_with(|first: char| first.is_alphabetic())).take(count).collect()
    }

    /// The same in the order of their windows.
    fn sorted_rows(&mut self, count: usize) -> Vec<String> {
        let mut rows = self.rows(count);
        rows.sort();
        rows
    }

    /// Returns when the job has completed a checkpoint: then all of it runs, and it has looked into its folder.
    fn wait_for_checkpoint(&self) {
        let start = Instant::now();
        let has_one = || {
            let checkpoints = std::fs::read_dir(self.inbox.path("state/checkpoints"));
            checkpoints.is_ok_and(|mut checkpoints| checkpoints.next().is_some())
        };
        while !has_one() {
            assert!(start.elapsed() < Duration::from_secs(60), "no checkpoint was completed");
            std::thread::yield_now();
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.job.kill();
        let _ = self.job.wait();
    }
}

/// A row for each second from `first` on.
fn seconds(kind: &str, first: u32, count: u32) -> String {
    (first..first + count).fold(String::new(), |mut text, second| {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        writeln!(text, "{kind},2026-01-01 {hour:02}:{minute:02}:{second:02}").unwrap();
        text
    })
}

fn files<const N: usize>(beginning: &str, text: impl Fn(usize) -> String) -> BTreeMap<String, String> {
    (0..N).map(|number| (format!("{beginning}{number}.csv"), text(number))).collect()
}

const PER_TEN_SECONDS: &str = "SELECT window_start, COUNT(*) AS n
    FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;";

/// What is shown when eight files with the seconds of a minute have been read: its last window waits for the next minute.
fn windows_of(minute: u32) -> Vec<String> {
    let windows = if minute == 0 { 0..5 } else { minute * 6 - 1..minute * 6 + 5 };
    windows.map(|window| format!("2026-01-01 00:{:02}:{:02}.000,80", window / 6, window % 6 * 10)).collect()
}

/// At which parallelism cases are run.
const PARALLELISM: [u32; 3] = [1, 2, 4];

#[test]
fn no_row_is_late_of_files_that_are_moved_in_together() {
    for _ in 0..4 {
        PARALLELISM.into_iter().for_each(cases::files_together);
    }
}

/// All subtasks are idle then, and wake up at different moments.
#[test]
fn no_row_is_late_of_files_that_are_moved_in_together_after_a_long_silence() {
    [2, 4].into_iter().for_each(cases::files_after_a_silence);
}

/// A file alone keeps one subtask busy; the others have nothing to say of time, and must not hold it up.
#[test]
fn windows_close_though_most_subtasks_have_nothing_to_read() {
    let mut watching = Inbox::new().watch("60s", PER_TEN_SECONDS, 4);
    watching.wait_for_checkpoint();
    let start = Instant::now();
    for minute in 0..6 {
        watching.inbox.put(&files::<1>(&format!("{minute}-"), |_| seconds("k", minute * 60, 60)));
        let rows = watching.rows(if minute == 0 { 5 } else { 6 });
        assert!(rows.iter().all(|row| row.ends_with(",10")), "{rows:?}");
    }
    assert!(start.elapsed() < Duration::from_secs(60), "that is when they would have counted as idle");
}

#[test]
fn hourly_views_of_one_folder_are_joined_without_loss() {
    PARALLELISM.into_iter().for_each(cases::views_of_one_folder);
}

#[test]
fn windows_over_windows_of_a_folder_that_was_empty_have_all_rows() {
    PARALLELISM.into_iter().for_each(cases::windows_over_windows);
}

#[test]
fn rows_of_two_folders_meet_though_one_gets_its_files_later() {
    PARALLELISM.into_iter().for_each(cases::partners_that_come_later);
}

#[test]
fn a_table_is_read_no_faster_than_its_limit() {
    let script =
        "CREATE TABLE t (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '300', 'realtime' = 'false',
                    'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '300',
                    'scan.records-per-second.limit' = '200');
                  SELECT n FROM t;";
    let start = Instant::now();
    let ran = weir(&["run", "-e", script, "--quiet", "--output", "csv", "-p", "2"]).code(0);
    // All of its rows are in the first split, whose subtask has half of the limit.
    assert!(start.elapsed() >= Duration::from_millis(2800), "{:?}", start.elapsed());
    let mut rows: Vec<u32> = ran.out.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(rows, (1..=300).collect::<Vec<_>>());
}

/// Reads numbers from a folder that forgets quickly.
fn watch_and_forget(inbox: Inbox) -> Watching {
    let script = format!(
        "CREATE TABLE t (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
           'source.monitor-interval' = '20ms', 'source.forget-after' = '100ms');
         SELECT n FROM t;",
        inbox.path("in").display()
    );
    let mut job = command(&["run", "-e", &script, "--quiet", "--output", "csv", "--state-dir"])
        .arg(inbox.path("state"))
        .args(["-D", "execution.checkpointing.interval=20ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(job.stdout.take().unwrap()).lines();
    Watching { job, lines, inbox }
}

#[test]
fn a_file_that_has_left_for_long_enough_is_forgotten_and_one_of_its_name_is_new() {
    let mut watching = watch_and_forget(Inbox::new());
    let put = |inbox: &Inbox, name: &str, text: &str| {
        inbox.put(&BTreeMap::from([(name.to_owned(), text.to_owned())]));
    };
    let next = |watching: &mut Watching| {
        let mut lines = watching.lines.by_ref().map(Result::unwrap).filter(|line| line != "n");
        lines.next().unwrap()
    };
    put(&watching.inbox, "a.csv", "1\n");
    assert_eq!(next(&mut watching), "1");
    std::fs::remove_file(watching.inbox.path("in/a.csv")).unwrap();
    // Files that come meanwhile, and stay: an empty folder says nothing of what has left it.
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < Duration::from_secs(1) {
        put(&watching.inbox, &format!("b{number}.csv"), "0\n");
        assert_eq!(next(&mut watching), "0");
        number += 1;
    }
    put(&watching.inbox, "a.csv", "2\n");
    assert_eq!(next(&mut watching), "2");

    // What was forgotten stays so behind a restart, and what was not is not read again.
    let mut inbox = Inbox::new();
    std::mem::swap(&mut inbox, &mut watching.inbox);
    drop(watching);
    let mut watching = watch_and_forget(inbox);
    put(&watching.inbox, "c.csv", "3\n");
    // That the last one was printed may not have been noted before the job was killed.
    let mut after = next(&mut watching);
    if after == "2" {
        after = next(&mut watching);
    }
    assert_eq!(after, "3");
}
