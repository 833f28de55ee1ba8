//! Operators behind the boundary do what they do without it. Another crate has the same done in processes of their own.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int8Array, Int32Builder,
    Int64Array, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use weir_core::plugin::{OperatorRequest, Plugin};
use weir_core::{Batch, Collector, ErrorKind, EventTime, HashRange, OpenContext, Operator, OutputPort, Result};

use super::{count_input, count_output, plugin};

/// The operator that counts, with what goes wrong in it.
pub fn request(fault: &str) -> OperatorRequest {
    OperatorRequest {
        operator: "count".into(),
        config: fault.as_bytes().to_vec(),
        inputs: vec![count_input()],
        keys: vec![Some(vec![0])],
        output: count_output(),
        side_outputs: vec![count_input()],
    }
}

pub fn count(plugin: &dyn Plugin, fault: &str) -> Box<dyn Operator> {
    plugin.operator(&request(fault)).unwrap()
}

pub fn words(words: &[Option<&str>]) -> Batch {
    let times = TimestampMillisecondArray::from_iter_values(0..words.len() as i64);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringViewArray::from(words.to_vec())), Arc::new(times)];
    RecordBatch::try_new(count_input(), columns).unwrap().into()
}

fn counts(batch: &Batch) -> Vec<(String, i64)> {
    let records = batch.records();
    let (words, counts) = (records.column(0).as_string_view(), records.column(1).as_primitive::<Int64Type>());
    words.iter().zip(counts).map(|(word, count)| (word.unwrap().to_owned(), count.unwrap())).collect()
}

#[test]
fn rows_go_in_and_out_and_each_output_has_its_own() {
    let mut operator = count(&plugin(), "");
    let mut out = Collector::new(0);
    let long = "a word that is too long to stand in its view";
    operator.process(0, words(&[Some("a"), None, Some(long), Some("a")]), &mut out).unwrap();
    let emitted = out.take();
    assert_eq!(emitted.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [OutputPort::Side(0), OutputPort::Main]);
    assert_eq!(emitted[0].1.num_rows(), 1);
    assert_eq!(counts(&emitted[1].1), [("a".to_owned(), 1), (long.to_owned(), 1), ("a".to_owned(), 2)]);
}

#[test]
fn state_is_captured_and_goes_on_elsewhere() {
    let mut first = count(&plugin(), "");
    first
        .open(&OpenContext { range: HashRange::ALL, watermark: EventTime::MIN, restored: false, has_expired: false })
        .unwrap();
    let mut out = Collector::new(0);
    first.process(0, words(&[Some("a"), Some("b"), Some("a")]), &mut out).unwrap();
    let captures = first.capture().unwrap();
    assert!(first.state_bytes() > 0);
    assert_eq!(captures.len(), 1);
    let pieces: Vec<_> = captures.into_iter().flat_map(|capture| (capture.rows)().unwrap()).collect();
    // Rows are made later, and may live longer than what has made them.
    drop((first, out));
    let mut second = count(&plugin(), "");
    for piece in &pieces {
        second.load(0, &piece.rows, &piece.hashes).unwrap();
    }
    let mut out = Collector::new(0);
    second.process(0, words(&[Some("b"), Some("a"), Some("c")]), &mut out).unwrap();
    let (_, rows) = out.take().pop().unwrap();
    assert_eq!(counts(&rows), [("b".to_owned(), 2), ("a".to_owned(), 3), ("c".to_owned(), 1)]);
    // What was not made is given back.
    drop(second.capture().unwrap());
    let (gone, word) = (pieces[0].hashes.value(0), pieces[0].rows.column(0).as_string_view().value(0));
    assert_eq!(second.evict(&|hash| hash == gone).unwrap(), [EventTime::MAX]);
    second.process(0, words(&[Some("a"), Some("b")]), &mut out).unwrap();
    // It begins anew, and the other one goes on.
    let expected = if word == "a" {
        [("a".to_owned(), 1), ("b".to_owned(), 3)]
    } else {
        [("a".to_owned(), 4), ("b".to_owned(), 1)]
    };
    assert_eq!(counts(&out.take().pop().unwrap().1), expected, "`{word}` was forgotten");
}

#[test]
fn errors_keep_their_kind_and_advice() {
    let mut operator = count(&plugin(), "error");
    let error = operator.process(0, words(&[Some("a")]), &mut Collector::new(0)).expect_err("it fails");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.report(), "a word of which there is no count\n  help: use another word");
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(4)]),
    ]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..4 {
        map.keys().append_value(format!("key {row}"));
        map.values().append_option((row != 2).then_some(row));
        map.append(row != 1).unwrap();
    }
    let inner: ArrayRef =
        Arc::new(StringViewArray::from(vec![Some("x"), None, Some("a text that has a buffer of its own"), Some("")]));
    let structs = StructArray::from(vec![(Arc::new(Field::new("inner", DataType::Utf8View, true)), inner)]);
    let decimals = Decimal128Array::from(vec![Some(1), None, Some(-3), Some(i128::MAX / 100)])
        .with_precision_and_scale(38, 2)
        .unwrap();
    vec![
        ("truth", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]))),
        ("integer", Arc::new(Int64Array::from(vec![None, Some(2), Some(3), Some(4)]))),
        ("sure", Arc::new(UInt64Array::from(vec![1, 2, 3, u64::MAX]))),
        ("float", Arc::new(Float64Array::from(vec![1.5, f64::NAN, -0.0, f64::INFINITY]))),
        ("text", Arc::new(StringArray::from(vec![Some("a"), Some(""), None, Some("δ")]))),
        (
            "view",
            Arc::new(StringViewArray::from(vec![
                Some("short"),
                None,
                Some("one that is longer than twelve bytes"),
                Some(""),
            ])),
        ),
        ("list", Arc::new(list)),
        ("map", Arc::new(map.finish())),
        ("struct", Arc::new(structs)),
        ("decimal", Arc::new(decimals)),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4], [5, 6], [7, 8]].into_iter()).unwrap()),
        ),
    ]
}

pub fn echoed(batch: &Batch) -> Result<(Batch, u64)> {
    let request = OperatorRequest {
        operator: "echo".into(),
        config: Vec::new(),
        inputs: vec![batch.schema()],
        keys: vec![None],
        output: batch.schema(),
        side_outputs: Vec::new(),
    };
    let mut operator = plugin().operator(&request)?;
    let mut out = Collector::new(0);
    operator.process(0, batch.clone(), &mut out)?;
    let late = out.take_late_rows();
    Ok((out.take().pop().unwrap().1, late))
}

#[test]
fn rows_of_every_type_come_back_as_they_were_also_pieces_of_others() {
    let whole =
        RecordBatch::try_from_iter_with_nullable(columns().into_iter().map(|(name, column)| (name, column, true)))
            .unwrap();
    for (offset, length) in [(0, 4), (1, 3), (3, 1), (1, 1)] {
        let batch = Batch::append(whole.slice(offset, length));
        let (echo, late) = echoed(&batch).unwrap();
        assert_eq!((echo.records(), late), (batch.records(), length as u64), "rows {offset} to {}", offset + length);
    }
    let weighted = Batch::weighted(whole, Int8Array::from(vec![1, -1, 1, -1])).unwrap();
    assert_eq!(echoed(&weighted).unwrap().0.weights(), weighted.weights());
}

#[test]
fn rows_without_columns_are_rows() {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    assert_eq!(echoed(&batch.into()).unwrap().0.num_rows(), 3);
}

#[test]
fn watermarks_come_back_or_do_not() {
    let request = OperatorRequest {
        operator: "echo".into(),
        config: Vec::new(),
        inputs: vec![count_input()],
        keys: vec![None],
        output: count_input(),
        side_outputs: Vec::new(),
    };
    let mut operator = plugin().operator(&request).unwrap();
    let mut out = Collector::new(0);
    assert_eq!(operator.watermark(EventTime(-5), &mut out).unwrap(), None);
    assert_eq!(operator.watermark(EventTime(7), &mut out).unwrap(), Some(EventTime(7)));
}
