//! Records that could not be decoded, as rows for the table that keeps them.

use std::sync::Arc;

use arrow::array::{BinaryViewArray, Int64Array, RecordBatch, StringViewArray};
use weir_core::Result;
use weir_core::connector::{Rejected, rejected_schema};

/// The records, of the table of this name.
pub fn rejected_rows(table: &str, rejected: &[Rejected]) -> Result<RecordBatch> {
    let offsets = rejected.iter().map(|record| i64::try_from(record.offset).unwrap_or(i64::MAX));
    Ok(RecordBatch::try_new(
        rejected_schema(),
        vec![
            Arc::new(StringViewArray::from_iter_values(rejected.iter().map(|_| table))),
            Arc::new(StringViewArray::from_iter_values(rejected.iter().map(|record| &*record.origin))),
            Arc::new(Int64Array::from_iter_values(offsets)),
            Arc::new(BinaryViewArray::from_iter_values(rejected.iter().map(|record| record.raw.as_slice()))),
            Arc::new(StringViewArray::from_iter_values(rejected.iter().map(|record| record.reason.as_str()))),
        ],
    )?)
}
