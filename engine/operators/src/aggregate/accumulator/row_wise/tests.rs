#![allow(clippy::unwrap_used)]

use arrow::array::{AsArray, Int64Array, StringViewArray};
use arrow::datatypes::UInt64Type;

use super::*;

fn approximate(data_type: &DataType) -> RowWise {
    let call = AggregateCall {
        name: "n".to_owned(),
        function: AggregateFunction::Other("approx_distinct".to_owned()),
        arguments: vec![0],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        data_type: DataType::UInt64,
    };
    let input = Schema::new(vec![Field::new("x", data_type.clone(), true)]);
    RowWise { plan: Arc::new(plan(&call, &input, &Functions::built_in()).unwrap()), groups: Vec::new() }
}

/// The estimate of DataFusion's own accumulator, which has all registers from the start.
fn dense(plan: &Plan, values: &ArrayRef) -> ScalarValue {
    let mut own = plan.function.create_accumulator().unwrap();
    own.update_batch(std::slice::from_ref(values)).unwrap();
    own.evaluate().unwrap()
}

#[test]
fn few_values_take_little_and_are_counted_as_many_are() {
    for count in [0, 1, 2, 200, 255, 256, 257, 600, 3000] {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..count).map(|number| Some(number * 7))));
        let texts: Vec<String> = (0..count).map(|number| format!("value {number}")).collect();
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        for values in [numbers, texts] {
            let mut counted = approximate(values.data_type());
            counted.grow(2).unwrap();
            let rows = Rows { columns: std::slice::from_ref(&values), len: values.len() };
            counted.update(&vec![1; values.len()], rows).unwrap();
            let picked = Picked::First(2);
            for _ in 0..2 {
                let state = counted.states(&picked, 0..2).unwrap();
                let bytes = state[0].as_binary::<i32>();
                assert_eq!(bytes.value(0).len(), 0);
                assert_eq!(bytes.value(1).len(), if count > 256 { 16 << 10 } else { 8 * count as usize });
                let results = counted.results(&picked, 0..2).unwrap();
                let expected = [ScalarValue::UInt64(Some(0)), dense(&counted.plan, &values)];
                let found = results.as_primitive::<UInt64Type>();
                assert_eq!([0, 1].map(|row| ScalarValue::UInt64(Some(found.value(row)))), expected, "{count}");
            }
            if count < 256 {
                assert!(counted.bytes() < 16 << 10, "{count}: {}", counted.bytes());
            }
        }
    }
}

#[test]
fn states_of_earlier_versions_are_merged() {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let mut counted = approximate(&DataType::Int64);
    let mut earlier = counted.plan.function.create_accumulator().unwrap();
    earlier.update_batch(std::slice::from_ref(&values)).unwrap();
    let state = earlier.state().unwrap()[0].to_array().unwrap();
    counted.grow(1).unwrap();
    counted.update(&[0; 100], Rows { columns: std::slice::from_ref(&values), len: 100 }).unwrap();
    counted.merge(&[0], &[state]).unwrap();
    let results = counted.results(&Picked::First(1), 0..1).unwrap();
    let expected = dense(&counted.plan, &values);
    assert_eq!(ScalarValue::UInt64(Some(results.as_primitive::<UInt64Type>().value(0))), expected);
}
