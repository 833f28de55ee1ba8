//! `weir test`: SQL against what it has to come to, in files.
//!
//! ```text
//!   file ─▶ records ─▶ suite: for each query, and for each way to run it
//!                        ├ script: SQL so far, tables of the test ─▶ planner ─▶ job graph
//!                        ├ job: `weir run`'s own, one step at a time ◀─▶ world: rows, clock, results
//!                        └ expectation ─▶ failure, update
//! ```
//!
//! Nothing of the engine is replaced: the tables of a test are a connector, the clock is given to the job, and a step ends with a
//! checkpoint. `docs/testing.md` describes the files.

mod connector;
mod expectation;
mod input;
mod job;
mod report;
mod script;
mod stream;
mod suite;
mod update;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio::task::JoinSet;
use weir_cli::test_file::MOST_SUBTASKS;
use weir_core::{Error, Result};

use self::job::Mode;
use self::suite::{FileReport, Plan};
use crate::clock::Stopwatch;
use crate::exit::Exit;
use crate::terminal::Screen;

/// What `weir test --help` says behind the options.
pub const AFTER_HELP: &str = "\
A test file has SQL, the rows that come in, and what has to come out:

  statement ok
  CREATE TABLE orders (id INT, amount INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)

  stream
  SELECT window_start, SUM(amount) AS total
  FROM TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY window_start, window_end

  input orders
  1  10  2024-01-01 10:00:05
  2  20  2024-01-01 10:01:03

  expect
  2024-01-01 10:00:00  10

A table without a connector is a table of the test. Records begin with these words and end with a blank line:
  statement ok | error [PATTERN]            SQL that is right, or refused with a message
  input TABLE                               rows, one a line; +I or -D in front adds one or takes one back
  query                                     SQL, a line ----, and its rows over all input so far, as of a database
  stream                                    SQL that runs while these say what happens:
    input, watermark TABLE TIME, time TIME, restart, rescale N, end
    expect, expect nothing, expect table, late N

Every query and stream runs at each parallelism, and once more stopped at random places and restored at other ones; the
results have to be the same. docs/testing.md says all of it.

Exit codes:
  0    all is as expected
  2    something is not, or the command line is wrong";

/// `weir test`.
#[derive(Debug, Args)]
pub struct TestArguments {
    /// Test files, and folders in which all files *.test and *.slt are run.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,

    /// Run only files whose path has this text in it.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// How many subtasks each operator runs as, in one run after the other.
    #[arg(long, short, value_name = "N,N,…", value_delimiter = ',', default_value = "1,2")]
    parallelism: Vec<usize>,

    /// How many times more to run each query, stopped at random places and restored at a parallelism from 1 to 3.
    #[arg(long, value_name = "N", default_value_t = 1)]
    restarts: u64,

    /// What the random places follow from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Write what came out into the files, instead of what was expected. Read the difference before you keep it.
    #[arg(long)]
    update: bool,

    /// Write the results to this file as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Print failures only.
    #[arg(long, short)]
    quiet: bool,
}

/// A file and what it came to.
type Outcome = (PathBuf, Result<FileReport>);

/// Runs the files.
///
/// # Errors
/// If there are none, or one cannot be read or written.
pub async fn run(arguments: &TestArguments, screen: &Arc<Screen>) -> Result<Exit> {
    let stopwatch = Stopwatch::start();
    let plan = Arc::new(arguments.plan()?);
    let files = arguments.files()?;
    let mut reports = Vec::new();
    let (mut failed, mut done) = (0, 0);
    let mut running: JoinSet<(usize, Outcome)> = JoinSet::new();
    let mut next = files.iter().cloned().enumerate();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut waiting: BTreeMap<usize, Outcome> = BTreeMap::new();
    loop {
        while running.len() < at_once
            && let Some((number, path)) = next.next()
        {
            let plan = plan.clone();
            running.spawn(async move {
                let report = suite::run(&path, &plan).await;
                (number, (path, report))
            });
        }
        let Some(finished) = running.join_next().await else { break };
        let (number, outcome) = finished.map_err(|error| Error::internal("a test file panicked").with_source(error))?;
        waiting.insert(number, outcome);
        done += 1;
        // In the order of files, whichever is done first.
        while let Some((path, report)) = waiting.remove(&reports.len()) {
            let report = report?;
            failed += show(arguments, screen, &path, &report)?;
            reports.push((path, report));
        }
        if screen.layout().err_is_terminal && !arguments.quiet {
            screen.set_status(&format!("{done} of {} files", files.len()));
        }
    }
    screen.set_status("");
    if let Some(path) = &arguments.junit {
        let xml = report::junit(reports.iter().map(|(path, report)| (path.as_path(), report)));
        write(path, &xml)?;
    }
    let cases: usize = reports.iter().map(|(_, report)| report.cases.len()).sum();
    if !arguments.quiet || failed > 0 {
        let seconds = stopwatch.elapsed().as_secs_f64();
        screen.message(&format!("{cases} records of {} files in {seconds:.1} s, {failed} failed\n", files.len()));
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::User })
}

/// Tells what a file came to. Returns how many of its records have failed.
fn show(arguments: &TestArguments, screen: &Screen, path: &Path, report: &FileReport) -> Result<usize> {
    let failed = report.cases.iter().filter(|case| case.failure.is_some()).count();
    let updated = arguments.update && !report.updates.is_empty();
    if updated {
        let text = std::fs::read_to_string(path).map_err(|error| unwritable(path, error))?;
        write(path, &update::updated(&text, &report.updates))?;
    }
    if !arguments.quiet || failed > 0 {
        let seconds: f64 = report.cases.iter().map(|case| case.took.as_secs_f64()).sum();
        let state = match (failed, updated) {
            (0, _) => "ok",
            (_, true) => "UPDATED",
            _ => "FAILED",
        };
        screen.message(&format!("{state:7} {}  {} records, {seconds:.1} s\n", path.display(), report.cases.len()));
    }
    screen.message(&report::failures(path, report));
    Ok(failed)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::environment(format!("cannot write {}", path.display())).with_source(error)
}

impl TestArguments {
    fn plan(&self) -> Result<Plan> {
        if let Some(wrong) = self.parallelism.iter().find(|parallelism| !(1..=MOST_SUBTASKS).contains(*parallelism)) {
            return Err(Error::user(format!("--parallelism {wrong}: it is from 1 to {MOST_SUBTASKS} here")));
        }
        let steady = self.parallelism.iter().map(|parallelism| Mode::Steady(*parallelism));
        let stopped = (self.seed..self.seed.saturating_add(self.restarts)).map(Mode::Stopped);
        Ok(Plan { modes: steady.chain(stopped).collect() })
    }

    /// The files that are meant, sorted within each folder.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() {
                find(path, &mut files)?;
            } else {
                files.push(path.clone());
            }
        }
        if let Some(filter) = &self.filter {
            files.retain(|path| path.display().to_string().contains(filter.as_str()));
        }
        if files.is_empty() {
            return Err(Error::user("there is no test file").with_help("test files are called *.test or *.slt"));
        }
        Ok(files)
    }
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable =
        |error| Error::environment(format!("cannot read the folder {}", folder.display())).with_source(error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "test" || ending == "slt") {
            files.push(path);
        }
    }
    Ok(())
}
