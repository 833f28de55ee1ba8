//! Parquet and Arrow IPC files: columns are found by name and brought to the declared types where that loses nothing.
//!
//! A file that cannot be read as such fails the job under every error policy: there are no single records to pass over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use weir_core::{Error, Result};

use super::column::{sql_name, timestamps};
use super::ipc::IpcFile;
use super::time::per_second;
use crate::options::nearest;
use crate::stored_file::{FileCursor, StoredFile};

/// A format that holds columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Columnar {
    /// Units are row groups.
    Parquet,
    /// Units are record batches.
    Arrow,
}

/// Which rows of which file.
pub(crate) struct ColumnarRange<'a> {
    /// The file.
    pub(crate) path: &'a str,
    /// The same, open; where it stands does not matter.
    pub(crate) file: &'a Arc<dyn StoredFile>,
    /// First unit.
    pub(crate) start: u64,
    /// First unit behind the range; `None`: to the end of the file.
    pub(crate) end: Option<u64>,
    /// Rows at the beginning of the range that are passed over.
    pub(crate) skip_rows: u64,
    /// Rows that a batch has at most.
    pub(crate) batch_rows: usize,
}

impl Columnar {
    fn name(self) -> &'static str {
        match self {
            Columnar::Parquet => "Parquet",
            Columnar::Arrow => "Arrow IPC",
        }
    }

    /// Number of row groups or record batches in the file.
    ///
    /// # Errors
    /// A data error if it is no such file.
    pub(crate) fn units(self, path: &str, file: &Arc<dyn StoredFile>) -> Result<u64> {
        let cursor = cursor(path, file)?;
        guarded(self, path, &cursor, || {
            Ok(match self {
                Columnar::Parquet => parquet_metadata(path, &cursor)?.metadata().num_row_groups(),
                Columnar::Arrow => arrow_file(path, cursor.clone())?.batches(),
            } as u64)
        })
    }

    /// Opens a range of the file.
    ///
    /// # Errors
    /// A data error if it is no such file, or does not have `fields`.
    pub(crate) fn open(self, range: &ColumnarRange<'_>, fields: &[FieldRef]) -> Result<ColumnarBatches> {
        let cursor = cursor(range.path, range.file)?;
        let (batches, skip_rows) = guarded(self, range.path, &cursor, || match self {
            Columnar::Parquet => open_parquet(range, cursor.clone(), fields).map(|batches| (batches, 0)),
            Columnar::Arrow => open_arrow(range, cursor.clone(), fields).map(|batches| (batches, range.skip_rows)),
        })?;
        Ok(ColumnarBatches {
            format: self,
            path: range.path.to_owned(),
            cursor,
            fields: fields.to_vec(),
            batches,
            skip_rows,
            batch_rows: range.batch_rows.max(1),
            rest: None,
        })
    }
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The rows of a range.
pub(crate) struct ColumnarBatches {
    format: Columnar,
    path: String,
    /// Of the file, as `batches` read it.
    cursor: FileCursor,
    fields: Vec<FieldRef>,
    batches: Batches,
    skip_rows: u64,
    batch_rows: usize,
    /// A batch of the file that has more rows than are given out at once.
    rest: Option<RecordBatch>,
}

impl ColumnarBatches {
    /// The next rows, a column for each field; `None` at the end.
    ///
    /// # Errors
    /// A data error if the file is damaged or a value does not fit its column.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let batch = loop {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match guarded(self.format, &self.path, &self.cursor, || {
                    self.batches.next().transpose().map_err(|error| damaged(self.format, &self.path, error))
                })? {
                    Some(batch) => batch,
                    None => return Ok(None),
                },
            };
            let rows = batch.num_rows();
            let skipped = usize::try_from(self.skip_rows).unwrap_or(usize::MAX).min(rows);
            self.skip_rows -= skipped as u64;
            let length = (rows - skipped).min(self.batch_rows);
            if skipped + length < rows {
                self.rest = Some(batch.slice(skipped + length, rows - skipped - length));
            }
            if length > 0 {
                break batch.slice(skipped, length);
            }
        };
        let columns = self.fields.iter().map(|field| {
            let column = batch.column_by_name(field.name()).ok_or_else(|| Error::internal("a column was not read"))?;
            fit(&self.path, column, field)
        });
        Ok(Some((columns.collect::<Result<_>>()?, batch.num_rows())))
    }
}

/// The readers of both formats are not hardened: on a damaged file they can index out of bounds or ask for absurd
/// sizes in ways that cannot be checked beforehand without writing them anew. A panic there says that the file is
/// damaged, and is reported as that. What was borrowed is not used again, so that it does not matter in which state it
/// was left. A file that could not be read, as one in a store that is away, is not damaged.
fn guarded<T>(format: Columnar, path: &str, cursor: &FileCursor, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(Error::data(format!("{path}: the {} file is damaged", format.name()))));
    match (read, cursor.failure()) {
        (Err(_), Some(why)) => Err(Error::environment(format!("{path}: cannot read this file: {why}"))),
        (read, _) => read,
    }
}

fn damaged(format: Columnar, path: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::data(format!("{path}: this cannot be read as {}; it is cut off, damaged or something else", format.name()))
        .with_source(error)
}

fn cursor(path: &str, file: &Arc<dyn StoredFile>) -> Result<FileCursor> {
    let cursor = FileCursor::new(file.clone());
    cursor.map_err(|error| Error::environment(format!("{path}: cannot look at this file")).with_source(error))
}

fn parquet_metadata(path: &str, file: &FileCursor) -> Result<ArrowReaderMetadata> {
    ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(|error| damaged(Columnar::Parquet, path, error))
}

fn open_parquet(range: &ColumnarRange<'_>, file: FileCursor, fields: &[FieldRef]) -> Result<Batches> {
    let path = range.path;
    let fail = |error| damaged(Columnar::Parquet, path, error);
    let metadata = parquet_metadata(path, &file)?;
    let columns = find_columns(path, metadata.schema(), fields)?;
    let options = ArrowReaderOptions::new().with_schema(with_views(metadata.schema()));
    let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options).map_err(fail)?;
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns);
    let groups = metadata.metadata().num_row_groups();
    let end = range.end.and_then(|end| usize::try_from(end).ok()).unwrap_or(groups).min(groups);
    let start = usize::try_from(range.start).unwrap_or(groups);
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(range.batch_rows)
        .with_projection(mask)
        .with_row_groups((start..end).collect())
        .with_offset(usize::try_from(range.skip_rows).unwrap_or(usize::MAX));
    Ok(Box::new(builder.build().map_err(fail)?))
}

fn arrow_file(path: &str, file: FileCursor) -> Result<IpcFile> {
    IpcFile::open(file).map_err(|error| damaged(Columnar::Arrow, path, error))
}

fn open_arrow(range: &ColumnarRange<'_>, file: FileCursor, fields: &[FieldRef]) -> Result<Batches> {
    let file = arrow_file(range.path, file)?;
    let columns = find_columns(range.path, file.schema(), fields)?;
    let all = file.batches();
    let end = range.end.and_then(|end| usize::try_from(end).ok()).unwrap_or(all).min(all);
    let start = usize::try_from(range.start).unwrap_or(all).min(end);
    Ok(Box::new(file.into_batches(start..end, columns)))
}

/// Where the fields are in the file.
fn find_columns(path: &str, schema: &Schema, fields: &[FieldRef]) -> Result<Vec<usize>> {
    let find = |field: &FieldRef| {
        let index = schema.index_of(field.name()).map_err(|_| {
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let error = Error::data(format!("{path}: the file has no column '{}'", field.name()));
            error.with_help(match nearest(field.name(), names.iter().copied()) {
                Some(name) => format!("did you mean '{name}'? The file has: {}", names.join(", ")),
                None => format!("the file has: {}", names.join(", ")),
            })
        })?;
        let found = schema.field(index).data_type();
        if fits(found, field.data_type()) {
            return Ok(index);
        }
        Err(Error::data(format!(
            "{path}: column '{}' is {} in the file, but {} in the table",
            field.name(),
            sql_name(found),
            sql_name(field.data_type())
        ))
        .with_help("declare the column as it is in the file and CAST it in the query"))
    };
    fields.iter().map(find).collect()
}

/// The schema with strings and bytes as views, which is how they travel in Weir.
fn with_views(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => Field::clone(field).with_data_type(DataType::Utf8View),
        DataType::Binary | DataType::LargeBinary => Field::clone(field).with_data_type(DataType::BinaryView),
        _ => Field::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Whether values of type `from` can be read as `to`: every one is, or is refused, none is changed (times only lose
/// digits behind their precision).
fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Date32, Date64, Decimal128, Dictionary, FixedSizeBinary, Float16, Float32, Float64,
        LargeBinary, LargeList, LargeUtf8, List, Map, Struct, Time32, Time64, Timestamp, Utf8, Utf8View,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Dictionary(_, value), to) => fits(value, to),
        (Utf8 | LargeUtf8, Utf8View) | (Binary | LargeBinary | FixedSizeBinary(_), BinaryView) => true,
        (from, to) if from.is_integer() && to.is_integer() => true,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (from, Decimal128(..)) if from.is_integer() => true,
        (Decimal128(_, from), Decimal128(_, to)) => from <= to,
        (Timestamp(..), Timestamp(..)) | (Date64, Date32) | (Time32(_) | Time64(_), Time64(_)) => true,
        (List(from) | LargeList(from), List(to)) => fits(from.data_type(), to.data_type()),
        (Map(from, _), Map(to, _)) => match (from.data_type(), to.data_type()) {
            (Struct(from), Struct(to)) => {
                from.iter().zip(to.iter()).all(|(from, to)| fits(from.data_type(), to.data_type()))
            }
            _ => false,
        },
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && from
                    .iter()
                    .zip(to.iter())
                    .all(|(from, to)| from.name() == to.name() && fits(from.data_type(), to.data_type()))
        }
        _ => false,
    }
}

fn fit(path: &str, column: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if !field.is_nullable() && column.logical_null_count() > 0 {
        return Err(Error::data(format!("{path}: column '{}' is NOT NULL and has no value in a row", field.name())));
    }
    if column.data_type() == field.data_type() {
        return Ok(column.clone());
    }
    let cast = match (column.data_type(), field.data_type()) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, zone)) => {
            in_unit(column, *from, *to).map(|values| timestamps(values, *to, zone.clone()))
        }
        (_, to) => cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() }),
    };
    cast.map_err(|error| {
        let wanted = sql_name(field.data_type());
        Error::data(format!("{path}: column '{}' has a value that is no {wanted}", field.name())).with_source(error)
    })
}

/// Times in another unit, rounded down. A file's zone says how to show them; what is stored is UTC, as here.
fn in_unit(times: &ArrayRef, from: TimeUnit, to: TimeUnit) -> Result<Int64Array, ArrowError> {
    let times = cast(times, &DataType::Int64)?;
    let times = times.as_primitive::<Int64Type>();
    let (from, to) = (per_second(from), per_second(to));
    if from >= to {
        return Ok(times.unary(|time| time.div_euclid(from / to)));
    }
    times.try_unary(|time| {
        time.checked_mul(to / from).ok_or_else(|| ArrowError::ComputeError(format!("time {time} is out of range")))
    })
}
