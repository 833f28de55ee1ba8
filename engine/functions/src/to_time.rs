//! `TO_DATE`, `TO_TIMESTAMP`, `TO_TIMESTAMP_LTZ`, `UNIX_TIMESTAMP`: times of text and numbers. What they cannot read is null, as in
//! Flink, but for `UNIX_TIMESTAMP`, which gives the least BIGINT.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, Date32Array, Int64Array};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::date_format::USUAL;
use super::definition::{Definition, Integers, Parameter, Text, plan_error};
use super::pattern::{self, Compiled, Pattern, Reading};
use super::read_time;
use super::times::{self, DAY, Moment};
use super::zones;

pub(super) const TO_DATE: Definition = Definition {
    name: "to_date",
    usage: "TO_DATE(text[, 'yyyy-MM-dd'])",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Date32,
    check: |_, constants| pattern::check(constants, 1),
    compute: to_date,
};

pub(super) const TO_TIMESTAMP: Definition = Definition {
    name: "to_timestamp",
    usage: "TO_TIMESTAMP(text[, 'yyyy-MM-dd HH:mm:ss'])",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Timestamp(TimeUnit::Millisecond, None),
    check: |_, constants| pattern::check(constants, 1),
    compute: to_timestamp,
};

pub(super) const TO_TIMESTAMP_LTZ: Definition = Definition {
    name: "to_timestamp_ltz",
    usage: "TO_TIMESTAMP_LTZ(number[, precision]) or TO_TIMESTAMP_LTZ(text[, 'yyyy-MM-dd HH:mm:ss'[, zone]])",
    parameters: &[Parameter::IntegerOrText, Parameter::IntegerOrText, Parameter::Text],
    required: 1,
    returns: |types, constants| DataType::Timestamp(unit(types, constants), Some("UTC".into())),
    check: |_, constants| check_instant(constants),
    compute: to_timestamp_ltz,
};

pub(super) const UNIX_TIMESTAMP: Definition = Definition {
    name: "unix_timestamp",
    usage: "UNIX_TIMESTAMP(text[, 'yyyy-MM-dd HH:mm:ss'])",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Int64,
    check: |_, constants| pattern::check(constants, 1),
    compute: unix_timestamp,
};

fn to_date(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let moments =
        Moments::of(arguments, Reading::Prefix, |text| read_time::date(text).map(|days| Moment { days, nanos: 0 }))?;
    let days = moments.read(rows)?.into_iter().map(|moment| moment.and_then(|moment| i32::try_from(moment.days).ok()));
    Ok(Arc::new(days.collect::<Date32Array>()))
}

fn to_timestamp(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let moments = Moments::of(arguments, Reading::Exact, read_time::timestamp)?.read(rows)?;
    times::column(
        moments.into_iter().map(|moment| Ok(moment.and_then(|moment| times::ticks(moment, 86_400_000)))),
        &DataType::Timestamp(TimeUnit::Millisecond, None),
    )
}

fn unix_timestamp(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let usual = Pattern::new(USUAL)?;
    let moments = Moments::of(arguments, Reading::Prefix, |text| usual.read(text, Reading::Prefix))?;
    let seconds = (0..rows).zip(moments.read(rows)?).map(|(row, moment)| match moment {
        Some(moment) => times::ticks(moment, 86_400),
        None => moments.is_given(row).then_some(i64::MIN),
    });
    Ok(Arc::new(seconds.collect::<Int64Array>()))
}

fn to_timestamp_ltz(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let types: Vec<DataType> = arguments.iter().map(ColumnarValue::data_type).collect();
    let constants: Vec<Option<&ScalarValue>> = arguments
        .iter()
        .map(|argument| match argument {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let unit = unit(&types, &constants);
    let data_type = DataType::Timestamp(unit, Some("UTC".into()));
    if !types[0].is_string() {
        if arguments.len() > 2 {
            return zone_of_number();
        }
        return instants_of_numbers(arguments, rows, unit, &data_type);
    }
    let moments =
        Moments::of(&arguments[..arguments.len().min(2)], Reading::Exact, read_time::timestamp)?.read(rows)?;
    let zones = arguments.get(2).map(Text::of).transpose()?;
    let mut zone: Option<(&str, Tz)> = None;
    let instants = moments.into_iter().enumerate().map(|(row, moment)| {
        let Some(moment) = moment else { return Ok(None) };
        let Some(zones) = &zones else { return Ok(times::ticks(moment, 86_400_000)) };
        let Some(name) = zones.at(row) else { return Ok(None) };
        let zone = match zone {
            Some((known, zone)) if known == name => zone,
            _ => zone.insert((name, zones::named(name)?)).1,
        };
        Ok(zones::to_utc(moment, zone).and_then(|moment| times::ticks(moment, 86_400_000)))
    });
    times::column(instants.collect::<Vec<_>>().into_iter(), &data_type)
}

/// Seconds of precision 0, milliseconds of precision 3, and so on. A number that no time of the years from 0 to 9999 has is null.
fn instants_of_numbers(
    arguments: &[ColumnarValue],
    rows: usize,
    unit: TimeUnit,
    data_type: &DataType,
) -> Result<ArrayRef> {
    let (numbers, precisions) = (Integers::of(&arguments[0])?, Integers::or(arguments, 1, 3)?);
    let per_day = times::ticks_per_day(&DataType::Timestamp(unit, None)).unwrap_or(1);
    let instants = (0..rows).map(|row| {
        let (Some(number), Some(precision)) = (numbers.at(row), precisions.at(row)) else { return Ok(None) };
        let Some(ticks) = u32::try_from(precision).ok().filter(|digits| *digits <= 9) else { return wrong_precision() };
        let moment = times::moment(number, 86_400 * 10_i64.pow(ticks));
        let known = (FIRST_DAY..=LAST_DAY).contains(&moment.days);
        Ok(if known { times::ticks(moment, per_day) } else { None })
    });
    times::column(instants.collect::<Vec<_>>().into_iter(), data_type)
}

/// 0000-01-01 and 9999-12-31.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;

/// The unit of the result: milliseconds, or finer ones that are asked for.
fn unit(types: &[DataType], constants: &[Option<&ScalarValue>]) -> TimeUnit {
    let precision = match constants.get(1) {
        Some(Some(value)) if types.get(1).is_some_and(|data_type| !data_type.is_string()) => {
            value.cast_to(&DataType::Int64).ok()
        }
        _ => None,
    };
    match precision {
        Some(ScalarValue::Int64(Some(4..=6))) => TimeUnit::Microsecond,
        Some(ScalarValue::Int64(Some(7..=9))) => TimeUnit::Nanosecond,
        _ => TimeUnit::Millisecond,
    }
}

fn check_instant(constants: &[Option<&ScalarValue>]) -> Result<()> {
    match constants.get(1) {
        Some(Some(value)) if value.data_type().is_string() => pattern::check(constants, 1)?,
        Some(Some(value)) => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(0..=9) | None)) if constants.len() > 2 => return zone_of_number(),
            Ok(ScalarValue::Int64(Some(0..=9) | None)) => {}
            _ => return wrong_precision(),
        },
        _ => {}
    }
    zones::check(constants, 2)
}

fn zone_of_number<T>() -> Result<T> {
    plan_error("TO_TIMESTAMP_LTZ of a number takes no zone: the number says an instant wherever it is read")
}

fn wrong_precision<T>() -> Result<T> {
    plan_error(
        "the second argument of TO_TIMESTAMP_LTZ is the precision of a number: 0 for seconds, 3 for milliseconds",
    )
}

/// Times that text says, by a pattern or, where none is given, as `usual` reads it.
struct Moments<'a, F> {
    texts: Text<'a>,
    patterns: Option<Text<'a>>,
    reading: Reading,
    usual: F,
}

impl<'a, F: Fn(&str) -> Option<Moment>> Moments<'a, F> {
    fn of(arguments: &'a [ColumnarValue], reading: Reading, usual: F) -> Result<Self> {
        let patterns = arguments.get(1).map(Text::of).transpose()?;
        Ok(Self { texts: Text::of(&arguments[0])?, patterns, reading, usual })
    }

    fn is_given(&self, row: usize) -> bool {
        self.texts.at(row).is_some() && self.patterns.as_ref().is_none_or(|patterns| patterns.at(row).is_some())
    }

    fn read(&self, rows: usize) -> Result<Vec<Option<Moment>>> {
        let mut compiled = Compiled::default();
        let read = |row| {
            let Some(text) = self.texts.at(row) else { return Ok(None) };
            let Some(patterns) = &self.patterns else { return Ok((self.usual)(text)) };
            let Some(pattern) = patterns.at(row) else { return Ok(None) };
            let read = compiled.of(pattern)?.read(text, self.reading);
            // Flink goes back to the usual form of a timestamp where the pattern does not fit.
            let usual = || if self.reading == Reading::Exact { unpadded(text.trim()) } else { None };
            Ok(read.or_else(usual))
        };
        (0..rows).map(read).collect()
    }
}

/// `1999-9-10 05:20:10` or `1999-9-10`.
fn unpadded(text: &str) -> Option<Moment> {
    match text.contains(' ') {
        true => read_time::timestamp(text),
        false => read_time::date(text).map(|days| Moment { days, nanos: 0 }),
    }
    .filter(|moment| moment.nanos < DAY)
}
