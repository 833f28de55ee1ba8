//! Values as text, the same in tables and CSV.

use std::fmt::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_core::Result;

/// Columns of a batch, ready to be asked for their values.
pub struct Cells<'a> {
    columns: Vec<(&'a dyn Array, ArrayFormatter<'a>)>,
}

impl<'a> Cells<'a> {
    /// The columns of `records`, whose timestamps are text already.
    ///
    /// # Errors
    /// If Arrow cannot print a type.
    pub fn new(records: &'a RecordBatch) -> Result<Self> {
        let columns = records
            .columns()
            .iter()
            .map(|column| {
                let array: &dyn Array = column.as_ref();
                Ok((array, ArrayFormatter::try_new(array, &FormatOptions::new().with_null("NULL"))?))
            })
            .collect::<Result<_>>()?;
        Ok(Self { columns })
    }

    /// Adds a value as text to `out`; `false` if it is null, which adds nothing.
    pub fn write(&self, row: usize, column: usize, out: &mut String) -> bool {
        let (array, formatter) = &self.columns[column];
        if array.is_null(row) {
            return false;
        }
        // Formatting errors become part of the text, and a string takes all that is written.
        let _ = write!(out, "{}", formatter.value(row));
        true
    }

    /// How many columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }
}

/// Whether values are compared by their last digit, and so belong to the right.
pub fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
