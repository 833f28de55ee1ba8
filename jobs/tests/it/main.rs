//! Jobs, run by the harness.

#![allow(clippy::unwrap_used, reason = "tests, and functions that they share")]

mod calls;
mod evolution;
mod functions;
mod joins;
mod keyed;
mod memory;
mod plan;
mod sides;
mod streams;
mod tables;
mod time_to_live;
mod timers;
mod triggers;
mod windows;

use std::time::Duration;

use weir_jobs::prelude::*;

/// Something that happened to a user.
#[derive(Record, Debug, Clone, PartialEq)]
struct Event {
    user: String,
    amount: i64,
    #[record(event_time)]
    at: Timestamp,
}

fn event(user: &str, amount: i64, at: i64) -> Event {
    Event { user: user.to_owned(), amount, at: second(at) }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A number about a user.
#[derive(Record, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Total {
    user: String,
    total: i64,
}

fn total(user: &str, total: i64) -> Total {
    Total { user: user.to_owned(), total }
}
