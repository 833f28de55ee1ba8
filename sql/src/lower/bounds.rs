//! Time bounds in the condition of a join: how far apart the times of two rows may be.
//!
//! Each part of the condition that compares a time of one side, moved by a constant, with a time of the other says
//! something about `left.time - right.time`. A pair of times with a least and a greatest difference bounds the join.

use arrow::datatypes::{DataType, TimeUnit};
use weir_core::{BinaryOperator, Expr, Literal, LiteralValue};

use super::join::Side;
use super::stream::{Role, StreamColumn, WindowPart};
use super::windowed::{CarriedWindow, end_of, fixed_size};

/// `right.time + lower <= left.time <= right.time + upper`.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Times of the two sides, each over its own base.
    pub time: (Expr, Expr),
    pub lower: i64,
    pub upper: i64,
    /// Parts of the condition that the bounds do not say in full.
    pub residual: Vec<Expr>,
}

/// What a time is read from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Anchor {
    Column(usize),
    WindowEnd(CarriedWindow),
}

/// A time of one side, moved by so many milliseconds.
#[derive(Debug, Clone, Copy)]
struct Moment {
    right: bool,
    anchor: Anchor,
    shift: i64,
}

/// A part of the condition as bounds in milliseconds; `None` says nothing to that end.
#[derive(Debug, Clone, Copy)]
struct Part {
    times: (Anchor, Anchor),
    lower: Option<i64>,
    upper: Option<i64>,
}

/// In a millisecond.
const NANOSECONDS: i128 = 1_000_000;

/// The bounds that `condition` (over the left base's columns, then the right's) and the equal keys put on two times.
pub(super) fn of(sides: &(Side, Side), condition: &[Expr], width: usize) -> Option<Bounds> {
    let parts: Vec<Option<Part>> = condition.iter().map(|part| bound(part, sides, width)).collect();
    let equal = sides.0.keys.iter().zip(&sides.1.keys).filter_map(|(left, right)| {
        let left = moment(&left.expression, &sides.0.stream.columns, false)?;
        let right = moment(&right.expression, &sides.1.stream.columns, true)?;
        difference(BinaryOperator::Eq, left, right)
    });
    let equal: Vec<Part> = equal.collect();
    let known = || parts.iter().flatten().chain(&equal);
    for candidate in known() {
        let same = |part: &&Part| part.times == candidate.times;
        let lower = known().filter(same).filter_map(|part| part.lower).max();
        let upper = known().filter(same).filter_map(|part| part.upper).min();
        let (Some(lower), Some(upper)) = (lower, upper) else { continue };
        let time = |anchor: Anchor, columns: &[StreamColumn]| match anchor {
            Anchor::Column(column) => Some(Expr::Column(column)),
            Anchor::WindowEnd(window) => end_of(&window, columns).ok(),
        };
        let left = time(candidate.times.0, &sides.0.stream.columns)?;
        let right = time(candidate.times.1, &sides.1.stream.columns)?;
        // All times are whole milliseconds, so a bound of the chosen pair says all that its part does.
        let said = |part: &Option<Part>| part.is_some_and(|part| part.times == candidate.times);
        let residual = condition.iter().zip(&parts).filter(|(_, part)| !said(part)).map(|(part, _)| part.clone());
        return Some(Bounds { time: (left, right), lower, upper, residual: residual.collect() });
    }
    None
}

fn bound(part: &Expr, sides: &(Side, Side), width: usize) -> Option<Part> {
    let Expr::Binary { operator, left, right } = part else { return None };
    let of_either = |expression: &Expr| {
        let mut reads = (false, false);
        expression.visit_columns(&mut |column| {
            if column < width { reads.0 = true } else { reads.1 = true }
        });
        match reads {
            (true, false) => moment(expression, &sides.0.stream.columns, false),
            (false, true) => {
                let own = expression.replace_columns(&|column| Expr::Column(column - width));
                moment(&own, &sides.1.stream.columns, true)
            }
            _ => None,
        }
    };
    difference(*operator, of_either(left)?, of_either(right)?)
}

/// What `first operator second` says about `left.time - right.time`.
fn difference(operator: BinaryOperator, first: Moment, second: Moment) -> Option<Part> {
    if first.right == second.right {
        return None;
    }
    let (operator, left, right) =
        if first.right { (mirrored(operator)?, second, first) } else { (operator, first, second) };
    // left + shift OP right + shift, so left - right OP limit
    let limit = right.shift.checked_sub(left.shift)?;
    let (lower, upper) = match operator {
        BinaryOperator::LtEq => (None, Some(limit)),
        BinaryOperator::Lt => (None, Some(limit.checked_sub(1)?)),
        BinaryOperator::GtEq => (Some(limit), None),
        BinaryOperator::Gt => (Some(limit.checked_add(1)?), None),
        BinaryOperator::Eq => (Some(limit), Some(limit)),
        _ => return None,
    };
    Some(Part { times: (left.anchor, right.anchor), lower, upper })
}

fn mirrored(operator: BinaryOperator) -> Option<BinaryOperator> {
    Some(match operator {
        BinaryOperator::Lt => BinaryOperator::Gt,
        BinaryOperator::LtEq => BinaryOperator::GtEq,
        BinaryOperator::Gt => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::LtEq,
        BinaryOperator::Eq => BinaryOperator::Eq,
        _ => return None,
    })
}

/// `expression` as a time attribute moved by a constant.
fn moment(expression: &Expr, columns: &[StreamColumn], right: bool) -> Option<Moment> {
    match expression {
        Expr::Column(column) => {
            let (anchor, milliseconds) = match columns[*column].role {
                Role::Plain | Role::Overruled | Role::Joined => return None,
                Role::Time { .. } => (Anchor::Column(*column), 0),
                Role::Window { part, kind, lineage, processing } => {
                    let behind = match part {
                        WindowPart::End => 0,
                        WindowPart::Time => -1,
                        WindowPart::Start => -fixed_size(kind)?,
                    };
                    (Anchor::WindowEnd(CarriedWindow { kind, lineage, processing }), behind)
                }
            };
            Some(Moment { right, anchor, shift: milliseconds })
        }
        Expr::Cast { operand, data_type, .. } if keeps_milliseconds(data_type) => moment(operand, columns, right),
        Expr::Binary { operator: BinaryOperator::Plus, left: a, right: b } => match (&**a, &**b) {
            (time, Expr::Literal(by)) | (Expr::Literal(by), time) => moved(time, by, 1, columns, right),
            _ => None,
        },
        Expr::Binary { operator: BinaryOperator::Minus, left: time, right: by } => match &**by {
            Expr::Literal(by) => moved(time, by, -1, columns, right),
            _ => None,
        },
        _ => None,
    }
}

fn moved(time: &Expr, by: &Literal, sign: i64, columns: &[StreamColumn], right: bool) -> Option<Moment> {
    let by = length(by)?.checked_mul(sign)?;
    let moment = moment(time, columns, right)?;
    Some(Moment { shift: moment.shift.checked_add(by)?, ..moment })
}

/// Conversions between timestamps that change no millisecond.
fn keeps_milliseconds(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, zone) => {
            zone.as_deref().is_none_or(|zone| matches!(zone, "UTC" | "+00:00"))
        }
        _ => false,
    }
}

/// Milliseconds of an interval whose length does not depend on the calendar. A part of a millisecond is rounded where
/// it is added to a time, so what it bounds is left to the condition itself.
fn length(literal: &Literal) -> Option<i64> {
    let nanoseconds = match (&literal.value, &literal.data_type) {
        (LiteralValue::Interval { months: 0, days, nanoseconds }, _) => {
            i128::from(*days) * 86_400_000 * NANOSECONDS + i128::from(*nanoseconds)
        }
        (LiteralValue::Int(value), DataType::Duration(unit)) => {
            let scale: i128 = match unit {
                TimeUnit::Second => 1_000_000_000,
                TimeUnit::Millisecond => 1_000_000,
                TimeUnit::Microsecond => 1_000,
                TimeUnit::Nanosecond => 1,
            };
            i128::from(*value) * scale
        }
        _ => return None,
    };
    if nanoseconds % NANOSECONDS != 0 {
        return None;
    }
    i64::try_from(nanoseconds / NANOSECONDS).ok()
}
