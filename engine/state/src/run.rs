//! A run: immutable rows of one state table, sorted by key hash, as an Arrow IPC file.
//!
//! ```text
//!   columns   _hash UInt64, _deleted Boolean, then the table's
//!   batches   "blocks" of 8192 rows
//!   footer    Arrow's own, with one entry `weir.run` of metadata: the table, and the index of the blocks
//! ```
//!
//! The descriptor, [`Run`], stands in the manifest and does not grow with the run. It says where the run's own footer is; there,
//! for each block, stands where it lies and which hashes and times it holds, so that a reader fetches only the blocks it needs,
//! and checks each by its own checksum.

mod footer;
mod writer;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::ipc::reader::FileDecoder;
use serde::{Deserialize, Serialize};
use weir_core::{Error, HashRange, Result, StateRows, TableSchema, state_column};

use crate::Storage;
use crate::columns::conform;

pub(crate) use self::footer::Block;
pub(crate) use self::writer::{RunWriter, Survivors};

/// Rows of a block: small enough that a narrow hash range reads little else, large enough for its header to be nothing.
/// Tiny in this crate's tests, so that their runs have many.
const BLOCK_ROWS: usize = if cfg!(test) { 4 } else { 8192 };

/// Where the rows of a run are, and which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Path of the object in the storage.
    pub file: String,
    /// First byte of the run in it: small runs share an object.
    pub offset: u64,
    /// Number of bytes, which are a complete Arrow IPC file.
    pub length: u64,
    /// Number of rows, deletions included.
    pub rows: u64,
    /// Smallest key hash.
    pub first_hash: u64,
    /// Greatest key hash.
    pub last_hash: u64,
    /// Greatest time, in milliseconds; `None` if a row has none, so that the run never expires as a whole.
    pub last_time: Option<i64>,
    /// How many bytes at the end of the run, behind its last block, hold its footer with the index of its blocks.
    pub footer_length: u64,
    /// CRC-32 of these bytes.
    pub footer_crc32: u32,
    /// CRC-32 of all bytes.
    pub crc32: u32,
}

impl Run {
    /// Hashes of its rows, and what lies between them.
    pub(crate) fn hashes(&self) -> HashRange {
        HashRange { first: self.first_hash, last: self.last_hash }
    }
}

/// A run whose footer has been read.
#[derive(Debug, Clone)]
pub(crate) struct OpenRun {
    run: Run,
    /// Columns of the file: those that the table had when it was written.
    schema: SchemaRef,
    blocks: Vec<Block>,
}

impl OpenRun {
    /// Reads the footer of a run.
    pub(crate) fn open(storage: &dyn Storage, run: &Run) -> Result<Self> {
        let start = run.length.checked_sub(run.footer_length).and_then(|start| run.offset.checked_add(start));
        let start = start.ok_or_else(|| damaged(storage, run, "it is shorter than its footer"))?;
        let bytes = storage.get_range(&run.file, start, run.footer_length)?;
        if crc32fast::hash(&bytes) != run.footer_crc32 {
            return Err(damaged(storage, run, "the checksum of its footer does not match"));
        }
        let (schema, blocks) = footer::read(&bytes)
            .map_err(|error| damaged(storage, run, "its footer is not one of Weir's").with_source(error))?;
        Ok(Self { run: run.clone(), schema: Arc::new(schema), blocks })
    }

    /// Its record batches, in order.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Reads the blocks that are wanted, in order, in the columns that the table has now.
    pub(crate) fn read(
        &self,
        storage: &dyn Storage,
        table: &TableSchema,
        wanted: impl Fn(&Block) -> bool,
    ) -> Result<Vec<StateRows>> {
        let run = &self.run;
        let wanted: Vec<(usize, &Block)> = self.blocks.iter().enumerate().filter(|(_, block)| wanted(block)).collect();
        let mut pieces = Vec::with_capacity(wanted.len());
        let decoder = FileDecoder::new(self.schema.clone(), arrow::ipc::MetadataVersion::V5);
        // Neighbours are fetched together; what lies between others is not.
        for stretch in wanted.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
            let (Some((_, first)), Some((_, last))) = (stretch.first(), stretch.last()) else { continue };
            let nonsense = || damaged(storage, run, "its block index makes no sense");
            let (offset, length) = range_of(run, first.offset, last).ok_or_else(nonsense)?;
            let bytes = Buffer::from_vec(storage.get_range(&run.file, offset, length)?);
            for (index, block) in stretch {
                let start = block.offset.checked_sub(first.offset).and_then(|start| usize::try_from(start).ok());
                let piece = start
                    .zip(usize::try_from(block.length).ok())
                    .filter(|(start, length)| start.checked_add(*length).is_some_and(|end| end <= bytes.len()));
                let piece = piece.map(|(start, length)| bytes.slice_with_length(start, length)).ok_or_else(nonsense)?;
                if crc32fast::hash(&piece) != block.crc32 {
                    return Err(damaged(storage, run, &format!("the checksum of block {index} does not match")));
                }
                let rows = decode(&decoder, &piece).map_err(|error| {
                    damaged(storage, run, &format!("block {index} is no record batch of state table '{}'", table.name))
                        .with_source(error)
                })?;
                pieces.push(conform(rows, table)?);
            }
        }
        Ok(pieces)
    }
}

/// Checks that a run is there and has not changed since it was written.
pub(crate) fn verify(storage: &dyn Storage, run: &Run) -> Result<()> {
    let bytes = storage.get_range(&run.file, run.offset, run.length)?;
    if crc32fast::hash(&bytes) == run.crc32 {
        Ok(())
    } else {
        Err(damaged(storage, run, "its checksum does not match"))
    }
}

fn range_of(run: &Run, first: u64, last: &Block) -> Option<(u64, u64)> {
    let end = last.offset.checked_add(last.length).filter(|end| *end <= run.length)?;
    Some((run.offset.checked_add(first)?, end.checked_sub(first)?))
}

fn damaged(storage: &dyn Storage, run: &Run, what: &str) -> Error {
    Error::data(format!(
        "{} is damaged: in the {} bytes from byte {}, {what}",
        storage.locate(&run.file),
        run.length,
        run.offset
    ))
}

fn run_schema(table: &SchemaRef) -> SchemaRef {
    let mut fields = vec![
        Arc::new(Field::new("_hash", DataType::UInt64, false)),
        Arc::new(Field::new("_deleted", DataType::Boolean, false)),
    ];
    fields.extend(table.fields().iter().cloned());
    Arc::new(Schema::new(fields))
}

/// A message of the IPC format: a marker, the length of its header, the header, the body.
fn decode(decoder: &FileDecoder, bytes: &Buffer) -> Result<StateRows, arrow::error::ArrowError> {
    let invalid = || arrow::error::ArrowError::IpcError("the message header is cut off".to_owned());
    let header: [u8; 4] = bytes.get(4..8).and_then(|header| header.try_into().ok()).ok_or_else(invalid)?;
    let header = i32::from_le_bytes(header)
        .checked_add(8)
        .filter(|header| usize::try_from(*header).is_ok_and(|header| header >= 8 && header <= bytes.len()));
    let header = header.ok_or_else(invalid)?;
    let block = arrow::ipc::Block::new(0, header, bytes.len() as i64 - i64::from(header));
    let batch = decoder.read_record_batch(&block, bytes)?.ok_or_else(invalid)?;
    let hashes =
        batch.columns().first().and_then(|hashes| hashes.as_primitive_opt::<UInt64Type>()).ok_or_else(invalid)?;
    let deleted = batch.columns().get(1).and_then(|deleted| deleted.as_boolean_opt()).ok_or_else(invalid)?;
    let (hashes, deleted) = (hashes.clone(), deleted.clone());
    let columns: Vec<usize> = (2..batch.num_columns()).collect();
    let deleted = (deleted.true_count() > 0).then_some(deleted);
    Ok(StateRows { rows: batch.project(&columns)?, hashes, deleted })
}

/// The part of rows, sorted by hash, whose hashes lie in the range; shares memory with them.
pub(crate) fn in_range(rows: &StateRows, range: weir_core::HashRange) -> StateRows {
    let hashes = rows.hashes.values();
    let start = hashes.partition_point(|hash| *hash < range.first);
    let length = hashes.partition_point(|hash| *hash <= range.last).saturating_sub(start);
    StateRows {
        rows: rows.rows.slice(start, length),
        hashes: rows.hashes.slice(start, length),
        deleted: rows.deleted.as_ref().map(|deleted| deleted.slice(start, length)),
    }
}

/// Rows of `batch` and their hashes at `positions`, in batches, as operators see them: without ids of columns.
pub(crate) fn batches_of(rows: &StateRows, positions: &[u32]) -> Result<Vec<(RecordBatch, UInt64Array)>> {
    let schema = state_column::plain(&rows.rows.schema());
    let mut batches = Vec::with_capacity(positions.len().div_ceil(BLOCK_ROWS));
    for positions in positions.chunks(BLOCK_ROWS) {
        let positions = UInt32Array::from(positions.to_vec());
        let columns: Vec<ArrayRef> =
            rows.rows.columns().iter().map(|column| take(column, &positions, None)).collect::<Result<_, _>>()?;
        let hashes = take(&rows.hashes, &positions, None)?.as_primitive::<UInt64Type>().clone();
        batches.push((RecordBatch::try_new(schema.clone(), columns)?, hashes));
    }
    Ok(batches)
}

#[cfg(test)]
mod tests;
