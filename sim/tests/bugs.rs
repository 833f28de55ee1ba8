//! Is the simulator any good? Takes defences away and sees whether it notices.
//!
//! The first of the histories from seed 1 that fails, by bug:
//!
//! | Bug | Seed |
//! |---|---|
//! | early-commit, dropped-commit, early-deletion | 1 |
//! | skipped-sync | 6 |
//! | no-fencing | 11 |
//! | lost-commit-request | 45 |
//! | given-up-time | 70 |
//! | no-alignment | 267 |
//! | report-twice | 319 |
//! | stale-report | 482 |
//!
//! `incarnation-ignored` is not found: a leader that takes a process for the one before it still finds out that it does not know
//! the job, and workers refuse connections that are meant for another process.
#![cfg(feature = "sim-bugs")]
#![allow(clippy::unwrap_used, reason = "tests")]

use weir_core::bugs::Bug;
use weir_sim::{Options, run};

/// Every bug that is found within so few histories that every run of the tests can afford it.
const CHEAP: [Bug; 10] = [
    Bug::SkippedSync,
    Bug::StaleReport,
    Bug::ReportTwice,
    Bug::EarlyCommit,
    Bug::DroppedCommit,
    Bug::EarlyDeletion,
    Bug::NoAlignment,
    Bug::NoFencing,
    Bug::GivenUpTime,
    Bug::LostCommitRequest,
];
const SEEDS: u64 = 600;

#[test]
fn bugs_that_are_switched_on_are_found() {
    for bug in CHEAP {
        let options = Options { bug: Some(bug), ..Options::default() };
        let found = (1..=SEEDS).find(|seed| run(*seed, options).unwrap().violation.is_some());
        assert!(found.is_some(), "{} is not found within {SEEDS} histories", bug.name());
    }
}
