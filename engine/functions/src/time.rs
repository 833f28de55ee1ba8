//! `YEAR` to `SECOND`, `TIMESTAMPDIFF`, `TIMESTAMPADD`, `PROCTIME`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};
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
    returns: |_, constants| difference_type(constants.first().and_then(|unit| *unit)),
    check: |_, constants| check_unit(constants),
    compute: timestampdiff,
};

pub(super) const TIMESTAMPADD: Definition = Definition {
    name: "timestampadd",
    usage: "TIMESTAMPADD(unit, count, timestamp)",
    parameters: &[Parameter::Text, Parameter::Integer, Parameter::Clock],
    required: 3,
    returns: sum_type,
    check: |_, constants| check_unit(constants),
    compute: timestampadd,
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
pub(super) fn week(days: i64) -> i64 {
    (Day::from_days(thursday_of(days)).day_of_year() - 1) / 7 + 1
}

/// The Thursday of the same week, by whose year and number the week goes.
pub(super) fn thursday_of(days: i64) -> i64 {
    days - (days + 3).rem_euclid(7) + 3
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

/// INT, as in Flink, of the units that it has; of finer ones an INT would reach no farther than a month.
fn difference_type(name: Option<&ScalarValue>) -> DataType {
    match name.and_then(|name| name.try_as_str().flatten()).map(unit) {
        Some(Ok(Unit::Nanos(nanos))) if nanos < 1_000_000_000 => DataType::Int64,
        Some(_) => DataType::Int32,
        None => DataType::Int64,
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
    let differences: ArrayRef = Arc::new((0..rows).map(difference).collect::<Result<Int64Array>>()?);
    let data_type = match &arguments[0] {
        ColumnarValue::Scalar(name) => difference_type(Some(name)),
        ColumnarValue::Array(_) => difference_type(None),
    };
    let out_of_range = |_| DataFusionError::Execution("TIMESTAMPDIFF is out of the range of INT".to_owned());
    match data_type {
        DataType::Int32 => {
            let narrow = differences.as_primitive::<Int64Type>().try_unary::<_, Int32Type, _>(i32::try_from);
            Ok(Arc::new(narrow.map_err(out_of_range)?))
        }
        _ => Ok(differences),
    }
}

/// As Flink counts: a month after the 31st is the last day of a shorter one, and the time of day counts only where a month is full.
fn months_between(from: Moment, to: Moment) -> i64 {
    let months =
        if to.days >= from.days { months_of_days(from.days, to.days) } else { -months_of_days(to.days, from.days) };
    let reached = Day::from_days(from.days).plus_months(months).map(Day::days);
    if reached == Some(to.days) && to.nanos < from.nanos { months - 1 } else { months }
}

/// Whole months from a day to a later one.
fn months_of_days(first: i64, last: i64) -> i64 {
    let (start, end) = (Day::from_days(first), Day::from_days(last));
    let months = (end.year - start.year) * 12 + end.month - start.month;
    let reached = start.plus_months(months).map_or(i64::MAX, Day::days);
    if reached > last { months - 1 } else { months }
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
    let of_day = matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
    let sum = |row| {
        let (Some(name), Some(count), Some(time)) = (names.at(row), counts.at(row), times.moment(row)) else {
            return Ok(None);
        };
        // A time of day begins anew at midnight.
        let sum = plus(time, count, unit(name)?).map(|sum| if of_day { Moment { days: 0, ..sum } } else { sum });
        match sum.and_then(|sum| times::ticks(sum, per_day)) {
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
            let months = count.checked_mul(months).filter(|months| months.unsigned_abs() < 12 * 1_000_000)?;
            let days = Day::from_days(time.days).plus_months(months)?.days();
            Some(Moment { days, ..time })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_without_bound_are_out_of_range() {
        let time = Moment { days: 0, nanos: 0 };
        for count in [i64::MIN, i64::MIN / 12, i64::MAX] {
            for months in [1, 3, 12] {
                assert_eq!(plus(time, count, Unit::Months(months)), None, "{count} x {months}");
            }
            assert_eq!(plus(time, count, Unit::Nanos(7 * DAY)).and_then(|sum| times::ticks(sum, 86_400_000)), None);
        }
    }
}
