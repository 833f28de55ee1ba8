//! What operators do to whole batches: keep the rows of a condition, give columns their declared schema, let go of
//! memory that a batch holds without need.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, TimestampMillisecondArray,
};
use arrow::compute::{filter_record_batch, max, min};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit, TimestampMillisecondType};
use weir_core::views::{are_in_small_pieces, compact_rows};
use weir_core::{Error, Result};

/// A batch of the declared schema.
pub(crate) fn with_schema(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Error::internal("an operator made rows that are not of its schema").with_source(error))
}

/// Columns of rows as they are stored. What the query in front says of nulls may change, and what is stored stays readable.
pub(crate) fn stored_fields<'a>(fields: impl IntoIterator<Item = &'a FieldRef>) -> impl Iterator<Item = Field> {
    fields.into_iter().map(|field| field.as_ref().clone().with_nullable(true))
}

/// Checks that columns of stored rows, the first of them for the first field, have values where there has to be one now.
///
/// # Errors
/// A data error that names the column: it could be null when the row was stored, and nobody has said what it should be now.
pub(crate) fn check_stored<'a>(fields: impl IntoIterator<Item = &'a FieldRef>, columns: &[ArrayRef]) -> Result<()> {
    let has_null = |(field, column): &(&FieldRef, &ArrayRef)| !field.is_nullable() && column.null_count() > 0;
    let Some((field, _)) = fields.into_iter().zip(columns).find(has_null) else { return Ok(()) };
    let wrong = format!("column '{}' is NOT NULL, and the state has a row in which it is null", field.name());
    Err(Error::data(wrong).with_help(
        "it could be null when the row was stored. Leave NOT NULL out until such rows have left the state, or begin the job without its state",
    ))
}

/// The rows where `condition` is true. All of them cost nothing.
pub(crate) fn keep(records: RecordBatch, condition: &BooleanArray) -> Result<RecordBatch> {
    match condition.true_count() {
        all if all == records.num_rows() => Ok(records),
        0 => Ok(records.slice(0, 0)),
        _ => Ok(filter_record_batch(&records, condition)?),
    }
}

/// The milliseconds of a time attribute, and which rows have none.
pub(crate) fn event_times(column: &ArrayRef) -> Result<&TimestampMillisecondArray> {
    column
        .as_primitive_opt::<TimestampMillisecondType>()
        .ok_or_else(|| Error::internal(format!("a time attribute has type {}", column.data_type())))
}

/// [`event_times`] that windows and bounds can be computed from without leaving the range of 64 bits.
pub(crate) fn bounded_times(column: &ArrayRef) -> Result<&TimestampMillisecondArray> {
    const LIMIT: i64 = i64::MAX / 4;
    let times = event_times(column)?;
    match (min(times), max(times)) {
        (Some(least), Some(greatest)) if least < -LIMIT || greatest > LIMIT => {
            let time = if least < -LIMIT { least } else { greatest };
            Err(Error::data(format!("{time} ms since 1970 is out of the range of event times"))
                .with_help("check the unit of the time attribute: it is milliseconds"))
        }
        _ => Ok(times),
    }
}

/// A timestamp column of the declared type, with or without its zone.
pub(crate) fn timestamps_of_type(values: Vec<i64>, declared: &DataType) -> Result<ArrayRef> {
    match declared {
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            Ok(Arc::new(TimestampMillisecondArray::from(values).with_timezone_opt(zone.clone())))
        }
        other => Err(Error::internal(format!("a time column is declared as {other}"))),
    }
}

/// How many times more memory than it uses a kept column may hold.
const SLACK: usize = 3;

/// A copy of `records` that holds no more than it needs, for batches that are kept: a filtered or taken string column
/// still holds the buffers of the batch that it came from.
pub(crate) fn compact(records: &RecordBatch) -> Result<RecordBatch> {
    compact_rows(records, |strings| strings.memory() > SLACK * strings.shown() || are_in_small_pieces(strings))
}

/// Memory that the rows take, roughly, each slice of a shared buffer counted for itself.
pub(crate) fn approximate_bytes(records: &RecordBatch) -> usize {
    const VIEW: usize = 16;
    let of_column = |column: &ArrayRef| match column.data_type() {
        DataType::Utf8View => column.len() * VIEW + column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => column.len() * VIEW + column.as_binary_view().total_buffer_bytes_used(),
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    };
    records.columns().iter().map(of_column).sum()
}
