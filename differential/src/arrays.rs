//! Values as columns, and columns as values.
//!
//! Under a null row or array the children hold values all the same, as the files of other programs may.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StringViewArray,
    StructArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64NanosecondType, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use weir_core::{Error, Result};

use crate::value::Value;

/// A column of this type.
///
/// # Errors
/// If the values are not of it.
pub fn column(values: &[Value], data_type: &DataType) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Boolean => Arc::new(values.iter().map(boolean).collect::<BooleanArray>()),
        DataType::Int8 => Arc::new(values.iter().map(|value| integer(value)?.try_into().ok()).collect::<Int8Array>()),
        DataType::Int16 => Arc::new(values.iter().map(|value| integer(value)?.try_into().ok()).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(values.iter().map(|value| integer(value)?.try_into().ok()).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(values.iter().map(integer).collect::<Int64Array>()),
        DataType::Float32 => Arc::new(values.iter().map(float).collect::<Float32Array>()),
        DataType::Float64 => Arc::new(values.iter().map(Value::as_double).collect::<Float64Array>()),
        DataType::Decimal128(precision, scale) => {
            let units = values.iter().map(units).collect::<Decimal128Array>();
            Arc::new(units.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Utf8View => Arc::new(values.iter().map(text).collect::<StringViewArray>()),
        DataType::BinaryView => Arc::new(values.iter().map(bytes).collect::<BinaryViewArray>()),
        DataType::Utf8 => Arc::new(values.iter().map(text).collect::<StringArray>()),
        DataType::Binary => Arc::new(values.iter().map(bytes).collect::<BinaryArray>()),
        DataType::Date32 => {
            Arc::new(values.iter().map(|value| integer(value)?.try_into().ok()).collect::<Date32Array>())
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            Arc::new(values.iter().map(integer).collect::<Time64NanosecondArray>())
        }
        DataType::Timestamp(unit, zone) => {
            let values = values.iter().map(|value| instant(value, *unit));
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => Arc::new(values.collect::<TimestampSecondArray>().with_timezone_opt(zone)),
                TimeUnit::Millisecond => {
                    Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone_opt(zone))
                }
                TimeUnit::Microsecond => {
                    Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone_opt(zone))
                }
                TimeUnit::Nanosecond => Arc::new(values.collect::<TimestampNanosecondArray>().with_timezone_opt(zone)),
            }
        }
        DataType::Struct(fields) => {
            let mut last: Vec<Value> = vec![Value::Null; fields.len()];
            let mut columns: Vec<Vec<Value>> = vec![Vec::new(); fields.len()];
            for value in values {
                if let Value::Row(parts) = value {
                    last.clone_from(parts);
                }
                columns.iter_mut().zip(&last).for_each(|(column, part)| column.push(part.clone()));
            }
            let columns = columns.iter().zip(fields).map(|(values, field)| column(values, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls(values), values.len())?)
        }
        DataType::List(field) => {
            let mut last: &[Value] = &[];
            let mut elements = Vec::new();
            let mut lengths = Vec::new();
            for value in values {
                if let Value::Array(parts) = value {
                    last = parts;
                }
                elements.extend_from_slice(last);
                lengths.push(last.len());
            }
            let elements = column(&elements, field.data_type())?;
            Arc::new(ListArray::try_new(field.clone(), OffsetBuffer::from_lengths(lengths), elements, nulls(values))?)
        }
        DataType::Map(field, sorted) => {
            let DataType::Struct(parts) = field.data_type() else { return Err(unknown(data_type)) };
            let entries = |value: &Value| if let Value::Map(entries) = value { entries.clone() } else { Vec::new() };
            let lengths: Vec<usize> = values.iter().map(|value| entries(value).len()).collect();
            let (keys, of): (Vec<Value>, Vec<Value>) = values.iter().flat_map(entries).unzip();
            let columns = vec![column(&keys, parts[0].data_type())?, column(&of, parts[1].data_type())?];
            let entries = StructArray::try_new(parts.clone(), columns, None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls(values), *sorted)?)
        }
        DataType::Null => new_null_array(data_type, values.len()),
        _ => return Err(unknown(data_type)),
    })
}

fn unknown(data_type: &DataType) -> Error {
    Error::internal(format!("the tester knows no columns of {data_type}"))
}

fn nulls(values: &[Value]) -> Option<NullBuffer> {
    Some(values.iter().map(|value| !value.is_null()).collect::<Vec<bool>>().into())
}

fn boolean(value: &Value) -> Option<bool> {
    if let Value::Boolean(value) = value { Some(*value) } else { None }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(value) | Value::Date(value) | Value::Time(value) => Some(*value),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f32> {
    if let Value::Float(value) = value { Some(*value) } else { None }
}

fn units(value: &Value) -> Option<i128> {
    if let Value::Decimal(units, _) = value { Some(*units) } else { None }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::String(value) = value { Some(value) } else { None }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::Bytes(value) = value { Some(value) } else { None }
}

fn instant(value: &Value, unit: TimeUnit) -> Option<i64> {
    let Value::Timestamp(instant) = value else { return None };
    i64::try_from(instant.div_euclid(nanos(unit))).ok()
}

fn nanos(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The value of a row.
///
/// # Errors
/// If the column has a type that Weir does not give out.
pub fn value(array: &ArrayRef, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => Value::Integer(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Value::Integer(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Value::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Value::Integer(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::Integer(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Value::Integer(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Value::Integer(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => {
            let value = i64::try_from(array.as_primitive::<UInt64Type>().value(row));
            Value::Integer(value.map_err(|_| Error::internal("a number beyond BIGINT"))?)
        }
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Value::Decimal(
            array.as_primitive::<Decimal128Type>().value(row),
            u8::try_from(*scale).map_err(|_| unknown(array.data_type()))?,
        ),
        DataType::Utf8View => Value::String(array.as_string_view().value(row).to_owned()),
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Date32 => Value::Date(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Time64(TimeUnit::Nanosecond) => Value::Time(array.as_primitive::<Time64NanosecondType>().value(row)),
        DataType::Timestamp(unit, _) => {
            let number = cast(&array.slice(row, 1), &DataType::Int64)?;
            Value::Timestamp(i128::from(number.as_primitive::<Int64Type>().value(0)) * nanos(*unit))
        }
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            Value::Array((0..elements.len()).map(|index| value(&elements, index)).collect::<Result<_>>()?)
        }
        DataType::LargeList(_) => {
            let elements = array.as_list::<i64>().value(row);
            Value::Array((0..elements.len()).map(|index| value(&elements, index)).collect::<Result<_>>()?)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            Value::Row(columns.iter().map(|column| value(column, row)).collect::<Result<_>>()?)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, of) = (entries.column(0), entries.column(1));
            let entry = |index| Ok((value(keys, index)?, value(of, index)?));
            Value::Map((0..entries.len()).map(entry).collect::<Result<_>>()?)
        }
        other => return Err(unknown(other)),
    })
}
