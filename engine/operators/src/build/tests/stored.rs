//! What an operator stores does not depend on which columns in front of it may be null: that may change, and what is stored stays.

use arrow::array::{Int64Array, RecordBatch, UInt64Array, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::FieldRef;
use weir_core::{
    ErrorKind, EventTime, FramedCall, FramedFunction, GroupAggregateSpec, HashRange, OpenContext, OverCall, OverFrame,
    OverFunction, OverRows, OverSpec, Ranking, SortKey, TemporalJoinSpec, TopNSpec, UpdatingOverSpec,
    UpdatingSessionsSpec,
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
    let sessions =
        UpdatingSessionsSpec { keys: vec![0], aggregates: vec![sum()], time: 2, gap: 5, lateness: 1, early: true };
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
        (OperatorSpec::UpdatingSessions(sessions), windowed),
        (OperatorSpec::GroupAggregate(group), "id BIGINT, n BIGINT"),
        (ranked(true), NULLABLE),
        (ranked(false), NULLABLE),
        (OperatorSpec::WindowTopN(last_of_window), NULLABLE),
        (OperatorSpec::Over(over), with_result),
        (OperatorSpec::UpdatingOver(updating), with_result),
        (OperatorSpec::WindowJoin(in_windows), joined),
        (OperatorSpec::IntervalJoin(in_time), joined),
        (
            OperatorSpec::Join(JoinSpec {
                join_type,
                on: on.clone(),
                residual: None,
                time_to_live: (None, None),
                spread: spread(),
            }),
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

#[test]
fn a_null_where_there_has_to_be_a_value_now_is_told_when_it_is_loaded() {
    let zero = Int64Array::from(vec![0]);
    let mut told = 0;
    for (operator, output) in operators() {
        let (inputs, output) = match output == JOINED {
            true => (vec![schema(NOT_NULL); 2], schema(output)),
            false => (vec![schema(NOT_NULL)], schema(&not_null(output))),
        };
        let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(operator, &output) };
        let built =
            || bare(&node, &inputs, &Functions::built_in()).unwrap_or_else(|error| panic!("{}", error.report()));
        let load = |null: &str| {
            let table = built().tables().swap_remove(0);
            let column = |field: &FieldRef| match field.name() == null {
                true => new_null_array(field.data_type(), 1),
                false => cast(&zero, field.data_type()).unwrap(),
            };
            let columns = table.schema.fields().iter().map(column).collect();
            let rows = RecordBatch::try_new(table.schema.clone(), columns).unwrap();
            let mut operator = built();
            let (range, watermark) = (HashRange::ALL, EventTime::MIN);
            operator.open(&OpenContext { range, watermark, restored: true, has_expired: false }).unwrap();
            operator.load(0, &rows, &UInt64Array::from(vec![0]))
        };
        // Of what aggregations keep no column is one of their inputs'.
        if built().tables()[0].schema.field_with_name("at").is_err() {
            continue;
        }
        load("nothing").unwrap_or_else(|error| panic!("{:?}: {}", node.operator, error.report()));
        let error = load("n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data, "{:?}: {}", node.operator, error.report());
        assert!(error.to_string().starts_with("column 'n' is NOT NULL"), "{error}");
        told += 1;
    }
    assert_eq!(told, 9);
}

/// Columns of which none may be null.
fn not_null(columns: &str) -> String {
    columns.split(", ").map(|column| format!("{column} NOT NULL")).collect::<Vec<_>>().join(", ")
}
