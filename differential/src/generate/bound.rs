//! How great numbers can become, so that most queries stay clear of overflow.

use crate::expression::{Expression, Operator};
use crate::relation::Column;
use crate::types::Type;
use crate::value::Value;

/// Greatest magnitude of the expression's value, in units of its last digit, if it is a whole number or a decimal.
pub fn bound(expression: &Expression, scope: &[Column]) -> Option<i128> {
    let own = expression.data_type.limit()?;
    let argument = |index: usize| bound(&expression.arguments[index], scope);
    let scale = |data_type: &Type| if let Type::Decimal(_, scale) = data_type { u32::from(*scale) } else { 0 };
    // Units of the argument as units of this.
    let rescaled = |index: usize| {
        let (from, to) = (scale(&expression.arguments[index].data_type), scale(&expression.data_type));
        let units = argument(index)?;
        if to >= from {
            units.checked_mul(10_i128.checked_pow(to - from)?)
        } else {
            Some(units / 10_i128.pow(from - to) + 1)
        }
    };
    let greatest =
        |places: &mut dyn Iterator<Item = usize>| places.map(argument).try_fold(0, |most, next| Some(next?.max(most)));
    let count = expression.arguments.len();
    let found = match &expression.operator {
        Operator::Column(name) => scope.iter().find(|column| column.name == *name).and_then(|column| column.bound),
        Operator::Literal(Value::Integer(value)) => Some(i128::from(*value).abs()),
        Operator::Literal(Value::Decimal(units, _)) => Some(units.abs()),
        Operator::Literal(_) => Some(0),
        Operator::Add | Operator::Subtract => {
            rescaled(0).zip(rescaled(1)).and_then(|(left, right)| left.checked_add(right))
        }
        Operator::Multiply => argument(0).zip(argument(1)).and_then(|(left, right)| left.checked_mul(right)),
        Operator::Divide | Operator::Negate | Operator::Absolute | Operator::NullIf => argument(0),
        Operator::Modulo => argument(1),
        Operator::Floor | Operator::Ceil => rescaled(0),
        Operator::Coalesce => greatest(&mut (0..count)),
        Operator::Case => greatest(&mut (0..count).filter(|place| place % 2 == 1 || place + 1 == count)),
        Operator::CaseOf => greatest(&mut (1..count).filter(|place| place % 2 == 0 || place + 1 == count)),
        Operator::Cast(_) => match expression.arguments[0].data_type {
            Type::Integer(_) | Type::Decimal(..) => rescaled(0),
            Type::Boolean => Some(1),
            _ => None,
        },
        Operator::Length | Operator::Position | Operator::Cardinality => Some(1000),
        Operator::Extract(_) => Some(10_000),
        _ => None,
    };
    // Behind an overflow nothing is known.
    Some(found.unwrap_or(own))
}

/// Whether no value of the expression can be too great for its type.
pub fn fits(expression: &Expression, scope: &[Column]) -> bool {
    match (bound(expression, scope), expression.data_type.limit()) {
        (Some(bound), Some(limit)) => bound <= limit,
        _ => true,
    }
}
