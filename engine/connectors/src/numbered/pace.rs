//! Holds a generator to so many numbers per second of wall time.

use std::time::Duration;

use tokio::time::Instant;

/// How often a paced source hands rows out: often enough to look steady, seldom enough to make batches.
const STEPS_PER_SECOND: u64 = 20;

/// A source's timetable. It starts with the first number that is waited for, so that after a pause nothing is made up
/// for in a rush.
pub(super) struct Pace {
    rate: u64,
    first: u64,
    started: Option<Instant>,
}

impl Pace {
    /// `rate` numbers a second, from number `first` on.
    pub(super) fn new(rate: u64, first: u64) -> Self {
        Self { rate: rate.max(1), first, started: None }
    }

    /// Numbers that one of `parallelism` subtasks should hand out at once.
    pub(super) fn numbers_per_step(&self, parallelism: usize) -> u64 {
        (self.rate / STEPS_PER_SECOND / parallelism.max(1) as u64).max(1)
    }

    /// Returns when the time of `number` has come.
    pub(super) async fn wait_for(&mut self, number: u64) {
        let started = *self.started.get_or_insert_with(Instant::now);
        let nanos = u128::from(number.saturating_sub(self.first)) * 1_000_000_000 / u128::from(self.rate);
        let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if let Some(deadline) = started.checked_add(due) {
            tokio::time::sleep_until(deadline).await;
        }
    }
}
