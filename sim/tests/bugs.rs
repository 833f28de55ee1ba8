//! Is the simulator any good? Takes defences away and sees whether it notices.
//!
//! The first of the histories from seed 1 that fails, by bug:
//!
//! | Bug | Seed |
//! |---|---|
//! | early-commit, dropped-commit, early-deletion | 1 |
//! | incarnation-ignored | 3 |
//! | skipped-sync | 6 |
//! | no-fencing | 47 |
//! | lost-commit-request | 68 |
//! | given-up-time | 70 at the latest |
//! | no-alignment | 105 |
//! | report-twice | 260 |
#![cfg(feature = "sim-bugs")]
#![allow(clippy::unwrap_used, reason = "tests")]

use weir_core::bugs::Bug;
use weir_sim::{Options, run};

/// Every bug that is found within so few histories that every run of the tests can afford it.
const CHEAP: [Bug; 10] = [
    Bug::SkippedSync,
    Bug::ReportTwice,
    Bug::EarlyCommit,
    Bug::IncarnationIgnored,
    Bug::DroppedCommit,
    Bug::EarlyDeletion,
    Bug::NoAlignment,
    Bug::NoFencing,
    Bug::GivenUpTime,
    Bug::LostCommitRequest,
];
const SEEDS: u64 = 400;

#[test]
fn bugs_that_are_switched_on_are_found() {
    for bug in CHEAP {
        let options = Options { bug: Some(bug), ..Options::default() };
        let found = (1..=SEEDS).find(|seed| run(*seed, options).unwrap().violation.is_some());
        assert!(found.is_some(), "{} is not found within {SEEDS} histories", bug.name());
    }
}
