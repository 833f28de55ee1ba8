//! Holds a source to so many rows a second, by not asking it for more.

use std::time::Duration;

use tokio::time::Instant;

/// How often a limited source should hand rows out: often enough to look steady, seldom enough to make batches.
const BATCHES_PER_SECOND: u64 = 20;

/// The share that one subtask has of its table's limit.
#[derive(Debug)]
pub struct RateLimit {
    rows_per_second: f64,
    /// When the rows that were read so far have taken their time.
    spent_until: Instant,
}

impl RateLimit {
    /// A share of `rows_per_second`, of which each of `subtasks` has an equal one.
    pub fn new(rows_per_second: u64, subtasks: usize) -> Self {
        Self { rows_per_second: rows_per_second.max(1) as f64 / subtasks.max(1) as f64, spent_until: Instant::now() }
    }

    /// Rows that a batch should have, which would have `rows` without the limit.
    pub fn batch_rows(rows_per_second: u64, subtasks: usize, rows: usize) -> usize {
        let share = rows_per_second / BATCHES_PER_SECOND / subtasks.max(1) as u64;
        rows.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
    }

    /// Rows were read. Time in which there was nothing to read is not made up for.
    pub fn spend(&mut self, rows: usize) {
        let begin = self.spent_until.max(Instant::now());
        self.spent_until = begin + Duration::from_secs_f64(rows as f64 / self.rows_per_second);
    }

    /// When the source may be asked again; `None`: now.
    pub fn paused_until(&self) -> Option<Instant> {
        (self.spent_until > Instant::now()).then_some(self.spent_until)
    }
}
