//! Keys that are equal, and keys that only look so.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::Distribution;

use super::*;

fn floats(values: Vec<Option<f64>>, hashes: Vec<u64>, key_columns: usize) -> (TableSchema, StateRows) {
    let schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Float64, true)]));
    let rows = RecordBatch::try_new(schema.clone(), vec![Arc::new(Float64Array::from(values))]).unwrap();
    let table = TableSchema {
        name: "t".to_owned(),
        version: 1,
        schema,
        key_columns,
        time_column: None,
        distribution: Distribution::Keyed,
    };
    (table, StateRows { rows, hashes: UInt64Array::from(hashes), deleted: None })
}

fn order(table: &TableSchema, rows: StateRows) -> Vec<u32> {
    newest(table, &Pieces::new(table, &[rows]).unwrap()).unwrap()
}

#[test]
fn the_last_row_of_a_key_counts_and_collisions_are_two_keys() {
    let values = vec![Some(1.0), Some(2.0), Some(1.0), None, Some(3.0), None];
    let (table, rows) = floats(values, vec![9, 9, 9, 9, 4, 9], 1);
    assert_eq!(order(&table, rows), [4, 1, 2, 5]);
}

#[test]
fn values_that_hash_as_one_are_one_key() {
    let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
    let (table, rows) = floats(vec![Some(0.0), Some(-0.0), Some(f64::NAN), Some(-other_nan)], vec![1, 1, 2, 2], 1);
    assert_eq!(order(&table, rows), [1, 3]);
}

#[test]
fn without_a_key_all_rows_stay_in_order() {
    let (table, rows) = floats(vec![Some(1.0); 4], vec![5, 3, 5, 3], 0);
    assert_eq!(order(&table, rows), [1, 3, 0, 2]);
}

#[test]
fn rows_that_do_not_fit_their_table_are_refused() {
    let (table, mut rows) = floats(vec![Some(1.0)], vec![1], 1);
    rows.hashes = UInt64Array::from(vec![1, 2]);
    assert!(join(&table, &[rows]).is_err());
}
