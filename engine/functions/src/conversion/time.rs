//! Between dates and timestamps, and from text to times. What is finer than the type wanted is cut off towards the past, as
//! everywhere else: half a second before 1970 is in 1969.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, PrimitiveArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use weir_core::time_text::resolution;

use crate::read_time;
use crate::times::{self, DAY as DAY_NANOS};

const DAY: i64 = 86_400;

/// Times with a zone are kept in UTC; other zones come from files alone, and are Arrow's to read.
pub(super) fn is_utc(zone: &Option<Arc<str>>) -> bool {
    zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00" | "Z"))
}

pub(super) fn convert(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    let refuse = |value: String| ArrowError::CastError(format!("{value} is out of the range of {}", named(to)));
    match (array.data_type(), to) {
        (DataType::Timestamp(from, _), DataType::Timestamp(unit, _)) => {
            let (from, unit) = (resolution(*from).0, resolution(*unit).0);
            let refuse = |value: i64| refuse(format!("the timestamp {value}"));
            let values = integers(array)?;
            if unit < from {
                let by = from / unit;
                return typed(values.unary::<_, Int64Type>(|ticks| ticks.div_euclid(by)), to);
            }
            let by = unit / from;
            typed(checked::<Int64Type, Int64Type>(&values, safe, |ticks| ticks.checked_mul(by), refuse)?, to)
        }
        (DataType::Timestamp(from, _), DataType::Date32) => {
            let per_day = DAY * resolution(*from).0;
            let day = |ticks: i64| i32::try_from(ticks.div_euclid(per_day)).ok();
            let refuse = |value: i64| refuse(format!("the timestamp {value}"));
            typed(checked::<Int64Type, Int32Type>(&integers(array)?, safe, day, refuse)?, to)
        }
        (DataType::Date32, DataType::Timestamp(unit, _)) => {
            let per_day = DAY * resolution(*unit).0;
            let days: Int32Array = array.as_primitive::<Date32Type>().reinterpret_cast();
            let midnight = |days: i32| i64::from(days).checked_mul(per_day);
            let refuse = |days: i32| {
                let mut text = Vec::new();
                weir_core::time_text::push_date(&mut text, i64::from(days));
                refuse(format!("the date {}", String::from_utf8_lossy(&text)))
            };
            typed(checked::<Int32Type, Int64Type>(&days, safe, midnight, refuse)?, to)
        }
        (DataType::Time64(_), DataType::Timestamp(unit, _)) => {
            let by = DAY_NANOS / (DAY * resolution(*unit).0);
            typed(integers(array)?.unary::<_, Int64Type>(|nanos| nanos / by), to)
        }
        (_, DataType::Timestamp(unit, _)) => {
            let per_day = DAY * resolution(*unit).0;
            let read = |text: &str| Some(times::ticks(read_time::timestamp(text)?, per_day));
            typed(read_texts(array, to, safe, read)?, to)
        }
        (_, DataType::Time64(_)) => typed(read_texts(array, to, safe, |text| Some(read_time::time(text)))?, to),
        (_, DataType::Date32) => {
            let days = read_texts(array, to, safe, |text| Some(read_time::date(text)))?;
            typed(days.unary::<_, Int32Type>(|days| days as i32), to)
        }
        (from, to) => Err(ArrowError::CastError(format!("no cast from {from} to {to}"))),
    }
}

/// `read` says `None` of what is no time, and `Some(None)` of one that the type has no room for.
fn read_texts(
    array: &ArrayRef,
    to: &DataType,
    safe: bool,
    read: impl Fn(&str) -> Option<Option<i64>>,
) -> Result<Int64Array, ArrowError> {
    let texts = cast(array, &DataType::Utf8View)?;
    let times = texts.as_string_view().iter().map(|text| {
        let Some(text) = text else { return Ok(None) };
        match read(text) {
            Some(Some(time)) => Ok(Some(time)),
            _ if safe => Ok(None),
            Some(None) if read_time::timestamp(text).is_some() => {
                Err(ArrowError::CastError(format!("'{text}' is out of the range of {}", named(to))))
            }
            _ => Err(ArrowError::CastError(format!("'{text}' is no {}; write {}", named(to), form(to)))),
        }
    });
    times.collect()
}

/// How values of the type are written.
fn form(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Date32 => "2024-01-31",
        DataType::Time64(_) => "10:11:12.5",
        _ => "2024-01-31 10:11:12.5",
    }
}

fn integers(array: &ArrayRef) -> Result<Int64Array, ArrowError> {
    let data = array.to_data().into_builder().data_type(DataType::Int64).build()?;
    Ok(make_array(data).as_primitive::<Int64Type>().clone())
}

fn checked<I: ArrowPrimitiveType, O: ArrowPrimitiveType>(
    values: &PrimitiveArray<I>,
    safe: bool,
    compute: impl Fn(I::Native) -> Option<O::Native>,
    refuse: impl Fn(I::Native) -> ArrowError,
) -> Result<PrimitiveArray<O>, ArrowError> {
    if safe {
        return Ok(values.unary_opt::<_, O>(compute));
    }
    values.try_unary::<_, O, _>(|value| compute(value).ok_or_else(|| refuse(value)))
}

fn typed<T: ArrowPrimitiveType>(values: PrimitiveArray<T>, to: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(values.into_data().into_builder().data_type(to.clone()).build()?))
}

fn named(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(unit, zone) => {
            let name = if zone.is_some() { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
            format!("{name}({})", resolution(*unit).1)
        }
        DataType::Time64(_) => "TIME".to_owned(),
        _ => "DATE".to_owned(),
    }
}
