//! Values, their order and their text.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::calendar::{date_text, time_text, timestamp_text};
use crate::types::Type;

/// A value of some type.
#[derive(Debug, Clone)]
pub enum Value {
    /// Of every type.
    Null,
    /// A truth value.
    Boolean(bool),
    /// A whole number of any width.
    Integer(i64),
    /// Units of the last digit, and the number of digits behind the point.
    Decimal(i128, u8),
    /// Of single precision.
    Float(f32),
    /// Of double precision.
    Double(f64),
    /// A text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Days since 1970.
    Date(i64),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Nanoseconds since 1970, whatever the precision.
    Timestamp(i128),
    /// Elements.
    Array(Vec<Value>),
    /// Entries.
    Map(Vec<(Value, Value)>),
    /// Fields.
    Row(Vec<Value>),
}

/// A row of a relation.
pub type Row = Vec<Value>;

impl Value {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Its number, where it is one; doubles as they are.
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Integer(value) => Some(*value as f64),
            // Through its text, which is rounded once.
            Value::Decimal(..) => self.text(&Type::Boolean).parse().ok(),
            Value::Float(value) => Some(f64::from(*value)),
            Value::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The order of two values that are not null and that SQL can compare. NaN equals itself and is greater than all
    /// other numbers; the two zeros are equal.
    pub fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
            (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
            (Value::String(left), Value::String(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Value::Bytes(left), Value::Bytes(right)) => left.cmp(right),
            (Value::Date(left), Value::Date(right)) | (Value::Time(left), Value::Time(right)) => left.cmp(right),
            (Value::Timestamp(left), Value::Timestamp(right)) => left.cmp(right),
            (Value::Integer(_) | Value::Decimal(..), Value::Integer(_) | Value::Decimal(..)) => {
                compare_decimals(self.units(), other.units())
            }
            _ => match (self.as_double(), other.as_double()) {
                (Some(left), Some(right)) => compare_doubles(left, right),
                _ => panic!("{self:?} and {other:?} have no order"),
            },
        }
    }

    /// The order of two values as `ORDER BY` has it, with nulls first.
    pub fn order(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            _ => self.compare(other),
        }
    }

    fn units(&self) -> (i128, u8) {
        match self {
            Value::Integer(value) => (i128::from(*value), 0),
            Value::Decimal(units, scale) => (*units, *scale),
            _ => (0, 0),
        }
    }

    /// A text that is equal for values that a group has as one, and only for them.
    pub fn key(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, true);
        text
    }

    /// A text by which results are compared: like [`key`](Self::key), but doubles to ten digits, because sums depend on their order.
    pub fn result(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, false);
        text
    }

    fn write(&self, text: &mut String, exact: bool) {
        // Writing to a string cannot fail.
        let _ = match self {
            Value::Null => write!(text, "null"),
            Value::Boolean(value) => write!(text, "{value}"),
            Value::Integer(value) => write!(text, "{value}"),
            Value::Decimal(units, scale) => write!(text, "{}m", decimal_text(*units, *scale)),
            Value::Float(value) => write!(text, "{}f", double_text(f64::from(*value), exact)),
            Value::Double(value) => write!(text, "{}d", double_text(*value, exact)),
            Value::String(value) => write!(text, "{value:?}"),
            Value::Bytes(value) => write!(text, "x{value:?}"),
            Value::Date(days) => write!(text, "{}", date_text(*days)),
            Value::Time(nanos) => write!(text, "{}", time_text(i128::from(*nanos), 9)),
            Value::Timestamp(instant) => write!(text, "{}", timestamp_text(*instant, 9)),
            Value::Array(values) => write_all(text, exact, ('[', ']'), values.iter()),
            Value::Row(values) => write_all(text, exact, ('(', ')'), values.iter()),
            Value::Map(entries) => {
                let mut sorted: Vec<(String, &Value)> = entries.iter().map(|(key, value)| (key.key(), value)).collect();
                sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
                for (key, value) in sorted {
                    let _ = write!(text, "{{{key}: ");
                    value.write(text, exact);
                    text.push('}');
                }
                write!(text, "map")
            }
        };
    }

    /// As `CAST(… AS STRING)` has it, of a value of this type.
    pub fn text(&self, data_type: &Type) -> String {
        match self {
            Value::Boolean(value) => value.to_string(),
            Value::Integer(value) => value.to_string(),
            Value::Decimal(units, scale) => decimal_text_of_scale(*units, *scale),
            Value::String(value) => value.clone(),
            Value::Date(days) => date_text(*days),
            Value::Timestamp(instant) => match data_type {
                Type::Timestamp { digits, .. } => timestamp_text(*instant, *digits),
                _ => timestamp_text(*instant, 9),
            },
            other => panic!("the text of {other:?} is not known"),
        }
    }
}

fn write_all<'a>(
    text: &mut String,
    exact: bool,
    brackets: (char, char),
    values: impl Iterator<Item = &'a Value>,
) -> std::fmt::Result {
    text.push(brackets.0);
    for value in values {
        value.write(text, exact);
        text.push(',');
    }
    text.push(brackets.1);
    Ok(())
}

/// NaN is greatest, and the zeros are one.
pub fn compare_doubles(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => left.partial_cmp(&right).expect("neither is NaN"),
    }
}

fn compare_decimals(left: (i128, u8), right: (i128, u8)) -> Ordering {
    let scale = left.1.max(right.1);
    let whole = |(units, own): (i128, u8)| {
        let factor = 10_i128.pow(u32::from(own));
        (units.div_euclid(factor), units.rem_euclid(factor) * 10_i128.pow(u32::from(scale - own)))
    };
    whole(left).cmp(&whole(right))
}

fn double_text(value: f64, exact: bool) -> String {
    let value = if value == 0.0 { 0.0 } else { value };
    match value {
        _ if value.is_nan() => "nan".to_owned(),
        _ if exact => format!("{value:e}"),
        _ => format!("{value:.9e}"),
    }
}

/// Without zeros at the end: how many there are is the type's.
fn decimal_text(units: i128, scale: u8) -> String {
    let text = decimal_text_of_scale(units, scale);
    if scale == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

fn decimal_text_of_scale(units: i128, scale: u8) -> String {
    if scale == 0 {
        return units.to_string();
    }
    let digits = format!("{:0width$}", units.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    format!("{}{whole}.{fraction}", if units < 0 { "-" } else { "" })
}
