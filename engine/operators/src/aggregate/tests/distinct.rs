//! Distinct values, counted under several conditions at once.

use arrow::datatypes::DataType;
use weir_core::{AggregateCall, AggregateFunction, GroupAggregateSpec, NodeSpec, OperatorSpec, WindowAggregateSpec};
use weir_core::{ChangelogKind, WindowKind, WindowSource};

use super::call;
use crate::testing::{check, node, schema};

fn counts(values: usize, conditions: [usize; 2]) -> Vec<AggregateCall> {
    let distinct = |filter| AggregateCall {
        distinct: true,
        filter,
        name: format!("{values} where {filter:?}"),
        ..call(AggregateFunction::Count, &[values], DataType::Int64)
    };
    let [first, second] = conditions;
    let rows = call(AggregateFunction::Count, &[], DataType::Int64);
    vec![rows.clone(), distinct(None), distinct(Some(first)), distinct(Some(second)), rows, distinct(Some(second))]
}

#[test]
fn a_value_counts_once_for_each_condition_that_it_has_met() {
    let script = "
        in> a | x | true | false
        in> a | x | false | NULL
        in> a | y | NULL | false
        in> b | NULL | true | true
        out> a | 3 | 2 | 1 | 0 | 3 | 0
        out> b | 1 | 0 | 0 | 0 | 1 | 0
        marker
        in> a | y | true | true
        out- a | 3 | 2 | 1 | 0 | 3 | 0
        out> a | 4 | 2 | 2 | 1 | 4 | 1
        marker
        in> b | z | false | false
        in> a | y | true | true
        out- b | 1 | 0 | 0 | 0 | 1 | 0
        out> b | 2 | 1 | 0 | 0 | 2 | 0
        out- a | 4 | 2 | 2 | 1 | 4 | 1
        out> a | 5 | 2 | 2 | 1 | 5 | 1
        end
    ";
    let input = schema("who STRING, what STRING, first BOOLEAN, second BOOLEAN");
    let output = schema("who STRING, n BIGINT, d BIGINT, f BIGINT, s BIGINT, m BIGINT, t BIGINT");
    let aggregates = counts(1, [2, 3]);
    let spec = GroupAggregateSpec { keys: vec![0], aggregates, retracts: false, time_to_live: None, window: None };
    let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::GroupAggregate(spec), &output) };
    check(&node, &[input], script);
}

#[test]
fn in_windows_too_that_are_put_together_from_panes() {
    let script = "
        in> 12:00:01 | a | x | true | false
        in> 12:00:03 | a | x | false | true
        in> 12:00:03 | a | y | false | false
        marker
        watermark 12:00:01.999
        out> a | 1 | 1 | 1 | 0 | 1 | 0 | 11:59:58 | 12:00:02 | 12:00:01.999
        marker
        watermark 12:00:04
        out> a | 3 | 2 | 1 | 1 | 3 | 1 | 12:00:00 | 12:00:04 | 12:00:03.999
        marker
        end
        out> a | 2 | 2 | 0 | 1 | 2 | 1 | 12:00:02 | 12:00:06 | 12:00:05.999
        sent> end
    ";
    let input = schema("time TIMESTAMP, who STRING, what STRING, first BOOLEAN, second BOOLEAN");
    let output = "who STRING, n BIGINT, d BIGINT, f BIGINT, s BIGINT, m BIGINT, t BIGINT, b TIMESTAMP, e TIMESTAMP, at TIMESTAMP";
    let hop = WindowKind::Hop { slide: 2000, size: 4000, offset: 0 };
    let window = WindowSource::Assign { window: hop, time: 0 };
    let aggregates = counts(2, [3, 4]);
    let spec = WindowAggregateSpec { window, keys: vec![1], aggregates, partial_input: false, spread: None };
    check(&node(OperatorSpec::WindowAggregate(spec), &schema(output)), &[input], script);
}
