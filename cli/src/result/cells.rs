//! Values as text, the same in tables and CSV.

use std::fmt::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_core::Result;

/// Columns of a batch, ready to be asked for their values.
pub struct Cells<'a> {
    columns: Vec<(&'a dyn Array, ArrayFormatter<'a>)>,
}

impl<'a> Cells<'a> {
    /// The columns of `records`.
    ///
    /// # Errors
    /// If Arrow cannot print a type.
    pub fn new(records: &'a RecordBatch) -> Result<Self> {
        let columns = records
            .columns()
            .iter()
            .map(|column| {
                let array: &dyn Array = column.as_ref();
                Ok((array, ArrayFormatter::try_new(array, &options(column.data_type()))?))
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

/// Time as SQL writes it: a blank between day and time, and as many digits as the type has.
fn options(data_type: &DataType) -> FormatOptions<'static> {
    let (plain, zoned) = match innermost_unit(data_type) {
        Some(TimeUnit::Second) => ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%SZ"),
        Some(TimeUnit::Microsecond) => ("%Y-%m-%d %H:%M:%S%.6f", "%Y-%m-%d %H:%M:%S%.6fZ"),
        Some(TimeUnit::Nanosecond) => ("%Y-%m-%d %H:%M:%S%.9f", "%Y-%m-%d %H:%M:%S%.9fZ"),
        Some(TimeUnit::Millisecond) | None => (MILLIS, MILLIS_ZONED),
    };
    FormatOptions::new().with_null("NULL").with_timestamp_format(Some(plain)).with_timestamp_tz_format(Some(zoned))
}

/// Pattern of a `TIMESTAMP(3)`.
pub const MILLIS: &str = "%Y-%m-%d %H:%M:%S%.3f";
/// Pattern of a `TIMESTAMP_LTZ(3)`, which is shown in UTC.
pub const MILLIS_ZONED: &str = "%Y-%m-%d %H:%M:%S%.3fZ";

fn innermost_unit(data_type: &DataType) -> Option<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Some(*unit),
        DataType::List(item) | DataType::LargeList(item) => innermost_unit(item.data_type()),
        _ => None,
    }
}

/// Whether values are compared by their last digit, and so belong to the right.
pub fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
