//! Values as text, the same in tables and CSV.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use weir_connectors::formats::encode::{Style, Texts};
use weir_core::{Error, Result};
use weir_functions::conversion::convert;

/// Columns of a batch, ready to be asked for their values.
pub struct Cells {
    texts: Texts,
    value: Vec<u8>,
}

impl Cells {
    /// The columns of `records`.
    ///
    /// # Errors
    /// If a type cannot be printed.
    pub fn new(records: &RecordBatch) -> Result<Self> {
        Ok(Self { texts: Texts::new(&printable(records)?, Style::SQL)?, value: Vec::new() })
    }

    /// Adds a value as text to `out`; `false` if it is null, which adds nothing.
    pub fn write(&mut self, row: usize, column: usize, out: &mut String) -> bool {
        self.value.clear();
        let is_there = self.texts.write(row, column, &mut self.value);
        out.push_str(&String::from_utf8_lossy(&self.value));
        is_there
    }

    /// How many columns.
    pub fn width(&self) -> usize {
        self.texts.width()
    }
}

/// The rows with text in the place of intervals, which formats have no values for.
///
/// # Errors
/// If a type has no text.
pub fn printable(records: &RecordBatch) -> Result<RecordBatch> {
    let is_interval = |field: &FieldRef| matches!(field.data_type(), DataType::Interval(_));
    if !records.schema_ref().fields().iter().any(is_interval) {
        return Ok(records.clone());
    }
    let columns = records.schema_ref().fields().iter().zip(records.columns()).map(|(field, column)| {
        if !is_interval(field) {
            return Ok((field.clone(), column.clone()));
        }
        let text = convert(column, &DataType::Utf8View, false);
        let text = text.map_err(|error| Error::user("an INTERVAL cannot be printed").with_source(error))?;
        Ok((Arc::new(Field::new(field.name(), DataType::Utf8View, field.is_nullable())), text))
    });
    let (fields, columns): (Vec<FieldRef>, Vec<_>) = columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(Fields::from(fields))), columns, &options)?)
}

/// Whether values are compared by their last digit, and so belong to the right.
pub fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
