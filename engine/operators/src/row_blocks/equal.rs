//! Which rows are equal in every column, nulls among them.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::and;
use arrow::compute::kernels::cmp::not_distinct;
use weir_core::Result;
use weir_core::hash::{hash_rows, is_hashable};

/// A hash for each row that is the same for equal rows, and nearly always another one for others.
pub(crate) fn identities(records: &RecordBatch) -> Result<Vec<u64>> {
    let columns: Vec<ArrayRef> =
        records.columns().iter().filter(|column| is_hashable(column.data_type())).cloned().collect();
    let mut hashes = Vec::new();
    hash_rows(&columns, records.num_rows(), &mut hashes)?;
    Ok(hashes)
}

/// For each row whether it is the same in both batches. Whoever takes a row back names it bit by bit: `-0.0` is not `0.0` here.
pub(crate) fn equal_rows(left: &RecordBatch, right: &RecordBatch) -> Result<BooleanArray> {
    let mut equal = BooleanArray::from(vec![true; left.num_rows()]);
    for (left, right) in left.columns().iter().zip(right.columns()) {
        let nested = || (0..left.len()).map(|row| Some(left.slice(row, 1) == right.slice(row, 1))).collect();
        let same: BooleanArray = if left.data_type().is_nested() { nested() } else { not_distinct(left, right)? };
        equal = and(&equal, &same)?;
    }
    Ok(equal)
}
