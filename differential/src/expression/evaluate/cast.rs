//! Casts between types.

use super::arithmetic::{decimal, rescale};
use super::{Result, Undefined};
use crate::calendar::{DAY, SECOND};
use crate::types::Type;
use crate::value::Value;

/// A value as one of another type.
pub fn cast(value: &Value, from: &Type, to: &Type) -> Result<Value> {
    match (value, to) {
        _ if from == to => Ok(value.clone()),
        (Value::Integer(_) | Value::Decimal(..), Type::Integer(_)) => {
            // A number's fraction is cut off.
            let whole = match value {
                Value::Decimal(units, scale) => units / 10_i128.pow(u32::from(*scale)),
                Value::Integer(value) => i128::from(*value),
                _ => return Err(Undefined("no number")),
            };
            integer(whole, to)
        }
        (Value::Float(_) | Value::Double(_), Type::Integer(_)) => {
            let number = value.as_double().unwrap_or(f64::NAN).trunc();
            if number.abs() < 9.3e18 { integer(number as i128, to) } else { Err(Undefined("out of range")) }
        }
        (Value::Boolean(value), Type::Integer(_)) => Ok(Value::Integer(i64::from(*value))),
        (Value::Integer(value), Type::Decimal(precision, scale)) => {
            decimal(rescale((i128::from(*value), 0), *scale)?, *precision, *scale)
        }
        (Value::Decimal(units, from), Type::Decimal(precision, scale)) => {
            decimal(rescale((*units, *from), *scale)?, *precision, *scale)
        }
        (Value::Integer(value), Type::Float) => Ok(Value::Float(*value as f32)),
        (_, Type::Double) => match (value, value.as_double()) {
            (_, Some(number)) => Ok(Value::Double(number)),
            (Value::String(text), None) => text.parse().map(Value::Double).map_err(|_| Undefined("no number")),
            _ => Err(Undefined("no number")),
        },
        (Value::String(text), Type::Integer(_)) => {
            let (whole, behind) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
            if !behind.chars().all(|digit| digit.is_ascii_digit()) {
                return Err(Undefined("no number"));
            }
            let whole = whole.parse::<i64>().map_err(|_| Undefined("no number"))?;
            integer(i128::from(whole), to)
        }
        (Value::Timestamp(instant), Type::Timestamp { digits, .. }) => Ok(Value::Timestamp(cut(*instant, *digits))),
        (Value::Timestamp(instant), Type::Date) => {
            Ok(Value::Date(i64::try_from(instant.div_euclid(DAY)).map_err(|_| Undefined("date"))?))
        }
        (Value::Date(days), Type::Timestamp { .. }) => Ok(Value::Timestamp(i128::from(*days) * DAY)),
        (Value::Boolean(value), Type::String) => Ok(Value::String(value.to_string().to_uppercase())),
        (_, Type::String) => Ok(Value::String(value.text(from))),
        _ => Err(Undefined("no cast")),
    }
}

fn integer(number: i128, to: &Type) -> Result<Value> {
    let limit = to.limit().unwrap_or(0);
    if number > limit || number < -limit - 1 {
        return Err(Undefined("out of range"));
    }
    i64::try_from(number).map(Value::Integer).map_err(|_| Undefined("out of range"))
}

/// Digits that the type does not have are cut off, towards the past.
fn cut(instant: i128, digits: u8) -> i128 {
    let unit = SECOND / 10_i128.pow(u32::from(digits));
    instant.div_euclid(unit) * unit
}
