//! Files that do not stay as they were, and folders that several jobs share.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::cluster::processes::until;
use crate::weir::{Ran, command, weir};

/// Numbers from a file into a folder, slowly, with many checkpoints.
struct Numbers {
    folder: TempDir,
}

impl Numbers {
    fn new(rows: usize) -> Self {
        let numbers = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(numbers.path("in.csv"), text(0, rows)).unwrap();
        numbers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn begin(&self, state: &str, rows_per_second: u32) -> Child {
        self.begin_with(state, rows_per_second, "")
    }

    fn begin_with(&self, state: &str, rows_per_second: u32, options: &str) -> Child {
        let script = format!(
            "CREATE TABLE t (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv',
               'source.split-size' = '100kb', 'scan.records-per-second.limit' = '{rows_per_second}');
             CREATE TABLE o (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv' {options});
             INSERT INTO o SELECT n FROM t;",
            self.path("in.csv").display(),
            self.path("out").display()
        );
        let mut weir = command(&["run", "-e", &script, "--quiet", "-p", "1", "--state-dir"]);
        weir.arg(self.path(state)).args(["-D", "execution.checkpointing.interval=20ms"]);
        weir.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn checkpoints(&self, state: &str) -> usize {
        fs::read_dir(self.path(state).join("commits")).map_or(0, Iterator::count)
    }

    /// Waits until results are out.
    fn until_shown(&self, state: &str) {
        let before = visible(&self.path("out")).len();
        until("further results are shown", || {
            (self.checkpoints(state) > 0 && visible(&self.path("out")).len() > before).then_some(())
        });
    }

    /// How often each number was written.
    fn counts(&self, folders: &[&str]) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for file in folders.iter().flat_map(|folder| visible(&self.path(folder))) {
            for line in fs::read_to_string(file).unwrap().lines() {
                *counts.entry(line.parse().unwrap()).or_default() += 1;
            }
        }
        counts
    }
}

fn text(first: usize, rows: usize) -> String {
    (first..first + rows).map(|row| format!("{row:07}\n")).collect()
}

fn visible(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("part-")).collect()
}

fn ended(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn interrupt(child: Child) -> Ran {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    ended(child)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn two_jobs_of_one_query_and_one_folder_write_all_their_rows() {
    let numbers = Numbers::new(3000);
    // One of them has had attempts that the other one has not, and is at an earlier epoch.
    let mut first = numbers.begin("a", 2000);
    for _ in 0..3 {
        let second = numbers.begin("b", 200);
        numbers.until_shown("b");
        kill(second);
    }
    let second = numbers.begin("b", 4000);
    if first.try_wait().unwrap().is_none() {
        numbers.until_shown("a");
    }
    ended(first).code(0);
    ended(second).code(0);
    let counts = numbers.counts(&["out"]);
    assert_eq!(counts.len(), 3000);
    assert!(counts.values().all(|count| *count == 2), "{:?}", counts.iter().find(|(_, count)| **count != 2));
}

#[test]
fn a_state_directory_that_was_copied_runs_beside_its_original() {
    let numbers = Numbers::new(3000);
    let original = numbers.begin("a", 500);
    numbers.until_shown("a");
    kill(original);
    copy(&numbers.path("a"), &numbers.path("b"));
    let shown = numbers.counts(&["out"]).len();
    let (first, second) = (numbers.begin("a", 2000), numbers.begin("b", 2000));
    let (first, second) = (ended(first).code(0), ended(second).code(0));
    assert!(!first.err.contains("copy"), "{}", first.err);
    second.says(&["this state directory is a copy"]);
    let counts = numbers.counts(&["out"]);
    // What was decided before is out once; of the rest both have made their own.
    assert_eq!(counts.len(), 3000);
    let is_right = |(number, count): (&u32, &usize)| if (*number as usize) < shown { *count == 1 } else { *count <= 2 };
    assert!(counts.iter().all(is_right), "{counts:?}");
    assert_eq!(counts[&2999], 2);
}

#[test]
fn readers_may_take_away_what_is_visible() {
    let numbers = Numbers::new(3000);
    fs::create_dir_all(numbers.path("taken")).unwrap();
    fs::create_dir_all(numbers.path("out")).unwrap();
    let take = || {
        for file in visible(&numbers.path("out")) {
            fs::rename(&file, numbers.path("taken").join(file.file_name().unwrap())).unwrap();
        }
    };
    for _ in 0..5 {
        let job = numbers.begin("a", 1500);
        until("some is taken", || {
            let before = visible(&numbers.path("taken")).len();
            take();
            (visible(&numbers.path("taken")).len() > before).then_some(())
        });
        kill(job);
        take();
    }
    let mut job = numbers.begin("a", 20_000);
    let status = until("the job ends", || {
        take();
        job.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0), "{}", ended(job).err);
    take();
    let counts = numbers.counts(&["taken", "out"]);
    assert_eq!(counts.len(), 3000);
    assert!(counts.values().all(|count| *count == 1));
}

#[test]
fn files_that_change_while_they_are_read_or_wait_are_errors_of_the_data() {
    let replace: fn(&Path) = |file| {
        let fresh = file.with_extension("fresh");
        fs::write(&fresh, text(500_000, 50_000)).unwrap();
        fs::rename(fresh, file).unwrap();
    };
    let cut_off: fn(&Path) = |file| File::options().write(true).open(file).unwrap().set_len(200_000).unwrap();
    let overwrite: fn(&Path) = |file| fs::write(file, text(500_000, 30_000)).unwrap();
    let changes =
        [(replace, "another file was put in its place"), (cut_off, "it was cut off"), (overwrite, "it was written to")];
    for (change, words) in changes {
        for is_running in [true, false] {
            let numbers = Numbers::new(30_000);
            let job = numbers.begin("a", 5_000);
            numbers.until_shown("a");
            let job = if is_running {
                change(&numbers.path("in.csv"));
                job
            } else {
                interrupt(job);
                change(&numbers.path("in.csv"));
                numbers.begin("a", 1_000_000)
            };
            let ran = ended(job).code(3);
            // An overwritten file is shorter for a moment.
            let is_told = ran.err.contains(words) || (words.contains("written") && ran.err.contains("it was cut off"));
            assert!(is_told, "{words}: {}", ran.err);
            ran.says(&["in.csv", "was changed", "cp -p"]);
            assert!(numbers.counts(&["out"]).keys().all(|number| *number < 30_000), "rows of two files");
        }
    }
}

#[test]
fn a_second_job_of_one_query_is_told_of_the_results_that_are_there() {
    let numbers = Numbers::new(10);
    assert!(!ended(numbers.begin("a", 1000)).code(0).err.contains("earlier job"));
    assert!(!ended(numbers.begin("a", 1000)).code(0).err.contains("earlier job"), "it has its state");
    let again = ended(numbers.begin("b", 1000)).code(0);
    again.says(&["table 'o' holds results of an earlier job of the same query", "part-", "sink.existing-results"]);
    let added = ended(numbers.begin_with("c", 1000, ", 'sink.existing-results' = 'add'")).code(0);
    assert!(!added.err.contains("earlier job"), "{}", added.err);
    ended(numbers.begin_with("d", 1000, ", 'sink.existing-results' = 'refuse'")).code(2).says(&["part-"]);
    assert_eq!(numbers.counts(&["out"])[&5], 3);
}

#[test]
fn a_job_without_state_leaves_nothing_hidden_behind() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "CREATE TABLE t (n INT) WITH ('connector' = 'datagen', 'number-of-rows' = '3', 'realtime' = 'false');
         CREATE TABLE o (n INT) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         INSERT INTO o SELECT n FROM t;",
        folder.path().display()
    );
    weir(&["run", "-e", &script, "--quiet"]).code(0);
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.len() == 1 && names[0].to_str().unwrap().starts_with("part-"), "{names:?}");
}
