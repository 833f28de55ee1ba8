//! Splits a batch by the owners of its rows' keys.

use arrow::array::UInt32Array;
use weir_core::bugs::{self, Bug};
use weir_core::{Batch, Result, hash};

/// Reusable memory of a partitioning.
#[derive(Debug, Default)]
pub struct Scratch {
    hashes: Vec<u64>,
    rows: Vec<Vec<u32>>,
}

/// Splits `batch` into `parallelism` pieces: piece `i` holds the rows whose key belongs to subtask `i`, in order. A
/// piece without rows is `None`.
pub fn by_hash(
    batch: &Batch,
    columns: &[usize],
    parallelism: usize,
    scratch: &mut Scratch,
) -> Result<Vec<Option<Batch>>> {
    let keys: Vec<_> = columns.iter().map(|column| batch.records().column(*column).clone()).collect();
    hash::hash_rows(&keys, batch.num_rows(), &mut scratch.hashes)?;
    scratch.rows.resize_with(parallelism, Vec::new);
    scratch.rows.iter_mut().for_each(Vec::clear);
    for (row, hash) in (0_u32..).zip(&scratch.hashes) {
        let owner = if bugs::is_on(Bug::OwnerByRemainder) {
            (*hash % parallelism as u64) as usize
        } else {
            hash::owner(*hash, parallelism)
        };
        scratch.rows[owner].push(row);
    }
    scratch
        .rows
        .iter()
        .map(|rows| match rows.len() {
            0 => Ok(None),
            all if all == batch.num_rows() => Ok(Some(batch.clone())),
            _ => Ok(Some(batch.take(&UInt32Array::from(rows.clone()))?)),
        })
        .collect()
}
