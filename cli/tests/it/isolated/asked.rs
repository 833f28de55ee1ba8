//! Aggregates that operators compute in a child come to what they come to in this process, and are asked many at a time.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, UInt64Type};
use arrow::util::pretty::pretty_format_batches;
use weir_core::plugin::{Linked, Plugin, PluginFunction};
use weir_core::{
    AggregateCall, AggregateFunction, Capture, Collector, EventTime, JobGraph, NodeSpec, Operator, OperatorSpec,
    StateRows, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_functions::Functions;
use weir_operators::build;
use weir_plugin_abi::host::load;

use super::functions::{group, text, texts};
use super::{own_plugin, plugin, process_with, schema};
use crate::rust_jobs::example;

const TIME: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);

fn input() -> SchemaRef {
    schema(&[("key", DataType::Utf8View, false), ("text", DataType::Utf8View, false), ("ts", TIME, false)])
}

/// The longest text of each key in each window.
fn longest(plugin: impl Plugin + 'static, window: WindowKind) -> Box<dyn Operator> {
    let (signature, _) = plugin.function("longest").unwrap();
    let call = AggregateCall {
        function: AggregateFunction::Other("longest".into()),
        arguments: vec![1],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "longest".into(),
        data_type: DataType::Utf8View,
    };
    let window = WindowSource::Assign { window, time: 2 };
    let spec =
        WindowAggregateSpec { window, keys: vec![0], aggregates: vec![call], partial_input: false, spread: None };
    let bounds = ["window_start", "window_end", "window_time"].map(|name| (name, TIME, false));
    let told = [("key", DataType::Utf8View, false), ("longest", DataType::Utf8View, true)];
    let output = schema(&[&told[..], &bounds[..]].concat());
    let node = NodeSpec::new("longest", OperatorSpec::WindowAggregate(spec), Vec::new(), output);
    let mut graph = JobGraph::new();
    graph.add(node.clone());
    graph.bind_functions([&PluginFunction { name: "longest".into(), artifact: None, signature }]);
    let functions = Functions::built_in().of_job(&graph, Arc::new(Linked(Arc::new(plugin)))).unwrap();
    build(&node, &[input().into()], &functions).unwrap()
}

/// Rows of a key, a text and a time.
fn give(operator: &mut dyn Operator, rows: &[(usize, String, i64)]) -> Vec<RecordBatch> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(key, ..)| format!("key {key}")))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, text, _)| text))),
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|(.., time)| *time))),
    ];
    let mut out = Collector::new(0);
    operator.process(0, RecordBatch::try_new(input(), columns).unwrap().into(), &mut out).unwrap();
    emitted(&mut out)
}

fn watermark(operator: &mut dyn Operator, time: i64) -> Vec<RecordBatch> {
    let mut out = Collector::new(0);
    operator.watermark(EventTime(time), &mut out).unwrap();
    operator.release(&mut out).unwrap();
    emitted(&mut out)
}

fn emitted(out: &mut Collector) -> Vec<RecordBatch> {
    out.take().into_iter().map(|(_, batch)| batch.records().clone()).collect()
}

/// What is stored at the end of an epoch.
fn captured(operator: &mut dyn Operator) -> Vec<Capture> {
    let mut out = Collector::new(0);
    operator.release(&mut out).unwrap();
    operator.flush(&mut out).unwrap();
    assert!(emitted(&mut out).is_empty());
    operator.capture().unwrap()
}

/// Rows, whatever their order.
fn shown(rows: &[RecordBatch]) -> Vec<String> {
    let mut lines: Vec<String> = pretty_format_batches(rows).unwrap().to_string().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// How often a child has waited: once for each call, at least.
fn waits(child: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

/// How often a child waits meanwhile.
fn waits_in<T>(child: u32, act: impl FnOnce() -> T) -> (u64, T) {
    let before = waits(child);
    let made = act();
    (waits(child) - before, made)
}

const KEYS: usize = 2000;
/// Times that a child waits for what was given to [`KEYS`] groups and asked of them; a call for each of them would take ten times as many.
const FEW: u64 = 200;

#[test]
fn groups_are_asked_many_at_a_time_however_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, file) = own_plugin(&folder, None, &Arc::default());
    let mut operator = longest(plugin, WindowKind::Tumble { size: 1000, offset: 0 });
    // Groups of two windows, which were made in turn.
    let rows = |step: usize, word: &str| -> Vec<(usize, String, i64)> {
        let row = |key: usize| [0, 1].map(|window| (key, format!("{word} {key} {window}"), window * 1000));
        (0..KEYS / 2).step_by(step).flat_map(row).collect()
    };
    give(&mut *operator, &rows(1, "a"));
    let [child] = process_with(&file)[..] else { panic!("it has one child") };
    let stored = |operator: &mut dyn Operator| -> usize {
        let pieces = captured(operator).into_iter().flat_map(|captured| (captured.rows)().unwrap());
        pieces.map(|piece| piece.rows.num_rows()).sum()
    };
    let (dense, states) = waits_in(child, || stored(&mut *operator));
    assert_eq!(states, KEYS);
    let (sparse, states) = waits_in(child, || {
        give(&mut *operator, &rows(2, "longer"));
        stored(&mut *operator)
    });
    assert_eq!(states, KEYS / 2);
    let (interleaved, results) = waits_in(child, || watermark(&mut *operator, 1000));
    let results: Vec<String> = results
        .iter()
        .flat_map(|batch| batch.column(1).as_string_view().iter().flatten().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(results.len(), KEYS / 2);
    assert!(results.contains(&"longer 2 0".to_owned()) && results.contains(&"a 1 0".to_owned()), "{results:?}");
    assert!(dense < FEW && sparse < FEW && interleaved < FEW, "{dense}, {sparse} and {interleaved} calls");
}

#[test]
fn what_nobody_asked_for_is_not_computed() {
    let plugin = plugin();
    let mut groups: Vec<_> = ["a", "a number, which is no text", "b", "c"].map(|text| (text, group(&plugin))).into();
    for (text, group) in &mut groups {
        group.update(&[texts(&[*text])], 1).unwrap();
    }
    for place in [0, 2, 1, 3] {
        groups[place].1.announce(true);
    }
    let mut result = |place: usize| groups[place].1.result().map(|result| text(&result).unwrap());
    assert_eq!([0, 2].map(|place| result(place).unwrap()), ["a", "b"]);
    // It is told when it is asked, and whoever comes behind it tells what that one has come to.
    assert!(result(1).is_err());
    assert_eq!(result(3).unwrap(), "c");
}

/// Rows of ten keys around a time, which is later each round.
fn random_rows(seed: &mut u64, round: usize) -> Vec<(usize, String, i64)> {
    let mut random = || super::beside::random(seed);
    let row = |_| {
        let time = i64::try_from(round * 300 + random() % 1200).unwrap();
        (random() % 10, "x".repeat(1 + random() % 30) + &random().to_string(), time)
    };
    (0..40).map(row).collect()
}

#[test]
fn windows_and_sessions_come_to_the_same_as_in_this_process_also_from_their_states() {
    let windows = [
        WindowKind::Tumble { size: 1000, offset: 0 },
        WindowKind::Hop { slide: 200, size: 1000, offset: 0 },
        WindowKind::Session { gap: 60 },
    ];
    for window in windows {
        let here = || load(&example("weir_test_plugin")).unwrap();
        let mut operators = [longest(plugin(), window), longest(here(), window)];
        let (mut seed, mut told) = (11, 0);
        for round in 0..60 {
            let rows = random_rows(&mut seed, round);
            let time = i64::try_from(round * 300).unwrap();
            let [apart, expected] = operators.each_mut().map(|operator| {
                let mut said = give(&mut **operator, &rows);
                said.extend(watermark(&mut **operator, time));
                shown(&said)
            });
            assert_eq!(apart, expected, "{window:?}, round {round}");
            told += apart.len();
            if round % 10 == 7 {
                // Each goes on from what the other one has stored. What they have loaded themselves ten rounds ago is over.
                let fresh = [longest(plugin(), window), longest(here(), window)];
                operators = going_on(&mut operators, fresh);
            }
        }
        assert!(told > 100, "{window:?}: {told} rows");
    }
}

fn is_deleted(piece: &StateRows, row: usize) -> bool {
    piece.deleted.as_ref().is_some_and(|deleted| deleted.value(row))
}

/// Operators that have what two others have stored, crosswise.
fn going_on(operators: &mut [Box<dyn Operator>; 2], mut fresh: [Box<dyn Operator>; 2]) -> [Box<dyn Operator>; 2] {
    for (place, operator) in operators.iter_mut().enumerate() {
        for (table, captured) in captured(&mut **operator).into_iter().enumerate() {
            for piece in (captured.rows)().unwrap() {
                let stays =
                    BooleanArray::from_iter((0..piece.rows.num_rows()).map(|row| Some(!is_deleted(&piece, row))));
                let hashes = filter(&piece.hashes, &stays).unwrap().as_primitive::<UInt64Type>().clone();
                fresh[1 - place].load(table, &filter_record_batch(&piece.rows, &stays).unwrap(), &hashes).unwrap();
            }
        }
    }
    fresh
}
