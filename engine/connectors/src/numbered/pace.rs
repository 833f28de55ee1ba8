//! Holds a generator to so many numbers per second of wall time.

use std::time::Duration;

use tokio::time::Instant;

/// How often a paced source hands rows out: often enough to look steady, seldom enough to make batches.
const STEPS_PER_SECOND: u64 = 20;

/// A source's timetable. It starts with the first number that is waited for, whose time has come at once: so after a pause nothing
/// is made up for in a rush, and a job that starts again and again gets on.
pub(super) struct Pace {
    rate: u64,
    began: Option<Began>,
}

#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    first: u64,
}

impl Pace {
    /// `rate` numbers a second.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), began: None }
    }

    /// Numbers that one of `parallelism` subtasks should hand out at once.
    pub(super) fn numbers_per_step(&self, parallelism: usize) -> u64 {
        (self.rate / STEPS_PER_SECOND / parallelism.max(1) as u64).max(1)
    }

    /// Returns when the time of `number` has come.
    pub(super) async fn wait_for(&mut self, number: u64) {
        let began = *self.began.get_or_insert_with(|| Began { at: Instant::now(), first: number });
        if let Some(deadline) = began.at.checked_add(self.offset(number, began)) {
            tokio::time::sleep_until(deadline).await;
        }
    }

    /// Behind all numbers whose time has come.
    pub(super) fn due(&self) -> Option<u64> {
        let began = self.began?;
        let numbers = began.at.elapsed().as_nanos() * u128::from(self.rate) / 1_000_000_000;
        Some(began.first.saturating_add(u64::try_from(numbers).unwrap_or(u64::MAX)))
    }

    /// For how long the time of `number` has been over.
    pub(super) fn overdue(&self, number: u64) -> Option<Duration> {
        let began = self.began?;
        Some(began.at.elapsed().saturating_sub(self.offset(number, began)))
    }

    fn offset(&self, number: u64, began: Began) -> Duration {
        let nanos = u128::from(number.saturating_sub(began.first)) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
