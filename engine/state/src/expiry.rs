//! When a row of a table counts as expired, and what that means for the rows that it replaced.
//!
//! "All rows with a time up to `expired` are gone." Where the time is part of the key, or rows are only added, each row
//! stands alone and can be dropped wherever it is met. Elsewhere a later row may have an *earlier* time than the one
//! it replaced: dropping it would bring the old row back. There it goes on as a deletion, until a merge reaches down to
//! the table's oldest run.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use weir_core::{Error, EventTime, Result, TableSchema};

use crate::Run;

/// The time column of rows of `table`, if it has one.
pub(crate) fn times<'a>(
    table: &TableSchema,
    rows: &'a arrow::array::RecordBatch,
) -> Result<Option<&'a TimestampMillisecondArray>> {
    let Some(column) = table.time_column else { return Ok(None) };
    rows.columns().get(column).map_or_else(|| Err(no_times(table)), |column| as_times(table, column)).map(Some)
}

/// The time column as what it is.
pub(crate) fn as_times<'a>(table: &TableSchema, column: &'a ArrayRef) -> Result<&'a TimestampMillisecondArray> {
    column.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(|| no_times(table))
}

fn no_times(table: &TableSchema) -> Error {
    let column = table.time_column.unwrap_or_default();
    Error::internal(format!("time column {column} of state table '{}' is not a TIMESTAMP(3)", table.name))
}

/// Whether an expired row can be dropped without a thought for older rows of its key.
pub(crate) fn rows_stand_alone(table: &TableSchema) -> bool {
    table.key_columns == 0 || table.time_column.is_some_and(|column| column < table.key_columns)
}

/// Whether the time of a deleted row says something.
pub(crate) fn deletions_have_times(table: &TableSchema) -> bool {
    table.time_column.is_some_and(|column| column < table.key_columns)
}

/// Whether all rows with this last time are gone.
pub(crate) fn is_past(last_time: Option<i64>, expired: Option<EventTime>) -> bool {
    matches!((last_time, expired), (Some(time), Some(expired)) if time <= expired.0)
}

/// Removes runs of which no row counts any more.
pub(crate) fn drop_expired_runs(table: &TableSchema, runs: &mut Vec<Run>, expired: Option<EventTime>) {
    let past = |run: &Run| is_past(run.last_time, expired);
    if rows_stand_alone(table) {
        runs.retain(|run| !past(run));
    } else {
        let oldest = runs.iter().take_while(|run| past(run)).count();
        runs.drain(..oldest);
    }
}

/// What becomes of a row that is the newest of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    Put,
    /// It says that its key is gone.
    Deletion,
    /// It says nothing any more.
    Gone,
}

/// Decides on rows of one table.
pub(crate) struct Fates<'a> {
    times: Option<&'a TimestampMillisecondArray>,
    deleted: Option<&'a BooleanArray>,
    expired: Option<EventTime>,
    /// Whether older rows of the same keys may stand elsewhere.
    above_others: bool,
    stand_alone: bool,
    deletions_have_times: bool,
}

impl<'a> Fates<'a> {
    pub(crate) fn new(
        table: &TableSchema,
        times: Option<&'a TimestampMillisecondArray>,
        deleted: Option<&'a BooleanArray>,
        expired: Option<EventTime>,
        above_others: bool,
    ) -> Self {
        Self {
            times,
            deleted,
            expired,
            above_others,
            stand_alone: rows_stand_alone(table),
            deletions_have_times: deletions_have_times(table),
        }
    }

    pub(crate) fn of(&self, row: usize) -> Fate {
        let deleted = self.deleted.is_some_and(|deleted| deleted.is_valid(row) && deleted.value(row));
        if !deleted && !self.is_expired(row) {
            return Fate::Put;
        }
        let needed = self.above_others
            && if deleted { !(self.deletions_have_times && self.is_expired(row)) } else { !self.stand_alone };
        if needed { Fate::Deletion } else { Fate::Gone }
    }

    fn is_expired(&self, row: usize) -> bool {
        let time = self.times.filter(|times| times.is_valid(row)).map(|times| times.value(row));
        is_past(time, self.expired)
    }
}
