//! Random histories against loops over what is there: after every call, what has come out adds up to the join.

use std::collections::BTreeMap;

use arrow::array::Int8Array;
use proptest::prelude::*;
use weir_core::{Batch, ChangelogKind, JoinSpread, JoinType, OperatorSpec};

use super::{inputs, join, less};
use crate::testing::{Plan, Script, Step, rows, run};

/// Key and value.
type Row = (Option<i64>, i64);

/// One row of a batch: added, or one that is there is taken back.
#[derive(Debug, Clone)]
enum Act {
    Add(Row),
    TakeBack(prop::sample::Index),
}

/// Rows that come at once from one side, and whether a checkpoint follows.
#[derive(Debug, Clone)]
struct Call {
    side: usize,
    acts: Vec<Act>,
    marker: bool,
}

fn calls(taken_back: bool) -> impl Strategy<Value = Vec<Call>> {
    let row = (prop::option::weighted(0.9, 0..3_i64), 0..3_i64);
    let back = if taken_back { 4 } else { 0 };
    let act = prop_oneof![6 => row.prop_map(Act::Add), back => any::<prop::sample::Index>().prop_map(Act::TakeBack)];
    let call = (0..2_usize, prop::collection::vec(act, 1..7), prop::bool::weighted(0.5));
    prop::collection::vec(call.prop_map(|(side, acts, marker)| Call { side, acts, marker }), 1..12)
}

const ALL: [JoinType; 8] = [
    JoinType::Inner,
    JoinType::Left,
    JoinType::Right,
    JoinType::Full,
    JoinType::LeftSemi,
    JoinType::LeftAnti,
    JoinType::RightSemi,
    JoinType::RightAnti,
];

fn cell(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

fn line((key, value): Row) -> String {
    format!("{} | {value}", cell(key))
}

/// The rows of the join, in order.
fn joined(join_type: JoinType, residual: bool, sides: &[Vec<Row>; 2]) -> Vec<String> {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right, RightAnti, RightSemi};
    let meet = |left: &Row, right: &Row| left.0.is_some() && left.0 == right.0 && (!residual || left.1 < right.1);
    let mut found = Vec::new();
    for left in &sides[0] {
        let partners: Vec<&Row> = sides[1].iter().filter(|right| meet(left, right)).collect();
        if matches!(join_type, Inner | Left | Right | Full) {
            found.extend(partners.iter().map(|right| format!("{} | {}", line(*left), line(**right))));
        }
        match (join_type, partners.is_empty()) {
            (Left | Full, true) => found.push(format!("{} | NULL | NULL", line(*left))),
            (LeftSemi, false) | (LeftAnti, true) => found.push(line(*left)),
            _ => {}
        }
    }
    for right in &sides[1] {
        match (join_type, sides[0].iter().any(|left| meet(left, right))) {
            (Right | Full, false) => found.push(format!("NULL | NULL | {}", line(*right))),
            (RightSemi, true) | (RightAnti, false) => found.push(line(*right)),
            _ => {}
        }
    }
    found.sort();
    found
}

/// The script, and what there is to be at each of its markers.
fn script(join_type: JoinType, residual: bool, calls: &[Call], always: bool) -> (Script, Vec<Vec<String>>) {
    let mut sides: [Vec<Row>; 2] = Default::default();
    let (mut steps, mut expected) = (Vec::new(), Vec::new());
    for call in calls {
        let there = &mut sides[call.side];
        let (mut lines, mut weights) = (Vec::new(), Vec::new());
        for act in &call.acts {
            let row = match act {
                Act::Add(row) => {
                    there.push(*row);
                    weights.push(1);
                    *row
                }
                Act::TakeBack(_) if there.is_empty() => continue,
                Act::TakeBack(which) => {
                    weights.push(-1);
                    there.swap_remove(which.index(there.len()))
                }
            };
            lines.push(line(row));
        }
        if !lines.is_empty() {
            let records = rows(&inputs()[call.side], &lines.iter().map(String::as_str).collect::<Vec<_>>());
            let batch = match weights.contains(&-1) {
                true => Batch::weighted(records, Int8Array::from(weights)).unwrap(),
                false => records.into(),
            };
            steps.push(Step::Rows(call.side, batch));
        }
        if always || call.marker {
            steps.push(Step::Marker);
            expected.push(joined(join_type, residual, &sides));
        }
    }
    expected.push(joined(join_type, residual, &sides));
    (Script { steps }, expected)
}

/// The harness looks that no row is taken back that is not there; this, that what is there is the join.
fn compare(join_type: JoinType, residual: bool, calls: &[Call], taken_back: bool, spread: &JoinSpread) {
    let appends = matches!(join_type, JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi) && !taken_back;
    let changelog = if appends { ChangelogKind::Append } else { ChangelogKind::Retract };
    let mut node = join(join_type, residual.then(less), changelog);
    if let OperatorSpec::Join(spec) = &mut node.operator {
        spec.spread = spread.clone();
    }
    for plan in Plan::ALL {
        let (script, expected) = script(join_type, residual, calls, plan == Plan::Alone);
        let found = run(&node, &inputs(), &script, plan).unwrap_or_else(|error| panic!("{plan:?}: {}", error.report()));
        assert_eq!(found.len(), expected.len());
        let mut counts: BTreeMap<&str, isize> = BTreeMap::new();
        for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for change in &found.rows {
                match change.strip_prefix("- ") {
                    None => *counts.entry(change).or_default() += 1,
                    Some(row) => *counts.entry(row).or_default() -= 1,
                }
            }
            let there: Vec<&str> = counts
                .iter()
                .flat_map(|(row, count)| std::iter::repeat_n(*row, usize::try_from(*count).unwrap()))
                .collect();
            assert_eq!(there, *expected, "{plan:?}, {join_type:?}: before marker {}", number + 1);
        }
    }
}

/// Joins, each with a side whose rows need no partner to show.
fn spreads() -> Vec<(JoinType, usize)> {
    let both = ALL.iter().flat_map(|join_type| [(*join_type, 0), (*join_type, 1)]);
    both.filter(|(join_type, side)| !join_type.tracks(*side)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_that_come_and_go(calls in calls(true), join_type in prop::sample::select(&ALL[..]), residual in any::<bool>()) {
        compare(join_type, residual, &calls, true, &JoinSpread::Keys);
    }

    #[test]
    fn rows_that_stay(calls in calls(false), join_type in prop::sample::select(&ALL[..]), residual in any::<bool>()) {
        compare(join_type, residual, &calls, false, &JoinSpread::Keys);
    }

    #[test]
    fn rows_of_one_side_are_in_every_subtask(
        calls in calls(true),
        (join_type, small) in prop::sample::select(spreads()),
        residual in any::<bool>(),
    ) {
        // Those of the other side stay.
        let mut calls = calls;
        for call in calls.iter_mut().filter(|call| call.side != small) {
            call.acts.retain(|act| matches!(act, Act::Add(_)));
        }
        compare(join_type, residual, &calls, true, &JoinSpread::Broadcast(small));
    }
}
