//! What may change between two runs with one state directory, and what may not.

#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::sums::Sums;
use crate::weir::{Ran, command};

/// `weir run` of the script, which goes on until it is ended or fails.
struct Run(Child);

impl Run {
    fn start(folder: &Path, script: &str, interval: &str) -> Self {
        let (state, interval) = (folder.join("state"), format!("execution.checkpointing.interval={interval}"));
        let arguments = ["run", "-e", script, "--state-dir", state.to_str().unwrap(), "-D", &interval];
        Self(command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until it has ended by itself.
    fn ended(self) -> Ran {
        self.0.wait_with_output().unwrap().into()
    }

    /// Stops it with a savepoint.
    fn stop(self) -> Ran {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        self.ended()
    }
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_advice_of_an_error_works_on_the_state_that_is_there_and_so_does_a_table_for_late_rows() {
    let folder = tempfile::tempdir().unwrap();
    let sums = Sums::new(folder.path());
    sums.put("1.csv", "a,1,2026-01-01 05:00:00\nb,1,2026-01-01 03:00:00\n");
    let run = Run::start(folder.path(), &sums.script("", ""), "50ms");
    until("the first file is in a checkpoint", || sums.shown("out") == ["b,1"]);
    sums.put("2.csv", "a,two,2026-01-01 05:10:00\na,4,2026-01-01 05:20:00\n");
    run.ended().code(3).says(&["2.csv, line 1", "'error-policy' = 'skip'"]);

    let (script, policy) = (sums.late_table(), ", 'error-policy' = 'skip', 'scan.watermark.idle-timeout' = '1 h'");
    let run = Run::start(folder.path(), &sums.script(policy, &script), "60ms");
    sums.put("3.csv", "late,1,2026-01-01 01:00:00\n");
    until("the late row is out", || sums.shown("late").len() == 1);
    run.stop().code(0).says(&["savepoint"]);

    // And it goes as it came.
    let run = Run::start(folder.path(), &sums.script(policy, ""), "70ms");
    sums.put("4.csv", "c,0,2026-01-01 07:00:00\n");
    until("all sums are out", || sums.shown("out") == ["a,5", "b,1"]);
    run.stop().code(0);

    let elsewhere = Run::start(folder.path(), &sums.script_into("elsewhere", policy, ""), "70ms").ended().code(2);
    elsewhere.says(&[
        "belongs to another query, or to this one before it was changed",
        "kept      o/sink/window-aggregate",
        "changed   o/sink",
        "help: results go where they went before",
    ]);
}

/// Starts the query with its results on stdout, and reads these up to one that says this. Then it is stopped.
fn shows(folder: &Path, script: &str, inputs: &[(&str, &str, &str)]) {
    let state = folder.join("state");
    let arguments =
        ["run", "-e", script, "--state-dir", state.to_str().unwrap(), "-D", "execution.checkpointing.interval=50ms"];
    let mut run = command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    for (file, rows, result) in inputs {
        let hidden = folder.join(format!(".{file}"));
        std::fs::write(&hidden, rows).unwrap();
        std::fs::rename(hidden, folder.join("in").join(file)).unwrap();
        if !lines.any(|line| line.contains(result)) {
            panic!("{result} is not shown: {:?}", Ran::from(run.wait_with_output().unwrap()));
        }
    }
    Run(run).stop().code(0);
}

#[test]
fn a_time_to_live_may_be_taken_away_where_rows_are_taken_back_that_have_been_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    let script = |length: &str| {
        format!(
            "SET 'table.exec.state.ttl' = '{length}'; SET 'table.exec.state.ttl-time' = 'event-time';
             CREATE TABLE t (id INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'filesystem',
               'path' = '{}', 'format' = 'csv', 'source.monitor-interval' = '20 ms');
             SELECT id, n, COUNT(*) AS c, MIN(n) AS least FROM
               (SELECT /*+ STATE_TTL('t' = '0 s') */ id, COUNT(*) AS n FROM t GROUP BY id) GROUP BY id, n",
            folder.path().join("in").display()
        )
    };
    let first = ("1.csv", "1,2026-01-01 10:00:00\n", r#""id":1,"n":1,"#);
    let later = ("2.csv", "2,2026-01-01 12:00:00\n", r#""id":2,"n":1,"#);
    shows(folder.path(), &script("16 min"), &[first, later]);
    shows(folder.path(), &script("0 s"), &[("3.csv", "1,2026-01-01 12:00:01\n", r#""id":1,"n":2,"#)]);
}
