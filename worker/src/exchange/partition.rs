//! Splits a batch by the owners of its rows' keys.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use weir_core::{Result, hash};

/// Reusable memory of a partitioning.
#[derive(Debug, Default)]
pub struct Scratch {
    hashes: Vec<u64>,
    rows: Vec<Vec<u32>>,
}

/// Splits `records` into `parallelism` pieces: piece `i` holds the rows whose key belongs to subtask `i`, in order. A
/// piece without rows is `None`.
pub fn by_hash(
    records: &RecordBatch,
    columns: &[usize],
    parallelism: usize,
    scratch: &mut Scratch,
) -> Result<Vec<Option<RecordBatch>>> {
    let keys: Vec<_> = columns.iter().map(|column| records.column(*column).clone()).collect();
    hash::hash_rows(&keys, records.num_rows(), &mut scratch.hashes)?;
    scratch.rows.resize_with(parallelism, Vec::new);
    scratch.rows.iter_mut().for_each(Vec::clear);
    for (row, hash) in (0_u32..).zip(&scratch.hashes) {
        scratch.rows[hash::owner(*hash, parallelism)].push(row);
    }
    scratch
        .rows
        .iter()
        .map(|rows| match rows.len() {
            0 => Ok(None),
            all if all == records.num_rows() => Ok(Some(records.clone())),
            _ => Ok(Some(take_record_batch(records, &UInt32Array::from(rows.clone()))?)),
        })
        .collect()
}
