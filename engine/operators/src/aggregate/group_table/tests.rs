//! What a table keeps when most of its groups leave.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, types::Int64Type};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{AggregateCall, AggregateFunction, WindowAggregateSpec, WindowSource, hash};
use weir_functions::Functions;

use super::super::accumulator::Rows;
use super::super::layout::Layout;
use super::{GroupTable, Scratch};

/// `SUM(b)` by `a`.
fn layout() -> Layout {
    let input = Arc::new(Schema::new(["a", "b"].map(|name| Field::new(name, DataType::Int64, true)).to_vec()));
    let sum = AggregateCall {
        function: AggregateFunction::Sum,
        arguments: vec![1],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "sum".to_owned(),
        data_type: DataType::Int64,
    };
    let window = WindowSource::Attached { start: 2, end: 3 };
    let spec = WindowAggregateSpec { window, keys: vec![0], aggregates: vec![sum], partial_input: false, spread: None };
    Layout::new(&spec, &input, false, &Functions::built_in()).unwrap()
}

/// Adds one to each key's sum.
fn update(table: &mut GroupTable, layout: &Layout, keys: std::ops::Range<i64>, scratch: &mut Scratch) {
    let len = (keys.end - keys.start) as usize;
    let columns: [ArrayRef; 2] =
        [Arc::new(Int64Array::from_iter_values(keys)), Arc::new(Int64Array::from(vec![1; len]))];
    table.update(layout, Rows { columns: &columns, len }, scratch).unwrap();
}

fn hashes(keys: std::ops::Range<i64>) -> Vec<u64> {
    let mut hashes = Vec::new();
    let len = (keys.end - keys.start) as usize;
    hash::hash_rows(&[Arc::new(Int64Array::from_iter_values(keys)) as ArrayRef], len, &mut hashes).unwrap();
    hashes
}

#[test]
fn a_table_that_most_groups_have_left_gives_their_memory_back() {
    let (layout, mut scratch) = (layout(), Scratch::default());
    let mut table = GroupTable::new(&layout, 0);
    update(&mut table, &layout, 0..10_000, &mut scratch);
    table.capture().unwrap().unwrap();
    // These change again, and stay.
    update(&mut table, &layout, 9_000..9_010, &mut scratch);
    let stay = hashes(9_000..9_020);
    let left = table.evict(&layout, &|hash| !stay.contains(&hash), &mut scratch).unwrap().left.len();
    assert_eq!((left, table.len(), table.keys.slots()), (9_980, 20, 20));

    let all = table.all();
    let (columns, rows) = table.results(&layout, &all).next().unwrap().unwrap();
    let mut sums: Vec<_> = (0..rows)
        .map(|row| {
            let value = |column: usize| columns[column].as_primitive::<Int64Type>().value(row);
            (value(0), value(1))
        })
        .collect();
    sums.sort_unstable();
    assert_eq!(sums, (9_000..9_020).map(|key| (key, if key < 9_010 { 2 } else { 1 })).collect::<Vec<_>>());

    let changed = table.capture().unwrap().expect("ten groups have changed");
    assert_eq!(changed.picked.pieces().map(|piece| piece.len()).sum::<usize>(), 10);
    assert_eq!(changed.keys.columns(0..10).unwrap()[0].as_primitive::<Int64Type>().values().iter().min(), Some(&9_000));
}
