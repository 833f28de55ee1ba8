//! Between dates and timestamps, and from text to timestamps. What is finer than the type wanted is cut off towards the past, as
//! everywhere else: half a second before 1970 is in 1969.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, PrimitiveArray, make_array};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Int32Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use weir_core::time_text::resolution;

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
        (_, DataType::Timestamp(unit, _)) => {
            let texts = cast(array, &DataType::Utf8View)?;
            let zone: Tz = "UTC".parse()?;
            let times = texts.as_string_view().iter().map(|text| match text.map(|text| parsed(text, *unit, &zone)) {
                None => Ok(None),
                Some(Ok(Some(ticks))) => Ok(Some(ticks)),
                Some(_) if safe => Ok(None),
                Some(Ok(None)) => Err(refuse(format!("'{}'", text.unwrap_or_default()))),
                Some(Err(error)) => Err(error),
            });
            typed(times.collect::<Result<Int64Array, _>>()?, to)
        }
        (from, to) => Err(ArrowError::CastError(format!("no cast from {from} to {to}"))),
    }
}

/// `None`: the type has no such time.
fn parsed(text: &str, unit: TimeUnit, zone: &Tz) -> Result<Option<i64>, ArrowError> {
    let time = string_to_datetime(zone, text)?;
    let per_second = resolution(unit).0;
    // A leap second has more than 10^9 nanoseconds.
    let part = i64::from(time.timestamp_subsec_nanos()) / (1_000_000_000 / per_second);
    Ok(time.timestamp().checked_mul(per_second).and_then(|ticks| ticks.checked_add(part)))
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
        _ => "DATE".to_owned(),
    }
}
