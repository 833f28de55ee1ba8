//! From the columns that come to those that a record has.

use std::sync::Arc;

use arrow::array::ListArray;
use arrow::array::{ArrayData, ArrayRef, StructArray, make_array, new_null_array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use weir_core::{Error, Result};

/// A value that does not fit is an error, and not null.
const EXACT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// The columns with the types of `schema`, in its order. Costs nothing where they have them already.
///
/// # Errors
/// A user error if one is of a type whose values are no values of the record's; a data error if a value does not fit.
pub(crate) fn conform(columns: &[ArrayRef], schema: &Schema, record: &str) -> Result<Vec<ArrayRef>> {
    if columns.len() != schema.fields().len() {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let (names, count) = (names.join(", "), columns.len());
        return Err(Error::user(format!("{record} has the columns {names}, and {count} came")));
    }
    let one = |(column, field): (&ArrayRef, &arrow::datatypes::FieldRef)| {
        let (from, to) = (column.data_type(), field.data_type());
        if from == to {
            return Ok(column.clone());
        }
        let place = format!("{record}.{}", field.name());
        if !fits(from, to) {
            return Err(Error::user(format!("{place}: the column is of type {from}, and the field takes {to}")));
        }
        cast_with_options(column, to, &EXACT)
            .map_err(|error| Error::data(format!("{place}: a value of type {from} is no {to}")).with_source(error))
    };
    columns.iter().zip(schema.fields()).map(one).collect()
}

/// Whether values of one type can be read as another, without loss or with an error.
fn fits(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Decimal128, Float32, Float64, LargeBinary, LargeUtf8, List, Struct, Timestamp, Utf8,
        Utf8View,
    };
    match (from, to) {
        (from, to) if from.is_integer() && to.is_integer() => true,
        (Float32, Float64) | (Utf8 | LargeUtf8, Utf8View) | (Binary | LargeBinary, BinaryView) => true,
        (Timestamp(unit, _), Timestamp(..)) => matches!(unit, TimeUnit::Second | TimeUnit::Millisecond),
        (Decimal128(_, scale), Decimal128(_, to_scale)) => scale <= to_scale,
        (List(from), List(to)) => from.data_type() == to.data_type() || fits(from.data_type(), to.data_type()),
        (Struct(from), Struct(to)) => {
            from.len() == to.len()
                && from.iter().zip(to).all(|(from, to)| {
                    from.name() == to.name()
                        && (from.data_type() == to.data_type() || fits(from.data_type(), to.data_type()))
                })
        }
        _ => false,
    }
}

/// Values that mean nothing, of any type: for rows that say that their key is gone.
///
/// # Errors
/// If Arrow has none.
pub(crate) fn zeros(data_type: &DataType, rows: usize) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| new_null_array(field.data_type(), rows)).collect();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, None, rows)?)
        }
        DataType::List(element) => {
            let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0; rows + 1]));
            Arc::new(ListArray::try_new(element.clone(), offsets, zeros(element.data_type(), 0)?, None)?)
        }
        _ => make_array(ArrayData::new_null(data_type, rows).into_builder().nulls(None).build()?),
    })
}
