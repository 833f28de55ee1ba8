//! `YEAR` to `SECOND`, `TIMESTAMPDIFF`, `TIMESTAMPADD`, `TO_TIMESTAMP_LTZ`, `PROCTIME`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::PROCESSING_TIME;
use super::calendar::{self, DAY_MS, Day};
use super::definition::{Definition, Integers, Parameter, Text, plan_error, unchecked};

/// A part of a timestamp.
macro_rules! part {
    ($constant:ident, $name:literal, $compute:expr) => {
        pub(super) const $constant: Definition = Definition {
            name: $name,
            usage: concat!($name, "(timestamp)"),
            parameters: &[Parameter::Time],
            required: 1,
            returns: |_| DataType::Int64,
            check: unchecked,
            compute: |arguments, rows| part(arguments, rows, $compute),
        };
    };
}

part!(YEAR, "year", |days, _| Day::from_days(days).year);
part!(QUARTER, "quarter", |days, _| (Day::from_days(days).month + 2) / 3);
part!(MONTH, "month", |days, _| Day::from_days(days).month);
part!(WEEK, "week", |days, _| week(days));
part!(DAYOFYEAR, "dayofyear", |days, _| Day::from_days(days).day_of_year());
part!(DAYOFMONTH, "dayofmonth", |days, _| Day::from_days(days).day);
part!(DAYOFWEEK, "dayofweek", |days, _| (days + 4).rem_euclid(7) + 1);
part!(HOUR, "hour", |_, of_day| of_day / 3_600_000);
part!(MINUTE, "minute", |_, of_day| of_day / 60_000 % 60);
part!(SECOND, "second", |_, of_day| of_day / 1_000 % 60);

pub(super) const TIMESTAMPDIFF: Definition = Definition {
    name: "timestampdiff",
    usage: "TIMESTAMPDIFF(unit, from, to)",
    parameters: &[Parameter::Text, Parameter::Time, Parameter::Time],
    required: 3,
    returns: |_| DataType::Int64,
    check: check_unit,
    compute: timestampdiff,
};

pub(super) const TIMESTAMPADD: Definition = Definition {
    name: "timestampadd",
    usage: "TIMESTAMPADD(unit, count, timestamp)",
    parameters: &[Parameter::Text, Parameter::Integer, Parameter::Time],
    required: 3,
    returns: |types| types.get(2).cloned().unwrap_or(PROCESSING_TIME),
    check: check_unit,
    compute: timestampadd,
};

pub(super) const TO_TIMESTAMP_LTZ: Definition = Definition {
    name: "to_timestamp_ltz",
    usage: "TO_TIMESTAMP_LTZ(number[, 0 | 3])",
    parameters: &[Parameter::Integer, Parameter::Integer],
    required: 1,
    returns: |_| DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    check: check_precision,
    compute: to_timestamp_ltz,
};

/// Stands in a logical plan until the planner makes an operator of it.
pub(super) const PROCTIME: Definition = Definition {
    name: "proctime",
    usage: "PROCTIME()",
    parameters: &[],
    required: 0,
    returns: |_| PROCESSING_TIME,
    check: unchecked,
    compute: |_, _| Err(DataFusionError::Internal("PROCTIME() was not planned".to_owned())),
};

/// Timestamps in milliseconds, the same for all rows or not.
pub(super) enum Times<'a> {
    Constant(Option<i64>),
    Column(&'a TimestampMillisecondArray),
}

impl<'a> Times<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        let wrong = |found: DataType| {
            Err(DataFusionError::Internal(format!("expected a timestamp in milliseconds, found {found}")))
        };
        match value {
            ColumnarValue::Scalar(ScalarValue::TimestampMillisecond(time, _)) => Ok(Times::Constant(*time)),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Times::Constant(None)),
            ColumnarValue::Scalar(other) => wrong(other.data_type()),
            ColumnarValue::Array(array) => match array.as_primitive_opt::<TimestampMillisecondType>() {
                Some(array) => Ok(Times::Column(array)),
                None => wrong(array.data_type().clone()),
            },
        }
    }

    pub(super) fn at(&self, row: usize) -> Option<i64> {
        match self {
            Times::Constant(time) => *time,
            Times::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

fn part(arguments: &[ColumnarValue], rows: usize, compute: fn(i64, i64) -> i64) -> Result<ArrayRef> {
    match Times::of(&arguments[0])? {
        // Without a branch per row: nulls are computed and masked.
        Times::Column(array) => Ok(Arc::new(array.unary::<_, arrow::datatypes::Int64Type>(|millis| {
            let (days, of_day) = calendar::split(millis);
            compute(days, of_day)
        }))),
        times => Ok(Arc::new(
            (0..rows).map(|row| times.at(row).map(calendar::split).map(|(d, t)| compute(d, t))).collect::<Int64Array>(),
        )),
    }
}

/// ISO 8601: weeks begin on Monday, and the first one has the year's first Thursday.
fn week(days: i64) -> i64 {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    (Day::from_days(thursday).day_of_year() - 1) / 7 + 1
}

/// A unit of time: so many milliseconds, or so many months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Millis(i64),
    Months(i64),
}

fn unit(name: &str) -> Result<Unit> {
    let upper = name.to_uppercase();
    let name_of_one = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
    match name_of_one.strip_suffix('S').unwrap_or(name_of_one) {
        "MILLISECOND" => Ok(Unit::Millis(1)),
        "SECOND" => Ok(Unit::Millis(1_000)),
        "MINUTE" => Ok(Unit::Millis(60_000)),
        "HOUR" => Ok(Unit::Millis(3_600_000)),
        "DAY" => Ok(Unit::Millis(DAY_MS)),
        "WEEK" => Ok(Unit::Millis(7 * DAY_MS)),
        "MONTH" => Ok(Unit::Months(1)),
        "QUARTER" => Ok(Unit::Months(3)),
        "YEAR" => Ok(Unit::Months(12)),
        _ => plan_error(format!(
            "`{name}` is no unit of time; units are MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER and YEAR"
        )),
    }
}

fn check_unit(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.first() {
        Some(Some(value)) => value.try_as_str().flatten().map_or(Ok(()), |name| unit(name).map(|_| ())),
        _ => Ok(()),
    }
}

/// Whole units between two moments.
fn timestampdiff(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let names = Text::of(&arguments[0])?;
    let (from, to) = (Times::of(&arguments[1])?, Times::of(&arguments[2])?);
    let difference = |row| {
        let (Some(name), Some(from), Some(to)) = (names.at(row), from.at(row), to.at(row)) else { return Ok(None) };
        Ok(Some(match unit(name)? {
            Unit::Millis(millis) => to.saturating_sub(from) / millis,
            Unit::Months(months) => months_between(from, to) / months,
        }))
    };
    Ok(Arc::new((0..rows).map(difference).collect::<Result<Int64Array>>()?))
}

fn months_between(from: i64, to: i64) -> i64 {
    let ((from_days, from_time), (to_days, to_time)) = (calendar::split(from), calendar::split(to));
    let (start, end) = (Day::from_days(from_days), Day::from_days(to_days));
    let months = (end.year - start.year) * 12 + end.month - start.month;
    let within = (end.day, to_time).cmp(&(start.day, from_time));
    match (months.signum(), within) {
        (1, std::cmp::Ordering::Less) => months - 1,
        (-1, std::cmp::Ordering::Greater) => months + 1,
        _ => months,
    }
}

fn timestampadd(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (names, counts) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
    let times = Times::of(&arguments[2])?;
    let sum = |row| {
        let (Some(name), Some(count), Some(time)) = (names.at(row), counts.at(row), times.at(row)) else {
            return Ok(None);
        };
        let sum = match unit(name)? {
            Unit::Millis(millis) => count.checked_mul(millis).and_then(|added| time.checked_add(added)),
            Unit::Months(months) => {
                let (days, of_day) = calendar::split(time);
                let months = count.checked_mul(months).filter(|months| months.abs() < 12 * 1_000_000);
                let day = months.and_then(|months| Day::from_days(days).plus_months(months));
                day.and_then(|day| day.days().checked_mul(DAY_MS)).and_then(|start| start.checked_add(of_day))
            }
        };
        match sum {
            Some(sum) => Ok(Some(sum)),
            None => Err(DataFusionError::Execution(format!("TIMESTAMPADD of {count} {name} is out of range"))),
        }
    };
    let sums = (0..rows).map(sum).collect::<Result<TimestampMillisecondArray>>()?;
    Ok(Arc::new(sums.with_data_type(arguments[2].data_type())))
}

fn check_precision(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    let Some(Some(value)) = arguments.get(1) else { return Ok(()) };
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(0 | 3))) => Ok(()),
        _ => plan_error("the second argument of TO_TIMESTAMP_LTZ is 0 for seconds or 3 for milliseconds"),
    }
}

fn to_timestamp_ltz(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (numbers, precisions) = (Integers::of(&arguments[0])?, Integers::or(arguments, 1, 3)?);
    let time = |row| {
        let (Some(number), Some(precision)) = (numbers.at(row), precisions.at(row)) else { return Ok(None) };
        let millis = match precision {
            0 => number.checked_mul(1_000),
            3 => Some(number),
            _ => return plan_error("the second argument of TO_TIMESTAMP_LTZ is 0 for seconds or 3 for milliseconds"),
        };
        match millis {
            Some(millis) => Ok(Some(millis)),
            None => Err(DataFusionError::Execution(format!("TO_TIMESTAMP_LTZ of {number} seconds is out of range"))),
        }
    };
    Ok(Arc::new((0..rows).map(time).collect::<Result<TimestampMillisecondArray>>()?.with_timezone("UTC")))
}
