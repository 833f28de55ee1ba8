//! Intervals that DataFusion's planner does not know:
//!
//! | as written | as planned |
//! |---|---|
//! | `INTERVAL '1 02:03:04' DAY TO SECOND` | `INTERVAL '1 DAY 02 HOUR 03 MINUTE 04 SECOND'` |
//! | `INTERVAL '1-2' YEAR TO MONTH` | `INTERVAL '1 YEAR 2 MONTH'` |
//! | `(a, b) OVERLAPS (c, d)` | whether the earlier of each pair is not behind the later of the other |

use datafusion_sql::sqlparser::ast::{BinaryOperator, DateTimeField, Expr, Interval, Value, ValueWithSpan};
use weir_core::Result;

use super::expression::call;
use crate::diagnostics::Source;

/// Units in their order, and what separates each from the next one.
const UNITS: [(DateTimeField, char); 6] = [
    (DateTimeField::Year, '-'),
    (DateTimeField::Month, ' '),
    (DateTimeField::Day, ' '),
    (DateTimeField::Hour, ':'),
    (DateTimeField::Minute, ':'),
    (DateTimeField::Second, ' '),
];

/// Writes out an interval of several units.
pub(super) fn rewrite(source: &Source<'_>, interval: &mut Interval) -> Result<()> {
    // How many digits a unit may have; the planner knows nothing of it.
    interval.leading_precision = None;
    let Some(last) = interval.last_field.clone() else { return has_unit(source, interval) };
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) = &mut *interval.value else {
        return Ok(());
    };
    let first = interval.leading_field.clone().unwrap_or(DateTimeField::Year);
    let Some(written) = written_out(text, &first, &last) else {
        return Err(source
            .error(source.span(*span).unwrap_or_default(), format!("`{text}` is no interval of {first} TO {last}"))
            .with_help("write it as in `INTERVAL '1 02:03:04' DAY TO SECOND` or `INTERVAL '1-2' YEAR TO MONTH`"));
    };
    *text = written;
    interval.leading_field = None;
    interval.last_field = None;
    interval.fractional_seconds_precision = None;
    Ok(())
}

/// A number alone would be taken for seconds.
fn has_unit(source: &Source<'_>, interval: &Interval) -> Result<()> {
    let Expr::Value(ValueWithSpan { value, span }) = &*interval.value else { return Ok(()) };
    let (Value::SingleQuotedString(text) | Value::Number(text, _)) = value else { return Ok(()) };
    if interval.leading_field.is_some() || text.chars().any(char::is_alphabetic) {
        return Ok(());
    }
    Err(source
        .error(source.span(*span).unwrap_or_default(), "this INTERVAL has no unit")
        .with_help(format!("name one, as in `INTERVAL '{}' SECOND`", text.trim())))
}

fn written_out(text: &str, first: &DateTimeField, last: &DateTimeField) -> Option<String> {
    let place = |unit: &DateTimeField| UNITS.iter().position(|(known, _)| known == unit);
    let units = UNITS.get(place(first)?..=place(last)?)?;
    let text = text.trim();
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = Vec::new();
    for (index, (unit, separator)) in units.iter().enumerate() {
        let is_last = index + 1 == units.len();
        let (number, behind) = if is_last { (rest, "") } else { rest.split_once(*separator)? };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' && is_last);
        if number.is_empty() || !digits {
            return None;
        }
        parts.push(format!("{sign}{number} {unit}"));
        rest = behind;
    }
    Some(parts.join(" "))
}

/// `(a, b) OVERLAPS (c, d)` by comparisons; `None` if a side is no pair. A second part may be an interval.
pub(super) fn overlap(left: &Expr, right: &Expr) -> Option<Expr> {
    let ends = |pair: &Expr| {
        let Expr::Tuple(parts) = pair else { return None };
        let [start, end] = parts.as_slice() else { return None };
        let end = match end {
            Expr::Interval(_) => binary(start.clone(), BinaryOperator::Plus, end.clone()),
            other => other.clone(),
        };
        let of = |function: &str| call(function, vec![start.clone(), end.clone()], start);
        Some((of("least"), of("greatest")))
    };
    let ((start, end), (other_start, other_end)) = (ends(left)?, ends(right)?);
    let reaches = |end, start| binary(end, BinaryOperator::GtEq, start);
    Some(Expr::Nested(Box::new(binary(reaches(end, other_start), BinaryOperator::And, reaches(other_end, start)))))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}
