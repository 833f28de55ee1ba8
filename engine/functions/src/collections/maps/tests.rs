#![allow(clippy::unwrap_used)]
use arrow::array::{Float64Array, Int32Array, NullArray};
use arrow::datatypes::{Float64Type, Int32Type};

use crate::tests::invoke;

use super::*;

fn column(array: impl Array + 'static) -> ColumnarValue {
    ColumnarValue::Array(Arc::new(array))
}

#[test]
fn a_key_that_is_always_null_is_refused() {
    let arguments = [column(NullArray::new(1)), column(Int32Array::from(vec![1]))];
    let refused = map_of(&arguments, 1, &map_type(DataType::Null, DataType::Int32)).unwrap_err();
    assert!(refused.to_string().contains("must not be null"), "{refused}");
}

#[test]
fn zeros_are_one_key_and_so_are_nans() {
    let keys = [-0.0, 0.0, f64::NAN, -f64::NAN].map(|key| column(Float64Array::from(vec![key])));
    let values = [1, 2, 3, 4].map(|value| column(Int32Array::from(vec![value])));
    let arguments = keys.into_iter().zip(values).flat_map(|(key, value)| [key, value]).collect();
    let map = invoke("map_of", arguments, 1);
    let map = map.as_map();
    let keys = map.keys().as_primitive::<Float64Type>().values();
    assert!(keys[0] == 0.0 && keys[1].is_nan(), "{keys:?}");
    assert_eq!(map.values().as_primitive::<Int32Type>().values(), &[2, 4]);
    let found = invoke("get_field", vec![column(map.clone()), column(Float64Array::from(vec![-0.0]))], 1);
    assert_eq!(found.as_primitive::<Int32Type>().value(0), 2);
}

#[test]
fn large_maps_are_as_small_ones() {
    let keys: Vec<i32> = (0..40_000).map(|entry| entry % 20_000).collect();
    let values: Vec<i32> = (0..40_000).collect();
    let list = |numbers: Vec<i32>| {
        column(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(numbers.into_iter().map(Some))]))
    };
    let map = invoke("map_from_arrays", vec![list(keys), list(values)], 1);
    let map = map.as_map();
    assert!(map.keys().as_primitive::<Int32Type>().values().iter().copied().eq(0..20_000));
    assert!(map.values().as_primitive::<Int32Type>().values().iter().copied().eq(20_000..40_000));
}
