//! Scripts; random changes are in `oracle`.

mod oracle;

use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::datatypes::{DataType, Schema};
use weir_core::{
    AggregateCall, AggregateFunction, Batch, ChangelogKind, EventTime, FramedCall, FramedFunction, NodeSpec,
    OperatorSpec, OverBound, OverFunction, OverRows, SortKey, UpdatingOverSpec, Watermark,
};

use crate::batches::with_schema;
use crate::testing::{Plan, Script, Step, check, node, run, schema};

const INPUT: &str = "who STRING, n BIGINT, x DOUBLE, id BIGINT";
const N: usize = 1;
const X: usize = 2;

fn key(column: usize, descending: bool, nulls_first: bool) -> SortKey {
    SortKey { column, descending, nulls_first }
}

fn ascending(column: usize) -> SortKey {
    key(column, false, true)
}

fn rows(start: OverBound, end: OverBound) -> OverRows {
    OverRows { by_range: false, start, end }
}

fn range(start: OverBound, end: OverBound) -> OverRows {
    OverRows { by_range: true, start, end }
}

const SO_FAR: OverRows = OverRows { by_range: true, start: OverBound::Unbounded, end: OverBound::Current };

fn call(function: FramedFunction, frame: OverRows) -> FramedCall {
    let data_type = match function {
        FramedFunction::PercentRank | FramedFunction::CumeDist | FramedFunction::Over(OverFunction::Avg) => {
            DataType::Float64
        }
        _ => DataType::Int64,
    };
    FramedCall { function, frame, argument: None, default: None, name: "result".to_owned(), data_type }
}

fn known(function: OverFunction, frame: OverRows) -> FramedCall {
    call(FramedFunction::Over(function), frame)
}

/// Of the column of whole numbers.
fn of_n(function: OverFunction, frame: OverRows) -> FramedCall {
    FramedCall { argument: Some(N), ..known(function, frame) }
}

fn over(partition: Vec<usize>, order: Vec<SortKey>, calls: Vec<FramedCall>) -> NodeSpec {
    let results = calls.iter().enumerate().map(|(index, call)| {
        let data_type = if call.data_type == DataType::Float64 { "DOUBLE" } else { "BIGINT" };
        format!(", r{index} {data_type}")
    });
    let output = format!("{INPUT}{}", results.collect::<String>());
    let spec = UpdatingOverSpec { partition, order, calls, retracts: true, time_to_live: None };
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::UpdatingOver(spec), &schema(&output)) }
}

#[test]
fn a_row_that_comes_or_goes_changes_the_results_that_it_counts_in_and_no_others() {
    let calls = vec![
        of_n(OverFunction::Sum, rows(OverBound::Whole(-1), OverBound::Current)),
        of_n(OverFunction::Lead(1), OverRows::ALL),
    ];
    let script = "
        in> a | 1 | NULL | 1
        in> a | 3 | NULL | 2
        in> a | 5 | NULL | 3
        in> a | 7 | NULL | 4
        in> b | 2 | NULL | 5
        out> a | 1 | NULL | 1 | 1 | 3
        out> a | 3 | NULL | 2 | 4 | 5
        out> a | 5 | NULL | 3 | 8 | 7
        out> a | 7 | NULL | 4 | 12 | NULL
        out> b | 2 | NULL | 5 | 2 | NULL
        marker
        in> a | 2 | NULL | 6
        out- a | 1 | NULL | 1 | 1 | 3
        out> a | 1 | NULL | 1 | 1 | 2
        out> a | 2 | NULL | 6 | 3 | 3
        out- a | 3 | NULL | 2 | 4 | 5
        out> a | 3 | NULL | 2 | 5 | 5
        marker
        in- a | 5 | NULL | 3
        in> a | 9 | NULL | 7
        in- a | 9 | NULL | 7
        out- a | 3 | NULL | 2 | 5 | 5
        out> a | 3 | NULL | 2 | 5 | 7
        out- a | 5 | NULL | 3 | 8 | 7
        out- a | 7 | NULL | 4 | 12 | NULL
        out> a | 7 | NULL | 4 | 10 | NULL
        marker
        in- b | 2 | NULL | 5
        out- b | 2 | NULL | 5 | 2 | NULL
        end
    ";
    check(&over(vec![0], vec![ascending(N)], calls), &[schema(INPUT)], script);
}

#[test]
fn places_in_the_order_are_counted_over_all_rows() {
    let lag = FramedCall { default: Some(3), ..of_n(OverFunction::Lag(2), OverRows::ALL) };
    let calls = vec![
        known(OverFunction::RowNumber, OverRows::ALL),
        known(OverFunction::Rank, OverRows::ALL),
        known(OverFunction::DenseRank, OverRows::ALL),
        call(FramedFunction::PercentRank, OverRows::ALL),
        call(FramedFunction::CumeDist, OverRows::ALL),
        call(FramedFunction::Ntile(3), OverRows::ALL),
        lag,
    ];
    let script = "
        in> a | 5 | NULL | 1
        in> a | NULL | NULL | 2
        in> b | 5 | NULL | 3
        in> b | 7 | NULL | 4
        out> a | NULL | NULL | 2 | 4 | 4 | 3 | 1 | 1 | 3 | 5
        out> a | 5 | NULL | 1 | 2 | 2 | 2 | 0.3333333333333333 | 0.75 | 1 | 1
        out> b | 5 | NULL | 3 | 3 | 2 | 2 | 0.3333333333333333 | 0.75 | 2 | 7
        out> b | 7 | NULL | 4 | 1 | 1 | 1 | 0 | 0.25 | 1 | 4
        marker
        in- a | 5 | NULL | 1
        in- b | 7 | NULL | 4
        out- a | NULL | NULL | 2 | 4 | 4 | 3 | 1 | 1 | 3 | 5
        out> a | NULL | NULL | 2 | 2 | 2 | 2 | 1 | 1 | 2 | 2
        out- a | 5 | NULL | 1 | 2 | 2 | 2 | 0.3333333333333333 | 0.75 | 1 | 1
        out- b | 5 | NULL | 3 | 3 | 2 | 2 | 0.3333333333333333 | 0.75 | 2 | 7
        out> b | 5 | NULL | 3 | 1 | 1 | 1 | 0 | 0.5 | 1 | 3
        out- b | 7 | NULL | 4 | 1 | 1 | 1 | 0 | 0.25 | 1 | 4
        marker
        in- b | 5 | NULL | 3
        out- a | NULL | NULL | 2 | 2 | 2 | 2 | 1 | 1 | 2 | 2
        out> a | NULL | NULL | 2 | 1 | 1 | 1 | 0 | 1 | 1 | 2
        out- b | 5 | NULL | 3 | 1 | 1 | 1 | 0 | 0.5 | 1 | 3
        end
    ";
    check(&over(vec![], vec![key(N, true, false)], calls), &[schema(INPUT)], script);
}

#[test]
fn frames_of_distance_leave_out_what_is_no_number() {
    let within = |start: f64, end: f64| range(OverBound::Double(start.to_bits()), OverBound::Double(end.to_bits()));
    let calls = vec![
        known(OverFunction::Count, within(-1.5, 1.0)),
        known(OverFunction::Count, range(OverBound::Double(0.5_f64.to_bits()), OverBound::Unbounded)),
        known(OverFunction::Count, SO_FAR),
    ];
    let script = "
        in> a | 0 | 1.0 | 1
        in> a | 0 | 2.5 | 2
        in> a | 0 | 3.5 | 3
        in> a | 0 | NULL | 4
        in> a | 0 | NULL | 5
        in> a | 0 | NaN | 6
        out> a | 0 | NULL | 4 | 2 | 6 | 2
        out> a | 0 | NULL | 5 | 2 | 6 | 2
        out> a | 0 | NaN | 6 | 1 | 4 | 3
        out> a | 0 | 3.5 | 3 | 2 | 2 | 4
        out> a | 0 | 2.5 | 2 | 2 | 1 | 5
        out> a | 0 | 1 | 1 | 2 | 0 | 6
        marker
        end
    ";
    // From the greatest to the least: what is half a unit further is less by that.
    check(&over(vec![0], vec![key(X, true, true)], calls), &[schema(INPUT)], script);
}

#[test]
fn any_aggregate_is_computed_of_each_frame() {
    let aggregate = |function: AggregateFunction, distinct: bool| {
        FramedFunction::Aggregate(AggregateCall {
            function,
            arguments: vec![N],
            constants: Vec::new(),
            distinct,
            filter: None,
            order_by: Vec::new(),
            name: "result".to_owned(),
            data_type: DataType::Int64,
        })
    };
    let calls = vec![
        call(aggregate(AggregateFunction::Count, true), SO_FAR),
        call(
            aggregate(AggregateFunction::Other("bit_xor".to_owned()), false),
            rows(OverBound::Current, OverBound::Whole(1)),
        ),
        FramedCall { argument: Some(N), ..call(FramedFunction::NthValue(2), OverRows::ALL) },
    ];
    let script = "
        in> a | 5 | NULL | 1
        in> a | 5 | NULL | 2
        in> a | 6 | NULL | 3
        out> a | 5 | NULL | 1 | 1 | 0 | 5
        out> a | 5 | NULL | 2 | 1 | 3 | 5
        out> a | 6 | NULL | 3 | 2 | 6 | 5
        marker
        in- a | 5 | NULL | 1
        out- a | 5 | NULL | 1 | 1 | 0 | 5
        out- a | 5 | NULL | 2 | 1 | 3 | 5
        out> a | 5 | NULL | 2 | 1 | 3 | 6
        out- a | 6 | NULL | 3 | 2 | 6 | 5
        out> a | 6 | NULL | 3 | 2 | 6 | 6
        end
    ";
    check(&over(vec![0], vec![ascending(3)], calls), &[schema(INPUT)], script);
}

#[test]
fn without_an_order_rows_are_as_they_came_and_equal() {
    let calls = vec![
        known(OverFunction::RowNumber, OverRows::ALL),
        known(OverFunction::Rank, OverRows::ALL),
        of_n(OverFunction::Avg, OverRows::ALL),
        of_n(OverFunction::FirstValue { respect_nulls: false }, OverRows::ALL),
    ];
    let script = "
        in> a | NULL | NULL | 1
        in> a | 7 | NULL | 2
        out> a | NULL | NULL | 1 | 1 | 1 | 7 | 7
        out> a | 7 | NULL | 2 | 2 | 1 | 7 | 7
        marker
        in> a | 8 | NULL | 3
        in- a | NULL | NULL | 1
        out- a | NULL | NULL | 1 | 1 | 1 | 7 | 7
        out- a | 7 | NULL | 2 | 2 | 1 | 7 | 7
        out> a | 7 | NULL | 2 | 1 | 1 | 7.5 | 7
        out> a | 8 | NULL | 3 | 2 | 1 | 7.5 | 7
        marker
        end
    ";
    check(&over(vec![0], vec![], calls), &[schema(INPUT)], script);
}

#[test]
fn rows_without_columns_are_counted_too() {
    let spec = UpdatingOverSpec {
        partition: Vec::new(),
        order: Vec::new(),
        calls: vec![known(OverFunction::RowNumber, OverRows::ALL), known(OverFunction::Count, OverRows::ALL)],
        retracts: true,
        time_to_live: None,
    };
    let output = schema("n BIGINT, all BIGINT");
    let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::UpdatingOver(spec), &output) };
    let none = Arc::new(Schema::empty());
    let rows = |count: usize, weight: i8| {
        let records = with_schema(&none, Vec::new(), count).unwrap();
        Step::Rows(0, Batch::weighted(records, Int8Array::from(vec![weight; count])).unwrap())
    };
    let end = Step::Watermark(0, Watermark::At(EventTime::MAX));
    let steps = vec![rows(3, 1), Step::Marker, rows(2, -1), Step::Marker, rows(1, 1), end];
    for plan in Plan::ALL {
        let found = run(&node, std::slice::from_ref(&none), &Script { steps: steps.clone() }, plan).unwrap();
        let rows: Vec<Vec<String>> = found.into_iter().map(|interval| interval.rows).collect();
        assert_eq!(rows[0], ["1 | 3", "2 | 3", "3 | 3"], "{plan:?}");
        assert_eq!(rows[1], ["- 1 | 3", "- 2 | 3", "- 3 | 3", "1 | 1"], "{plan:?}");
        assert_eq!(rows[2], ["- 1 | 1", "1 | 2", "2 | 2"], "{plan:?}");
    }
}

#[test]
fn of_equal_rows_the_one_that_came_last_goes() {
    let calls = vec![known(OverFunction::RowNumber, OverRows::ALL)];
    let script = "
        in> a | 1 | NULL | 1
        in> a | 1 | NULL | 2
        in> a | 1 | NULL | 1
        out> a | 1 | NULL | 1 | 1
        out> a | 1 | NULL | 2 | 2
        out> a | 1 | NULL | 1 | 3
        marker
        in- a | 1 | NULL | 1
        out- a | 1 | NULL | 1 | 3
        marker
        in- a | 1 | NULL | 1
        out- a | 1 | NULL | 1 | 1
        out- a | 1 | NULL | 2 | 2
        out> a | 1 | NULL | 2 | 1
        end
    ";
    check(&over(vec![0], vec![ascending(N)], calls), &[schema(INPUT)], script);
}

/// A partition is forgotten sixteen seconds behind its last change.
#[test]
fn a_partition_that_nothing_changes_in_begins_anew() {
    let spec = |time_to_live| {
        let calls = vec![known(OverFunction::Count, SO_FAR), of_n(OverFunction::Sum, OverRows::ALL)];
        let mut node = over(vec![0], vec![ascending(N)], calls);
        if let OperatorSpec::UpdatingOver(spec) = &mut node.operator {
            spec.time_to_live = time_to_live;
        }
        node
    };
    let script = "
        watermark 12:00:00
        in> a | 5 | NULL | 1
        in> a | 7 | NULL | 2
        in> b | 1 | NULL | 3
        out> a | 5 | NULL | 1 | 1 | 12
        out> a | 7 | NULL | 2 | 2 | 12
        out> b | 1 | NULL | 3 | 1 | 1
        marker
        watermark 12:00:10
        in> b | 2 | NULL | 4
        out- b | 1 | NULL | 3 | 1 | 1
        out> b | 1 | NULL | 3 | 1 | 3
        out> b | 2 | NULL | 4 | 2 | 3
        marker
        watermark 12:00:16
        marker
        in- a | 7 | NULL | 2
        in> a | 9 | NULL | 5
        in- a | 5 | NULL | 1
        in- b | 1 | NULL | 3
        out> a | 9 | NULL | 5 | 1 | 9
        out- b | 1 | NULL | 3 | 1 | 3
        out- b | 2 | NULL | 4 | 2 | 3
        out> b | 2 | NULL | 4 | 1 | 2
        marker
        watermark 12:00:27
        marker
        in> b | 4 | NULL | 6
        out- b | 2 | NULL | 4 | 1 | 2
        out> b | 2 | NULL | 4 | 1 | 6
        out> b | 4 | NULL | 6 | 2 | 6
        marker
        watermark 12:01:00
        marker
        in> b | 8 | NULL | 7
        in- b | 2 | NULL | 4
        out> b | 8 | NULL | 7 | 1 | 8
        marker
        end
    ";
    check(&spec(Some(16_000)), &[schema(INPUT)], script);
}
