//! Constants of a plan as DataFusion scalars.

use std::sync::Arc;

use arrow::array::{Array, AsArray, MapArray, StructArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat};
use arrow::datatypes::{
    DataType, FieldRef, Fields, IntervalDayTime, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256,
};
use datafusion_common::{DataFusionError, ScalarValue};
use weir_core::{Error, Literal, LiteralValue, Result};

/// The constant, in its declared type.
pub(super) fn scalar(literal: &Literal) -> Result<ScalarValue> {
    let data_type = &literal.data_type;
    let value = match &literal.value {
        LiteralValue::Null => ScalarValue::try_new_null(data_type).ok(),
        LiteralValue::Boolean(value) if *data_type == DataType::Boolean => Some(ScalarValue::Boolean(Some(*value))),
        LiteralValue::Boolean(_) => None,
        LiteralValue::Int(value) => signed(*value, data_type),
        LiteralValue::UInt(value) => unsigned(*value, data_type),
        LiteralValue::Decimal(digits) => decimal(digits, data_type),
        LiteralValue::Float(bits) => match data_type {
            DataType::Float64 => Some(ScalarValue::Float64(Some(f64::from_bits(*bits)))),
            DataType::Float32 => Some(ScalarValue::Float32(Some(f64::from_bits(*bits) as f32))),
            _ => None,
        },
        LiteralValue::Utf8(text) => match data_type {
            DataType::Utf8View => Some(ScalarValue::Utf8View(Some(text.clone()))),
            DataType::Utf8 => Some(ScalarValue::Utf8(Some(text.clone()))),
            DataType::LargeUtf8 => Some(ScalarValue::LargeUtf8(Some(text.clone()))),
            _ => None,
        },
        LiteralValue::Binary(bytes) => match data_type {
            DataType::BinaryView => Some(ScalarValue::BinaryView(Some(bytes.clone()))),
            DataType::Binary => Some(ScalarValue::Binary(Some(bytes.clone()))),
            DataType::LargeBinary => Some(ScalarValue::LargeBinary(Some(bytes.clone()))),
            DataType::FixedSizeBinary(size) => Some(ScalarValue::FixedSizeBinary(*size, Some(bytes.clone()))),
            _ => None,
        },
        LiteralValue::Interval { months, days, nanoseconds } => match data_type {
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Some(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(*months, *days, *nanoseconds))))
            }
            DataType::Interval(IntervalUnit::DayTime) if *months == 0 && nanoseconds % 1_000_000 == 0 => {
                let milliseconds = i32::try_from(nanoseconds / 1_000_000).ok();
                milliseconds
                    .map(|milliseconds| ScalarValue::IntervalDayTime(Some(IntervalDayTime::new(*days, milliseconds))))
            }
            _ => None,
        },
        LiteralValue::List(items) => match data_type {
            DataType::Struct(fields) => row(items, fields)?,
            DataType::Map(entries, sorted) => map(items, entries, *sorted)?,
            _ => list(items, data_type)?,
        },
    };
    value.ok_or_else(|| Error::internal(format!("the plan has a constant {:?} of type {data_type}", literal.value)))
}

fn signed(value: i64, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(value.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(value.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(value.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value)),
        DataType::Date32 => ScalarValue::Date32(Some(value.try_into().ok()?)),
        DataType::Date64 => ScalarValue::Date64(Some(value)),
        DataType::Time32(TimeUnit::Second) => ScalarValue::Time32Second(Some(value.try_into().ok()?)),
        DataType::Time32(_) => ScalarValue::Time32Millisecond(Some(value.try_into().ok()?)),
        DataType::Time64(TimeUnit::Microsecond) => ScalarValue::Time64Microsecond(Some(value)),
        DataType::Time64(_) => ScalarValue::Time64Nanosecond(Some(value)),
        DataType::Timestamp(TimeUnit::Second, zone) => ScalarValue::TimestampSecond(Some(value), zone.clone()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            ScalarValue::TimestampMillisecond(Some(value), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(value), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => ScalarValue::TimestampNanosecond(Some(value), zone.clone()),
        DataType::Duration(TimeUnit::Second) => ScalarValue::DurationSecond(Some(value)),
        DataType::Duration(TimeUnit::Millisecond) => ScalarValue::DurationMillisecond(Some(value)),
        DataType::Duration(TimeUnit::Microsecond) => ScalarValue::DurationMicrosecond(Some(value)),
        DataType::Duration(TimeUnit::Nanosecond) => ScalarValue::DurationNanosecond(Some(value)),
        DataType::Interval(IntervalUnit::YearMonth) => ScalarValue::IntervalYearMonth(Some(value.try_into().ok()?)),
        _ => return None,
    })
}

fn unsigned(value: u64, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::UInt8 => ScalarValue::UInt8(Some(value.try_into().ok()?)),
        DataType::UInt16 => ScalarValue::UInt16(Some(value.try_into().ok()?)),
        DataType::UInt32 => ScalarValue::UInt32(Some(value.try_into().ok()?)),
        DataType::UInt64 => ScalarValue::UInt64(Some(value)),
        _ => return None,
    })
}

fn decimal(digits: &str, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Decimal32(precision, scale) => ScalarValue::Decimal32(Some(digits.parse().ok()?), *precision, *scale),
        DataType::Decimal64(precision, scale) => ScalarValue::Decimal64(Some(digits.parse().ok()?), *precision, *scale),
        DataType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(digits.parse().ok()?), *precision, *scale)
        }
        DataType::Decimal256(precision, scale) => {
            ScalarValue::Decimal256(Some(i256::from_string(digits)?), *precision, *scale)
        }
        _ => return None,
    })
}

fn row(items: &[Literal], fields: &Fields) -> Result<Option<ScalarValue>> {
    let columns = items.iter().map(|item| scalar(item)?.to_array().map_err(unfit)).collect::<Result<Vec<_>>>()?;
    let row = StructArray::try_new_with_length(fields.clone(), columns, None, 1)?;
    Ok(Some(ScalarValue::Struct(Arc::new(row))))
}

fn map(items: &[Literal], entries: &FieldRef, sorted: bool) -> Result<Option<ScalarValue>> {
    let rows = items.iter().map(|item| scalar(item)?.to_array().map_err(unfit)).collect::<Result<Vec<_>>>()?;
    let rows: Vec<&dyn Array> = rows.iter().map(|row| row.as_ref()).collect();
    let all = if rows.is_empty() { new_empty_array(entries.data_type()) } else { concat(&rows)? };
    let offsets = OffsetBuffer::from_lengths([all.len()]);
    let map = MapArray::try_new(entries.clone(), offsets, all.as_struct().clone(), None, sorted)?;
    Ok(Some(ScalarValue::Map(Arc::new(map))))
}

fn unfit(error: DataFusionError) -> Error {
    Error::internal("the plan has a constant that is no array").with_source(error)
}

fn list(items: &[Literal], data_type: &DataType) -> Result<Option<ScalarValue>> {
    let element = match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => field.data_type(),
        _ => return Ok(None),
    };
    let items = items.iter().map(scalar).collect::<Result<Vec<_>>>()?;
    let list: Arc<dyn Array> = ScalarValue::new_list(&items, element, true);
    // The cast gives the field its declared name and the list its declared kind.
    let list = cast(&list, data_type)?;
    Ok(ScalarValue::try_from_array(&list, 0).ok())
}
