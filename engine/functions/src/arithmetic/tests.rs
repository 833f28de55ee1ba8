#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{AsArray, Decimal128Array, Int32Array, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Operator};

use super::{binary, negative};

fn bigint(values: &[Option<i64>]) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(Int64Array::from(values.to_vec())))
}

fn constant(value: i64) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::Int64(Some(value)))
}

fn decimal(value: i128) -> ColumnarValue {
    let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, 0).unwrap();
    ColumnarValue::Array(Arc::new(array))
}

#[test]
fn nothing_wraps() {
    let million = 10_000_000_000;
    for (operator, left, right) in [
        (Operator::Multiply, million, million),
        (Operator::Plus, i64::MAX, 1),
        (Operator::Minus, i64::MIN, 1),
        (Operator::Divide, i64::MIN, -1),
        (Operator::Divide, 1, 0),
        (Operator::Modulo, 1, 0),
    ] {
        let of = |left: &ColumnarValue, right: &ColumnarValue| binary(operator, left, right).is_err();
        assert!(of(&constant(left), &constant(right)), "{left} {operator} {right}");
        assert!(of(&bigint(&[Some(left)]), &bigint(&[Some(right)])), "{left} {operator} {right}");
        assert!(of(&bigint(&[Some(left)]), &constant(right)), "{left} {operator} {right}");
        assert!(of(&constant(left), &bigint(&[Some(right)])), "{left} {operator} {right}");
    }
    assert!(negative(&bigint(&[Some(i64::MIN)])).is_err());
    assert!(negative(&constant(i64::MIN)).is_err());
    let int = |value| ColumnarValue::Array(Arc::new(Int32Array::from(vec![value])));
    assert!(binary(Operator::Plus, &int(i32::MAX), &int(2)).is_err());
}

#[test]
fn decimals_have_no_more_digits_than_their_type() {
    let greatest = 10_i128.pow(38) - 1;
    assert!(binary(Operator::Plus, &decimal(greatest), &decimal(1)).is_err());
    assert!(binary(Operator::Minus, &decimal(-greatest), &decimal(1)).is_err());
    assert!(binary(Operator::Multiply, &decimal(greatest), &decimal(2)).is_err());
    assert!(binary(Operator::Plus, &decimal(greatest), &decimal(-1)).is_ok());
}

#[test]
fn what_fits_is_computed_and_null_is_none() {
    let result = binary(Operator::Divide, &bigint(&[Some(-7), None, Some(7)]), &bigint(&[Some(2), Some(0), None]));
    let result = result.unwrap().into_array(3).unwrap();
    assert_eq!(result.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(-3), None, None]);
    let result = binary(Operator::Modulo, &bigint(&[Some(-7), Some(7), Some(i64::MIN)]), &constant(-1));
    let result = result.unwrap().into_array(3).unwrap();
    assert_eq!(result.as_primitive::<Int64Type>().values(), &[0, 0, 0]);
}
