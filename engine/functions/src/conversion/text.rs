//! Values as text, as Flink's casts write them: `2013-01-31 10:00:00.000`, `1.0E10`, `TRUE`, `[1, NULL]`,
//! `{a=1, b=2}`, `(1, x)`.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float32Type, Float64Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
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
        DataType::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| out.extend_from_slice(if values.value(row) { b"TRUE" } else { b"FALSE" }))
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().clone();
            Box::new(move |row, out| {
                let number = numbers.value(row);
                push_float(out, number, number.is_nan(), &format!("{number:e}"), || format!("{number:.1e}"));
            })
        }
        DataType::Float32 => {
            let numbers = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row, out| {
                let number = numbers.value(row);
                push_float(out, number.into(), number.is_nan(), &format!("{number:e}"), || format!("{number:.1e}"));
            })
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |row, out| push_interval(out, intervals.value(row)))
        }
        _ => {
            let texts: StringViewArray = cast(array, &DataType::Utf8View)?.as_string_view().clone();
            Box::new(move |row, out| out.extend_from_slice(texts.value(row).as_bytes()))
        }
    })
}

/// As Java writes a number that Rust writes as `shortest`: digits up to ten millions, and with an exponent beyond and below a thousandth.
/// There is always a digit behind the point; where the shortest form has none, it is the one of `two` digits.
fn push_float(out: &mut Vec<u8>, number: f64, is_nan: bool, shortest: &str, two: impl Fn() -> String) {
    if is_nan || number.is_infinite() {
        out.extend_from_slice(match (is_nan, number > 0.0) {
            (true, _) => b"NaN".as_slice(),
            (_, true) => b"Infinity",
            _ => b"-Infinity",
        });
        return;
    }
    let two = if shortest.contains('.') { None } else { Some(two()) };
    let Some((mantissa, exponent)) = two.as_deref().unwrap_or(shortest).split_once('e') else { return };
    let plain = number == 0.0 || (1e-3..1e7).contains(&number.abs());
    // Writing to a vector cannot fail.
    let _ = match plain {
        true => write!(out, "{}", plain_digits(mantissa, exponent.parse().unwrap_or_default())),
        false => write!(out, "{mantissa}E{exponent}"),
    };
}

/// `1.25` and 2 as `125.0`.
fn plain_digits(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent + 1;
    let text = match usize::try_from(point) {
        Ok(point) if point > 0 => {
            let padded = format!("{digits:0<point$}");
            let (whole, behind) = padded.split_at(point);
            let behind = behind.trim_end_matches('0');
            format!("{whole}.{}", if behind.is_empty() { "0" } else { behind })
        }
        _ => {
            let zeros = "0".repeat(usize::try_from(-point).unwrap_or_default());
            format!("0.{zeros}{}", digits.trim_end_matches('0'))
        }
    };
    let text = text.strip_suffix('.').map_or(text.clone(), |whole| format!("{whole}.0"));
    format!("{sign}{text}")
}

/// `+1-02` is a year and two months, `+1 02:03:04.500` a day and more.
fn push_interval(out: &mut Vec<u8>, interval: IntervalMonthDayNano) {
    let IntervalMonthDayNano { months, days, nanoseconds } = interval;
    let millis = i128::from(days) * 86_400_000 + i128::from(nanoseconds / 1_000_000);
    let _ = if months != 0 {
        let sign = if months < 0 { '-' } else { '+' };
        write!(out, "{sign}{}-{:02}", months.unsigned_abs() / 12, months.unsigned_abs() % 12)
    } else {
        let (sign, millis) = (if millis < 0 { '-' } else { '+' }, millis.unsigned_abs());
        let (seconds, rest) = (millis / 1_000, millis % 1_000);
        let (hours, minutes) = (seconds / 3_600 % 24, seconds / 60 % 60);
        write!(out, "{sign}{} {hours:02}:{minutes:02}:{:02}.{rest:03}", seconds / 86_400, seconds % 60)
    };
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
