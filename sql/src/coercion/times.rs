//! The type in which times meet. DataFusion takes nanoseconds where a timestamp meets a date or text, and these reach from 1677
//! to 2262 only:
//!
//! | what meets | comes to |
//! |---|---|
//! | timestamps | the finest unit among them |
//! | timestamps and dates | the same: midnight of the date |
//! | timestamps and text as it is written | the finest unit among them that the digits of the text need |
//! | timestamps and other text | at least microseconds |

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable, cast};

/// A value that meets others.
#[derive(Debug, Clone)]
pub(super) struct Part {
    data_type: DataType,
    /// Digits behind the second of text that is written.
    digits: Option<usize>,
}

impl Part {
    pub(super) fn of(expr: &Expr, schema: &DFSchema) -> Self {
        let written = match expr {
            Expr::Literal(ScalarValue::Utf8View(Some(text)) | ScalarValue::Utf8(Some(text)), _) => Some(text.as_str()),
            _ => None,
        };
        // What has no type yet is refused by the coercion that follows.
        Self { data_type: expr.get_type(schema).unwrap_or(DataType::Null), digits: written.map(digits) }
    }

    pub(super) fn values(data_type: DataType) -> Self {
        Self { data_type, digits: None }
    }
}

fn digits(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, behind)| behind.bytes().take_while(u8::is_ascii_digit).count())
}

/// The type that `parts` share; `None` if there is no timestamp among other times.
pub(super) fn common_type(parts: &[Part], compared: bool) -> Option<DataType> {
    let mut zone = None;
    let mut finest: Option<TimeUnit> = None;
    let mut alike = true;
    for part in parts {
        match &part.data_type {
            DataType::Timestamp(unit, own) => {
                zone = zone.or_else(|| own.clone());
                finest = finest.max(Some(*unit));
            }
            DataType::Date32 | DataType::Date64 => {}
            data_type if data_type.is_string() && compared => {}
            DataType::Null => continue,
            _ => return None,
        }
        alike &= part.data_type == parts[0].data_type;
    }
    let finest = finest.filter(|_| !alike)?;
    let texts = parts.iter().filter(|part| part.data_type.is_string());
    let unit = texts.fold(finest, |unit, text| {
        unit.max(match text.digits {
            Some(0) => TimeUnit::Second,
            Some(1..=3) => TimeUnit::Millisecond,
            Some(7..) => TimeUnit::Nanosecond,
            Some(_) | None => TimeUnit::Microsecond,
        })
    });
    Some(DataType::Timestamp(unit, zone))
}

/// Gives `time` the unit in which it can be moved `by` an interval, where that is finer: a date has no hours.
pub(super) fn moved(time: &mut Expr, by: &Expr, schema: &DFSchema) -> Result<()> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = by else { return Ok(()) };
    let needed = match interval.nanoseconds {
        0 => return Ok(()),
        nanos if nanos % 1_000_000_000 == 0 => TimeUnit::Second,
        nanos if nanos % 1_000_000 == 0 => TimeUnit::Millisecond,
        nanos if nanos % 1_000 == 0 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    let finer = match time.get_type(schema) {
        Ok(DataType::Date32) => DataType::Timestamp(needed.max(TimeUnit::Millisecond), None),
        Ok(DataType::Timestamp(unit, zone)) if unit < needed => DataType::Timestamp(needed, zone),
        _ => return Ok(()),
    };
    *time = cast(std::mem::take(time), finer);
    Ok(())
}

/// Refuses the sum of a date and a time of day, which DataFusion makes a timestamp in nanoseconds.
pub(super) fn refuse_sum(left: &DataType, right: &DataType) -> Result<()> {
    let is_date = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Date64);
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
    if (is_date(left) && is_time(right)) || (is_time(left) && is_date(right)) {
        return Err(DataFusionError::Plan(
            "a DATE and a TIME cannot be added; write `CAST(CAST(d AS STRING) || ' ' || CAST(t AS STRING) AS TIMESTAMP(3))`"
                .to_owned(),
        ));
    }
    Ok(())
}
