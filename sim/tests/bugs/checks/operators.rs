//! Operators in their test harness, which restores and rescales them at every marker.

use arrow::datatypes::DataType;
use weir_core::{
    AggregateCall, AggregateFunction, IntervalJoinSpec, JoinSpread, JoinType, NodeSpec, OperatorSpec, SortKey,
    WindowAggregateSpec, WindowKind, WindowSource, WindowTopNSpec,
};
use weir_operators::testing::{check, node, schema};

fn counts(window: WindowKind) -> NodeSpec {
    let count = AggregateCall {
        function: AggregateFunction::Count,
        arguments: Vec::new(),
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "n".to_owned(),
        data_type: DataType::Int64,
    };
    let window = WindowSource::Assign { window, time: 0 };
    let spec =
        WindowAggregateSpec { window, keys: vec![1], aggregates: vec![count], partial_input: false, spread: None };
    node(OperatorSpec::WindowAggregate(spec), &schema("who STRING, n BIGINT, s TIMESTAMP, e TIMESTAMP, t TIMESTAMP"))
}

pub fn windows_count_every_row() {
    let script = r#"
        in> 12:00:01 | a
        in> 12:00:02 | a
        in> 12:00:07 | a
        marker
        watermark 12:00:04.999
        out> a | 2 | 12:00:00 | 12:00:05 | 12:00:04.999
        marker
        in> 12:00:04 | a
        late> 12:00:04 | 12:00:04.999 | {"time":"1970-01-01T12:00:04","who":"a"}
        marker
        end
        out> a | 1 | 12:00:05 | 12:00:10 | 12:00:09.999
    "#;
    let input = schema("time TIMESTAMP, who STRING");
    check(&counts(WindowKind::Tumble { size: 5000, offset: 0 }), &[input], script);
}

pub fn sessions_that_are_joined_are_one() {
    let script = r#"
        in> 12:00:10 | a
        in> 12:00:30 | a
        marker
        in> 12:00:20 | a
        marker
        end
        out> a | 3 | 12:00:10 | 12:00:40 | 12:00:39.999
    "#;
    check(&counts(WindowKind::Session { gap: 10_000 }), &[schema("time TIMESTAMP, who STRING")], script);
}

pub fn partners_meet_at_both_bounds() {
    let output = schema("id BIGINT, at TIMESTAMP, id BIGINT, at TIMESTAMP");
    let (join_type, lower, upper) = (JoinType::Full, -2000, 2000);
    let spec = IntervalJoinSpec {
        join_type,
        on: vec![(0, 0)],
        time: (1, 1),
        lower,
        upper,
        residual: None,
        spread: JoinSpread::Keys,
    };
    let script = r#"
        left> 1 | 12:00:05
        left> 2 | 12:00:05
        right> 1 | 12:00:03
        out> 1 | 12:00:05 | 1 | 12:00:03
        marker
        watermark 12:00:06.999
        marker
        right> 2 | 12:00:07
        out> 2 | 12:00:05 | 2 | 12:00:07
        marker
        end
    "#;
    let input = || schema("id BIGINT, at TIMESTAMP");
    check(&node(OperatorSpec::IntervalJoin(spec), &output), &[input(), input()], script);
}

pub fn the_first_rows_of_a_window_come_out() {
    let columns = "end TIMESTAMP, price BIGINT";
    let spec = WindowTopNSpec {
        window_end: 0,
        partition: vec![0],
        order: vec![SortKey { column: 1, descending: true, nulls_first: false }],
        limit: 1,
        with_rank: false,
        ranking: weir_core::Ranking::RowNumber,
    };
    let script = r#"
        in> 12:00:10 | 7
        marker
        in> 12:00:10 | 5
        end
        out> 12:00:10 | 7
    "#;
    check(&node(OperatorSpec::WindowTopN(spec), &schema(columns)), &[schema(columns)], script);
}
