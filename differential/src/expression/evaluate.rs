//! What expressions come to, by the standard and as docs/sql.md says. Nothing here is shared with Weir.

mod arithmetic;
mod cast;
mod text;

use std::cmp::Ordering;

use super::{Comparison, Expression, Operator};
use crate::calendar::{DAY, timestamp_text};
use crate::value::{Row, Value};

/// A row and the names of its columns.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Names.
    pub names: &'a [String],
    /// Values.
    pub row: &'a Row,
}

/// The expression has no value for this row; it must not be evaluated, and a query that has to is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undefined(pub &'static str);

type Result<T> = std::result::Result<T, Undefined>;

/// The value of the expression for a row.
///
/// # Errors
/// If it has none, as by a division by zero.
pub fn evaluate(expression: &Expression, scope: Scope<'_>) -> Result<Value> {
    let arguments = &expression.arguments;
    let argument = |index: usize| evaluate(&arguments[index], scope);
    match &expression.operator {
        Operator::Column(name) => {
            let place = scope.names.iter().position(|known| known == name);
            Ok(scope.row[place.unwrap_or_else(|| panic!("there is no column {name} among {:?}", scope.names))].clone())
        }
        Operator::Literal(value) => Ok(value.clone()),
        Operator::And => connective(arguments, scope, false),
        Operator::Or => connective(arguments, scope, true),
        Operator::Not => Ok(truth(&argument(0)?).map_or(Value::Null, |truth| Value::Boolean(!truth))),
        Operator::Compare(comparison) => compare(*comparison, &argument(0)?, &argument(1)?),
        Operator::DistinctFrom(negated) => {
            let (left, right) = (argument(0)?, argument(1)?);
            let same = match (left.is_null(), right.is_null()) {
                (false, false) => equal(&left, &right) == Some(true),
                (left, right) => left == right,
            };
            Ok(Value::Boolean(same == *negated))
        }
        Operator::IsNull(negated) => Ok(Value::Boolean(argument(0)?.is_null() != *negated)),
        Operator::IsTruth { truth: wanted, negated } => {
            Ok(Value::Boolean((truth(&argument(0)?) == Some(*wanted)) != *negated))
        }
        Operator::In(negated) => {
            let value = argument(0)?;
            let mut unknown = value.is_null();
            for index in 1..arguments.len() {
                match equal(&value, &argument(index)?) {
                    Some(true) => return Ok(Value::Boolean(!negated)),
                    Some(false) => {}
                    None => unknown = true,
                }
            }
            Ok(if unknown { Value::Null } else { Value::Boolean(*negated) })
        }
        Operator::Between(negated) => {
            let (value, low, high) = (argument(0)?, argument(1)?, argument(2)?);
            let inside = and(
                truth(&compare(Comparison::AtLeast, &value, &low)?),
                truth(&compare(Comparison::AtMost, &value, &high)?),
            );
            Ok(inside.map_or(Value::Null, |inside| Value::Boolean(inside != *negated)))
        }
        Operator::Case => {
            for pair in 0..arguments.len() / 2 {
                if truth(&argument(pair * 2)?) == Some(true) {
                    return argument(pair * 2 + 1);
                }
            }
            argument(arguments.len() - 1)
        }
        Operator::CaseOf => {
            let operand = argument(0)?;
            for pair in 0..(arguments.len() - 1) / 2 {
                if equal(&operand, &argument(pair * 2 + 1)?) == Some(true) {
                    return argument(pair * 2 + 2);
                }
            }
            argument(arguments.len() - 1)
        }
        Operator::Coalesce => {
            for index in 0..arguments.len() {
                let value = argument(index)?;
                if !value.is_null() {
                    return Ok(value);
                }
            }
            Ok(Value::Null)
        }
        Operator::NullIf => {
            let (value, other) = (argument(0)?, argument(1)?);
            Ok(if equal(&value, &other) == Some(true) { Value::Null } else { value })
        }
        Operator::MakeArray => Ok(Value::Array(all(arguments, scope)?)),
        Operator::MakeRow => Ok(Value::Row(all(arguments, scope)?)),
        _ => {
            let values = all(arguments, scope)?;
            if values.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            strict(expression, &values)
        }
    }
}

fn all(arguments: &[Expression], scope: Scope<'_>) -> Result<Vec<Value>> {
    arguments.iter().map(|argument| evaluate(argument, scope)).collect()
}

/// What is null if an argument is.
fn strict(expression: &Expression, values: &[Value]) -> Result<Value> {
    let own = &expression.data_type;
    let source = &expression.arguments[0].data_type;
    match (&expression.operator, values) {
        (
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Modulo
            | Operator::Negate
            | Operator::Absolute
            | Operator::Floor
            | Operator::Ceil,
            _,
        ) => arithmetic::arithmetic(&expression.operator, values, own),
        (Operator::Cast(false), [value]) => cast::cast(value, source, own),
        (Operator::Cast(true), [value]) => Ok(cast::cast(value, source, own).unwrap_or(Value::Null)),
        (Operator::AddInterval(count, unit) | Operator::TimestampAdd(count, unit), [value]) => match value {
            Value::Timestamp(instant) => Ok(Value::Timestamp(unit.add(*instant, *count))),
            Value::Date(days) => {
                let instant = unit.add(i128::from(*days) * DAY, *count);
                Ok(Value::Date(i64::try_from(instant.div_euclid(DAY)).map_err(|_| Undefined("date"))?))
            }
            _ => Err(Undefined("no time")),
        },
        (Operator::TimestampDiff(unit), [Value::Timestamp(from), Value::Timestamp(to)]) => {
            Ok(Value::Integer(unit.difference(*from, *to)))
        }
        (Operator::Extract(part), [Value::Timestamp(instant)]) => Ok(Value::Integer(part.of(*instant))),
        (Operator::Extract(part), [Value::Date(days)]) => Ok(Value::Integer(part.of(i128::from(*days) * DAY))),
        (Operator::FloorTo(unit), [Value::Timestamp(instant)]) => Ok(Value::Timestamp(unit.floor(*instant))),
        (Operator::DateFormat, [Value::Timestamp(instant)]) => Ok(Value::String(timestamp_text(*instant, 6))),
        (Operator::Field(place), [Value::Row(fields)]) => Ok(fields[*place].clone()),
        (Operator::Element(place), [Value::Array(elements)]) => {
            Ok(elements.get(place - 1).cloned().unwrap_or(Value::Null))
        }
        (Operator::Entry, [Value::Map(entries), key]) => {
            let found = entries.iter().find(|(own, _)| own.compare(key) == Ordering::Equal);
            Ok(found.map_or(Value::Null, |(_, value)| value.clone()))
        }
        (Operator::Cardinality, [Value::Array(elements)]) => {
            Ok(Value::Integer(i64::try_from(elements.len()).expect("short")))
        }
        (Operator::ArrayContains, [Value::Array(elements), value]) => {
            let found = elements.iter().any(|element| equal(element, value) == Some(true));
            Ok(Value::Boolean(found))
        }
        (operator, _) => text::text(operator, values),
    }
}

/// A condition holds if it is true, and not if it is null.
pub fn truth(value: &Value) -> Option<bool> {
    if let Value::Boolean(truth) = value { Some(*truth) } else { None }
}

fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// `AND` ends at the first false, `OR` at the first true.
fn connective(arguments: &[Expression], scope: Scope<'_>, end: bool) -> Result<Value> {
    let mut unknown = false;
    for argument in arguments {
        match truth(&evaluate(argument, scope)?) {
            Some(truth) if truth == end => return Ok(Value::Boolean(end)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Boolean(!end) })
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Result<Value> {
    if matches!(comparison, Comparison::Equal | Comparison::Unequal) {
        let same = equal(left, right);
        return Ok(same.map_or(Value::Null, |same| Value::Boolean(same == (comparison == Comparison::Equal))));
    }
    if left.is_null() || right.is_null() {
        return Ok(Value::Null);
    }
    let order = left.compare(right);
    Ok(Value::Boolean(match comparison {
        Comparison::Less => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
        Comparison::Equal | Comparison::Unequal => return Err(Undefined("compared above")),
    }))
}

/// Whether two values are equal; `None` if one is null. Within arrays, maps and rows a null equals a null.
pub fn equal(left: &Value, right: &Value) -> Option<bool> {
    if left.is_null() || right.is_null() {
        return None;
    }
    Some(match (left, right) {
        (Value::Array(_) | Value::Map(_) | Value::Row(_), _) => left.key() == right.key(),
        _ => left.compare(right) == Ordering::Equal,
    })
}

#[cfg(test)]
mod tests;
