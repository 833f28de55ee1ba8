//! Numbers.

use super::{Result, Undefined};
use crate::expression::Operator;
use crate::types::Type;
use crate::value::Value;

/// IEEE 754 arithmetic, which both widths have.
macro_rules! floating {
    ($operator:expr, $numbers:expr) => {
        match ($operator, $numbers.as_slice()) {
            (Operator::Negate, [value]) => Ok(-value),
            (Operator::Absolute, [value]) => Ok(value.abs()),
            (Operator::Floor, [value]) => Ok(value.floor()),
            (Operator::Ceil, [value]) => Ok(value.ceil()),
            (Operator::Add, [left, right]) => Ok(left + right),
            (Operator::Subtract, [left, right]) => Ok(left - right),
            (Operator::Multiply, [left, right]) => Ok(left * right),
            (Operator::Divide, [left, right]) => Ok(left / right),
            _ => Err(Undefined("no arithmetic of floating-point numbers")),
        }
    };
}

/// A result of the type `own`, from arguments that have it already (decimals may have other scales).
pub fn arithmetic(operator: &Operator, values: &[Value], own: &Type) -> Result<Value> {
    match own {
        Type::Integer(_) => {
            let numbers: Vec<i128> =
                values.iter().map(|value| integer(value).map(i128::from)).collect::<Result<_>>()?;
            let result = integers(operator, &numbers)?;
            let limit = own.limit().unwrap_or(0);
            if result > limit || result < -limit - 1 {
                return Err(Undefined("overflow"));
            }
            Ok(Value::Integer(i64::try_from(result).map_err(|_| Undefined("overflow"))?))
        }
        Type::Decimal(precision, scale) => decimals(operator, values, *precision, *scale),
        Type::Float => {
            let numbers: Vec<f32> = values.iter().map(float).collect::<Result<_>>()?;
            floating!(operator, numbers).map(Value::Float)
        }
        _ => {
            let numbers: Vec<f64> =
                values.iter().map(|value| value.as_double().ok_or(Undefined("no number"))).collect::<Result<_>>()?;
            floating!(operator, numbers).map(Value::Double)
        }
    }
}

fn integer(value: &Value) -> Result<i64> {
    if let Value::Integer(value) = value { Ok(*value) } else { Err(Undefined("no integer")) }
}

fn float(value: &Value) -> Result<f32> {
    if let Value::Float(value) = value { Ok(*value) } else { Err(Undefined("no float")) }
}

fn integers(operator: &Operator, numbers: &[i128]) -> Result<i128> {
    Ok(match (operator, numbers) {
        (Operator::Negate, [value]) => -value,
        (Operator::Absolute, [value]) => value.abs(),
        (Operator::Floor | Operator::Ceil, [value]) => *value,
        (Operator::Add, [left, right]) => left + right,
        (Operator::Subtract, [left, right]) => left - right,
        (Operator::Multiply, [left, right]) => left * right,
        (Operator::Divide | Operator::Modulo, [_, 0]) => return Err(Undefined("division by zero")),
        // Both round towards zero.
        (Operator::Divide, [left, right]) => left / right,
        (Operator::Modulo, [left, right]) => left % right,
        _ => return Err(Undefined("no arithmetic of integers")),
    })
}

fn decimals(operator: &Operator, values: &[Value], precision: u8, scale: u8) -> Result<Value> {
    let operands: Vec<(i128, u8)> = values
        .iter()
        .map(|value| match value {
            Value::Decimal(units, scale) => Ok((*units, *scale)),
            Value::Integer(value) => Ok((i128::from(*value), 0)),
            _ => Err(Undefined("no decimal")),
        })
        .collect::<Result<_>>()?;
    let (units, from) = match (operator, operands.as_slice()) {
        (Operator::Negate, [(units, from)]) => (-units, *from),
        (Operator::Absolute, [(units, from)]) => (units.abs(), *from),
        (Operator::Floor, [(units, from)]) => (units.div_euclid(10_i128.pow(u32::from(*from))), 0),
        (Operator::Ceil, [(units, from)]) => (-(-units).div_euclid(10_i128.pow(u32::from(*from))), 0),
        (Operator::Multiply, [(left, a), (right, b)]) => {
            (left.checked_mul(*right).ok_or(Undefined("overflow"))?, a + b)
        }
        (Operator::Add | Operator::Subtract, [left, right]) => {
            let common = left.1.max(right.1);
            let (left, right) = (rescale(*left, common)?, rescale(*right, common)?);
            let right = if matches!(operator, Operator::Add) { right } else { -right };
            (left.checked_add(right).ok_or(Undefined("overflow"))?, common)
        }
        _ => return Err(Undefined("no arithmetic of decimals")),
    };
    decimal(rescale((units, from), scale)?, precision, scale)
}

/// The same number with another scale; a half is rounded away from zero.
pub fn rescale((units, from): (i128, u8), to: u8) -> Result<i128> {
    if to >= from {
        return 10_i128
            .checked_pow(u32::from(to - from))
            .and_then(|factor| units.checked_mul(factor))
            .ok_or(Undefined("overflow"));
    }
    let factor = 10_i128.pow(u32::from(from - to));
    let (whole, rest) = (units / factor, units % factor);
    Ok(if rest.abs() * 2 >= factor { whole + units.signum() } else { whole })
}

/// A decimal with at most so many digits.
pub fn decimal(units: i128, precision: u8, scale: u8) -> Result<Value> {
    if units.unsigned_abs() >= 10_u128.pow(u32::from(precision)) {
        return Err(Undefined("overflow"));
    }
    Ok(Value::Decimal(units, scale))
}
