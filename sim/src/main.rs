//! `weir-sim`: runs histories.

#![allow(clippy::disallowed_methods, reason = "how long the histories took on this machine")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use weir_core::bugs::Bug;
use weir_core::hash::mix;
use weir_sim::{Options, Verdict};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the cluster on simulated time, network and disks, and judges what it does.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs one history and prints what happens in it.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Runs many histories: `1..1000`.
    #[arg(long, value_parser = range, default_value = "1..200")]
    seeds: Range<u64>,
    /// Runs each history twice and compares.
    #[arg(long)]
    check_determinism: bool,
    /// Prints one number over all that happens in all histories: the same in every process that runs the same seeds.
    #[arg(long)]
    hash: bool,
    /// Takes a defence away; needs the feature `sim-bugs`.
    #[arg(long, value_parser = bug)]
    bug: Option<Bug>,
    /// Breaks nothing.
    #[arg(long)]
    calm: bool,
    /// Inputs sleep, wake up, come and end in all histories.
    #[arg(long)]
    naps: bool,
    /// Results change as rows come: aggregations, joins and Top-N without a window.
    #[arg(long)]
    updating: bool,
    /// Goes on after a history that fails.
    #[arg(long)]
    keep_going: bool,
    /// Threads, each with its own histories.
    #[arg(long)]
    threads: Option<usize>,
    /// What coordinators and workers log, as in `weir_coordinator=debug`. For one history.
    #[arg(long)]
    log: Option<String>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let numbers = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    numbers.map(|(from, to)| from..to).ok_or_else(|| "two numbers with '..' between them".to_owned())
}

fn bug(text: &str) -> Result<Bug, String> {
    let names = || Bug::ALL.iter().map(|bug| bug.name()).collect::<Vec<_>>().join(", ");
    let bug = Bug::ALL.iter().copied().find(|bug| bug.name() == text);
    bug.ok_or_else(|| format!("one of {}", names()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(filter) = &arguments.log {
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).without_time().with_ansi(false);
        subscriber.with_writer(std::io::stdout).init();
    }
    let Arguments { calm, naps, updating, bug, .. } = arguments;
    let good = match arguments.seed {
        Some(seed) => one(seed, Options { trace: true, calm, naps, updating, bug }),
        None => many(&arguments, Options { trace: false, calm, naps, updating, bug }),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: std::fmt::Arguments<'_>) {
    // Whoever reads it may have seen enough.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn one(seed: u64, options: Options) -> bool {
    match weir_sim::run(seed, options) {
        Ok(outcome) => {
            say(format_args!("{}", verdict(&outcome)));
            outcome.violation.is_none()
        }
        Err(error) => {
            say(format_args!("{}", error.report()));
            false
        }
    }
}

fn verdict(outcome: &Verdict) -> String {
    let Verdict { seed, violation, hash, elapsed, .. } = outcome;
    match violation {
        None => format!("seed {seed} passes after {elapsed:?} ({hash:016x})"),
        Some(violation) => format!("seed {seed} FAILS after {elapsed:?}: {violation}"),
    }
}

/// Sums over histories.
#[derive(Debug, Default)]
struct Sums {
    histories: u64,
    faults: u64,
    failed_operations: u64,
    checkpoints: u64,
    attempts: u64,
    virtual_time: Duration,
    /// By seed, since threads take turns as they please.
    hashes: BTreeMap<u64, u64>,
    failed: BTreeMap<u64, String>,
}

fn many(arguments: &Arguments, options: Options) -> bool {
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let next = AtomicU64::new(arguments.seeds.start);
    let stop = AtomicBool::new(false);
    let sums = Mutex::new(Sums::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.seeds.end {
                        return;
                    }
                    let failure = judge(seed, arguments, options, &sums);
                    if failure && !arguments.keep_going {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_default();
    let seconds = began.elapsed().as_secs_f64();
    for failure in sums.failed.values() {
        say(format_args!("{failure}"));
    }
    say(format_args!(
        "{} histories in {seconds:.1} s ({:.1} a second), {:.0} s of virtual time; {} faults, {} failed operations, \
         {} checkpoints, {} attempts; {} failed{}",
        sums.histories,
        sums.histories as f64 / seconds,
        sums.virtual_time.as_secs_f64(),
        sums.faults,
        sums.failed_operations,
        sums.checkpoints,
        sums.attempts,
        sums.failed.len(),
        sums.failed.keys().next().map(|seed| format!(", the first is seed {seed}")).unwrap_or_default(),
    ));
    if arguments.hash {
        let all = sums.hashes.iter().fold(0, |all, (seed, hash)| mix(mix(all ^ seed) ^ hash));
        say(format_args!("all that happened: {all:016x}"));
    }
    sums.failed.is_empty()
}

/// Runs a history; true if it fails.
fn judge(seed: u64, arguments: &Arguments, options: Options, sums: &Mutex<Sums>) -> bool {
    let outcome = weir_sim::run(seed, options);
    let again = arguments.check_determinism.then(|| weir_sim::run(seed, options));
    let Ok(mut sums) = sums.lock() else { return true };
    let failure = match (outcome, again) {
        (Err(error), _) | (_, Some(Err(error))) => Some(error.report()),
        (Ok(outcome), Some(Ok(again))) if outcome.hash != again.hash => {
            Some(format!("seed {seed} is not deterministic: {:016x} and {:016x}", outcome.hash, again.hash))
        }
        (Ok(outcome), _) => {
            sums.histories += 1;
            sums.faults += outcome.faults;
            sums.failed_operations += outcome.failed_operations;
            sums.checkpoints += outcome.checkpoints;
            sums.attempts += outcome.attempts;
            sums.virtual_time += outcome.elapsed;
            sums.hashes.insert(seed, outcome.hash);
            outcome.violation.is_some().then(|| verdict(&outcome))
        }
    };
    let failed = failure.is_some();
    sums.failed.extend(failure.map(|failure| (seed, failure)));
    failed
}
