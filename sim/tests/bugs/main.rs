//! Are the simulator and the tests any good? Takes defences away, one at a time, and sees whether that is noticed: by a history of
//! the simulator, or by a check of the part that the defence is in, where histories would have to be long to come upon it.
#![cfg(feature = "sim-bugs")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod checks;
mod found_by;

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::thread;

use weir_core::bugs::{self, Bug};
use weir_sim::{Options, run};

use found_by::{By, FOUND_BY};

/// Histories in which a bug has to be found.
const SEEDS: u64 = 2000;

/// Whether a check fails on a thread that has the bug.
fn fails(check: fn(), bug: Option<Bug>) -> bool {
    thread::scope(|scope| {
        let checked = scope.spawn(|| {
            bugs::set(bug);
            catch_unwind(check).is_err()
        });
        checked.join().unwrap()
    })
}

/// The history that finds a bug; the one that did so last is looked at first.
fn history(bug: Bug, first: u64, naps: bool) -> Option<u64> {
    let options = Options { bug: Some(bug), naps, ..Options::default() };
    let mut seeds = std::iter::once(first).chain(1..=SEEDS);
    seeds.find(|seed| run(*seed, options).unwrap().violation.is_some())
}

#[test]
fn checks_find_bugs_that_are_switched_on() {
    for (bug, by) in FOUND_BY {
        if let By::Check(check) = by {
            assert!(!fails(*check, None), "the check that finds {} fails without it", bug.name());
            assert!(fails(*check, Some(*bug)), "{} is not found", bug.name());
        }
    }
}

#[test]
fn histories_find_bugs_that_are_switched_on() {
    let left = Mutex::new(FOUND_BY.iter());
    let missed = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((bug, by)) = { left.lock().unwrap().next() } {
                    let found = match by {
                        By::Check(_) => continue,
                        By::History(first) => history(*bug, *first, false),
                        By::Naps(first) => history(*bug, *first, true),
                    };
                    match found {
                        Some(seed) => println!("{}: seed {seed}", bug.name()),
                        None => missed.lock().unwrap().push(bug.name()),
                    }
                }
            });
        }
    });
    assert_eq!(missed.into_inner().unwrap(), [""; 0], "not found");
}

#[test]
fn every_bug_is_in_the_list() {
    for bug in Bug::ALL {
        assert_eq!(FOUND_BY.iter().filter(|(listed, _)| listed == bug).count(), 1, "{}", bug.name());
    }
}
