//! The rows that a function with `OVER` reads.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::ScalarValue;
use datafusion_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use weir_core::{Error, OverBound, OverFrame, OverFunction, OverRows, Result};

/// All rows before the current one.
pub(super) const BEFORE: OverRows =
    OverRows { by_range: false, start: OverBound::Unbounded, end: OverBound::Whole(-1) };

/// All rows behind it.
pub(super) const BEHIND: OverRows = OverRows { by_range: false, start: OverBound::Whole(1), end: OverBound::Unbounded };

/// The frame of a call. `order` is the type of what rows are ordered by, if that is one expression.
///
/// # Errors
/// A user error for a frame that is not supported.
pub(super) fn frame(frame: &WindowFrame, order: Option<&DataType>, name: &str) -> Result<OverRows> {
    let by_range = match frame.units {
        WindowFrameUnits::Rows => false,
        WindowFrameUnits::Range => true,
        WindowFrameUnits::Groups => {
            return Err(Error::user(format!("GROUPS frames are not supported for `{name}(…) OVER (…)`"))
                .with_help("write RANGE or ROWS"));
        }
    };
    let bound = |bound: &WindowFrameBound, is_start: bool| match bound {
        WindowFrameBound::CurrentRow => Ok(OverBound::Current),
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) if value.is_null() => {
            Ok(OverBound::Unbounded)
        }
        WindowFrameBound::Preceding(value) => distance(value, (by_range, order), is_start, true),
        WindowFrameBound::Following(value) => distance(value, (by_range, order), is_start, false),
    };
    let bound = |side: &WindowFrameBound, is_start| bound(side, is_start).map_err(|help| wrong(name, help));
    Ok(OverRows { by_range, start: bound(&frame.start_bound, true)?, end: bound(&frame.end_bound, false)? })
}

fn wrong(name: &str, help: &'static str) -> Error {
    Error::user(format!("a bound of the frame of `{name}(…) OVER (…)` is not supported")).with_help(help)
}

/// A distance from the current row; else what would be one.
fn distance(
    value: &ScalarValue,
    (by_range, order): (bool, Option<&DataType>),
    is_start: bool,
    is_before: bool,
) -> std::result::Result<OverBound, &'static str> {
    const NUMBER: &str = "write UNBOUNDED, CURRENT ROW, or a number that is written out, as in `10 PRECEDING`";
    const INTERVAL: &str =
        "write UNBOUNDED, CURRENT ROW, or an interval of days or shorter units, as in `INTERVAL '1' HOUR PRECEDING`";
    const ORDER: &str = "a RANGE frame is bounded by UNBOUNDED or CURRENT ROW, or by a distance where rows are ordered by one number or \
                         time; ROWS frames count rows";
    let signed = |distance: i128| if is_before { -distance } else { distance };
    let whole = |distance: i128| i64::try_from(distance).map(OverBound::Whole);
    if !by_range {
        let ScalarValue::UInt64(Some(rows)) = value else { return Err(NUMBER) };
        return whole(signed(i128::from(*rows))).map_err(|_| NUMBER);
    }
    match order.ok_or(ORDER)? {
        order if order.is_floating() => match value.cast_to(&DataType::Float64) {
            Ok(ScalarValue::Float64(Some(distance))) if distance >= 0.0 => {
                let distance = if is_before { -distance } else { distance };
                Ok(OverBound::Double(distance.to_bits()))
            }
            _ => Err(NUMBER),
        },
        order @ DataType::Decimal128(..) => match value.cast_to(order) {
            Ok(ScalarValue::Decimal128(Some(distance @ 0..), ..)) => whole(signed(distance)).map_err(|_| NUMBER),
            _ => Err(NUMBER),
        },
        order if order.is_integer() => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(distance @ 0..))) => whole(signed(i128::from(distance))).map_err(|_| NUMBER),
            _ => Err(NUMBER),
        },
        order => {
            let unit = nanoseconds_of_unit(order).ok_or(ORDER)?;
            let distance = signed(nanoseconds(value).filter(|distance| *distance >= 0).ok_or(INTERVAL)?);
            // What lies within a distance that is no whole number of units.
            let floor = distance.div_euclid(unit);
            let is_between = distance.rem_euclid(unit) > 0;
            whole(floor + i128::from(is_start && is_between)).map_err(|_| INTERVAL)
        }
    }
}

/// Nanoseconds of the unit that times of this type are counted in.
fn nanoseconds_of_unit(data_type: &DataType) -> Option<i128> {
    Some(match data_type {
        DataType::Date32 => DAY,
        DataType::Date64 => 1_000_000,
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1000,
            TimeUnit::Nanosecond => 1,
        },
        _ => return None,
    })
}

const DAY: i128 = 24 * 60 * 60 * 1_000_000_000;

/// An interval of days and shorter units.
fn nanoseconds(bound: &ScalarValue) -> Option<i128> {
    match bound {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            Some(i128::from(interval.days) * DAY + i128::from(interval.nanoseconds))
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            Some(i128::from(interval.days) * DAY + i128::from(interval.milliseconds) * 1_000_000)
        }
        _ => None,
    }
}

/// Whether a function takes notice of the frame.
pub(super) fn has_frame(function: OverFunction) -> bool {
    !matches!(
        function,
        OverFunction::RowNumber
            | OverFunction::Rank
            | OverFunction::DenseRank
            | OverFunction::Lag(_)
            | OverFunction::Lead(_)
            | OverFunction::LastBefore
    )
}

/// The frame as one of rows up to the current one, in the order of a time in milliseconds; `None`: it is none.
pub(super) fn up_to_now(function: OverFunction, frame: OverRows) -> Option<OverFrame> {
    if !has_frame(function) {
        return Some(OverFrame::Range(None));
    }
    let distance = match (frame.start, frame.end) {
        (OverBound::Unbounded, OverBound::Current) => None,
        (OverBound::Current, OverBound::Current) => Some(0),
        (OverBound::Whole(distance @ ..=0), OverBound::Current) => Some(distance.checked_neg()?),
        _ => return None,
    };
    Some(match frame.by_range {
        true => OverFrame::Range(distance),
        false => OverFrame::Rows(distance.map(i64::unsigned_abs)),
    })
}
