//! `EXTRACT(part FROM time)`, which DataFusion calls `date_part`: a BIGINT, as in Flink. Parts of a second count from its beginning, and
//! days of a week from Sunday, which is 1. Of an interval it is DataFusion's.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::calendar::{Day, weekday};
use super::definition::plan_error;
use super::time::{thursday_of, week};
use super::times::{Moment, Times, ticks_per_day};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct DatePart {
    of_intervals: Arc<ScalarUDF>,
    signature: Signature,
}

impl DatePart {
    pub(super) fn function() -> Arc<ScalarUDF> {
        let of_intervals = datafusion_functions::datetime::date_part();
        let signature = Signature::user_defined(of_intervals.signature().volatility);
        Arc::new(ScalarUDF::from(Self { of_intervals, signature }))
    }
}

impl PartialEq for DatePart {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for DatePart {}

impl Hash for DatePart {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// A part of a time.
#[derive(Debug, Clone, Copy)]
enum Part {
    OfDate(fn(Day, i64) -> i64),
    OfTimeOfDay(fn(i64) -> i64),
    Epoch,
}

fn part(name: &str) -> Option<Part> {
    use Part::{OfDate, OfTimeOfDay};
    let lower = name.trim_matches(['\'', '"']).to_lowercase();
    Some(match lower.as_str() {
        "millennium" | "millenniums" | "millennia" => OfDate(|day, _| counted_from_one(day.year, 1_000)),
        "century" | "centuries" => OfDate(|day, _| counted_from_one(day.year, 100)),
        "decade" | "decades" => OfDate(|day, _| day.year.div_euclid(10)),
        "year" | "years" => OfDate(|day, _| day.year),
        "isoyear" => OfDate(|_, days| Day::from_days(thursday_of(days)).year),
        "quarter" | "quarters" => OfDate(|day, _| (day.month + 2) / 3),
        "month" | "months" => OfDate(|day, _| day.month),
        "week" | "weeks" => OfDate(|_, days| week(days)),
        "day" | "days" => OfDate(|day, _| day.day),
        "doy" => OfDate(|day, _| day.day_of_year()),
        "dow" => OfDate(|_, days| (days + 4).rem_euclid(7) + 1),
        "isodow" => OfDate(|_, days| i64::try_from(weekday(days)).unwrap_or_default() + 1),
        "hour" | "hours" => OfTimeOfDay(|nanos| nanos / 3_600_000_000_000),
        "minute" | "minutes" => OfTimeOfDay(|nanos| nanos / 60_000_000_000 % 60),
        "second" | "seconds" => OfTimeOfDay(|nanos| nanos / 1_000_000_000 % 60),
        "millisecond" | "milliseconds" => OfTimeOfDay(|nanos| nanos % 1_000_000_000 / 1_000_000),
        "microsecond" | "microseconds" => OfTimeOfDay(|nanos| nanos % 1_000_000_000 / 1_000),
        "nanosecond" | "nanoseconds" => OfTimeOfDay(|nanos| nanos % 1_000_000_000),
        "epoch" => Part::Epoch,
        _ => return None,
    })
}

/// Centuries and millennia begin with the year 1: there is no year 0 in which one could, and the 20th century ends with the year 2000.
fn counted_from_one(year: i64, size: i64) -> i64 {
    if year > 0 { (year - 1) / size + 1 } else { -(-year / size + 1) }
}

fn of_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        "date_part"
    }

    fn aliases(&self) -> &[String] {
        self.of_intervals.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("`date_part` is asked for its field")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let name = args.scalar_arguments.first().and_then(|name| name.and_then(|name| name.try_as_str().flatten()));
        let Some(time) = args.arg_fields.get(1).cloned() else {
            return plan_error("expected `EXTRACT(part FROM time)`");
        };
        if of_interval(time.data_type()) {
            return self.of_intervals.return_field_from_args(args);
        }
        let Some(name) = name else { return plan_error("EXTRACT takes the name of a part") };
        let of_day = matches!(time.data_type(), DataType::Time32(_) | DataType::Time64(_));
        match part(name) {
            None => {}
            Some(Part::OfDate(_)) if of_day => {}
            Some(Part::OfTimeOfDay(_)) if *time.data_type() == DataType::Date32 => {}
            Some(_) => return Ok(Arc::new(Field::new(self.name(), DataType::Int64, time.is_nullable()))),
        }
        plan_error(format!(
            "a value of type {} has no part `{name}`; parts are MILLENNIUM, CENTURY, DECADE, YEAR, ISOYEAR, QUARTER, MONTH, WEEK, \
             DAY, DOY, DOW, ISODOW, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, NANOSECOND and EPOCH",
            time.data_type()
        ))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let time = match types {
            [_, time] if of_interval(time) || ticks_per_day(time).is_some() => time.clone(),
            [_, DataType::Date64] => DataType::Date32,
            [_, time] if time.is_string() || time.is_null() => {
                DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None)
            }
            _ => return plan_error("expected `EXTRACT(part FROM time)`"),
        };
        Ok(vec![if of_interval(&time) { DataType::Utf8 } else { DataType::Utf8View }, time])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [name, time] = args.args.as_slice() else { return internal_err!("EXTRACT of {} values", args.args.len()) };
        if of_interval(&time.data_type()) {
            return self.of_intervals.invoke_with_args(args);
        }
        let name = match name {
            ColumnarValue::Scalar(name) => name.try_as_str().flatten(),
            ColumnarValue::Array(_) => None,
        };
        let Some(part) = name.and_then(part) else { return internal_err!("EXTRACT of {name:?}") };
        let constant = matches!(time, ColumnarValue::Scalar(_));
        let rows = if constant { 1 } else { args.number_rows };
        let times = Times::of(time)?;
        let moments = || (0..rows).map(|row| times.moment(row));
        let parts: Int64Array = match part {
            Part::OfDate(of) => {
                moments().map(|moment| moment.map(|Moment { days, .. }| of(Day::from_days(days), days))).collect()
            }
            Part::OfTimeOfDay(of) => moments().map(|moment| moment.map(|moment| of(moment.nanos))).collect(),
            Part::Epoch => moments()
                .map(|moment| moment.map(|Moment { days, nanos }| days * 86_400 + nanos / 1_000_000_000))
                .collect(),
        };
        if constant {
            return ScalarValue::try_from_array(&parts, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(Arc::new(parts)))
    }
}
