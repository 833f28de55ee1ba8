//! Refuses records that are too large before they are staged: once their checkpoint is complete, it could never be written.

use arrow::array::{Array, ArrayRef, AsArray};
use weir_core::{Batch, Error, Result};

use super::options::SinkOptions;

/// What stands around the columns of a record at most, and around each: quotes, names of usual length, digits.
const AROUND: usize = 512;
const AROUND_COLUMN: usize = 128;

/// Bytes that a byte of text may become: `\u0000`.
const ESCAPED: usize = 6;

/// # Errors
/// A data error if one of the rows makes a record that the producer will not send.
pub(crate) fn check(options: &SinkOptions, batch: &Batch) -> Result<()> {
    let limit = options.client.record_bytes();
    let columns = batch.records().columns();
    // Nearly always it is clear without looking at a single row.
    if !options.columns.may_refuse() && AROUND + columns.iter().map(most_bytes).sum::<usize>() <= limit {
        return Ok(());
    }
    let records = options.columns.encode(batch)?;
    match (0..records.rows).map(|row| records.bytes(row)).max() {
        Some(bytes) if bytes > limit => {
            let SinkOptions { table, topic, .. } = options;
            Err(Error::data(format!(
                "table '{table}', topic '{topic}': a record of {bytes} bytes is larger than the {limit} that are sent"
            ))
            .with_help(
                "'properties.message.max.bytes' says how large records may be, and 'max.message.bytes' of the topic too",
            ))
        }
        _ => Ok(()),
    }
}

/// What a value of the column takes at most, in key and value together, or in headers.
fn most_bytes(column: &ArrayRef) -> usize {
    let longest = |lengths: &mut dyn Iterator<Item = u32>| lengths.max().unwrap_or(0) as usize;
    // A view begins with the length.
    let bytes = if let Some(text) = column.as_string_view_opt() {
        longest(&mut text.views().iter().map(|view| *view as u32))
    } else if let Some(binary) = column.as_binary_view_opt() {
        longest(&mut binary.views().iter().map(|view| *view as u32))
    } else if column.data_type().is_nested() {
        column.get_array_memory_size()
    } else {
        0
    };
    2 * (ESCAPED * bytes + AROUND_COLUMN)
}
