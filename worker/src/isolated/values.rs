//! Arguments and values of functions as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use weir_core::{Batch, Error, Result};

use super::lease::{Lease, Rows};
use super::process::waiting;
use super::protocol::{Call, FunctionCall};

/// The values that a call has emitted.
pub fn values(lease: &Lease, call: FunctionCall, given: Option<Rows<'_>>) -> Result<ArrayRef> {
    let mut emitted = None;
    waiting(|| lease.call::<()>(&Call::Function(call), given, &mut |_, rows| emitted = Some(rows)))?;
    let emitted = emitted.map(Batch::into_appended).transpose()?;
    let values = emitted.and_then(|rows| rows.columns().first().cloned());
    values.ok_or_else(|| Error::environment("a plugin's process has sent no values"))
}

/// Values as rows.
pub fn column(values: ArrayRef) -> Result<Batch> {
    let rows = values.len();
    columns(vec![values], rows)
}

/// Columns as rows. Only their places tell them apart.
pub fn columns(columns: Vec<ArrayRef>, rows: usize) -> Result<Batch> {
    let fields: Vec<Field> = columns.iter().map(|column| Field::new("", column.data_type().clone(), true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(Batch::append(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?))
}
