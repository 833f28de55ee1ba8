//! `INTERVAL '1' DAY * n`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;

use super::definition::{Definition, Integers, Parameter, unchecked};

pub(super) const INTERVAL_TIMES: Definition = Definition {
    name: "interval_times",
    usage: "INTERVAL '1' DAY * number",
    parameters: &[Parameter::Interval, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Interval(IntervalUnit::MonthDayNano),
    check: unchecked,
    compute: interval_times,
};

fn interval_times(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let intervals = arguments[0].to_array(rows)?;
    let (intervals, counts) = (intervals.as_primitive::<IntervalMonthDayNanoType>(), Integers::of(&arguments[1])?);
    let product = |row| {
        let Some(count) = counts.at(row).filter(|_| intervals.is_valid(row)) else { return Ok(None) };
        match times(intervals.value(row), count) {
            Some(product) => Ok(Some(product)),
            None => Err(DataFusionError::Execution(format!("an interval times {count} is out of range"))),
        }
    };
    Ok(Arc::new((0..rows).map(product).collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn times(interval: IntervalMonthDayNano, count: i64) -> Option<IntervalMonthDayNano> {
    let narrow = |part: i32| i32::try_from(i64::from(part).checked_mul(count)?).ok();
    Some(IntervalMonthDayNano {
        months: narrow(interval.months)?,
        days: narrow(interval.days)?,
        nanoseconds: interval.nanoseconds.checked_mul(count)?,
    })
}
