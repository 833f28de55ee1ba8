//! Staged rows: what a sink wants back when its epoch is committed, by whichever process and however much later that happens.
//!
//! They are kept as runs of the checkpoint that are not sorted: complete Arrow IPC files with the columns that the sink stages, most often
//! those of its table, in the order in which they were written. Where rows can be taken back there is one more column, `_weight` (`Int8`), with `1` or
//! `-1`.
//!
//! A run is read as a whole, since nothing of it may be used before its checksum was compared; so it is kept to
//! [`STAGED_RUN_BYTES`], and an epoch with more rows has several.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Int8Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::writer::FileWriter;
use arrow::ipc::{Block, root_as_footer};
use serde::{Deserialize, Serialize};
use weir_core::{Batch, Error, Result, views};

use crate::Storage;

/// Bytes of rows after which a run is ended.
pub const STAGED_RUN_BYTES: usize = 8 << 20;

/// A block's header begins with a mark and its length.
const HEADER: usize = 8;

/// Behind the footer of a file: its length, and the format's mark.
const TRAILER: usize = 10;

/// Bytes of a run beside those of its rows, roughly.
const HEADERS: usize = 64 << 10;

/// Name of the column of weights.
const WEIGHT: &str = "_weight";

/// Where staged rows are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedRun {
    /// Path of the object in the storage.
    pub file: String,
    /// Number of rows.
    pub rows: u64,
    /// Number of bytes.
    pub length: u64,
    /// CRC-32 of all bytes.
    pub crc32: u32,
}

/// Encodes what a sink has staged, for the object `file`.
///
/// # Errors
/// If the batches do not have the same columns.
pub fn encode_staged(batches: &[Batch], file: String) -> Result<(Vec<u8>, StagedRun)> {
    let weighted = batches.iter().any(|batch| batch.weights().is_some());
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), |batch| batch.records().schema());
    let stored = if weighted { with_weight(&schema) } else { schema };
    // Rather too much than to move what is there already.
    let held = batches.iter().map(|batch| batch.records().get_array_memory_size()).sum::<usize>();
    let bytes = Vec::with_capacity(held.min(2 * STAGED_RUN_BYTES) + HEADERS);
    let mut writer = FileWriter::try_new(bytes, &stored)?;
    let mut rows = 0;
    for batch in batches {
        let compact = |column| views::compact(column, |strings| strings.held() > 2 * strings.shown());
        let mut columns: Vec<ArrayRef> = batch.records().columns().iter().map(compact).collect::<Result<_>>()?;
        if weighted {
            let all_added = || Int8Array::from_value(1, batch.num_rows());
            columns.push(Arc::new(batch.weights().cloned().unwrap_or_else(all_added)));
        }
        writer.write(&RecordBatch::try_new(stored.clone(), columns)?)?;
        rows += batch.num_rows() as u64;
    }
    let bytes = writer.into_inner()?;
    let run = StagedRun { file, rows, length: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
    Ok((bytes, run))
}

/// Reads back what a sink has staged with these columns.
///
/// # Errors
/// A data error if a byte has changed, an environment error if the object cannot be read.
pub fn read_staged(storage: &dyn Storage, run: &StagedRun, schema: &SchemaRef) -> Result<Vec<Batch>> {
    let damaged =
        |what: &str| Error::data(format!("the staged rows in {} are damaged: {what}", storage.locate(&run.file)));
    let bytes = storage.get_range(&run.file, 0, run.length)?;
    if crc32fast::hash(&bytes) != run.crc32 {
        return Err(damaged("their checksum does not match"));
    }
    let records = read_batches(&Buffer::from_vec(bytes));
    let records = records.map_err(|error| damaged("they are no Arrow file").with_source(error))?;
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    let mut batches = Vec::new();
    for records in records {
        let weights = records.column_by_name(WEIGHT).filter(|_| records.num_columns() > columns.len());
        let weights = weights.and_then(|column| column.as_primitive_opt::<Int8Type>()).cloned();
        let fits = records.num_columns() >= columns.len();
        let rows =
            fits.then(|| records.project(&columns)).transpose()?.ok_or_else(|| damaged("columns are missing"))?;
        let rows = RecordBatch::try_new(schema.clone(), rows.columns().to_vec())
            .map_err(|error| damaged("they are of another table").with_source(error))?;
        batches.push(match weights {
            Some(weights) => Batch::weighted(rows, weights)?,
            None => Batch::append(rows),
        });
    }
    Ok(batches)
}

/// The record batches of an Arrow IPC file. They share its memory.
fn read_batches(file: &Buffer) -> Result<Vec<RecordBatch>, ArrowError> {
    let wrong = |what: &str| ArrowError::IpcError(what.to_owned());
    let too_short = || wrong("it is too short");
    let (rest, trailer) = file.split_last_chunk::<TRAILER>().ok_or_else(too_short)?;
    let start = rest.len().checked_sub(read_footer_length(*trailer)?).ok_or_else(too_short)?;
    let footer = root_as_footer(&rest[start..]).map_err(|error| wrong(&format!("its footer is damaged: {error:?}")))?;
    let schema = footer.schema().ok_or_else(|| wrong("it has no schema"))?;
    let mut decoder = FileDecoder::new(Arc::new(fb_to_schema(schema)), footer.version());
    for block in footer.dictionaries().iter().flatten() {
        decoder.read_dictionary(block, &part(file, block).ok_or_else(too_short)?)?;
    }
    let read = |block| {
        let bytes = part(file, block).ok_or_else(too_short)?;
        decoder.read_record_batch(block, &bytes)?.ok_or_else(|| wrong("a block holds no rows"))
    };
    footer.recordBatches().iter().flatten().map(read).collect()
}

/// A block of a file, if it is in there.
fn part(file: &Buffer, block: &Block) -> Option<Buffer> {
    let start = usize::try_from(block.offset()).ok()?;
    let header = usize::try_from(block.metaDataLength()).ok().filter(|header| *header >= HEADER)?;
    let length = header.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
    (start.checked_add(length)? <= file.len()).then(|| file.slice_with_length(start, length))
}

fn with_weight(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().cloned();
    let weight = Arc::new(Field::new(WEIGHT, DataType::Int8, false));
    Arc::new(Schema::new(fields.chain([weight]).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
