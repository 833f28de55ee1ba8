//! Sources and sinks that a job brings with it: in one process, killed, and in another program.
#![allow(clippy::disallowed_methods, reason = "rows that come out later are waited for")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_embedded::{Embedded, JobEnd, RunningJob};
use weir_jobs::prelude::*;

use crate::rust_jobs::example;
use crate::weir::{Ran, command};

#[path = "../../../jobs/examples/journal/tests/log/mod.rs"]
pub mod log;

use log::LogServer;

const PATIENCE: Duration = Duration::from_secs(60);

pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Entries of a shard in a round: of three accounts.
pub fn bookings(shard: usize, round: usize) -> impl Iterator<Item = String> {
    (0..30).map(move |n| format!("account-{} {}", n % 3, 1000 * round + 100 * shard + n))
}

/// What is in the journal in the folder: account, number of the booking, and what it has come to.
pub fn journal(folder: &Path) -> Vec<(String, usize, i64)> {
    let files = folder.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "journal"));
    let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[0].to_owned(), words[1].parse().unwrap(), words[2].parse().unwrap())
    };
    let mut rows: Vec<_> = texts.flat_map(|text| text.lines().map(line).collect::<Vec<_>>()).collect();
    rows.sort();
    rows
}

/// Every booking of an account has come once, and they come to what they should.
pub fn check(folder: &Path, shards: usize, rounds: usize) {
    let mut totals: BTreeMap<String, (usize, i64)> = BTreeMap::new();
    for entry in (0..rounds).flat_map(|round| (0..shards).flat_map(move |shard| bookings(shard, round))) {
        let (account, cents) = entry.split_once(' ').unwrap();
        let (count, total) = totals.entry(account.to_owned()).or_default();
        (*count, *total) = (*count + 1, *total + cents.parse::<i64>().unwrap());
    }
    let journal = journal(folder);
    for (account, (count, total)) in totals {
        let of_account = journal.iter().filter(|(other, ..)| *other == account);
        let numbers: Vec<usize> = of_account.clone().map(|(_, number, _)| *number).collect();
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{account}");
        assert_eq!(of_account.map(|(.., cents)| *cents).next_back(), Some(total), "{account}");
    }
}

struct Run {
    server: LogServer,
    folder: TempDir,
}

impl Run {
    fn start(&self, parallelism: usize) -> Child {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (state, folder, parallelism) = (path("state"), path("journal"), parallelism.to_string());
        let mut command = command(&["run", "--parallelism", &parallelism, "--state-dir", &state]);
        command.args(["-D", "execution.checkpointing.interval=20ms", "--arg", &format!("folder={folder}")]);
        command.args(["--arg", &format!("server={}", self.server.address())]).arg(example("journal"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn journal(&self) -> std::path::PathBuf {
        self.folder.path().join("journal")
    }
}

#[test]
fn a_job_that_is_killed_reads_and_writes_each_row_once() {
    const SHARDS: usize = 3;
    let run = Run { server: LogServer::start(SHARDS - 1), folder: tempfile::tempdir().unwrap() };
    let mut rounds = 0;
    for (parallelism, pause) in [(1, 0), (3, 30), (2, 60), (3, 5), (1, 90)] {
        let mut child = run.start(parallelism);
        // The last shard is there from the second round on, with all that it has missed.
        if rounds == 1 {
            run.server.add(SHARDS - 1, bookings(SHARDS - 1, 0));
        }
        let shards = if rounds == 0 { SHARDS - 1 } else { SHARDS };
        (0..shards).for_each(|shard| run.server.add(shard, bookings(shard, rounds)));
        rounds += 1;
        // It has begun; then it dies wherever it is.
        let before = journal(&run.journal()).len();
        until("rows come out", || journal(&run.journal()).len() > before);
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = run.start(2);
    until("all is in the journal", || journal(&run.journal()).len() >= SHARDS * rounds * 30);
    // Where it was begun with ^C ignored, as in the background of a script, it hears none before it listens.
    until("it ends", || {
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
        child.try_wait().unwrap().is_some()
    });
    drop(child);
    check(&run.journal(), SHARDS, rounds);
}

#[test]
fn what_goes_wrong_in_a_source_or_a_sink_is_told() {
    let run = Run { server: LogServer::start(1), folder: tempfile::tempdir().unwrap() };
    run.server.add(0, ["alice 5".to_owned(), "bob many".to_owned()]);
    let ran = Ran::from(run.start(1).wait_with_output().unwrap());
    let says =
        ["entry 1 of shard 0 is no booking: \"bob many\\n\"", "the plugin's code of table bookings", "split '0'"];
    ran.code(3).says(&says);
    // No folder can be where a file is.
    std::fs::write(run.journal(), "").unwrap();
    let run = Run { server: LogServer::start(1), folder: run.folder };
    std::fs::remove_dir_all(run.folder.path().join("state")).unwrap();
    run.server.add(0, ["alice 5".to_owned()]);
    let mut child = run.start(1);
    // It tries again for as long as it runs.
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("the plugin's code of table journal") {
        assert!(std::io::BufRead::read_line(&mut said, &mut text).unwrap() > 0, "{text}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nobody_else_can_name_code_of_a_plugin() {
    let script = "CREATE TABLE t (a INT) WITH ('connector' = '$plugin'); INSERT INTO t VALUES (1);";
    let ran = Ran::from(command(&["run", "-e", script]).output().unwrap());
    ran.code(2).says(&["there is no connector `$plugin`"]);
}

#[derive(Record, Debug, Clone, PartialEq)]
struct Order {
    id: i64,
    pieces: i64,
}

/// Orders that the application has taken down.
static BOOK: Mutex<Vec<Order>> = Mutex::new(Vec::new());

struct Book;

impl Source for Book {
    type Row = Order;
    type Position = usize;
    type Reader = Page;

    fn open(&self, _split: &str, position: Option<usize>) -> Result<Page> {
        Ok(Page { next: position.unwrap_or(0) })
    }
}

struct Page {
    next: usize,
}

impl SplitReader for Page {
    type Row = Order;
    type Position = usize;

    fn read(&mut self, rows: &mut Rows<Order>) -> Result<Reading> {
        for order in BOOK.lock().unwrap().iter().skip(self.next) {
            rows.push(order);
        }
        self.next += rows.len();
        Ok(Reading::More)
    }

    fn position(&self) -> usize {
        self.next
    }
}

fn large(job: &mut Job) -> Result<()> {
    job.table::<Order>("orders").filter(|order| order.pieces > 10).insert_into("large_orders");
    Ok(())
}

type Delivered = Arc<Mutex<BTreeMap<(String, u64), Vec<i64>>>>;

/// An application that is told of large orders, by epochs.
fn application(state: &Path, delivered: &Delivered) -> Embedded {
    let told = delivered.clone();
    let deliver = move |commit: &mut Commit<'_, Order>| {
        let of = (commit.writer().to_owned(), commit.epoch());
        let ids = commit.map(|order| Ok(order?.id)).collect::<Result<Vec<_>>>()?;
        // One that comes again is the same.
        told.lock().unwrap().insert(of, ids);
        Ok(())
    };
    let embedded = Embedded::new().state_dir(state).checkpoint_interval(Duration::from_millis(20));
    embedded.source(Table::new("orders"), Book).deliver("large_orders", deliver)
}

fn ids(delivered: &Delivered) -> Vec<i64> {
    let mut ids: Vec<i64> = delivered.lock().unwrap().values().flatten().copied().collect();
    ids.sort_unstable();
    ids
}

#[test]
fn an_application_makes_rows_and_is_given_some() {
    let (folder, delivered) = (tempfile::tempdir().unwrap(), Delivered::default());
    let orders = |ids: std::ops::Range<i64>| ids.map(|id| Order { id, pieces: id % 20 });
    let large_ones = |last: i64| (0..last).filter(|id| id % 20 > 10).collect::<Vec<_>>();
    let jobs: [fn(Embedded) -> RunningJob; 3] = [
        |embedded| embedded.run(large).unwrap(),
        |embedded| embedded.parallelism(3).run(large).unwrap(),
        |embedded| embedded.run(large).unwrap(),
    ];
    for (round, run) in (1..).zip(jobs) {
        let job = run(application(folder.path(), &delivered));
        BOOK.lock().unwrap().extend(orders(100 * (round - 1)..100 * round));
        until("the large orders are told", || ids(&delivered).len() >= large_ones(100 * round).len());
        if round == 2 {
            // As by a crash.
            drop(job);
            continue;
        }
        job.stop_with_savepoint();
        assert!(matches!(job.wait().unwrap(), JobEnd::Stopped { .. }));
        assert_eq!(ids(&delivered), large_ones(100 * round));
    }
    // SQL reads and writes the same tables. It is another job, with other state.
    let (state, by_sql) = (folder.path().join("sql"), Delivered::default());
    let job = application(&state, &by_sql);
    let job = job.run_sql("INSERT INTO large_orders SELECT * FROM orders WHERE pieces > 10").unwrap();
    until("the large orders are told", || ids(&by_sql) == large_ones(300));
    job.stop_with_savepoint();
    job.wait().unwrap();
}
