//! Groups of windows that are shown before they close, or that rows still change which come late.

use arrow::datatypes::DataType;
use weir_core::{AggregateFunction, ChangelogKind, GroupAggregateSpec, NodeSpec, OperatorSpec, UpdatedWindow};

use super::call;
use crate::testing::{check, node, schema};

const INPUT: &str = "who STRING, amount BIGINT, end TIMESTAMP";

/// Count and sum of each name and window.
fn aggregate(lateness: u64, early: bool) -> NodeSpec {
    let of = |function, arguments: &[usize]| call(function, arguments, DataType::Int64);
    let spec = GroupAggregateSpec {
        keys: vec![0, 2],
        aggregates: vec![of(AggregateFunction::Count, &[]), of(AggregateFunction::Sum, &[1])],
        retracts: false,
        time_to_live: None,
        window: Some(UpdatedWindow { end: 2, lateness, early }),
    };
    let output = schema("who STRING, end TIMESTAMP, n BIGINT, total BIGINT");
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::GroupAggregate(spec), &output) }
}

#[test]
fn early_results_show_at_markers_until_the_window_closes() {
    let script = r#"
        in> a | 1 | 12:00:10
        in> b | 4 | NULL
        out> a | 12:00:10 | 1 | 1
        marker
        in> a | 2 | 12:00:10
        in> a | 5 | 12:00:20
        out- a | 12:00:10 | 1 | 1
        out> a | 12:00:10 | 2 | 3
        out> a | 12:00:20 | 1 | 5
        marker
        watermark 12:00:09.998
        in> a | 3 | 12:00:10
        watermark 12:00:09.999
        in> a | 9 | 12:00:10
        in> b | 9 | 12:00:10
        in> b | 2 | 12:00:20
        late> 12:00:09.999 | 12:00:09.999 | {"who":"a","amount":9,"end":"1970-01-01T12:00:10"}
        late> 12:00:09.999 | 12:00:09.999 | {"who":"b","amount":9,"end":"1970-01-01T12:00:10"}
        out- a | 12:00:10 | 2 | 3
        out> a | 12:00:10 | 3 | 6
        out> b | 12:00:20 | 1 | 2
        marker
        marker
        in> a | 7 | 12:00:10
        in> a | 1 | 12:00:20
        late> 12:00:09.999 | 12:00:09.999 | {"who":"a","amount":7,"end":"1970-01-01T12:00:10"}
        end
        out- a | 12:00:20 | 1 | 5
        out> a | 12:00:20 | 2 | 6
    "#;
    check(&aggregate(0, true), &[schema(INPUT)], script);
}

#[test]
fn rows_that_may_be_late_change_what_a_window_closed_with() {
    let script = r#"
        in> a | 1 | 12:00:10
        in> b | 2 | 12:00:10
        in> a | 3 | 12:00:20
        marker
        in> a | 4 | 12:00:10
        marker
        watermark 12:00:09.999
        out> a | 12:00:10 | 2 | 5
        out> b | 12:00:10 | 1 | 2
        marker
        in> a | 6 | 12:00:10
        in> c | 7 | 12:00:10
        out- a | 12:00:10 | 2 | 5
        out> a | 12:00:10 | 3 | 11
        out> c | 12:00:10 | 1 | 7
        marker
        watermark 12:00:14.998
        in> c | 1 | 12:00:10
        out- c | 12:00:10 | 1 | 7
        out> c | 12:00:10 | 2 | 8
        marker
        watermark 12:00:14.999
        in> b | 8 | 12:00:10
        late> 12:00:09.999 | 12:00:14.999 | {"who":"b","amount":8,"end":"1970-01-01T12:00:10"}
        marker
        marker
        in> a | 1 | 12:00:20
        watermark 12:00:40
        out> a | 12:00:20 | 2 | 4
        marker
        in> a | 2 | 12:00:50
        marker
        end
        out> a | 12:00:50 | 1 | 2
    "#;
    check(&aggregate(5_000, false), &[schema(INPUT)], script);
}

#[test]
fn early_results_go_on_changing_while_rows_may_be_late() {
    let script = r#"
        in> a | 1 | 12:00:10
        out> a | 12:00:10 | 1 | 1
        marker
        watermark 12:00:12
        in> a | 2 | 12:00:10
        out- a | 12:00:10 | 1 | 1
        out> a | 12:00:10 | 2 | 3
        marker
        watermark 12:00:14.999
        in> a | 4 | 12:00:10
        late> 12:00:09.999 | 12:00:14.999 | {"who":"a","amount":4,"end":"1970-01-01T12:00:10"}
        marker
        end
    "#;
    check(&aggregate(5_000, true), &[schema(INPUT)], script);
}
