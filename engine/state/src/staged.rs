//! Staged rows: what a sink wants back when its epoch is committed, by whichever process and however much later that happens.
//!
//! They are kept as runs of the checkpoint that are not sorted: complete Arrow IPC files with the columns that the sink stages, most often
//! those of its table, in the order in which they were written. Where rows can be taken back there is one more column, `_weight` (`Int8`), with `1` or
//! `-1`.
//!
//! A run is read as a whole, since nothing of it may be used before its checksum was compared; so it is kept to
//! [`STAGED_RUN_BYTES`], and an epoch with more rows has several.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int8Type, Schema, SchemaRef};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use serde::{Deserialize, Serialize};
use weir_core::{Batch, Error, Result, views};

use crate::Storage;

/// Bytes of rows after which a run is ended.
pub const STAGED_RUN_BYTES: usize = 8 << 20;

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
    let mut writer = FileWriter::try_new(Vec::new(), &stored)?;
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
    let reader = FileReader::try_new(Cursor::new(bytes), None);
    let reader = reader.map_err(|error| damaged("they are no Arrow file").with_source(error))?;
    let columns: Vec<usize> = (0..schema.fields().len()).collect();
    let mut batches = Vec::new();
    for records in reader {
        let records = records.map_err(|error| damaged("a batch cannot be read").with_source(error))?;
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

fn with_weight(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().cloned();
    let weight = Arc::new(Field::new(WEIGHT, DataType::Int8, false));
    Arc::new(Schema::new(fields.chain([weight]).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests;
