//! The rows of one partition, as far as something follows from them yet.

use std::collections::VecDeque;
use std::sync::Arc;

use super::call::Call;
use super::tally::{Frame, Tally};
use crate::kept_row::Row;

/// Which rows that have been emitted are still needed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    /// So many rows.
    pub(super) rows: usize,
    /// Rows of so many milliseconds.
    pub(super) time: Option<i64>,
    /// So many rows wait for those that follow them.
    pub(super) ahead: usize,
    /// Whether rows leave the state one by one, and not by their time alone.
    pub(super) one_by_one: bool,
}

impl Reach {
    pub(super) fn of(calls: &[Call]) -> Self {
        let mut reach = Self::default();
        for call in calls {
            match call.frame {
                Frame::Unbounded => reach.one_by_one = true,
                Frame::Rows(rows) => reach.rows = reach.rows.max(usize::try_from(rows).unwrap_or(usize::MAX)),
                Frame::Range(time) => reach.time = reach.time.max(Some(time)),
            }
            reach.rows = reach.rows.max(call.rows_behind());
            reach.ahead = reach.ahead.max(call.rows_ahead());
        }
        reach.one_by_one |= reach.rows > 0 || reach.ahead > 0;
        reach
    }

    /// How many of these rows, which are all that there are up to now, have been emitted. Rows of the same time are emitted together.
    pub(super) fn emitted(&self, rows: &VecDeque<Arc<Row>>) -> usize {
        let mut first = rows.len().saturating_sub(self.ahead);
        while first > 0 && rows.get(first).is_some_and(|row| row.time == rows[first - 1].time) {
            first -= 1;
        }
        first
    }
}

/// A partition.
pub(super) struct Partition {
    pub(super) key: Arc<[u8]>,
    pub(super) hash: u64,
    /// How many rows the watermark has not passed.
    pub(super) waiting: usize,
    /// Rows that the watermark has passed, and that wait for those behind them.
    pub(super) held: VecDeque<Arc<Row>>,
    /// Rows that were emitted, and that are still needed.
    pub(super) passed: VecDeque<Arc<Row>>,
    pub(super) tallies: Vec<Tally>,
    /// Rows up to this time are in the tallies without a bound.
    pub(super) folded: i64,
    /// Rows that were loaded, and that the watermark has passed.
    pub(super) loaded: Vec<Arc<Row>>,
    /// Rows that are stored and no longer needed since the last capture.
    pub(super) gone: Vec<Arc<Row>>,
    /// Whether something is to be captured of it besides new rows.
    pub(super) is_changed: bool,
    /// Whether it is noted when its first row is to go.
    pub(super) is_noted: bool,
}

impl Partition {
    pub(super) fn new(key: Arc<[u8]>, hash: u64, calls: &[Call]) -> Self {
        Self {
            key,
            hash,
            waiting: 0,
            held: VecDeque::new(),
            passed: VecDeque::new(),
            tallies: calls.iter().map(Call::tally).collect(),
            folded: i64::MIN,
            loaded: Vec::new(),
            gone: Vec::new(),
            is_changed: false,
            is_noted: false,
        }
    }

    /// Whether nothing would be lost with it. What frames without a beginning count is not seen here.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
            && self.held.is_empty()
            && self.passed.is_empty()
            && self.loaded.is_empty()
            && self.gone.is_empty()
            && self.folded == i64::MIN
    }

    /// Lets go of rows that are no longer needed where all rows up to `time` have come; says how many bytes there are less.
    pub(super) fn trim(&mut self, reach: &Reach, time: i64) -> usize {
        // Frames of rows that are held reach further back than those of rows to come.
        let time = self.held.front().map_or(time, |row| time.min(row.time - 1));
        let mut bytes = 0;
        while let Some(first) = self.passed.front() {
            let is_within = reach.time.is_some_and(|reach| first.time > time.saturating_sub(reach));
            if self.passed.len() <= reach.rows || is_within {
                break;
            }
            let Some(row) = self.passed.pop_front() else { break };
            bytes += row.bytes();
            if reach.one_by_one && row.is_stored() {
                self.gone.push(row);
            }
        }
        self.tallies.iter_mut().for_each(|tally| tally.expire(time));
        bytes
    }

    /// When the first row is to go by its time.
    pub(super) fn leaves_at(&self, reach: &Reach) -> Option<i64> {
        let first = self.passed.front().filter(|_| self.passed.len() > reach.rows)?;
        Some(first.time.saturating_add(reach.time?))
    }
}
