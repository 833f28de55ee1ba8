//! Records that could not be decoded, and rows that have no event time, for the table that keeps them.

use std::sync::Arc;

use arrow::array::{BinaryViewArray, Int64Array, RecordBatch, StringViewArray};
use weir_core::Result;
use weir_core::connector::{Rejected, rejected_schema};
use weir_operators::json_objects;

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

/// Rows of a split, of the table of this name, in which `time` is null. Where a row began in its source is not known any more;
/// instead of its bytes there is JSON.
pub fn rows_without_time(table: &str, split: &str, time: &str, rows: &RecordBatch) -> Result<RecordBatch> {
    let count = rows.num_rows();
    let texts = json_objects(rows)?;
    let reason = format!("the event time {time} is null");
    Ok(RecordBatch::try_new(
        rejected_schema(),
        vec![
            Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(table, count))),
            Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(split, count))),
            Arc::new(Int64Array::new_null(count)),
            Arc::new(BinaryViewArray::from_iter_values(texts.iter().flatten().map(str::as_bytes))),
            Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(reason, count))),
        ],
    )?)
}
