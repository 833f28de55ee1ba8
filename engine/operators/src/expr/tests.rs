#![allow(clippy::unwrap_used)]

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type};
use weir_core::{BinaryOperator, ErrorKind, Expr, Literal, LiteralValue};
use weir_functions::Functions;

use super::CompiledExpr;
use crate::testing::{rows, schema, text};

fn literal(data_type: DataType, value: LiteralValue) -> Expr {
    Expr::Literal(Literal { data_type, value })
}

fn binary(operator: BinaryOperator, left: Expr, right: Expr) -> Expr {
    Expr::Binary { operator, left: Box::new(left), right: Box::new(right) }
}

fn records() -> RecordBatch {
    rows(&schema("a BIGINT, b BIGINT, s STRING"), &["7 | 2 | Ab", "NULL | 3 | x", "9 | 0 | NULL"])
}

fn evaluated(expr: &Expr) -> Vec<String> {
    let records = records();
    let column =
        CompiledExpr::new(expr, &records.schema(), &Functions::built_in()).unwrap().evaluate(&records).unwrap();
    text(&RecordBatch::try_from_iter([("x", column)]).unwrap())
}

#[test]
fn columns_are_shared() {
    let records = records();
    let column = CompiledExpr::new(&Expr::Column(0), &records.schema(), &Functions::built_in())
        .unwrap()
        .evaluate(&records)
        .unwrap();
    let shared = column.as_primitive::<Int64Type>().values().as_ptr();
    assert_eq!(shared, records.column(0).as_primitive::<Int64Type>().values().as_ptr());
}

#[test]
fn arithmetic_comparison_and_logic() {
    let (a, b) = (Expr::Column(0), Expr::Column(1));
    assert_eq!(evaluated(&binary(BinaryOperator::Plus, a.clone(), b.clone())), ["9", "NULL", "9"]);
    assert_eq!(evaluated(&binary(BinaryOperator::Gt, a.clone(), b.clone())), ["true", "NULL", "true"]);
    let is_null = Expr::IsNull(Box::new(a.clone()));
    assert_eq!(evaluated(&Expr::Not(Box::new(is_null))), ["true", "false", "true"]);
    assert_eq!(evaluated(&Expr::Negative(Box::new(a.clone()))), ["-7", "NULL", "-9"]);
    let list = vec![literal(DataType::Int64, LiteralValue::Int(7)), literal(DataType::Int64, LiteralValue::Int(8))];
    assert_eq!(evaluated(&Expr::InList { operand: Box::new(a), list, negated: true }), ["false", "NULL", "true"]);
    let pattern = Box::new(literal(DataType::Utf8View, LiteralValue::Utf8("a%".to_owned())));
    let operand = Box::new(Expr::Column(2));
    let like = Expr::Like { negated: false, case_insensitive: true, operand, pattern };
    assert_eq!(evaluated(&like), ["true", "false", "NULL"]);
}

#[test]
fn a_list_may_hold_what_is_computed() {
    let number = |value| literal(DataType::Int64, LiteralValue::Int(value));
    let case = |then: Expr| Expr::Case {
        operand: None,
        branches: vec![(binary(BinaryOperator::Eq, Expr::Column(1), number(2)), then)],
        otherwise: Some(Box::new(number(9))),
    };
    let sum = || Box::new(binary(BinaryOperator::Plus, Expr::Column(0), Expr::Column(1)));
    let list = |then: Expr, negated| Expr::InList {
        operand: sum(),
        list: vec![case(then), number(1), number(2), number(3)],
        negated,
    };
    // a + b is 9, null and 9; the CASE is `then` in the first row, and 9 in the others.
    let null = || literal(DataType::Int64, LiteralValue::Null);
    assert_eq!(evaluated(&list(number(4), false)), ["false", "NULL", "true"]);
    assert_eq!(evaluated(&list(number(9), false)), ["true", "NULL", "true"]);
    assert_eq!(evaluated(&list(null(), false)), ["NULL", "NULL", "true"]);
    assert_eq!(evaluated(&list(null(), true)), ["NULL", "NULL", "false"]);
    assert_eq!(evaluated(&list(number(4), true)), ["true", "NULL", "false"]);
}

#[test]
fn case_cast_and_functions() {
    let one = literal(DataType::Int64, LiteralValue::Int(1));
    let branches = vec![(Expr::IsNull(Box::new(Expr::Column(0))), one)];
    let case = Expr::Case { operand: None, branches, otherwise: Some(Box::new(Expr::Column(1))) };
    assert_eq!(evaluated(&case), ["2", "1", "0"]);
    let cast = Expr::Cast { operand: Box::new(Expr::Column(0)), data_type: DataType::Utf8View, safe: false };
    assert_eq!(evaluated(&cast), ["7", "NULL", "9"]);
    let upper =
        Expr::Function { name: "upper".to_owned(), arguments: vec![Expr::Column(2)], data_type: DataType::Utf8View };
    assert_eq!(evaluated(&upper), ["AB", "X", "NULL"]);
}

#[test]
fn constants_are_expanded_in_their_type() {
    assert_eq!(evaluated(&literal(DataType::Utf8View, LiteralValue::Utf8("x".to_owned()))), ["x", "x", "x"]);
    assert_eq!(evaluated(&literal(DataType::Float64, LiteralValue::Float(1.5_f64.to_bits()))), ["1.5", "1.5", "1.5"]);
    let records = records();
    let compiled = |data_type: DataType, value| {
        CompiledExpr::new(&literal(data_type, value), &records.schema(), &Functions::built_in())
            .and_then(|expr| expr.evaluate(&records))
    };
    let price = compiled(DataType::Decimal128(10, 2), LiteralValue::Decimal("-1234".to_owned())).unwrap();
    assert_eq!(price.as_primitive::<arrow::datatypes::Decimal128Type>().value(2), -1234);
    let list = DataType::List(Field::new("item", DataType::Int64, true).into());
    let items = vec![Literal { data_type: DataType::Int64, value: LiteralValue::Int(4) }];
    let lists = compiled(list.clone(), LiteralValue::List(items)).unwrap();
    assert_eq!((lists.data_type(), lists.len()), (&list, 3));
    assert_eq!(lists.as_list::<i32>().value(1).as_primitive::<Int64Type>().values(), &[4]);
    assert_eq!(compiled(list, LiteralValue::Null).unwrap().null_count(), 3);
    let error = compiled(DataType::Int32, LiteralValue::Int(i64::MAX)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
}

/// Earlier versions gave the results of a division fewer digits. A job of theirs goes on, and writes what it said it would.
#[test]
fn a_quotient_has_the_type_that_the_graph_gives_it() {
    let decimal = |text: &str, precision, scale| {
        literal(DataType::Decimal128(precision, scale), LiteralValue::Decimal(text.to_owned()))
    };
    let earlier = DataType::Decimal128(16, 6);
    let divisor =
        Expr::Cast { operand: Box::new(Expr::Column(0)), data_type: DataType::Decimal128(10, 2), safe: false };
    let quotient = binary(BinaryOperator::Divide, decimal("200", 10, 2), divisor);
    let greater = binary(BinaryOperator::Gt, quotient.clone(), decimal("250000", 16, 6));
    assert_eq!(evaluated(&greater), ["true", "NULL", "false"]);
    let first_is = |then: &Expr, otherwise: &Expr| Expr::Case {
        operand: None,
        branches: vec![(Expr::IsNotNull(Box::new(Expr::Column(2))), then.clone())],
        otherwise: Some(Box::new(otherwise.clone())),
    };
    let number = decimal("5000000", 16, 6);
    let records = records();
    let computed = |expr: &Expr| {
        let column = CompiledExpr::with_type(expr, &records.schema(), &earlier, &Functions::built_in())
            .unwrap()
            .evaluate(&records)
            .unwrap();
        assert_eq!(*column.data_type(), earlier);
        column.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>()
    };
    assert_eq!(computed(&quotient), [Some(285_714), None, Some(222_222)]);
    assert_eq!(computed(&first_is(&quotient, &number)), [Some(285_714), None, Some(5_000_000)]);
    assert_eq!(computed(&first_is(&number, &quotient)), [Some(5_000_000), Some(5_000_000), Some(222_222)]);
    let coalesce =
        Expr::Function { name: "coalesce".to_owned(), arguments: vec![quotient, number], data_type: earlier.clone() };
    assert_eq!(computed(&coalesce), [Some(285_714), Some(5_000_000), Some(222_222)]);
}

#[test]
fn a_row_without_a_value_is_a_data_error_that_quotes_the_expression() {
    let records = records();
    let fails = |expr: &Expr| {
        CompiledExpr::new(expr, &records.schema(), &Functions::built_in()).unwrap().evaluate(&records).unwrap_err()
    };
    let error = fails(&binary(BinaryOperator::Divide, Expr::Column(0), Expr::Column(1)));
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.to_string(), "cannot compute a / b");
    let number = Expr::Cast { operand: Box::new(Expr::Column(2)), data_type: DataType::Int64, safe: false };
    assert_eq!(fails(&number).kind(), ErrorKind::Data);
    let safe = Expr::Cast { operand: Box::new(Expr::Column(2)), data_type: DataType::Int64, safe: true };
    assert_eq!(evaluated(&safe), ["NULL", "NULL", "NULL"]);
}
