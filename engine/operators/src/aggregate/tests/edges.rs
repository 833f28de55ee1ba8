//! What users meet at the edges: overflow, times out of range, late rows; and that a capture holds what changed alone.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use weir_core::{
    AggregateCall, AggregateFunction, Attempt, Batch, Collector, Epoch, ErrorKind, EventTime, HashRange, Operator,
    OperatorUid, OutputPort, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_functions::Functions;
use weir_state::{CapturedTable, MemoryStorage, StateStore, Storage, Times, encode};

use super::super::full;
use super::row::{COLUMNS, Row, batch, schema};
use super::{ID, NUMBER, call};

fn operator(call: AggregateCall) -> Box<dyn Operator> {
    let mut fields: Vec<FieldRef> = vec![schema().fields()[ID].clone()];
    fields.push(Arc::new(Field::new(&call.name, call.data_type.clone(), true)));
    let time = |name: &str| Arc::new(Field::new(name, COLUMNS[0].1.clone(), false));
    fields.extend(["window_start", "window_end", "window_time"].map(time));
    let window = WindowSource::Assign { window: WindowKind::Tumble { size: 10, offset: 0 }, time: 0 };
    let spec =
        WindowAggregateSpec { window, keys: vec![ID], aggregates: vec![call], partial_input: false, spread: None };
    full(&spec, &schema(), &Arc::new(Schema::new(fields)), "hourly", &Functions::built_in()).unwrap()
}

fn row(time: i64, id: i64, number: i64) -> Row {
    Row { time: Some(time), id: Some(id), name: None, number: Some(number), float: None, flag: None }
}

fn sum() -> Box<dyn Operator> {
    operator(call(AggregateFunction::Sum, &[NUMBER], DataType::Int64))
}

#[test]
fn a_sum_that_does_not_fit_is_an_error() {
    let rows = [row(1, 1, i64::MAX), row(2, 1, 1)];
    let error = sum().process(0, Batch::append(batch(&rows)), &mut Collector::new(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.report().contains("BIGINT") || error.report().contains("Int64"), "{}", error.report());
}

#[test]
fn a_time_out_of_range_is_an_error() {
    let error = sum().process(0, Batch::append(batch(&[row(i64::MAX, 1, 1)])), &mut Collector::new(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
}

#[test]
fn late_rows_are_counted_and_emitted() {
    let (mut operator, mut out) = (sum(), Collector::new(0));
    operator.watermark(EventTime(9), &mut out).unwrap();
    let rows = [row(10, 1, 5), row(9, 1, 6), row(-3, 2, 7)];
    operator.process(0, Batch::append(batch(&rows)), &mut out).unwrap();
    assert_eq!(out.take_late_rows(), 2);
    let late: Vec<_> = out.take().into_iter().map(|(port, batch)| (port, batch.into_appended().unwrap())).collect();
    assert!(late.iter().all(|(port, _)| *port == OutputPort::Late));
    let rows: Vec<&str> = late.iter().flat_map(|(_, rows)| rows.column(3).as_string_view().iter().flatten()).collect();
    assert_eq!(rows.iter().filter(|row| row.contains(r#""number":6"#) || row.contains(r#""number":7"#)).count(), 2);
}

#[test]
fn a_capture_holds_what_changed() {
    let (mut operator, mut out) = (sum(), Collector::new(0));
    let mut captured = |ids: std::ops::Range<i64>| {
        let rows: Vec<Row> = ids.map(|id| row(1, id, 1)).collect();
        operator.process(0, Batch::append(batch(&rows)), &mut out).unwrap();
        let rows = (operator.capture().unwrap().remove(0).rows)().unwrap();
        let sums =
            rows.iter().flat_map(|rows| rows.rows.column(4).as_primitive::<arrow::datatypes::Int64Type>().iter());
        sums.map(|sum| sum.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(captured(0..20_000), vec![1; 20_000]);
    assert_eq!(captured(8_000..8_200), vec![2; 200]);
    assert_eq!(captured(0..10_000), [vec![2; 8_000], vec![3; 200], vec![2; 1_800]].concat());
}

#[test]
fn windows_that_close_do_not_read_panes_of_later_ones() {
    let (mut operator, mut out) = (sum(), Collector::new(0));
    let rows: Vec<Row> = (0..100).map(|id| row(95, id, 1)).collect();
    operator.process(0, Batch::append(batch(&rows)), &mut out).unwrap();
    let (storage, tables, uid) = (Arc::new(MemoryStorage::default()), operator.tables(), OperatorUid("sum".to_owned()));
    let capture = operator.capture().unwrap();
    let captured = CapturedTable { uid: uid.clone(), watermark: EventTime::MIN, schema: tables[0].clone(), capture };
    let snapshot = encode(vec![captured], "runs/1").unwrap();
    snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
    let store = StateStore::new(storage, (uid, Attempt(1)), tables, None).unwrap();
    store.add(Epoch(1), &snapshot.operators[0].tables);
    let slices_at = |watermark| {
        let due = operator.due(0, EventTime(watermark));
        let found = store.due_slices(HashRange::ALL, &[Times { expired: None, due, settled: due }]).unwrap();
        (found.slices.len(), found.least[0])
    };
    assert_eq!(slices_at(9), (0, EventTime(99)), "where the next row is, the footer says");
    assert_eq!(slices_at(99), (1, EventTime::MAX));
}
