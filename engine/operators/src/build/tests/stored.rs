//! What an operator stores does not depend on which columns in front of it may be null: that may change, and what is stored stays.

use weir_core::{
    FramedCall, FramedFunction, GroupAggregateSpec, OverCall, OverFrame, OverFunction, OverRows, OverSpec, Ranking,
    SortKey, TemporalJoinSpec, TopNSpec, UpdatingOverSpec,
};

use super::*;

const NULLABLE: &str = "id BIGINT, n BIGINT, at TIMESTAMP";
const JOINED: &str = "a BIGINT, b BIGINT, c TIMESTAMP, d BIGINT, e BIGINT, f TIMESTAMP";
const NOT_NULL: &str = "id BIGINT NOT NULL, n BIGINT NOT NULL, at TIMESTAMP NOT NULL";

/// Operators that keep columns of their inputs, with what comes out of them.
fn operators() -> Vec<(OperatorSpec, &'static str)> {
    let sum = || AggregateCall {
        function: AggregateFunction::Sum,
        arguments: vec![1],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "n".into(),
        data_type: DataType::Int64,
    };
    let in_window = |window| {
        OperatorSpec::WindowAggregate(WindowAggregateSpec {
            window: WindowSource::Assign { window, time: 2 },
            keys: vec![0],
            aggregates: vec![sum()],
            partial_input: false,
            spread: None,
        })
    };
    let (join_type, on) = (JoinType::Left, vec![(0, 0)]);
    let ranked = |retracts| {
        OperatorSpec::TopN(TopNSpec {
            partition: vec![0],
            order: vec![SortKey { column: 1, descending: false, nulls_first: false }],
            limit: 1,
            with_rank: false,
            retracts,
            time_to_live: None,
            ranking: Ranking::RowNumber,
            deletions: None,
        })
    };
    let order = || vec![SortKey { column: 1, descending: false, nulls_first: false }];
    let total = OverCall {
        function: OverFunction::Sum,
        frame: OverFrame::Range(None),
        argument: Some(1),
        default: None,
        name: "total".into(),
        data_type: DataType::Int64,
    };
    let known = FramedCall {
        function: FramedFunction::Over(OverFunction::Count),
        frame: OverRows::ALL,
        argument: Some(1),
        default: None,
        name: "known".into(),
        data_type: DataType::Int64,
    };
    let group =
        GroupAggregateSpec { keys: vec![0], aggregates: vec![sum()], retracts: true, time_to_live: None, window: None };
    let last_of_window = WindowTopNSpec {
        window_end: 2,
        partition: vec![0],
        order: Vec::new(),
        limit: 1,
        with_rank: false,
        ranking: Ranking::RowNumber,
    };
    let over = OverSpec { partition: vec![0], time: 2, calls: vec![total] };
    let updating =
        UpdatingOverSpec { partition: vec![0], order: order(), calls: vec![known], retracts: true, time_to_live: None };
    let spread = || JoinSpread::Keys;
    let in_windows = WindowJoinSpec { join_type, on: on.clone(), window_end: (2, 2), residual: None, spread: spread() };
    let in_time = IntervalJoinSpec {
        join_type,
        on: on.clone(),
        time: (2, 2),
        lower: 0,
        upper: 0,
        residual: None,
        spread: spread(),
    };
    let (windowed, joined) = ("id BIGINT, n BIGINT, s TIMESTAMP, e TIMESTAMP, t TIMESTAMP", JOINED);
    let with_result = "id BIGINT, n BIGINT, at TIMESTAMP, result BIGINT";
    vec![
        (in_window(WindowKind::Tumble { size: 1000, offset: 0 }), windowed),
        (in_window(WindowKind::Session { gap: 5 }), windowed),
        (OperatorSpec::GroupAggregate(group), "id BIGINT, n BIGINT"),
        (ranked(true), NULLABLE),
        (ranked(false), NULLABLE),
        (OperatorSpec::WindowTopN(last_of_window), NULLABLE),
        (OperatorSpec::Over(over), with_result),
        (OperatorSpec::UpdatingOver(updating), with_result),
        (OperatorSpec::WindowJoin(in_windows), joined),
        (OperatorSpec::IntervalJoin(in_time), joined),
        (
            OperatorSpec::Join(JoinSpec { join_type, on: on.clone(), residual: None, time_to_live: (None, None) }),
            joined,
        ),
        (OperatorSpec::TemporalJoin(TemporalJoinSpec { join_type, on, time: (2, 2), residual: None }), joined),
    ]
}

#[test]
fn columns_that_may_be_null_are_stored_as_those_that_may_not() {
    for (operator, output) in operators() {
        let is_join = output == JOINED;
        let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(operator, &schema(output)) };
        let tables = |columns: &str| {
            let inputs = vec![schema(columns); if is_join { 2 } else { 1 }];
            let built = bare(&node, &inputs, &Functions::built_in());
            built.unwrap_or_else(|error| panic!("{:?}: {}", node.operator, error.report())).tables()
        };
        let schemas = |columns: &str| tables(columns).into_iter().map(|table| table.schema).collect::<Vec<_>>();
        assert_eq!(schemas(NULLABLE), schemas(NOT_NULL), "{:?}", node.operator);
    }
}
