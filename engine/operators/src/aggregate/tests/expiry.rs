//! Groups that are forgotten when nothing has come for them.

use arrow::array::{AsArray, Int8Array};
use arrow::datatypes::{DataType, TimestampMillisecondType};
use weir_core::{
    AggregateFunction, Batch, ChangelogKind, Collector, EventTime, GroupAggregateSpec, HashRange, NodeSpec,
    OpenContext, Operator, OperatorSpec, StateRows,
};
use weir_functions::Functions;

use super::call;
use crate::build::bare;
use crate::testing::{changes, check, check_in_memory, node, rows, schema};

const INPUT: &str = "who STRING, amount BIGINT";

/// Count, sum and greatest of each name, which is kept for sixteen seconds.
fn aggregate(retracts: bool) -> NodeSpec {
    let of = |function, arguments: &[usize]| call(function, arguments, DataType::Int64);
    let aggregates = vec![
        of(AggregateFunction::Count, &[]),
        of(AggregateFunction::Count, &[1]),
        of(AggregateFunction::Sum, &[1]),
        of(AggregateFunction::Max, &[1]),
    ];
    let spec = GroupAggregateSpec { keys: vec![0], aggregates, retracts, time_to_live: Some(16_000), window: None };
    let output = schema("who STRING, n BIGINT, known BIGINT, total BIGINT, most BIGINT");
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::GroupAggregate(spec), &output) }
}

#[test]
fn a_group_that_nothing_comes_for_begins_anew() {
    let script = "
        watermark 12:00:00
        in> a | 1
        in> b | 2
        out> a | 1 | 1 | 1 | 1
        out> b | 1 | 1 | 2 | 2
        marker
        watermark 12:00:10
        in> b | 3
        out- b | 1 | 1 | 2 | 2
        out> b | 2 | 2 | 5 | 3
        marker
        watermark 12:00:15
        marker
        in> b | 0
        out- b | 2 | 2 | 5 | 3
        out> b | 3 | 3 | 5 | 3
        marker
        watermark 12:00:16
        marker
        in> a | 10
        in> b | 1
        out> a | 1 | 1 | 10 | 10
        out- b | 3 | 3 | 5 | 3
        out> b | 4 | 4 | 6 | 3
        marker
        end
    ";
    check(&aggregate(false), &[schema(INPUT)], script);
    check(&aggregate(true), &[schema(INPUT)], script);
}

#[test]
fn what_is_taken_back_of_a_forgotten_group_is_passed_over_and_no_count_is_less_than_none() {
    let script = "
        watermark 12:00:00
        in> a | 1
        in> a | 2
        in> a | 7
        out> a | 3 | 3 | 10 | 7
        marker
        watermark 12:00:30
        marker
        in- a | 1
        marker
        in- a | 2
        in> a | NULL
        in> a | 5
        out> a | 2 | 1 | 5 | 5
        marker
        in- a | 7
        out- a | 2 | 1 | 5 | 5
        out> a | 1 | 0 | NULL | 5
        marker
        in- a | 5
        out- a | 1 | 0 | NULL | 5
        marker
        in- a | NULL
        marker
        in> a | 4
        out> a | 1 | 1 | 4 | 4
        marker
    ";
    check(&aggregate(true), &[schema(INPUT)], script);
}

#[test]
fn groups_that_were_stored_before_time_was_known_are_forgotten_for_good() {
    let script = "
        in> a | 1
        in> b | 2
        out> a | 1 | 1 | 1 | 1
        out> b | 1 | 1 | 2 | 2
        marker
        in> b | 3
        out- b | 1 | 1 | 2 | 2
        out> b | 2 | 2 | 5 | 3
        marker
        watermark 12:00:00
        marker
        watermark 12:00:30
        marker
        in> a | 10
        in> b | 1
        out> a | 1 | 1 | 10 | 10
        out> b | 1 | 1 | 1 | 1
        marker
        end
    ";
    check_in_memory(&aggregate(false), &[schema(INPUT)], script);
    check_in_memory(&aggregate(true), &[schema(INPUT)], script);
}

/// Between two captures, a group that was stored without a stamp gets one and goes.
#[test]
fn a_group_that_is_stored_without_a_stamp_is_said_to_be_gone() {
    let mut operator = opened(true, Some(16_000), i64::MIN, false, &[]);
    shown(&mut *operator, &["a | 1"]);
    assert_eq!(captured(&mut *operator, i64::MIN).len(), 1);
    let mut out = Collector::new(0);
    operator.watermark(EventTime(1_000_000), &mut out).unwrap();
    operator.flush(&mut out).unwrap();
    let [gone] = &captured(&mut *operator, 1_020_000)[..] else { panic!("one deletion") };
    assert!(gone.deleted.is_some());
}

#[test]
fn what_is_taken_back_of_a_forgotten_group_is_passed_over_when_there_is_no_time_to_live_any_more() {
    let take_back = || Batch::weighted(rows(&schema(INPUT), &["a | 1"]), Int8Array::from(vec![-1])).unwrap();
    let mut out = Collector::new(0);
    let mut for_ever = opened(true, None, 1_000_000, true, &[]);
    for_ever.process(0, take_back(), &mut out).unwrap();
    for_ever.flush(&mut out).unwrap();
    assert!(out.take().is_empty());
    assert_eq!(shown(&mut *for_ever, &["a | 7", "a | 5"]), ["a | 2 | 2 | 12 | 7"]);
    for_ever.process(0, take_back(), &mut out).unwrap();
    for_ever.flush(&mut out).unwrap();
    let after: Vec<String> = out.take().iter().flat_map(|(_, batch)| changes(batch)).collect();
    assert_eq!(after, ["- a | 2 | 2 | 12 | 7", "a | 1 | 1 | 11 | 7"]);
    let mut fresh = opened(true, None, 1_000_000, false, &[]);
    let failed = fresh.process(0, take_back(), &mut out).and_then(|()| fresh.flush(&mut out));
    assert!(failed.is_err(), "nothing has ever been forgotten");
}

#[test]
fn groups_that_are_shown_once_are_shown_once_more_when_they_have_been_forgotten() {
    let spec = GroupAggregateSpec {
        keys: vec![0],
        aggregates: Vec::new(),
        retracts: false,
        time_to_live: Some(16_000),
        window: None,
    };
    let script = "
        watermark 12:00:00
        in> a | 1
        in> a | 2
        out> a
        marker
        watermark 12:00:12
        in> a | 3
        marker
        watermark 12:00:20
        in> a | 3
        marker
        watermark 12:01:00
        marker
        in> a | 4
        out> a
        marker
    ";
    check(&node(OperatorSpec::GroupAggregate(spec), &schema("who STRING")), &[schema(INPUT)], script);
}

/// What an operator captures where a marker passes that has seen this time.
fn captured(operator: &mut dyn Operator, time: i64) -> Vec<StateRows> {
    let mut out = Collector::new(0);
    operator.watermark(EventTime(time), &mut out).unwrap();
    operator.flush(&mut out).unwrap();
    (operator.capture().unwrap().remove(0).rows)().unwrap()
}

/// What comes out of rows, where a marker passes behind them.
fn shown(operator: &mut dyn Operator, lines: &[&str]) -> Vec<String> {
    let mut out = Collector::new(0);
    operator.process(0, rows(&schema(INPUT), lines).into(), &mut out).unwrap();
    operator.flush(&mut out).unwrap();
    out.take().iter().flat_map(|(_, batch)| changes(batch)).collect()
}

/// An aggregation that begins with this state.
fn opened(
    retracts: bool,
    time_to_live: Option<u64>,
    watermark: i64,
    has_expired: bool,
    state: &[StateRows],
) -> Box<dyn Operator> {
    let mut node = aggregate(retracts);
    if let OperatorSpec::GroupAggregate(spec) = &mut node.operator {
        spec.time_to_live = time_to_live;
    }
    let mut operator = bare(&node, &[schema(INPUT)], &Functions::built_in()).unwrap();
    let context = OpenContext { range: HashRange::ALL, watermark: EventTime(watermark), restored: true, has_expired };
    operator.open(&context).unwrap();
    state.iter().for_each(|state| operator.load(0, &state.rows, &state.hashes).unwrap());
    operator
}

#[test]
fn groups_that_were_kept_for_ever_are_counted_from_when_they_are_loaded_and_the_reverse() {
    let operator = |time_to_live: Option<u64>, watermark: i64, state: &[StateRows]| {
        opened(false, time_to_live, watermark, false, state)
    };
    let mut for_ever = operator(None, 0, &[]);
    shown(&mut *for_ever, &["a | 1", "b | 2"]);
    let state = captured(&mut *for_ever, 1_000_000);
    let stamps = |state: &[StateRows]| -> Vec<Option<i64>> {
        let last =
            |state: &StateRows| state.rows.columns().last().unwrap().as_primitive::<TimestampMillisecondType>().clone();
        state.iter().flat_map(|state| last(state).iter().collect::<Vec<_>>()).collect()
    };
    assert_eq!(stamps(&state), [None, None]);

    let mut limited = operator(Some(16_000), 1_000_000, &state);
    let state = captured(&mut *limited, 1_000_000);
    assert_eq!(stamps(&state), [Some(1_000_000), Some(1_000_000)], "they are stored again with their stamps");
    captured(&mut *limited, 1_015_999);
    assert_eq!(shown(&mut *limited, &["a | 1"]), ["- a | 1 | 1 | 1 | 1", "a | 2 | 2 | 2 | 1"]);
    captured(&mut *limited, 1_016_000);
    assert_eq!(shown(&mut *limited, &["b | 1"]), ["b | 1 | 1 | 1 | 1"]);

    let mut for_ever = operator(None, 9_000_000, &state);
    captured(&mut *for_ever, 9_900_000);
    assert_eq!(for_ever.expired(0, EventTime(9_900_000)), None);
    assert_eq!(shown(&mut *for_ever, &["b | 1"]), ["- b | 1 | 1 | 2 | 2", "b | 2 | 2 | 3 | 2"]);
}
