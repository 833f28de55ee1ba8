//! Writes a run, piece by piece.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use crc32fast::Hasher;
use weir_core::{Error, EventTime, Result, TableSchema, views};

use super::{BLOCK_ROWS, Block, Run, footer, run_schema};
use crate::expiry::{Fate, Fates, as_times, deletions_have_times};
use crate::pieces::Pieces;

/// Which rows go into a run.
#[derive(Clone, Copy)]
pub(crate) struct Survivors<'a> {
    pub(crate) table: &'a TableSchema,
    pub(crate) expired: Option<EventTime>,
    /// Whether older rows of these keys may stand in other runs.
    pub(crate) above_others: bool,
}

/// A run that is being written.
pub(crate) struct RunWriter<'a, W: Write> {
    survivors: Survivors<'a>,
    schema: SchemaRef,
    file: FileWriter<Measured<W>>,
    blocks: Vec<Block>,
}

impl<'a, W: Write> RunWriter<'a, W> {
    pub(crate) fn begin(survivors: Survivors<'a>, out: W) -> Result<Self> {
        let table = survivors.table;
        let schema = run_schema(&table.schema);
        let file = FileWriter::try_new(Measured::new(out), &schema).map_err(unwrapped)?;
        Ok(Self { survivors, schema, file, blocks: Vec::new() })
    }

    /// Adds the rows at the positions `order`, which are sorted by hash; no hash is below one that was added before.
    pub(crate) fn append(&mut self, rows: &Pieces<'_>, order: &[u32]) -> Result<()> {
        if order.is_empty() {
            return Ok(());
        }
        let Survivors { table, expired, above_others } = self.survivors;
        let time_column = table.time_column.map(|column| rows.column(column)).transpose()?;
        let times = time_column.as_ref().map(|column| as_times(table, column)).transpose()?;
        let (deleted, all_hashes) = (rows.deleted(), rows.hashes());
        let fates = Fates::new(table, times, deleted.as_ref(), expired, above_others);
        let mut kept = Vec::with_capacity(order.len());
        let mut deletions = Vec::with_capacity(order.len());
        for row in order {
            let fate = fates.of(*row as usize);
            if fate != Fate::Gone {
                kept.push(*row);
                deletions.push(fate == Fate::Deletion);
            }
        }
        for (kept, deletions) in kept.chunks(BLOCK_ROWS).zip(deletions.chunks(BLOCK_ROWS)) {
            let hashes = UInt64Array::from_iter_values(kept.iter().map(|row| all_hashes.value(*row as usize)));
            let mut range = TimeRange::new(table);
            if let Some(times) = times {
                for (row, deletion) in kept.iter().zip(deletions) {
                    let row = *row as usize;
                    range.add(times.is_valid(row).then(|| times.value(row)), *deletion);
                }
            }
            let mut block = block_of(hashes.values(), &range);
            let mut columns: Vec<ArrayRef> = vec![Arc::new(hashes), Arc::new(BooleanArray::from(deletions.to_vec()))];
            let picked = rows.picked(kept);
            for column in 0..table.schema.fields().len() {
                // Always: the same rows have to give the same bytes, whatever they were taken from.
                columns.push(views::compact(&picked.column(column)?, |_| true)?);
            }
            block.offset = self.file.get_ref().written;
            self.file.get_mut().piece();
            self.file.write(&RecordBatch::try_new(self.schema.clone(), columns)?).map_err(unwrapped)?;
            block.length = self.file.get_ref().written - block.offset;
            block.crc32 = self.file.get_mut().piece();
            self.blocks.push(block);
        }
        Ok(())
    }

    /// What was written to, and the descriptor, which has no file name yet. `None` if no row is left; what was written is of
    /// no use then.
    pub(crate) fn finish(self) -> Result<Option<(W, Run)>> {
        let Self { mut file, blocks, survivors, .. } = self;
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(None) };
        let entry = footer::entry(survivors.table, &blocks)
            .map_err(|error| Error::internal("the index of a run cannot be written as JSON").with_source(error))?;
        file.write_metadata(footer::KEY, entry);
        let end_of_blocks = file.get_ref().written;
        file.finish().map_err(unwrapped)?;
        let mut measured = file.into_inner().map_err(unwrapped)?;
        let footer_crc32 = measured.piece();
        let run = Run {
            file: String::new(),
            offset: 0,
            length: measured.written,
            rows: blocks.iter().map(|block| block.rows).sum(),
            first_hash: first.first_hash,
            last_hash: last.last_hash,
            last_time: blocks
                .iter()
                .map(|block| block.last_time)
                .collect::<Option<Vec<_>>>()
                .into_iter()
                .flatten()
                .max(),
            footer_length: measured.written - end_of_blocks,
            footer_crc32,
            crc32: measured.whole.finalize(),
        };
        Ok(Some((measured.out, run)))
    }
}

/// Counts what is written, and sums it up.
struct Measured<W> {
    out: W,
    written: u64,
    whole: Hasher,
    piece: Hasher,
}

impl<W> Measured<W> {
    fn new(out: W) -> Self {
        Self { out, written: 0, whole: Hasher::new(), piece: Hasher::new() }
    }

    /// The checksum of what was written since the last call.
    fn piece(&mut self) -> u32 {
        let piece = std::mem::take(&mut self.piece);
        self.whole.combine(&piece);
        piece.finalize()
    }
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.piece.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The error of a storage that came through the writer of the file.
fn unwrapped(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(what, error) => match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => ArrowError::IoError(what, error).into(),
        },
        other => other.into(),
    }
}

/// Times of a block.
struct TimeRange {
    bounds: Option<(i64, i64)>,
    complete: bool,
    deletions_count: bool,
}

impl TimeRange {
    fn new(table: &TableSchema) -> Self {
        Self { bounds: None, complete: true, deletions_count: deletions_have_times(table) }
    }

    fn add(&mut self, time: Option<i64>, deletion: bool) {
        match time.filter(|_| !deletion || self.deletions_count) {
            None => self.complete = false,
            Some(time) => {
                let (first, last) = self.bounds.unwrap_or((time, time));
                self.bounds = Some((first.min(time), last.max(time)));
            }
        }
    }

    fn known(&self) -> Option<(i64, i64)> {
        self.bounds.filter(|_| self.complete)
    }
}

fn block_of(hashes: &[u64], times: &TimeRange) -> Block {
    Block {
        rows: hashes.len() as u64,
        first_hash: hashes.first().copied().unwrap_or(u64::MIN),
        last_hash: hashes.last().copied().unwrap_or(u64::MAX),
        first_time: times.known().map(|(first, _)| first),
        last_time: times.known().map(|(_, last)| last),
        offset: 0,
        length: 0,
        crc32: 0,
    }
}
