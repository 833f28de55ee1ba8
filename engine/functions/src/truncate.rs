//! `FLOOR(t TO MONTH)`, `CEIL(t TO MONTH)` and `DATE_TRUNC('month', t)`: the beginning of the unit that a time is in, or of the next one,
//! in the time's own type. Weeks of `FLOOR` and `CEIL` begin on Sunday, as in Flink, and those of `DATE_TRUNC` on Monday.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::PROCESSING_TIME;
use super::calendar::{self, Day};
use super::definition::{Definition, Parameter, Text, plan_error};
use super::times::{self, DAY, Moment, Times};

pub(super) const DATE_TRUNC: Definition = Definition {
    name: "date_trunc",
    usage: "DATE_TRUNC('month', timestamp)",
    parameters: &[Parameter::Text, Parameter::Clock],
    required: 2,
    returns: |types, _| types.get(1).cloned().unwrap_or(PROCESSING_TIME),
    check: check_unit,
    compute: |arguments, rows| cut(arguments, rows, |moment, unit| Some(begin(moment, unit))),
};

/// `FLOOR(t TO unit)`.
pub(super) const TIME_FLOOR: Definition = Definition {
    name: "time_floor",
    usage: "FLOOR(timestamp TO MONTH)",
    compute: |arguments, rows| cut(arguments, rows, |moment, unit| Some(begin(moment, unit.with_weeks_of_sunday()))),
    ..DATE_TRUNC
};

/// `CEIL(t TO unit)`.
pub(super) const TIME_CEIL: Definition = Definition {
    name: "time_ceil",
    usage: "CEIL(timestamp TO MONTH)",
    compute: |arguments, rows| cut(arguments, rows, |moment, unit| end(moment, unit.with_weeks_of_sunday())),
    ..DATE_TRUNC
};

#[derive(Debug, Clone, Copy)]
enum Unit {
    /// Nanoseconds that divide a day.
    Nanos(i64),
    Week,
    WeekFromSunday,
    /// Months that years can be divided or gathered by.
    Months(i64),
}

impl Unit {
    fn with_weeks_of_sunday(self) -> Self {
        if matches!(self, Unit::Week) { Unit::WeekFromSunday } else { self }
    }
}

fn unit(name: &str) -> Result<Unit> {
    let lower = name.to_lowercase();
    Ok(match lower.strip_suffix('s').unwrap_or(&lower) {
        "nanosecond" => Unit::Nanos(1),
        "microsecond" => Unit::Nanos(1_000),
        "millisecond" => Unit::Nanos(1_000_000),
        "second" => Unit::Nanos(1_000_000_000),
        "minute" => Unit::Nanos(60_000_000_000),
        "hour" => Unit::Nanos(3_600_000_000_000),
        "day" => Unit::Nanos(DAY),
        "week" => Unit::Week,
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        "decade" => Unit::Months(120),
        _ => {
            return plan_error(format!(
                "`{name}` is no unit to cut a time to; units are MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, \
                 YEAR and DECADE"
            ));
        }
    })
}

fn check_unit(types: &[DataType], arguments: &[Option<&ScalarValue>]) -> Result<()> {
    let name = arguments.first().and_then(|value| value.as_ref()?.try_as_str().flatten());
    match (name, types.get(1)) {
        (Some(name), Some(time)) => unit_of(name, is_of_day(time)).map(|_| ()),
        (Some(name), None) => unit(name).map(|_| ()),
        _ => Ok(()),
    }
}

fn is_of_day(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

/// The unit, if a time of that kind has it.
fn unit_of(name: &str, of_day: bool) -> Result<Unit> {
    match unit(name)? {
        Unit::Nanos(nanos) if nanos < DAY => Ok(Unit::Nanos(nanos)),
        _ if of_day => plan_error(format!("a TIME has no {name} to be cut to; its units are HOUR and shorter ones")),
        other => Ok(other),
    }
}

fn cut(arguments: &[ColumnarValue], rows: usize, of: impl Fn(Moment, Unit) -> Option<Moment>) -> Result<ArrayRef> {
    let (names, values) = (Text::of(&arguments[0])?, Times::of(&arguments[1])?);
    let data_type = arguments[1].data_type();
    let per_day = times::ticks_per_day(&data_type).unwrap_or(1);
    let of_day = is_of_day(&data_type);
    let mut known: Option<(&str, Unit)> = None;
    let cut = (0..rows).map(|row| {
        let (Some(name), Some(moment)) = (names.at(row), values.moment(row)) else { return Ok(None) };
        let unit = match known {
            Some((current, unit)) if current == name => unit,
            _ => known.insert((name, unit_of(name, of_day)?)).1,
        };
        // A time of day begins anew at midnight.
        let begin = of(moment, unit).map(|begin| if of_day { Moment { days: 0, ..begin } } else { begin });
        match begin.and_then(|begin| times::ticks(begin, per_day)) {
            Some(ticks) => Ok(Some(ticks)),
            None => {
                Err(DataFusionError::Execution(format!("the beginning of the {name} is out of the range of times")))
            }
        }
    });
    times::column(cut, &data_type)
}

fn begin(moment: Moment, unit: Unit) -> Moment {
    let days = match unit {
        Unit::Nanos(nanos) => return Moment { nanos: moment.nanos - moment.nanos % nanos, ..moment },
        Unit::Week => moment.days - i64::try_from(calendar::weekday(moment.days)).unwrap_or_default(),
        Unit::WeekFromSunday => moment.days - (moment.days + 4).rem_euclid(7),
        Unit::Months(months) => {
            let day = Day::from_days(moment.days);
            let month = (day.year * 12 + day.month - 1).div_euclid(months) * months;
            Day { year: month.div_euclid(12), month: month.rem_euclid(12) + 1, day: 1 }.days()
        }
    };
    Moment { days, nanos: 0 }
}

/// The beginning of the next unit, unless the time is the beginning of one.
fn end(moment: Moment, unit: Unit) -> Option<Moment> {
    let begin = begin(moment, unit);
    if begin == moment {
        return Some(begin);
    }
    let days = match unit {
        Unit::Nanos(nanos) => {
            let end = begin.nanos + nanos;
            return Some(Moment { days: begin.days + end / DAY, nanos: end % DAY });
        }
        Unit::Week | Unit::WeekFromSunday => begin.days + 7,
        Unit::Months(months) => Day::from_days(begin.days).plus_months(months)?.days(),
    };
    Some(Moment { days, nanos: 0 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{AsArray, Time32MillisecondArray};
    use arrow::datatypes::{Field, Time32MillisecondType, TimeUnit};
    use datafusion_expr::ReturnFieldArgs;

    use crate::tests::invoke;

    use super::*;

    fn unit_name(name: &str) -> ScalarValue {
        ScalarValue::Utf8View(Some(name.to_owned()))
    }

    #[test]
    fn a_time_of_day_begins_anew_at_midnight() {
        let late = Time32MillisecondArray::from(vec![84_600_000, 82_800_000, 0]);
        let arguments = vec![ColumnarValue::Scalar(unit_name("hour")), ColumnarValue::Array(Arc::new(late))];
        let hours = invoke("time_ceil", arguments, 3);
        assert_eq!(hours.as_primitive::<Time32MillisecondType>().values(), &[0, 82_800_000, 0]);
    }

    #[test]
    fn a_time_of_day_has_no_units_of_a_day_and_more() {
        let planned = |name: &str, data_type: DataType| {
            let fields = [DataType::Utf8View, data_type].map(|data_type| Arc::new(Field::new("a", data_type, true)));
            let name = unit_name(name);
            let arguments = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &[Some(&name), None] };
            crate::Functions::built_in().scalar("date_trunc").unwrap().return_field_from_args(arguments)
        };
        for name in ["day", "week", "month", "decade"] {
            let error = planned(name, DataType::Time32(TimeUnit::Second)).unwrap_err().to_string();
            assert!(error.contains("a TIME has no"), "{error}");
            assert!(planned(name, DataType::Date32).is_ok());
        }
        assert!(planned("minute", DataType::Time64(TimeUnit::Nanosecond)).is_ok());
    }
}
