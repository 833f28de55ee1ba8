//! Tables in which joins look rows up while a job runs.
//!
//! A subtask opens the table ([`Connector::open_lookup`](crate::Connector::open_lookup)) and asks it before each batch of rows that look
//! something up. What is found goes to the join, which does no I/O itself:
//!
//! ```text
//!            keys, if they are wanted                rows
//!   batch ──────────────────────────▶ LookupTable ─────────▶ LookupRows ──▶ join
//! ```
//!
//! A table may be held as a whole, which is read again from time to time beside the rows that go on, or asked for the keys of each batch;
//! how long an answer may be used again, and how often a failed question is repeated, is the table's own affair. What was found is
//! in no checkpoint: a row that has to be processed again finds what there is then.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter_record_batch, take_record_batch};
use async_trait::async_trait;

use crate::hash::hash_rows;
use crate::{Attempt, Result};

/// A table that is looked up in, as one subtask reaches it.
#[async_trait]
pub trait LookupTable: Send {
    /// Whether it has to know what is looked for.
    fn wants_keys(&self) -> bool {
        false
    }

    /// Rows are about to look something up, at processing time `now` in milliseconds since 1970. Where the table wants them, `keys` are the
    /// values that they look for: each once, without nulls, the columns in the order of [`LookupContext::keys`]. Waiting here holds up the
    /// rows, and the markers behind them: what can be done beside them is done beside them. Not asked again behind an error.
    ///
    /// # Errors
    /// If the table cannot be reached, and was tried often enough.
    async fn look_up(&mut self, now: i64, keys: Option<&RecordBatch>) -> Result<Found>;
}

/// What a subtask that looks rows up learns when it opens.
#[derive(Debug, Clone)]
pub struct LookupContext {
    /// Columns of the table's output schema that have to be equal to something, as far as they are columns; `None` for what is computed
    /// of several.
    pub keys: Vec<Option<usize>>,
    /// Rows that a batch should have.
    pub batch_rows: usize,
    /// This execution. A table that is not there in the first one has perhaps never been, and one in a later one has gone away.
    pub attempt: Attempt,
}

/// What a table has answered, in its output schema.
#[derive(Debug)]
pub enum Found {
    /// What was found last still holds.
    AsBefore,
    /// All rows of the table. They take the place of those before as soon as they are ready for it.
    Table {
        /// The rows.
        rows: Vec<RecordBatch>,
        /// Whether they have to be ready before anything is looked up.
        at_once: bool,
    },
    /// All rows of the table with one of the keys, perhaps among others. They count at once.
    OfKeys(Vec<RecordBatch>),
}

/// Rows that are found by their key.
#[derive(Debug)]
pub struct LookupRows {
    /// In the order of their hashes; those of one hash in the order in which they came.
    records: RecordBatch,
    hashes: Vec<u64>,
    /// Where the rows begin whose hash begins with these bits, and behind the last where they end.
    starts: Vec<u32>,
    /// How many bits a hash has behind them.
    shift: u32,
}

impl LookupRows {
    /// The rows, to be found by the values of the columns `keys`. Those with a null there are left out: nothing finds them.
    ///
    /// # Errors
    /// If a column cannot be a key, or there are too many rows.
    pub fn new(records: &RecordBatch, keys: &[usize]) -> Result<Self> {
        let columns: Vec<ArrayRef> = keys.iter().map(|key| records.column(*key).clone()).collect();
        let nulls = columns
            .iter()
            .fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref()));
        if let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) {
            return Self::new(&filter_record_batch(records, &BooleanArray::new(nulls.into_inner(), None))?, keys);
        }
        let rows = u32::try_from(records.num_rows()).map_err(|_| {
            crate::Error::environment("a table that is looked up in has more than four thousand million rows")
        })?;
        let mut unordered = Vec::new();
        hash_rows(&columns, records.num_rows(), &mut unordered)?;
        let mut order: Vec<u32> = (0..rows).collect();
        order.sort_by_key(|row| unordered[*row as usize]);
        let hashes: Vec<u64> = order.iter().map(|row| unordered[*row as usize]).collect();
        let bits = usize::BITS - hashes.len().leading_zeros() + 1;
        let shift = u64::BITS - bits;
        let mut starts = vec![0_u32; (1 << bits) + 1];
        hashes.iter().for_each(|hash| starts[(hash >> shift) as usize + 1] += 1);
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        let records = take_record_batch(records, &UInt32Array::from(order))?;
        Ok(Self { records, hashes, starts, shift })
    }

    /// The rows; others refer to them by their place here.
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// Places of the rows whose key has this hash.
    pub fn with_hash(&self, hash: u64) -> impl Iterator<Item = u32> {
        let bucket = (hash >> self.shift) as usize;
        let places = self.starts[bucket]..self.starts[bucket + 1];
        places.filter(move |place| self.hashes[*place as usize] == hash)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn rows(keys: impl IntoIterator<Item = Option<i64>>) -> LookupRows {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter(keys));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys.len() as i64));
        let records = RecordBatch::try_from_iter([("number", numbers), ("key", keys)]).unwrap();
        LookupRows::new(&records, &[1]).unwrap()
    }

    fn found(rows: &LookupRows, key: i64) -> Vec<i64> {
        let key: ArrayRef = Arc::new(Int64Array::from(vec![key]));
        let mut hashes = Vec::new();
        hash_rows(&[key], 1, &mut hashes).unwrap();
        let numbers = rows.records().column(0).as_primitive::<Int64Type>();
        rows.with_hash(hashes[0]).map(|place| numbers.value(place as usize)).collect()
    }

    #[test]
    fn rows_of_a_key_are_found_in_their_order() {
        let some = rows([Some(7), None, Some(3), Some(7), Some(7)]);
        assert_eq!(found(&some, 7), [0, 3, 4]);
        assert_eq!(found(&some, 3), [2]);
        assert_eq!(found(&some, 0), [] as [i64; 0]);
        assert_eq!(some.records().num_rows(), 4, "nothing finds a null");
        let many = rows((0..10_000).map(|row| Some(row / 2)));
        assert!((0..5000).all(|key| found(&many, key) == [2 * key, 2 * key + 1]));
        assert_eq!(found(&rows([]), 1), [] as [i64; 0]);
    }
}
