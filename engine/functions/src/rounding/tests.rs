#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion_common::ScalarValue;
use datafusion_expr::ColumnarValue;

use crate::tests::invoke;

fn decimals(values: &[Option<i128>], precision: u8, scale: i8) -> ColumnarValue {
    let array = Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap();
    ColumnarValue::Array(Arc::new(array))
}

fn found(result: &ArrayRef) -> Vec<Option<i128>> {
    result.as_primitive::<Decimal128Type>().iter().collect()
}

#[test]
fn whole_numbers_are_left_as_they_are() {
    let numbers = [9_007_199_254_740_993, i64::MIN, i64::MAX];
    for function in ["floor", "ceil", "ceiling", "trunc", "truncate"] {
        let column = ColumnarValue::Array(Arc::new(Int64Array::from(numbers.to_vec())));
        let result = invoke(function, vec![column], 3);
        assert_eq!(result.as_primitive::<Int64Type>().values(), &numbers, "{function}");
    }
    let column = ColumnarValue::Array(Arc::new(Int64Array::from(vec![9_007_199_254_740_993, i64::MIN, -19])));
    let places = ColumnarValue::Array(Arc::new(Int64Array::from(vec![-1, -18, 2])));
    let result = invoke("trunc", vec![column, places], 3);
    assert_eq!(result.as_primitive::<Int64Type>().values(), &[9_007_199_254_740_990, -9_000_000_000_000_000_000, -19]);
}

#[test]
fn decimals_keep_all_digits() {
    let greatest = 10_i128.pow(38) - 1;
    let values = [Some(999), Some(-999), Some(100), None, Some(1), Some(-1)];
    let cases = [
        ("floor", [Some(9), Some(-10), Some(1), None, Some(0), Some(-1)]),
        ("ceil", [Some(10), Some(-9), Some(1), None, Some(1), Some(0)]),
        ("trunc", [Some(9), Some(-9), Some(1), None, Some(0), Some(0)]),
    ];
    for (function, expected) in cases {
        let result = invoke(function, vec![decimals(&values, 3, 2)], values.len());
        let digits = if function == "trunc" { 2 } else { 3 };
        assert_eq!(result.data_type(), &DataType::Decimal128(digits, 0), "{function}");
        assert_eq!(found(&result), expected, "{function}");
    }
    let result = invoke("ceil", vec![decimals(&[Some(greatest), Some(-greatest)], 38, 38)], 2);
    assert_eq!(found(&result), [Some(1), Some(0)]);
    let places = ColumnarValue::Scalar(ScalarValue::Int64(Some(1)));
    let result = invoke("truncate", vec![decimals(&[Some(12_345), Some(-12_399)], 38, 3), places], 2);
    assert_eq!(result.data_type(), &DataType::Decimal128(37, 1));
    assert_eq!(found(&result), [Some(123), Some(-123)]);
    let places = ColumnarValue::Scalar(ScalarValue::Int64(Some(-1)));
    let result = invoke("round", vec![decimals(&[Some(12_345), Some(-12_500)], 10, 2), places], 2);
    assert_eq!(result.data_type(), &DataType::Decimal128(9, 0));
    assert_eq!(found(&result), [Some(120), Some(-130)]);
    let result = invoke("round", vec![decimals(&[Some(25), Some(-25)], 2, 1)], 2);
    assert_eq!(result.data_type(), &DataType::Decimal128(2, 0));
    assert_eq!(found(&result), [Some(3), Some(-3)]);
}
