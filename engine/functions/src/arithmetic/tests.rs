#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{AsArray, Decimal128Array, Int32Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Operator};

use super::{binary, negative, result_type};

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
fn quotients_of_decimals_are_rounded() {
    let of = |values: &[i128], precision, scale| {
        let array = Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap();
        ColumnarValue::Array(Arc::new(array))
    };
    let quotients = |left: &ColumnarValue, right: &ColumnarValue, rows| {
        let result = binary(Operator::Divide, left, right).unwrap().into_array(rows).unwrap();
        let decimals = result.as_primitive::<Decimal128Type>();
        (result.data_type().clone(), decimals.values().to_vec())
    };
    // 2/3, -2/3, 2/-3, 1/3, 5/8, 1/80000
    let (left, right) = (of(&[2, -2, 2, 1, 5, 1], 10, 0), of(&[3, 3, -3, 3, 8, 80_000], 10, 0));
    assert_eq!(
        quotients(&left, &right, 6),
        (
            DataType::Decimal128(21, 11),
            vec![66_666_666_667, -66_666_666_667, -66_666_666_667, 33_333_333_333, 62_500_000_000, 1_250_000]
        )
    );
    let half = ColumnarValue::Scalar(ScalarValue::Decimal128(Some(5), 2, 1));
    assert_eq!(quotients(&of(&[1, -1], 5, 2), &half, 2), (DataType::Decimal128(10, 6), vec![20_000, -20_000]));
    // With as many decimals the dividend has more than 38 digits, and the quotient has not.
    let one = 10_i128.pow(20);
    assert_eq!(
        quotients(&of(&[one], 38, 20), &of(&[3 * one], 38, 20), 1),
        (DataType::Decimal128(38, 6), vec![333_333])
    );
    let greatest = 10_i128.pow(38) - 1;
    assert!(binary(Operator::Divide, &of(&[greatest], 38, 0), &of(&[1], 38, 0)).is_err());
    assert!(binary(Operator::Divide, &of(&[1], 38, 0), &of(&[0], 38, 0)).is_err());
}

#[test]
fn precision_and_scale_are_those_of_flink() {
    use DataType::{Decimal128, Int32, Int64};
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    for (left, operator, right, expected) in [
        (Decimal128(10, 2), Plus, Int64, (22, 2)),
        (Decimal128(10, 2), Minus, Decimal128(10, 2), (11, 2)),
        (Decimal128(38, 0), Plus, Decimal128(38, 10), (38, 6)),
        (Decimal128(10, 2), Multiply, Int32, (21, 2)),
        (Decimal128(4, 3), Multiply, Int64, (24, 3)),
        (Int32, Divide, Decimal128(10, 2), (23, 11)),
        (Decimal128(38, 10), Divide, Int32, (38, 10)),
        (Decimal128(10, 2), Modulo, Decimal128(2, 1), (3, 2)),
    ] {
        let (precision, scale) = expected;
        assert_eq!(
            result_type(&left, operator, &right),
            Some(Decimal128(precision, scale)),
            "{left} {operator} {right}"
        );
    }
}

#[test]
fn whole_numbers_are_decimals_beside_one() {
    let decimals = |values: &[i128], precision, scale| {
        let array = Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap();
        ColumnarValue::Array(Arc::new(array))
    };
    let of = |operator, left: &ColumnarValue, right: &ColumnarValue| {
        let result = binary(operator, left, right).unwrap().into_array(1).unwrap();
        result.as_primitive::<Decimal128Type>().value(0)
    };
    let price = ColumnarValue::Scalar(ScalarValue::Decimal128(Some(908), 4, 3));
    assert_eq!(of(Operator::Multiply, &price, &bigint(&[Some(i64::MAX)])), 908 * i128::from(i64::MAX));
    assert_eq!(of(Operator::Minus, &bigint(&[Some(2)]), &decimals(&[5], 2, 1)), 15);
    assert_eq!(of(Operator::Modulo, &bigint(&[Some(-7)]), &decimals(&[25], 2, 1)), -20);
    // The sum has no room for ten decimals.
    assert_eq!(of(Operator::Plus, &decimals(&[1], 38, 0), &decimals(&[15_000], 38, 10)), 1_000_002);
    let greatest = 10_i128.pow(38) - 1;
    assert!(binary(Operator::Plus, &decimals(&[greatest], 38, 0), &decimals(&[0], 38, 10)).is_err());
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
