//! Aggregates without windows: scripts, and random changes against an oracle that keeps all rows, through real state files, other
//! parallelism, and memory for a part of the keys.

use std::collections::BTreeMap;

use arrow::array::Int8Array;
use arrow::datatypes::DataType;
use proptest::prelude::*;
use weir_core::{
    AggregateCall, AggregateFunction, Batch, ChangelogKind, EventTime, GroupAggregateSpec, NodeSpec, OperatorSpec,
    SortKey, SortedRowsSpec, Watermark,
};

use super::{call, other};
use crate::testing::{Plan, Script, Step, check, node, rows, run, schema};

const INPUT: &str = "who STRING, amount BIGINT";

fn aggregate(keys: Vec<usize>, aggregates: Vec<AggregateCall>, retracts: bool, output: &str) -> NodeSpec {
    let changelog = match aggregates.is_empty() && !retracts {
        true => ChangelogKind::Append,
        false => ChangelogKind::Retract,
    };
    let spec = GroupAggregateSpec { keys, aggregates, retracts, time_to_live: None, window: None };
    NodeSpec { changelog, ..node(OperatorSpec::GroupAggregate(spec), &schema(output)) }
}

fn count_and_sum() -> Vec<AggregateCall> {
    let sum = call(AggregateFunction::Sum, &[1], DataType::Int64);
    vec![call(AggregateFunction::Count, &[], DataType::Int64), sum]
}

#[test]
fn results_take_the_place_of_those_before_where_a_marker_passes() {
    let script = "
        in> a | 1
        in> a | 2
        in> b | NULL
        out> a | 2 | 3
        out> b | 1 | NULL
        marker
        marker
        in> a | 0
        in> b | NULL
        in> NULL | 7
        out- a | 2 | 3
        out> a | 3 | 3
        out- b | 1 | NULL
        out> b | 2 | NULL
        out> NULL | 1 | 7
        marker
        in> a | -3
        end
        out- a | 3 | 3
        out> a | 4 | 0
    ";
    let output = "who STRING, n BIGINT, total BIGINT";
    check(&aggregate(vec![0], count_and_sum(), false, output), &[schema(INPUT)], script);
    check(&aggregate(vec![0], count_and_sum(), true, output), &[schema(INPUT)], script);
}

#[test]
fn what_does_not_change_is_not_said_again() {
    let greatest = vec![call(AggregateFunction::Max, &[1], DataType::Int64)];
    let script = "
        in> a | 5
        out> a | 5
        marker
        in> a | 4
        marker
        in> a | 6
        out- a | 5
        out> a | 6
        end
    ";
    check(&aggregate(vec![0], greatest, false, "who STRING, most BIGINT"), &[schema(INPUT)], script);
}

#[test]
fn a_group_goes_with_its_last_row_and_its_results_go_back() {
    let script = "
        in> a | 1
        in> a | 5
        in> b | 7
        out> a | 2 | 6 | 5 | 1
        out> b | 1 | 7 | 7 | 7
        marker
        in- a | 5
        out- a | 2 | 6 | 5 | 1
        out> a | 1 | 1 | 1 | 1
        marker
        in- a | 1
        in- b | 7
        in> b | NULL
        out- a | 1 | 1 | 1 | 1
        out- b | 1 | 7 | 7 | 7
        out> b | 1 | NULL | NULL | NULL
        marker
        in> a | 9
        in> c | 1
        in- c | 1
        out> a | 1 | 9 | 9 | 9
        marker
        end
    ";
    let mut calls = count_and_sum();
    calls.push(call(AggregateFunction::Max, &[1], DataType::Int64));
    calls.push(call(AggregateFunction::Min, &[1], DataType::Int64));
    let output = "who STRING, n BIGINT, total BIGINT, most BIGINT, least BIGINT";
    check(&aggregate(vec![0], calls, true, output), &[schema(INPUT)], script);
}

#[test]
fn without_keys_there_is_one_row_from_the_start() {
    let script = "
        out> 0 | NULL
        marker
        marker
        in> a | 3
        out- 0 | NULL
        out> 1 | 3
        marker
        in> b | 4
        out- 1 | 3
        out> 2 | 7
        marker
        end
    ";
    let output = "n BIGINT, total BIGINT";
    check(&aggregate(vec![], count_and_sum(), false, output), &[schema(INPUT)], script);
    let script = "
        in> a | 3
        out> 1 | 3
        marker
        in- a | 3
        out- 1 | 3
        out> 0 | NULL
        marker
        in> a | 3
        in- a | 3
        marker
        in> a | 5
        out- 0 | NULL
        out> 1 | 5
        end
    ";
    check(&aggregate(vec![], count_and_sum(), true, output), &[schema(INPUT)], script);
}

#[test]
fn groups_without_aggregates_are_there_once_and_stay() {
    let script = "
        in> a | 1
        in> a | 2
        in> NULL | 2
        out> a
        out> NULL
        marker
        in> a | 3
        in> b | 3
        out> b
        end
    ";
    check(&aggregate(vec![0], Vec::new(), false, "who STRING"), &[schema(INPUT)], script);
}

#[test]
fn values_are_read_in_the_order_in_which_they_came() {
    let separator = weir_core::Literal { data_type: DataType::Utf8, value: weir_core::LiteralValue::Utf8("-".into()) };
    let list = AggregateCall { constants: vec![separator], ..other("string_agg", &[0], DataType::Utf8View) };
    let calls = vec![
        call(AggregateFunction::FirstValue, &[0], DataType::Utf8View),
        call(AggregateFunction::LastValue, &[0], DataType::Utf8View),
        list,
    ];
    let script = "
        in> b | 1
        in> a | 1
        in> c | 1
        in> a | 1
        out> 1 | b | a | b-a-c-a
        marker
        in- b | 1
        out- 1 | b | a | b-a-c-a
        out> 1 | a | a | a-c-a
        marker
        in- a | 1
        in> d | 1
        out- 1 | a | a | a-c-a
        out> 1 | a | d | a-c-d
        marker
        end
    ";
    let output = "amount BIGINT, first STRING, last STRING, list STRING";
    check(&aggregate(vec![1], calls, true, output), &[schema(INPUT)], script);
}

#[test]
fn rows_that_are_left_of_a_changelog_come_out_at_its_end() {
    let left = || NodeSpec { changelog: ChangelogKind::Append, ..node(OperatorSpec::FinalRows, &schema(INPUT)) };
    let script = "
        in> a | 1
        in> a | 1
        in> b | 2
        in> NULL | NULL
        marker
        in- a | 1
        in- b | 2
        marker
        watermark 12:00:00
        in> b | 3
        marker
        in> c | 1
        in> a | 1
        in- c | 1
        end
        out> a | 1
        out> a | 1
        out> b | 3
        out> NULL | NULL
        marker
        marker
    ";
    check(&left(), &[schema(INPUT)], script);
}

#[test]
fn rows_that_are_sorted_are_all_that_are_left() {
    let key = |column, descending| SortKey { column, descending, nulls_first: !descending };
    let spec = SortedRowsSpec { order: vec![key(1, true), key(0, false)] };
    let operator = OperatorSpec::SortedRows(spec);
    let left = NodeSpec { changelog: ChangelogKind::Append, ..node(operator, &schema(INPUT)) };
    let script = "
        in> b | 1
        in> b | 2
        in> a | 2
        in> a | NULL
        marker
        in> NULL | 2
        in- b | 2
        in> b | 1
        end
        out> NULL | 2
        out> a | 2
        out> b | 1
        out> b | 1
        out> a | NULL
    ";
    check(&left, &[schema(INPUT)], script);
}

/// A row of the random tests: who, a number, a text.
type Row = (Option<u8>, Option<i64>, Option<u8>);

fn line((who, number, text): &Row) -> String {
    let cell = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let text = text.map(|text| format!("text {text} that does not fit into a view"));
    format!("{} | {} | {}", cell(who.map(|who| who.to_string())), cell(number.map(|n| n.to_string())), cell(text))
}

fn batch(changes: &[(i8, Row)], retracts: bool) -> Batch {
    let lines: Vec<String> = changes.iter().map(|(_, row)| line(row)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let weights: Int8Array = changes.iter().map(|(weight, _)| Some(*weight)).collect();
    let records = rows(&schema("who BIGINT, number BIGINT, text STRING"), &lines);
    if retracts { Batch::weighted(records, weights).unwrap() } else { Batch::append(records) }
}

/// What the aggregates are of these rows, as text.
fn results(rows: &[Row]) -> String {
    let cell = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let numbers: Vec<i64> = rows.iter().filter_map(|row| row.1).collect();
    let mut texts: Vec<u8> = rows.iter().filter_map(|row| row.2).collect();
    texts.sort_unstable();
    texts.dedup();
    let mean = (!numbers.is_empty()).then(|| numbers.iter().sum::<i64>() as f64 / numbers.len() as f64);
    let columns = [
        Some(rows.len().to_string()),
        Some(numbers.len().to_string()),
        (!numbers.is_empty()).then(|| numbers.iter().sum::<i64>().to_string()),
        numbers.iter().min().map(i64::to_string),
        numbers.iter().max().map(i64::to_string),
        mean.map(|mean| mean.to_string()),
        Some(texts.len().to_string()),
        texts.first().map(|text| format!("text {text} that does not fit into a view")),
    ];
    columns.into_iter().map(cell).collect::<Vec<_>>().join(" | ")
}

fn random_aggregates() -> Vec<AggregateCall> {
    use AggregateFunction::*;
    vec![
        call(Count, &[], DataType::Int64),
        call(Count, &[1], DataType::Int64),
        call(Sum, &[1], DataType::Int64),
        call(Min, &[1], DataType::Int64),
        call(Max, &[1], DataType::Int64),
        call(ExactAvg, &[1], DataType::Float64),
        AggregateCall { distinct: true, name: "distinct".into(), ..call(Count, &[2], DataType::Int64) },
        call(Min, &[2], DataType::Utf8View),
    ]
}

#[derive(Debug, Clone)]
enum Change {
    Add(Vec<Row>),
    /// Of the rows that are there, those at these places (modulo how many there are).
    TakeBack(Vec<usize>),
    Marker,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let row = (
        prop::option::weighted(0.9, 0_u8..4),
        prop::option::weighted(0.8, -3_i64..4),
        prop::option::weighted(0.8, 0_u8..3),
    );
    let change = prop_oneof![
        4 => prop::collection::vec(row, 1..8).prop_map(Change::Add),
        3 => prop::collection::vec(any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20)), 1..8).prop_map(Change::TakeBack),
        2 => Just(Change::Marker),
    ];
    prop::collection::vec(change, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_the_rows_come_to(
        keyed in any::<bool>(),
        retracts in any::<bool>(),
        at_the_end in any::<bool>(),
        changes in changes(),
    ) {
        let (mut live, mut script, mut expected): (Vec<Row>, _, _) = (Vec::new(), Script::default(), Vec::new());
        let shown = |live: &[Row]| {
            let mut groups: BTreeMap<Option<u8>, Vec<Row>> = BTreeMap::new();
            live.iter().for_each(|row| groups.entry(row.0.filter(|_| keyed)).or_default().push(*row));
            if !keyed {
                groups.entry(None).or_default();
            }
            let key = |key: &Option<u8>| key.map_or_else(|| "NULL".to_owned(), |key| key.to_string());
            let line = |(who, rows): (&Option<u8>, &Vec<Row>)| match keyed {
                true => format!("{} | {}", key(who), results(rows)),
                false => results(rows),
            };
            groups.iter().map(line).map(|line| (line, 1)).collect::<BTreeMap<String, i64>>()
        };
        let end = Step::Watermark(0, Watermark::At(EventTime::MAX));
        // What is left after the last marker comes out at the end of time.
        let last = if at_the_end { None } else { Some(&Change::Marker) };
        for change in changes.iter().chain(last) {
            match change {
                Change::Add(rows) => {
                    live.extend(rows);
                    let rows: Vec<_> = rows.iter().map(|row| (1, *row)).collect();
                    script.steps.push(Step::Rows(0, batch(&rows, retracts)));
                }
                Change::TakeBack(_) if !retracts => {}
                Change::TakeBack(places) => {
                    let mut rows = Vec::new();
                    for place in places {
                        if !live.is_empty() {
                            rows.push((-1, live.remove(place % live.len())));
                        }
                    }
                    if !rows.is_empty() {
                        script.steps.push(Step::Rows(0, batch(&rows, retracts)));
                    }
                }
                Change::Marker => {
                    script.steps.push(Step::Marker);
                    expected.push(shown(&live));
                }
            }
        }
        script.steps.push(end);
        expected.push(shown(&live));
        let keys = if keyed { vec![0] } else { Vec::new() };
        let columns = "a BIGINT, b BIGINT, c BIGINT, d BIGINT, e BIGINT, f DOUBLE, g BIGINT, h STRING";
        let output = if keyed { format!("who BIGINT, {columns}") } else { columns.to_owned() };
        let node = aggregate(keys, random_aggregates(), retracts, &output);
        let input = schema("who BIGINT, number BIGINT, text STRING");
        for plan in Plan::ALL {
            let mut all: BTreeMap<String, i64> = BTreeMap::new();
            let found = run(&node, std::slice::from_ref(&input), &script, plan).unwrap();
            prop_assert_eq!(found.len(), expected.len());
            for (interval, expected) in found.iter().zip(&expected) {
                for row in &interval.rows {
                    let (row, weight) = row.strip_prefix("- ").map_or((row.as_str(), 1), |row| (row, -1));
                    *all.entry(row.to_owned()).or_insert(0) += weight;
                }
                all.retain(|_, count| *count != 0);
                prop_assert_eq!(&all, expected, "{:?}", plan);
            }
        }
    }
}

/// Aggregates whose states are not typed, or say no more than the values that they come from.
fn untyped() -> Vec<AggregateCall> {
    let distinct =
        |call: AggregateCall| AggregateCall { distinct: true, name: format!("distinct {}", call.name), ..call };
    let list = DataType::List(std::sync::Arc::new(arrow::datatypes::Field::new("item", DataType::Int64, true)));
    let separator = weir_core::Literal { data_type: DataType::Utf8, value: weir_core::LiteralValue::Utf8(",".into()) };
    let listed = AggregateCall { constants: vec![separator], ..other("string_agg", &[2], DataType::Utf8View) };
    vec![
        other("regr_avgx", &[3, 3], DataType::Float64),
        other("approx_median", &[3], DataType::Float64),
        other("stddev", &[3], DataType::Float64),
        other("median", &[3], DataType::Float64),
        other("array_agg", &[1], list.clone()),
        distinct(other("array_agg", &[1], list)),
        distinct(listed),
        distinct(call(AggregateFunction::Sum, &[3], DataType::Float64)),
        distinct(call(AggregateFunction::Avg, &[3], DataType::Float64)),
        other("bool_or", &[4], DataType::Boolean),
        other("bit_xor", &[1], DataType::Int64),
    ]
}

/// The harness takes no row back that is not there with just these values.
#[test]
fn what_was_shown_is_taken_back_as_it_was_shown() {
    let columns = "who BIGINT, number BIGINT, text STRING, float DOUBLE, flag BOOLEAN";
    let input = schema(columns);
    for call in untyped() {
        let mut script = Script::default();
        for round in 0..12 {
            let line = |row: i64| {
                let number = (round * 7 + row * 13) % 31;
                format!("{} | {number} | text {number} | {} | {}", row % 3, number as f64 * 0.1, number % 2 == 0)
            };
            let lines: Vec<String> = (0..5).map(line).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            script.steps.push(Step::Rows(0, Batch::append(rows(&input, &lines))));
            script.steps.push(Step::Marker);
        }
        let output = std::sync::Arc::new(arrow::datatypes::Schema::new(vec![
            arrow::datatypes::Field::new("who", DataType::Int64, true),
            arrow::datatypes::Field::new("result", call.data_type.clone(), true),
        ]));
        let name = call.name.clone();
        let spec = GroupAggregateSpec {
            keys: vec![0],
            aggregates: vec![call],
            retracts: false,
            time_to_live: None,
            window: None,
        };
        let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::GroupAggregate(spec), &output) };
        let alone = run(&node, std::slice::from_ref(&input), &script, Plan::Alone).unwrap();
        for plan in [Plan::Rescaled, Plan::Unloaded, Plan::Evicted] {
            let found = run(&node, std::slice::from_ref(&input), &script, plan);
            let found = found.unwrap_or_else(|error| panic!("{name} {plan:?}: {}", error.report()));
            for (found, alone) in found.iter().zip(&alone) {
                assert_eq!(found.rows, alone.rows, "{name} {plan:?}");
            }
        }
    }
}
