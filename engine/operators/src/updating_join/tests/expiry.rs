//! Rows that are forgotten some time behind their coming.

use arrow::array::Int8Array;
use weir_core::{Batch, Collector, EventTime, HashRange, OpenContext, Operator, StateRows};
use weir_functions::Functions;

use super::*;
use crate::build::bare;
use crate::testing::{changes, check_in_memory, rows};

fn expiring(join_type: JoinType, time_to_live: (Option<u64>, Option<u64>), changelog: ChangelogKind) -> NodeSpec {
    let mut node = join(join_type, None, changelog);
    if let OperatorSpec::Join(spec) = &mut node.operator {
        spec.time_to_live = time_to_live;
    }
    node
}

#[test]
fn each_side_forgets_its_rows_by_a_time_of_its_own() {
    let script = "
        watermark 12:00:00
        left> 1 | 10
        right> 1 | 20
        out> 1 | 10 | 1 | 20
        marker
        watermark 12:00:08
        left> 1 | 11
        out> 1 | 11 | 1 | 20
        marker
        watermark 12:00:16
        marker
        right> 1 | 21
        out> 1 | 11 | 1 | 21
        marker
        watermark 12:00:24
        marker
        right> 1 | 22
        left> 1 | 12
        out> 1 | 12 | 1 | 20
        out> 1 | 12 | 1 | 21
        out> 1 | 12 | 1 | 22
        marker
        end
    ";
    let node = expiring(JoinType::Inner, (Some(16_000), None), ChangelogKind::Append);
    check(&node, &inputs(), script);
}

#[test]
fn what_is_taken_back_when_it_has_been_forgotten_is_passed_over() {
    let script = "
        watermark 12:00:00
        left> 1 | 10
        left> 1 | 10
        left> 2 | 10
        right> 1 | 20
        out> 1 | 10 | 1 | 20
        out> 1 | 10 | 1 | 20
        marker
        watermark 12:00:30
        marker
        left- 1 | 10
        left> 1 | 10
        left- 1 | 10
        left- 1 | 10
        left> 1 | 11
        right- 1 | 20
        right> 1 | 20
        out> 1 | 11 | 1 | 20
        marker
        left- 1 | 11
        out- 1 | 11 | 1 | 20
        marker
    ";
    let node = expiring(JoinType::Inner, (Some(16_000), Some(16_000)), ChangelogKind::Retract);
    check(&node, &inputs(), script);
}

#[test]
fn an_outer_join_goes_on_counting_matches_that_have_been_forgotten() {
    let script = "
        watermark 12:00:00
        left> 1 | 10
        out> 1 | 10 | NULL | NULL
        marker
        watermark 12:00:10
        right> 1 | 20
        out- 1 | 10 | NULL | NULL
        out> 1 | 10 | 1 | 20
        marker
        watermark 12:00:20
        left> 1 | 11
        out> 1 | 11 | 1 | 20
        marker
        watermark 12:00:26
        marker
        right> 1 | 21
        out> 1 | 11 | 1 | 21
        marker
        right- 1 | 20
        right- 1 | 21
        out- 1 | 11 | 1 | 21
        marker
        left- 1 | 10
        left- 1 | 11
        marker
        left> 1 | 12
        out> 1 | 12 | NULL | NULL
        marker
        left- 1 | 12
        out- 1 | 12 | NULL | NULL
        marker
    ";
    let node = expiring(JoinType::Left, (Some(16_000), Some(16_000)), ChangelogKind::Retract);
    check(&node, &inputs(), script);
}

#[test]
fn a_row_is_taken_back_as_it_was_shown_when_only_the_other_side_forgets() {
    let script = |shown: [&str; 2]| {
        let [matched, unmatched] = shown;
        format!(
            "
        watermark 12:00:00
        right> 1 | 20
        left> 1 | 10
        {matched}
        marker
        watermark 12:00:30
        marker
        left- 1 | 10
        left> 1 | 11
        {unmatched}
        marker
        right- 1 | 20
        right> 1 | 21
        {}
        marker
    ",
            if matched.is_empty() { "out- 1 | 11" } else { "out- 1 | 11 | NULL | NULL\nout> 1 | 11 | 1 | 21" }
        )
    };
    let only_right = (None, Some(16_000));
    let left = expiring(JoinType::Left, only_right, ChangelogKind::Retract);
    check(&left, &inputs(), &script(["out> 1 | 10 | 1 | 20", "out> 1 | 11 | NULL | NULL"]));
    let anti = expiring(JoinType::LeftAnti, only_right, ChangelogKind::Retract);
    check(&anti, &inputs(), &script(["", "out> 1 | 11"]));
}

#[test]
fn rows_that_were_stored_before_time_was_known_are_forgotten_for_good() {
    let script = "
        left> 1 | 10
        out> 1 | 10 | NULL | NULL
        marker
        left> 2 | 10
        out> 2 | 10 | NULL | NULL
        marker
        watermark 12:00:00
        marker
        watermark 12:00:30
        marker
        right> 1 | 20
        marker
        left> 1 | 11
        out> 1 | 11 | 1 | 20
        marker
        left- 1 | 10
        left- 1 | 11
        out- 1 | 11 | 1 | 20
        marker
    ";
    for lengths in [(Some(16_000), None), (Some(16_000), Some(16_000))] {
        check_in_memory(&expiring(JoinType::Left, lengths, ChangelogKind::Retract), &inputs(), script);
    }
    let script: String = script.lines().filter(|line| !line.contains("NULL")).map(|line| format!("{line}\n")).collect();
    check_in_memory(&expiring(JoinType::Inner, (Some(16_000), None), ChangelogKind::Retract), &inputs(), &script);
}

/// Between two captures, a row that was stored without a stamp gets one and goes.
#[test]
fn a_row_that_is_stored_without_a_stamp_is_said_to_be_gone() {
    let mut join = begun((Some(16_000), None), i64::MIN, &[]);
    shown(&mut *join, 0, "1 | 10", 1);
    let [left, _] = captured(&mut *join, i64::MIN);
    assert_eq!(left.iter().map(|rows| rows.rows.num_rows()).sum::<usize>(), 1);
    let mut out = Collector::new(0);
    join.watermark(EventTime(1_000_000), &mut out).unwrap();
    join.flush(&mut out).unwrap();
    let [left, _] = captured(&mut *join, 1_020_000);
    let [gone] = &left[..] else { panic!("one deletion") };
    assert!(gone.deleted.is_some());
}

#[test]
fn what_is_taken_back_of_rows_that_were_forgotten_is_passed_over_when_there_is_no_time_to_live_any_more() {
    let mut limited = begun((Some(16_000), None), 1_000_000, &[]);
    shown(&mut *limited, 0, "1 | 10", 1);
    shown(&mut *limited, 1, "1 | 20", 1);
    captured(&mut *limited, 1_000_000);
    let [_, right] = captured(&mut *limited, 1_016_000);
    let mut for_ever = opened(FOR_EVER, 1_016_000, true, &[[Vec::new(), right]]);
    assert_eq!(shown(&mut *for_ever, 0, "1 | 10", -1), [] as [String; 0]);
    let mut fresh = opened(FOR_EVER, 1_016_000, false, &[]);
    let batch = Batch::weighted(rows(&inputs()[0], &["1 | 10"]), Int8Array::from(vec![-1])).unwrap();
    assert!(fresh.process(0, batch, &mut Collector::new(0)).is_err(), "nothing has ever been forgotten");
}

#[test]
fn rows_of_a_semi_and_an_anti_join_stay_as_they_are_shown() {
    let semi = "
        watermark 12:00:00
        left> 1 | 10
        right> 1 | 20
        out> 1 | 10
        marker
        watermark 12:00:16
        marker
        right- 1 | 20
        marker
        left> 1 | 11
        marker
        right> 1 | 21
        out> 1 | 11
        marker
        left- 1 | 10
        left- 1 | 11
        out- 1 | 11
        marker
    ";
    let both = (Some(16_000), Some(16_000));
    check(&expiring(JoinType::LeftSemi, both, ChangelogKind::Retract), &inputs(), semi);
    let anti = "
        watermark 12:00:00
        right> 1 | 20
        marker
        watermark 12:00:08
        left> 1 | 10
        left> 2 | 10
        out> 2 | 10
        marker
        watermark 12:00:16
        marker
        right- 1 | 20
        left> 1 | 11
        out> 1 | 11
        marker
        watermark 12:00:25
        marker
        left- 2 | 10
        left- 1 | 11
        out- 1 | 11
        marker
    ";
    check(&expiring(JoinType::LeftAnti, both, ChangelogKind::Retract), &inputs(), anti);
}

/// What an operator captures of both sides where a marker passes that has seen this time.
fn captured(operator: &mut dyn Operator, time: i64) -> [Vec<StateRows>; 2] {
    let mut out = Collector::new(0);
    operator.watermark(EventTime(time), &mut out).unwrap();
    operator.flush(&mut out).unwrap();
    let sides: Vec<_> = operator.capture().unwrap().into_iter().map(|capture| (capture.rows)().unwrap()).collect();
    sides.try_into().unwrap()
}

fn shown(operator: &mut dyn Operator, side: usize, line: &str, weight: i8) -> Vec<String> {
    let mut out = Collector::new(0);
    let batch = Batch::weighted(rows(&inputs()[side], &[line]), Int8Array::from(vec![weight])).unwrap();
    operator.process(side, batch, &mut out).unwrap();
    out.take().iter().flat_map(|(_, batch)| changes(batch)).collect()
}

const FOR_EVER: (Option<u64>, Option<u64>) = (None, None);

/// A left join that keeps rows so long, and begins with this state.
fn begun(
    time_to_live: (Option<u64>, Option<u64>),
    watermark: i64,
    states: &[[Vec<StateRows>; 2]],
) -> Box<dyn Operator> {
    opened(time_to_live, watermark, false, states)
}

fn opened(
    time_to_live: (Option<u64>, Option<u64>),
    watermark: i64,
    has_expired: bool,
    states: &[[Vec<StateRows>; 2]],
) -> Box<dyn Operator> {
    let node = expiring(JoinType::Left, time_to_live, ChangelogKind::Retract);
    let mut operator = bare(&node, &inputs(), &Functions::built_in()).unwrap();
    let context = OpenContext { range: HashRange::ALL, watermark: EventTime(watermark), restored: true, has_expired };
    operator.open(&context).unwrap();
    for side in 0..2 {
        let states = states.iter().flat_map(|state| &state[side]).filter(|state| state.deleted.is_none());
        states.for_each(|state| operator.load(side, &state.rows, &state.hashes).unwrap());
    }
    operator
}

#[test]
fn rows_that_were_kept_for_ever_are_counted_from_when_they_are_loaded_and_the_reverse() {
    let mut for_ever = begun(FOR_EVER, 0, &[]);
    shown(&mut *for_ever, 0, "1 | 10", 1);
    shown(&mut *for_ever, 1, "1 | 20", 1);
    let state = captured(&mut *for_ever, 1_000_000);

    let mut limited = begun((Some(16_000), Some(16_000)), 1_000_000, &[state]);
    let state = captured(&mut *limited, 1_000_000);
    assert_eq!(
        state.each_ref().map(|rows| rows.iter().map(|rows| rows.rows.num_rows()).sum::<usize>()),
        [1, 1],
        "stored again"
    );
    captured(&mut *limited, 1_010_000);
    assert_eq!(shown(&mut *limited, 0, "1 | 11", 1), ["1 | 11 | 1 | 20"]);
    captured(&mut *limited, 1_016_000);
    assert_eq!(shown(&mut *limited, 1, "1 | 21", 1), ["1 | 11 | 1 | 21"], "the first rows are gone");

    // Where rows are kept for ever from here on, how many matches they had is known, though not all of these are there any more.
    let [left, _] = state;
    let mut for_ever = begun(FOR_EVER, 2_000_000, &[[left, Vec::new()]]);
    assert_eq!(shown(&mut *for_ever, 1, "1 | 22", 1), ["1 | 10 | 1 | 22"], "it was shown beside another row");
    let state = captured(&mut *for_ever, 2_000_000);
    let mut again = begun(FOR_EVER, 2_000_000, &[state]);
    assert_eq!(shown(&mut *again, 1, "1 | 22", -1), ["- 1 | 10 | 1 | 22"]);
}

#[test]
fn matches_of_rows_that_stay_are_stored_before_those_of_the_other_side_are_forgotten() {
    let mut for_ever = begun(FOR_EVER, 0, &[]);
    shown(&mut *for_ever, 0, "1 | 10", 1);
    shown(&mut *for_ever, 1, "1 | 20", 1);
    let state = captured(&mut *for_ever, 1_000_000);

    let right_only = (None, Some(16_000));
    let mut limited = begun(right_only, 1_000_000, &[state]);
    let [left, _] = captured(&mut *limited, 1_000_000);
    captured(&mut *limited, 1_016_000);
    let mut again = begun(right_only, 1_016_000, &[[left, Vec::new()]]);
    assert_eq!(shown(&mut *again, 1, "1 | 21", 1), ["1 | 10 | 1 | 21"], "no row with nulls is shown that could go");
}
