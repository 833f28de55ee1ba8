//! `weir-differential`: judges the cases of seeds.

#![allow(clippy::disallowed_methods, reason = "how long the cases took on this machine")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use weir_core::{Error, Result};
use weir_differential::generate::{Case, Kind, Topic, case};
use weir_differential::judge::{Verdict, judge};
use weir_differential::random::Random;
use weir_differential::script::shell;
use weir_differential::shrink::shrink;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs random queries and compares the results with those of an evaluator of its own.
#[derive(Debug, Parser)]
struct Arguments {
    /// Judges one case, and prints it.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Judges many cases: `1..1000`.
    #[arg(long, value_parser = range, default_value = "1..200")]
    seeds: Range<u64>,
    /// Prints only how cases are wrong, without making them smaller.
    #[arg(long)]
    brief: bool,
    /// Goes on after a case that is wrong.
    #[arg(long)]
    keep_going: bool,
    /// Prints why queries were refused.
    #[arg(long)]
    refusals: bool,
    /// Joins, aggregations and first rows without regard to windows and times, over each other.
    #[arg(long)]
    updating: bool,
    /// Joins with the versions that a table has in time.
    #[arg(long, conflicts_with = "updating")]
    versions: bool,
    /// Leaves something out of the queries, to look for other things.
    #[arg(long, value_delimiter = ',', value_parser = topic)]
    without: Vec<Topic>,
    /// Threads, each with its own cases.
    #[arg(long)]
    threads: Option<usize>,
}

fn range(text: &str) -> std::result::Result<Range<u64>, String> {
    let numbers = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    numbers.map(|(from, to)| from..to).ok_or_else(|| "two numbers with '..' between them".to_owned())
}

fn topic(text: &str) -> std::result::Result<Topic, String> {
    let names: Vec<&str> = Topic::ALL.iter().map(|(name, _)| *name).collect();
    let found = Topic::ALL.iter().find(|(name, _)| *name == text).map(|(_, topic)| *topic);
    found.ok_or_else(|| format!("one of {}", names.join(", ")))
}

/// Bytes of a thread's stack.
const STACK: usize = 64 << 20;

/// Sums over cases.
#[derive(Debug, Default)]
struct Sums {
    equal: u64,
    empty: u64,
    rows: usize,
    undefined: u64,
    refused: BTreeMap<String, (u64, u64)>,
    wrong: Vec<u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seed.map_or(arguments.seeds.clone(), |seed| seed..seed + 1);
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let (next, stop, sums) = (AtomicU64::new(seeds.start), AtomicBool::new(false), Mutex::new(Sums::default()));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            // Planning recurses deeply, all the more without optimisation.
            let thread = std::thread::Builder::new().stack_size(STACK);
            let spawned = thread.spawn_scoped(scope, || {
                while !stop.load(Ordering::SeqCst) {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Err(error) = one(seed, &arguments, &sums) {
                        say(&format!("seed {seed} could not be judged: {}", error.report()));
                        stop.store(true, Ordering::SeqCst);
                    }
                    let wrong = sums.lock().is_ok_and(|sums| !sums.wrong.is_empty());
                    stop.fetch_or(wrong && !arguments.keep_going, Ordering::SeqCst);
                }
            });
            if let Err(error) = spawned {
                say(&format!("a thread could not be started: {error}"));
            }
        }
    });
    let sums = sums.into_inner().unwrap_or_default();
    let refused: u64 = sums.refused.values().map(|(count, _)| count).sum();
    if arguments.refusals {
        let mut refusals: Vec<_> = sums.refused.iter().collect();
        refusals.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        for (reason, (count, seed)) in refusals {
            say(&format!("{count} refused, as seed {seed}: {reason}"));
        }
    }
    say(&format!(
        "{} queries equal ({} of them empty), {} rows; {refused} refused, {} without an answer; {} wrong {:?}; {:.1} s",
        sums.equal,
        sums.empty,
        sums.rows,
        sums.undefined,
        sums.wrong.len(),
        sums.wrong,
        start.elapsed().as_secs_f64()
    ));
    if sums.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: &str) {
    // Whoever reads it may have seen enough.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

fn one(seed: u64, arguments: &Arguments, sums: &Mutex<Sums>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::environment("cannot wait for jobs").with_source(error))?;
    let kind = match (arguments.updating, arguments.versions) {
        (true, _) => Kind::Updating,
        (_, true) => Kind::Versions,
        _ => Kind::Any,
    };
    let case = case(seed, kind, &arguments.without);
    let mut random = Random::new(!seed);
    if arguments.seed.is_some() {
        say(&printed(&case));
    }
    let verdict = runtime.block_on(judge(&case, &mut random))?;
    let note = |change: &mut dyn FnMut(&mut Sums)| {
        if let Ok(mut sums) = sums.lock() {
            change(&mut sums);
        }
    };
    match verdict {
        Verdict::Equal { rows } => note(&mut |sums| {
            sums.equal += 1;
            sums.empty += u64::from(rows == 0);
            sums.rows += rows;
        }),
        Verdict::Undefined => note(&mut |sums| sums.undefined += 1),
        Verdict::Refused(reason) => note(&mut |sums| {
            let reason: String =
                reason.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_ascii_digit()).collect();
            sums.refused.entry(reason).or_insert((0, seed)).0 += 1;
        }),
        Verdict::Wrong { setting, difference } => {
            note(&mut |sums| sums.wrong.push(seed));
            if arguments.brief {
                say(&format!("=== seed {seed} is wrong: {difference}\n{setting:?}"));
            } else {
                let (case, setting, difference) = runtime.block_on(shrink(case, &setting, difference))?;
                say(&format!("=== seed {seed} is wrong: {difference}\n{setting:?}\n{}", shell(&case, &setting)));
            }
        }
    }
    runtime.shutdown_background();
    Ok(())
}

fn printed(case: &Case) -> String {
    weir_differential::engine::script(case, |_| "…".to_owned())
}
