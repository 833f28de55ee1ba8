//! Nexmark: runs the benchmark's queries through the `weir` binary, each in a process of its own, and prints events
//! per second, CPU seconds and peak memory, with the raw generator's speed beside them.
//!
//! Rows are made in memory before the clock starts. Every query runs with exactly-once checkpoints into a state
//! directory. "Events" are all events of the generator: a query that reads bids alone is charged for the persons and
//! auctions between them too, as in other engines' published figures.

#![allow(clippy::disallowed_methods, reason = "a measurement")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use serde::Deserialize;
use weir_connectors::nexmark::Generator;
use weir_core::{Connector, Result, TableSpec};

/// Every query that is run, with its text.
const QUERIES: &[(&str, &str)] = &[
    ("q0", include_str!("../nexmark/q0.sql")),
    ("q1", include_str!("../nexmark/q1.sql")),
    ("q2", include_str!("../nexmark/q2.sql")),
    ("q3", include_str!("../nexmark/q3.sql")),
    ("q4", include_str!("../nexmark/q4.sql")),
    ("q5", include_str!("../nexmark/q5.sql")),
    ("q6", include_str!("../nexmark/q6.sql")),
    ("q7", include_str!("../nexmark/q7.sql")),
    ("q8", include_str!("../nexmark/q8.sql")),
    ("q9", include_str!("../nexmark/q9.sql")),
    ("q10", include_str!("../nexmark/q10.sql")),
    ("q11", include_str!("../nexmark/q11.sql")),
    ("q12", include_str!("../nexmark/q12.sql")),
    ("q13", include_str!("../nexmark/q13.sql")),
    ("q14", include_str!("../nexmark/q14.sql")),
    ("q15", include_str!("../nexmark/q15.sql")),
    ("q16", include_str!("../nexmark/q16.sql")),
    ("q17", include_str!("../nexmark/q17.sql")),
    ("q18", include_str!("../nexmark/q18.sql")),
    ("q19", include_str!("../nexmark/q19.sql")),
    ("q20", include_str!("../nexmark/q20.sql")),
    ("q21", include_str!("../nexmark/q21.sql")),
    ("q22", include_str!("../nexmark/q22.sql")),
    ("q23", include_str!("../nexmark/q23.sql")),
];

const TABLES: &str = include_str!("../nexmark/tables.sql");

/// Runs Nexmark queries and prints their speed.
#[derive(Debug, Parser)]
#[command(after_help = "Example: nexmark --events 10000000 --queries q5,q7 --runs 3")]
struct Arguments {
    /// Events to generate, persons, auctions and bids together
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Events per second of event time
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Subtasks of each operator
    #[arg(long, default_value_t = 2)]
    parallelism: usize,
    /// Time between checkpoints
    #[arg(long, default_value = "1s")]
    checkpoint_interval: String,
    /// Runs of each query; the fastest, the median and the slowest are printed
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Queries, separated by commas; all without
    #[arg(long, value_delimiter = ',')]
    queries: Vec<String>,
    /// The binary to measure; `weir` beside this one without
    #[arg(long)]
    weir: Option<PathBuf>,
}

/// What `weir run --stats` writes, as far as it is of interest here.
#[derive(Debug, Clone, Deserialize)]
struct Stats {
    rows_out: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_memory_bytes: u64,
    checkpoints: u64,
    longest_capture_seconds: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if stderr is gone too.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let weir = match &arguments.weir {
        Some(weir) => weir.clone(),
        None => std::env::current_exe()?.with_file_name("weir"),
    };
    if !weir.exists() {
        return Err(format!("{} is not there; build it first: cargo build --release", weir.display()).into());
    }
    writeln!(
        out,
        "{} events, {} per second of event time, parallelism {}, a checkpoint every {}, {} runs",
        arguments.events, arguments.rate, arguments.parallelism, arguments.checkpoint_interval, arguments.runs
    )?;
    writeln!(out, "\ngenerator, one thread, all columns:")?;
    for table in ["bid", "auction", "person"] {
        writeln!(out, "  {table:<8} {:>8.2} million rows/s", generator_speed(table, arguments)? / 1e6)?;
    }
    writeln!(
        out,
        "\n{:<5} {:>24} {:>8} {:>10} {:>10} {:>12} {:>11}",
        "query", "million events/s", "CPU s", "peak MiB", "rows out", "checkpoints", "capture ms"
    )?;
    writeln!(out, "{:<5} {:>8} {:>7} {:>7}", "", "median", "min", "max")?;
    for (name, text) in QUERIES {
        if !arguments.queries.is_empty() && !arguments.queries.iter().any(|query| query == name) {
            continue;
        }
        let mut runs = Vec::new();
        for _ in 0..arguments.runs {
            runs.push(run(&weir, text, arguments).map_err(|error| format!("{name}: {error}"))?);
        }
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let speed = |stats: &Stats| arguments.events as f64 / stats.seconds / 1e6;
        let median = &runs[runs.len() / 2];
        writeln!(
            out,
            "{name:<5} {:>8.2} {:>7.2} {:>7.2} {:>8.2} {:>10} {:>10} {:>12} {:>11.1}",
            speed(median),
            speed(&runs[runs.len() - 1]),
            speed(&runs[0]),
            median.cpu_seconds,
            median.peak_memory_bytes >> 20,
            median.rows_out,
            median.checkpoints,
            runs.iter().map(|run| run.longest_capture_seconds).fold(0.0, f64::max) * 1e3
        )?;
    }
    Ok(())
}

/// One query in one process.
fn run(weir: &Path, query: &str, arguments: &Arguments) -> Result<Stats, Failure> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("query.sql");
    let stats = folder.path().join("stats.json");
    let side = folder.path().join("side.csv");
    std::fs::write(&side, (0..10_000).map(|key| format!("{key},value {key}\n")).collect::<String>())?;
    let options = format!("'events.num' = '{}', 'rate' = '{}', 'preload' = 'true'", arguments.events, arguments.rate);
    let text = format!("{TABLES}\n{query}")
        .replace("${options}", &options)
        .replace("${side}", &side.display().to_string())
        .replace("${sink}", "'connector' = 'blackhole'");
    std::fs::write(&script, text)?;
    let output = Command::new(weir)
        .arg("run")
        .arg(&script)
        .args(["--quiet", "--stats"])
        .arg(&stats)
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .arg("--parallelism")
        .arg(arguments.parallelism.to_string())
        .arg("-D")
        .arg(format!("execution.checkpointing.interval={}", arguments.checkpoint_interval))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&std::fs::read(stats)?)?)
}

/// Rows per second of the generator alone, on one thread.
fn generator_speed(table: &str, arguments: &Arguments) -> Result<f64> {
    let options = [("nexmark.table", table.to_owned()), ("rate", arguments.rate.to_string())];
    let options = options.map(|(key, value)| (key.to_owned(), value)).into_iter().collect();
    let mut spec = TableSpec::new(table, "nexmark", options, Arc::new(arrow_schema::Schema::empty()));
    if let Some(schema) = weir_connectors::nexmark::Nexmark.default_schema(&spec.options)? {
        spec.schema = schema;
    }
    let generator = Generator::new(&spec)?;
    let start = Instant::now();
    let mut rows = 0;
    let mut event = 0;
    while start.elapsed().as_secs_f64() < 0.5 {
        rows += generator.rows(std::slice::from_ref(&(event..event + 10_000)))?.num_rows();
        event += 10_000;
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}
