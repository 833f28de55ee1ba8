//! Rows as struct arrays of the Arrow C data interface.

use arrow::array::{Array, ArrayRef, AsArray, Int8Array, RecordBatch, RecordBatchOptions, StructArray, make_array};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use arrow::ffi::{FFI_ArrowArray, from_ffi_and_data_type};
use weir_core::{Batch, Error, Result};

/// Columns as one array, to be handed over.
///
/// # Errors
/// If they are of different lengths.
pub fn exported(columns: Vec<(&Field, ArrayRef)>, rows: usize) -> Result<FFI_ArrowArray> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
        columns.into_iter().map(|(field, column)| (field.clone().with_nullable(true), column)).unzip();
    let rows = StructArray::try_new_with_length(Fields::from(fields), arrays, None, rows)?;
    Ok(FFI_ArrowArray::new(&rows.to_data()))
}

/// The columns of an array that was handed over, which have these types, and how many rows there are.
///
/// # Errors
/// If it has another number of columns.
///
/// # Safety
/// `array` is one that [`exported`] has made on the other side, of columns with just these types.
pub unsafe fn imported(array: FFI_ArrowArray, fields: Fields) -> Result<(Vec<ArrayRef>, usize)> {
    if array.num_children() != fields.len() {
        let (has, wants) = (array.num_children(), fields.len());
        return Err(Error::internal(format!("rows of a plugin have {has} columns, and {wants} were agreed")));
    }
    // SAFETY: the caller promises it.
    let data = unsafe { from_ffi_and_data_type(array, DataType::Struct(fields)) }?;
    let rows = make_array(data);
    let rows = rows.as_struct();
    Ok((rows.columns().to_vec(), rows.len()))
}

/// The fields of a schema as they are handed over, with more columns behind them.
pub fn fields(schema: &SchemaRef, behind: &[DataType]) -> Fields {
    let own = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let behind = behind.iter().map(|data_type| Field::new("", data_type.clone(), true));
    own.chain(behind).collect()
}

/// Columns of a batch, with weights behind them if it has some.
///
/// # Errors
/// None that anyone can cause.
pub fn export_batch(batch: &Batch) -> Result<(FFI_ArrowArray, bool)> {
    let records = batch.records();
    let weights = Field::new("", DataType::Int8, true);
    let schema = records.schema();
    let mut columns: Vec<(&Field, ArrayRef)> =
        schema.fields().iter().map(AsRef::as_ref).zip(records.columns().iter().cloned()).collect();
    if let Some(column) = batch.weights() {
        columns.push((&weights, std::sync::Arc::new(column.clone())));
    }
    Ok((exported(columns, records.num_rows())?, batch.weights().is_some()))
}

/// The batch that [`export_batch`] has made an array of on the other side.
///
/// # Errors
/// If a column that may not be null is.
///
/// # Safety
/// See [`imported`]; `weighted` is what the other side says.
pub unsafe fn import_batch(array: FFI_ArrowArray, schema: &SchemaRef, weighted: bool) -> Result<Batch> {
    let behind: &[DataType] = if weighted { &[DataType::Int8] } else { &[] };
    // SAFETY: the caller promises it.
    let (mut columns, rows) = unsafe { imported(array, fields(schema, behind)) }?;
    let weights: Option<Int8Array> =
        weighted.then(|| columns.pop()).flatten().map(|column| column.as_primitive().clone());
    let records = records(schema, columns, rows)?;
    match weights {
        Some(weights) => Batch::weighted(records, weights),
        None => Ok(Batch::append(records)),
    }
}

/// Columns as rows of that schema.
///
/// # Errors
/// If a column that may not be null is.
pub fn records(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| Error::user("a plugin's rows are not what it has declared").with_source(error))
}
