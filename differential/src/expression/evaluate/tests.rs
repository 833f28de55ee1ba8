use super::*;
use crate::expression::Unit;
use crate::types::Type;

fn value(operator: Operator, arguments: Vec<Value>, types: &[Type], own: Type) -> Result<Value> {
    let arguments = arguments.into_iter().zip(types).map(|(value, own)| Expression::literal(value, own.clone()));
    let expression = Expression::new(operator, arguments.collect(), own);
    evaluate(&expression, Scope { names: &[], row: &Vec::new() })
}

fn key(operator: Operator, arguments: Vec<Value>, types: &[Type], own: Type) -> String {
    value(operator, arguments, types, own).map_or_else(|undefined| undefined.0.to_owned(), |value| value.key())
}

const BIGINT: Type = Type::BIGINT;

#[test]
fn null_is_neither_true_nor_false() {
    let (null, yes, no) = (Value::Null, Value::Boolean(true), Value::Boolean(false));
    let truth = [Type::Boolean, Type::Boolean];
    let connect =
        |operator, left: &Value, right: &Value| key(operator, vec![left.clone(), right.clone()], &truth, Type::Boolean);
    assert_eq!(connect(Operator::And, &null, &no), "false");
    assert_eq!(connect(Operator::And, &null, &yes), "null");
    assert_eq!(connect(Operator::Or, &null, &yes), "true");
    assert_eq!(connect(Operator::Or, &null, &no), "null");
    let numbers = [BIGINT, BIGINT, BIGINT];
    let member = |values: Vec<Value>| key(Operator::In(true), values, &numbers, Type::Boolean);
    assert_eq!(member(vec![Value::Integer(1), Value::Integer(2), Value::Null]), "null");
    assert_eq!(member(vec![Value::Integer(1), Value::Integer(1), Value::Null]), "false");
}

#[test]
fn numbers_are_exact_or_nothing() {
    let add = |left, right, own: Type| {
        key(Operator::Add, vec![Value::Integer(left), Value::Integer(right)], &[own.clone(), own.clone()], own)
    };
    assert_eq!(add(i64::MAX, 1, BIGINT), "overflow");
    assert_eq!(add(100, 28, Type::Integer(8)), "overflow");
    assert_eq!(add(100, 27, Type::Integer(8)), "127");
    let (two, one) = (Type::Decimal(10, 2), Type::Decimal(10, 1));
    assert_eq!(key(Operator::Cast(false), vec![Value::Decimal(-125, 2)], &[two], one), "-1.3m");
    let zero = vec![Value::Integer(1), Value::Integer(0)];
    assert_eq!(key(Operator::Divide, zero, &[BIGINT, BIGINT], BIGINT), "division by zero");
}

#[test]
fn patterns_escape_only_what_they_say() {
    let like = |text: &str, pattern: &str, escape| {
        let texts = vec![Value::String(text.to_owned()), Value::String(pattern.to_owned())];
        key(Operator::Like { negated: false, escape }, texts, &[Type::String, Type::String], Type::Boolean)
    };
    assert_eq!(like("C:\\logs\\x", "C:\\logs\\%", None), "true");
    assert_eq!(like("50%", "50!%", Some('!')), "true");
    assert_eq!(like("50x", "50!%", Some('!')), "false");
    assert_eq!(like("é", "_", None), "true");
}

#[test]
fn months_have_different_lengths() {
    let at = |text: &str| {
        let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
        i128::from(crate::calendar::days_of(number(0..4), number(5..7), number(8..10))) * DAY
    };
    assert_eq!(Unit::Month.add(at("2024-01-31"), 1), at("2024-02-29"));
    assert_eq!(Unit::Month.difference(at("2024-01-31"), at("2024-02-29")), 1);
    assert_eq!(Unit::Month.difference(at("2024-01-31"), at("2024-02-28")), 0);
    assert_eq!(Unit::Month.difference(at("2024-02-29") + 1, at("2024-01-31")), -1);
    assert_eq!(Unit::Day.floor(-1), at("1969-12-31"));
}
