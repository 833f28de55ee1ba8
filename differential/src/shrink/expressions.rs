//! Smaller expressions of the same type.

use crate::expression::{Expression, Operator};
use crate::value::Value;

/// Conditions with less in them: of an `AND`, parts are left out.
pub fn smaller_conditions(condition: &Expression) -> Vec<Expression> {
    let mut all = Vec::new();
    if matches!(condition.operator, Operator::And | Operator::Or) && condition.arguments.len() > 1 {
        for place in 0..condition.arguments.len() {
            let mut smaller = condition.clone();
            smaller.arguments.remove(place);
            all.push(if smaller.arguments.len() == 1 { smaller.arguments.remove(0) } else { smaller });
        }
    }
    all.extend(smaller_expressions(condition));
    all
}

/// Expressions of the same type with less in them.
pub fn smaller_expressions(expression: &Expression) -> Vec<Expression> {
    let mut all = Vec::new();
    for argument in &expression.arguments {
        if argument.data_type == expression.data_type {
            all.push(argument.clone());
        }
    }
    if !expression.arguments.is_empty() {
        all.push(Expression::literal(Value::Null, expression.data_type.clone()));
    }
    let removable: Vec<(usize, usize)> = match &expression.operator {
        Operator::Case if expression.arguments.len() > 3 => {
            (0..expression.arguments.len() / 2).map(|pair| (pair * 2, 2)).collect()
        }
        Operator::CaseOf if expression.arguments.len() > 4 => {
            (0..(expression.arguments.len() - 1) / 2).map(|pair| (pair * 2 + 1, 2)).collect()
        }
        Operator::In(_) if expression.arguments.len() > 2 => {
            (1..expression.arguments.len()).map(|place| (place, 1)).collect()
        }
        Operator::Coalesce | Operator::MakeArray | Operator::And | Operator::Or if expression.arguments.len() > 2 => {
            (0..expression.arguments.len()).map(|place| (place, 1)).collect()
        }
        _ => Vec::new(),
    };
    for (from, count) in removable {
        let mut smaller = expression.clone();
        smaller.arguments.drain(from..from + count);
        all.push(smaller);
    }
    for (place, argument) in expression.arguments.iter().enumerate() {
        for argument in smaller_expressions(argument) {
            let mut smaller = expression.clone();
            smaller.arguments[place] = argument;
            all.push(smaller);
        }
    }
    all
}
