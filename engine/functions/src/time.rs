//! `YEAR` to `SECOND`, `TIMESTAMPDIFF`, `TIMESTAMPADD`, `TO_TIMESTAMP_LTZ`, `PROCTIME`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::PROCESSING_TIME;
use super::calendar::Day;
use super::definition::{Definition, Integers, Parameter, Text, plan_error, unchecked};
use super::times::{self, DAY, Moment, Times};

/// A part of a time, from its days since 1970-01-01 and its seconds since midnight.
macro_rules! part {
    ($constant:ident, $name:literal, $of:ident, $compute:expr) => {
        pub(super) const $constant: Definition = Definition {
            name: $name,
            usage: concat!($name, "(timestamp)"),
            parameters: &[Parameter::$of],
            required: 1,
            returns: |_, _| DataType::Int64,
            check: unchecked,
            compute: |arguments, rows| part(arguments, rows, $compute),
        };
    };
}

part!(YEAR, "year", Time, |days, _| Day::from_days(days).year);
part!(QUARTER, "quarter", Time, |days, _| (Day::from_days(days).month + 2) / 3);
part!(MONTH, "month", Time, |days, _| Day::from_days(days).month);
part!(WEEK, "week", Time, |days, _| week(days));
part!(DAYOFYEAR, "dayofyear", Time, |days, _| Day::from_days(days).day_of_year());
part!(DAYOFMONTH, "dayofmonth", Time, |days, _| Day::from_days(days).day);
part!(DAYOFWEEK, "dayofweek", Time, |days, _| (days + 4).rem_euclid(7) + 1);
part!(HOUR, "hour", Clock, |_, seconds| seconds / 3_600);
part!(MINUTE, "minute", Clock, |_, seconds| seconds / 60 % 60);
part!(SECOND, "second", Clock, |_, seconds| seconds % 60);

pub(super) const TIMESTAMPDIFF: Definition = Definition {
    name: "timestampdiff",
    usage: "TIMESTAMPDIFF(unit, from, to)",
    parameters: &[Parameter::Text, Parameter::Time, Parameter::Time],
    required: 3,
    returns: |_, _| DataType::Int64,
    check: check_unit,
    compute: timestampdiff,
};

pub(super) const TIMESTAMPADD: Definition = Definition {
    name: "timestampadd",
    usage: "TIMESTAMPADD(unit, count, timestamp)",
    parameters: &[Parameter::Text, Parameter::Integer, Parameter::Time],
    required: 3,
    returns: sum_type,
    check: check_unit,
    compute: timestampadd,
};

pub(super) const TO_TIMESTAMP_LTZ: Definition = Definition {
    name: "to_timestamp_ltz",
    usage: "TO_TIMESTAMP_LTZ(number[, 0 | 3])",
    parameters: &[Parameter::Integer, Parameter::Integer],
    required: 1,
    returns: |_, _| DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    check: check_precision,
    compute: to_timestamp_ltz,
};

/// Stands in a logical plan until the planner makes an operator of it.
pub(super) const PROCTIME: Definition = Definition {
    name: "proctime",
    usage: "PROCTIME()",
    parameters: &[],
    required: 0,
    returns: |_, _| PROCESSING_TIME,
    check: unchecked,
    compute: |_, _| Err(DataFusionError::Internal("PROCTIME() was not planned".to_owned())),
};

fn part(arguments: &[ColumnarValue], rows: usize, compute: fn(i64, i64) -> i64) -> Result<ArrayRef> {
    let times = Times::of(&arguments[0])?;
    let part = |row| times.moment(row).map(|Moment { days, nanos }| compute(days, nanos / 1_000_000_000));
    Ok(Arc::new((0..rows).map(part).collect::<Int64Array>()))
}

/// ISO 8601: weeks begin on Monday, and the first one has the year's first Thursday.
fn week(days: i64) -> i64 {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    (Day::from_days(thursday).day_of_year() - 1) / 7 + 1
}

/// A unit of time: so many nanoseconds, or so many months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Nanos(i64),
    Months(i64),
}

fn unit(name: &str) -> Result<Unit> {
    let upper = name.to_uppercase();
    let name_of_one = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
    match name_of_one.strip_suffix('S').unwrap_or(name_of_one) {
        "NANOSECOND" => Ok(Unit::Nanos(1)),
        "MICROSECOND" => Ok(Unit::Nanos(1_000)),
        "MILLISECOND" => Ok(Unit::Nanos(1_000_000)),
        "SECOND" => Ok(Unit::Nanos(1_000_000_000)),
        "MINUTE" => Ok(Unit::Nanos(60_000_000_000)),
        "HOUR" => Ok(Unit::Nanos(3_600_000_000_000)),
        "DAY" => Ok(Unit::Nanos(DAY)),
        "WEEK" => Ok(Unit::Nanos(7 * DAY)),
        "MONTH" => Ok(Unit::Months(1)),
        "QUARTER" => Ok(Unit::Months(3)),
        "YEAR" => Ok(Unit::Months(12)),
        _ => plan_error(format!(
            "`{name}` is no unit of time; units are NANOSECOND, MICROSECOND, MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, \
             MONTH, QUARTER and YEAR"
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
        let (Some(name), Some(from), Some(to)) = (names.at(row), from.moment(row), to.moment(row)) else {
            return Ok(None);
        };
        let difference = match unit(name)? {
            Unit::Nanos(nanos) => i64::try_from((to.total() - from.total()) / i128::from(nanos)),
            Unit::Months(months) => Ok(months_between(from, to) / months),
        };
        match difference {
            Ok(difference) => Ok(Some(difference)),
            Err(_) => Err(DataFusionError::Execution(format!("TIMESTAMPDIFF in {name} is out of range"))),
        }
    };
    Ok(Arc::new((0..rows).map(difference).collect::<Result<Int64Array>>()?))
}

fn months_between(from: Moment, to: Moment) -> i64 {
    let (start, end) = (Day::from_days(from.days), Day::from_days(to.days));
    let months = (end.year - start.year) * 12 + end.month - start.month;
    let within = (end.day, to.nanos).cmp(&(start.day, from.nanos));
    match (months.signum(), within) {
        (1, std::cmp::Ordering::Less) => months - 1,
        (-1, std::cmp::Ordering::Greater) => months + 1,
        _ => months,
    }
}

/// The type of a sum: that of the time, unless the unit is finer than it can say. A date with a part of a day is a timestamp.
fn sum_type(types: &[DataType], constants: &[Option<&ScalarValue>]) -> DataType {
    let Some(time) = types.get(2) else { return PROCESSING_TIME };
    let name = constants.first().and_then(|constant| constant.as_ref()?.try_as_str().flatten());
    let nanos = match name.map(unit) {
        Some(Ok(Unit::Months(_))) => return time.clone(),
        Some(Ok(Unit::Nanos(nanos))) => nanos,
        // Which unit it is shows only row by row.
        _ => 1_000_000,
    };
    let finest = match nanos {
        _ if nanos % 1_000_000_000 == 0 => TimeUnit::Second,
        _ if nanos % 1_000_000 == 0 => TimeUnit::Millisecond,
        _ if nanos % 1_000 == 0 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    match time {
        DataType::Date32 if nanos % DAY == 0 => DataType::Date32,
        DataType::Date32 => DataType::Timestamp(finest.max(TimeUnit::Millisecond), None),
        DataType::Timestamp(unit, zone) => DataType::Timestamp((*unit).max(finest), zone.clone()),
        other => other.clone(),
    }
}

fn timestampadd(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (names, counts) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
    let times = Times::of(&arguments[2])?;
    let types = [DataType::Null, DataType::Null, arguments[2].data_type()];
    let data_type = match &arguments[0] {
        ColumnarValue::Scalar(name) => sum_type(&types, &[Some(name)]),
        ColumnarValue::Array(_) => sum_type(&types, &[]),
    };
    let per_day = times::ticks_per_day(&data_type).unwrap_or(1);
    let sum = |row| {
        let (Some(name), Some(count), Some(time)) = (names.at(row), counts.at(row), times.moment(row)) else {
            return Ok(None);
        };
        match plus(time, count, unit(name)?).and_then(|sum| times::ticks(sum, per_day)) {
            Some(sum) => Ok(Some(sum)),
            None => Err(DataFusionError::Execution(format!("TIMESTAMPADD of {count} {name} is out of range"))),
        }
    };
    times::column((0..rows).map(sum), &data_type)
}

fn plus(time: Moment, count: i64, unit: Unit) -> Option<Moment> {
    match unit {
        Unit::Nanos(nanos) => {
            let total = time.total() + i128::from(count) * i128::from(nanos);
            let day = i128::from(DAY);
            let (days, nanos) = (total.div_euclid(day), total.rem_euclid(day));
            Some(Moment { days: i64::try_from(days).ok()?, nanos: i64::try_from(nanos).ok()? })
        }
        Unit::Months(months) => {
            let months = count.checked_mul(months).filter(|months| months.abs() < 12 * 1_000_000)?;
            let days = Day::from_days(time.days).plus_months(months)?.days();
            Some(Moment { days, ..time })
        }
    }
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
