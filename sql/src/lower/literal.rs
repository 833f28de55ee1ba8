//! DataFusion's scalar values as the engine's literals.

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use weir_core::{Error, Literal, LiteralValue, Result};

/// `value` with its type.
///
/// # Errors
/// A user error for a type that has no literal form.
pub(super) fn literal(value: &ScalarValue) -> Result<Literal> {
    let data_type = value.data_type();
    if value.is_null() {
        return Ok(Literal { data_type, value: LiteralValue::Null });
    }
    let int = |value: Option<i64>| value.map(LiteralValue::Int);
    let uint = |value: Option<u64>| value.map(LiteralValue::UInt);
    let text = |value: &Option<String>| value.clone().map(LiteralValue::Utf8);
    let bytes = |value: &Option<Vec<u8>>| value.clone().map(LiteralValue::Binary);
    let float = |value: Option<f64>| value.map(|value| LiteralValue::Float(value.to_bits()));
    let converted = match value {
        ScalarValue::Null => Some(LiteralValue::Null),
        ScalarValue::Boolean(value) => value.map(LiteralValue::Boolean),
        ScalarValue::Float16(value) => float(value.map(f64::from)),
        ScalarValue::Float32(value) => float(value.map(f64::from)),
        ScalarValue::Float64(value) => float(*value),
        ScalarValue::Decimal32(value, ..) => value.map(|value| LiteralValue::Decimal(value.to_string())),
        ScalarValue::Decimal64(value, ..) => value.map(|value| LiteralValue::Decimal(value.to_string())),
        ScalarValue::Decimal128(value, ..) => value.map(|value| LiteralValue::Decimal(value.to_string())),
        ScalarValue::Decimal256(value, ..) => value.map(|value| LiteralValue::Decimal(value.to_string())),
        ScalarValue::Int8(value) => int(value.map(i64::from)),
        ScalarValue::Int16(value) => int(value.map(i64::from)),
        ScalarValue::Int32(value) => int(value.map(i64::from)),
        ScalarValue::Int64(value) => int(*value),
        ScalarValue::UInt8(value) => uint(value.map(u64::from)),
        ScalarValue::UInt16(value) => uint(value.map(u64::from)),
        ScalarValue::UInt32(value) => uint(value.map(u64::from)),
        ScalarValue::UInt64(value) => uint(*value),
        ScalarValue::Utf8(value) | ScalarValue::Utf8View(value) | ScalarValue::LargeUtf8(value) => text(value),
        ScalarValue::Binary(value)
        | ScalarValue::BinaryView(value)
        | ScalarValue::LargeBinary(value)
        | ScalarValue::FixedSizeBinary(_, value) => bytes(value),
        ScalarValue::Date32(value)
        | ScalarValue::Time32Second(value)
        | ScalarValue::Time32Millisecond(value)
        | ScalarValue::IntervalYearMonth(value) => int(value.map(i64::from)),
        ScalarValue::Date64(value)
        | ScalarValue::Time64Microsecond(value)
        | ScalarValue::Time64Nanosecond(value)
        | ScalarValue::TimestampSecond(value, _)
        | ScalarValue::TimestampMillisecond(value, _)
        | ScalarValue::TimestampMicrosecond(value, _)
        | ScalarValue::TimestampNanosecond(value, _)
        | ScalarValue::DurationSecond(value)
        | ScalarValue::DurationMillisecond(value)
        | ScalarValue::DurationMicrosecond(value)
        | ScalarValue::DurationNanosecond(value) => int(*value),
        ScalarValue::IntervalDayTime(value) => value.map(|value| LiteralValue::Interval {
            months: 0,
            days: value.days,
            nanoseconds: i64::from(value.milliseconds) * 1_000_000,
        }),
        ScalarValue::IntervalMonthDayNano(value) => value.map(|value| LiteralValue::Interval {
            months: value.months,
            days: value.days,
            nanoseconds: value.nanoseconds,
        }),
        ScalarValue::List(array) => Some(elements(&array.value(0))?),
        ScalarValue::LargeList(array) => Some(elements(&array.value(0))?),
        ScalarValue::FixedSizeList(array) => Some(elements(&array.value(0))?),
        ScalarValue::Struct(array) => Some(fields(array, 0)?),
        ScalarValue::Map(array) => {
            let entries = array.value(0);
            let entry = |index| {
                Ok(Literal { data_type: DataType::Struct(entries.fields().clone()), value: fields(&entries, index)? })
            };
            Some(LiteralValue::List((0..entries.len()).map(entry).collect::<Result<_>>()?))
        }
        _ => None,
    };
    match converted {
        Some(value) => Ok(Literal { data_type, value }),
        None => Err(Error::user(format!("a constant of type {data_type} is not supported"))
            .with_help("compute it from columns, or take its fields apart")),
    }
}

/// A row's fields in order.
fn fields(row: &StructArray, index: usize) -> Result<LiteralValue> {
    let field =
        |column: &ArrayRef| literal(&ScalarValue::try_from_array(column, index).map_err(super::error::from_planner)?);
    Ok(LiteralValue::List(row.columns().iter().map(field).collect::<Result<_>>()?))
}

fn elements(array: &arrow::array::ArrayRef) -> Result<LiteralValue> {
    let items = (0..array.len()).map(|index| {
        let item = ScalarValue::try_from_array(array, index).map_err(super::error::from_planner)?;
        literal(&item)
    });
    Ok(LiteralValue::List(items.collect::<Result<_>>()?))
}
