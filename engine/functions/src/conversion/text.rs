//! Values as text, as Flink's casts write them: `2013-01-31 10:00:00.000`, `[1, NULL]`, `{a=1, b=2}`, `(1, x)`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit,
};
use arrow::error::ArrowError;
use weir_core::time_text::{push_date, push_short_time, push_timestamp};

use super::parts::Ranges;

/// Writes the value of a row, which is not null.
type Writer = Box<dyn Fn(usize, &mut Vec<u8>)>;

pub(super) fn texts(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let write = writer(array)?;
    let nulls = array.logical_nulls();
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut text = Vec::new();
    for row in 0..array.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            builder.append_null();
            continue;
        }
        text.clear();
        write(row, &mut text);
        builder.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(builder.finish()))
}

fn writer(array: &ArrayRef) -> Result<Writer, ArrowError> {
    Ok(match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().clone();
            Box::new(move |row, out| push_date(out, i64::from(days.value(row))))
        }
        DataType::Date64 => {
            let millis = array.as_primitive::<Date64Type>().clone();
            Box::new(move |row, out| push_date(out, millis.value(row).div_euclid(86_400_000)))
        }
        DataType::Timestamp(unit, _) => {
            let (unit, ticks) = (*unit, cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone());
            Box::new(move |row, out| push_timestamp(out, ticks.value(row), unit, b' '))
        }
        DataType::Time32(TimeUnit::Second) => {
            let ticks = array.as_primitive::<Time32SecondType>().clone();
            Box::new(move |row, out| push_short_time(out, i64::from(ticks.value(row)) * 1_000_000_000))
        }
        DataType::Time32(_) => {
            let ticks = array.as_primitive::<Time32MillisecondType>().clone();
            Box::new(move |row, out| push_short_time(out, i64::from(ticks.value(row)) * 1_000_000))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let ticks = array.as_primitive::<Time64MicrosecondType>().clone();
            Box::new(move |row, out| push_short_time(out, ticks.value(row) * 1_000))
        }
        DataType::Time64(_) => {
            let ticks = array.as_primitive::<Time64NanosecondType>().clone();
            Box::new(move |row, out| push_short_time(out, ticks.value(row)))
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns().iter().map(part).collect::<Result<Vec<_>, _>>()?;
            Box::new(move |row, out| {
                out.push(b'(');
                for (index, field) in fields.iter().enumerate() {
                    separate(index, out);
                    field(row, out);
                }
                out.push(b')');
            })
        }
        DataType::Map(..) => {
            let entries = array.as_map().entries();
            let (keys, values) = (part(entries.column(0))?, part(entries.column(1))?);
            let ranges = Ranges::of(array)?;
            Box::new(move |row, out| {
                out.push(b'{');
                for (index, entry) in ranges.of_row(row).enumerate() {
                    separate(index, out);
                    keys(entry, out);
                    out.push(b'=');
                    values(entry, out);
                }
                out.push(b'}');
            })
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let ranges = Ranges::of(array)?;
            let values = part(ranges.values())?;
            Box::new(move |row, out| {
                out.push(b'[');
                for (index, item) in ranges.of_row(row).enumerate() {
                    separate(index, out);
                    values(item, out);
                }
                out.push(b']');
            })
        }
        _ => {
            let texts: StringViewArray = cast(array, &DataType::Utf8View)?.as_string_view().clone();
            Box::new(move |row, out| out.extend_from_slice(texts.value(row).as_bytes()))
        }
    })
}

/// A value inside another, which may be null.
fn part(array: &ArrayRef) -> Result<Writer, ArrowError> {
    let (write, nulls) = (writer(array)?, array.logical_nulls());
    Ok(Box::new(move |row, out| match &nulls {
        Some(nulls) if nulls.is_null(row) => out.extend_from_slice(b"NULL"),
        _ => write(row, out),
    }))
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.extend_from_slice(b", ");
    }
}
