//! Scripts, and random changes against an oracle that sorts all rows anew.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::Int8Array;
use proptest::prelude::*;
use weir_core::{Batch, ChangelogKind, EventTime, NodeSpec, OperatorSpec, Ranking, SortKey, TopNSpec, Watermark};

use crate::testing::{Plan, Script, Step, check, node, rows, run, schema};

mod expiry;
mod stored;

const INPUT: &str = "who STRING, amount BIGINT, id BIGINT";

fn key(column: usize, descending: bool) -> SortKey {
    SortKey { column, descending, nulls_first: !descending }
}

fn top(partition: Vec<usize>, order: Vec<SortKey>, limit: u64, (with_rank, retracts): (bool, bool)) -> NodeSpec {
    ranked(Ranking::RowNumber, partition, order, limit, (with_rank, retracts))
}

fn ranked(
    ranking: Ranking,
    partition: Vec<usize>,
    order: Vec<SortKey>,
    limit: u64,
    (with_rank, retracts): (bool, bool),
) -> NodeSpec {
    let output = if with_rank { format!("{INPUT}, rank BIGINT") } else { INPUT.to_owned() };
    let spec = TopNSpec { partition, order, limit, with_rank, retracts, time_to_live: None, ranking, deletions: None };
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &schema(&output)) }
}

#[test]
fn a_row_that_comes_pushes_the_last_one_out() {
    let script = "
        in> a | 5 | 1
        in> a | 7 | 2
        in> a | 6 | 3
        in> b | NULL | 4
        out> a | 7 | 2
        out> a | 6 | 3
        out> b | NULL | 4
        marker
        in> a | 6 | 5
        in> a | 5 | 6
        marker
        in> a | 9 | 7
        in> b | 1 | 8
        in> b | 0 | 9
        out- a | 6 | 3
        out> a | 9 | 7
        out- b | NULL | 4
        out> b | 1 | 8
        out> b | 0 | 9
        end
    ";
    for retracts in [false, true] {
        check(&top(vec![0], vec![key(1, true)], 2, (false, retracts)), &[schema(INPUT)], script);
    }
}

#[test]
fn rows_of_columns_that_are_never_null_go_too() {
    let script = "
        in> a | 5 | 1
        out> a | 5 | 1
        marker
        in> a | 7 | 2
        out- a | 5 | 1
        out> a | 7 | 2
        marker
        end
    ";
    let columns = "who STRING NOT NULL, amount BIGINT NOT NULL, id BIGINT NOT NULL";
    let spec = TopNSpec {
        partition: vec![0],
        order: vec![key(1, true)],
        limit: 1,
        with_rank: false,
        retracts: false,
        time_to_live: None,
        ranking: Ranking::RowNumber,
        deletions: None,
    };
    let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &schema(columns)) };
    check(&node, &[schema(columns)], script);
}

#[test]
fn a_row_that_had_left_the_first_ones_comes_back_when_another_is_taken_back() {
    let script = "
        in> a | 5 | 1
        in> a | 7 | 2
        in> a | 6 | 3
        out> a | 7 | 2 | 1
        out> a | 6 | 3 | 2
        marker
        in- a | 7 | 2
        out- a | 7 | 2 | 1
        out> a | 6 | 3 | 1
        out- a | 6 | 3 | 2
        out> a | 5 | 1 | 2
        marker
        in- a | 5 | 1
        in- a | 6 | 3
        out- a | 6 | 3 | 1
        out- a | 5 | 1 | 2
        marker
        in> a | 1 | 9
        out> a | 1 | 9 | 1
        end
    ";
    check(&top(vec![0], vec![key(1, true)], 2, (true, true)), &[schema(INPUT)], script);
}

#[test]
fn without_an_order_the_rows_that_come_first_stay() {
    let script = "
        in> b | 5 | 1
        in> a | 7 | 2
        out> b | 5 | 1 | 1
        out> a | 7 | 2 | 2
        marker
        in> c | 2 | 3
        in> a | 1 | 4
        out> c | 2 | 3 | 3
        marker
        in> d | 2 | 5
        end
    ";
    let node = top(vec![], vec![], 3, (true, false));
    check(&NodeSpec { changelog: ChangelogKind::Append, ..node }, &[schema(INPUT)], script);
}

#[test]
fn zeros_of_both_signs_are_one_partition_in_the_state_too() {
    let script = "
        in> -0 | 5
        in> -0 | 4
        out> -0 | 4
        marker
        in- -0 | 4
        out- -0 | 4
        out> -0 | 5
        marker
        in> 0 | 9
        marker
        in- -0 | 5
        out- -0 | 5
        out> 0 | 9
        marker
        end
    ";
    let input = schema("x DOUBLE, y BIGINT");
    let (partition, order) = (vec![0], vec![key(1, false)]);
    let spec = TopNSpec {
        partition,
        order,
        limit: 1,
        with_rank: false,
        ranking: Default::default(),
        retracts: true,
        time_to_live: None,
        deletions: None,
    };
    let top = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &input) };
    check(&top, std::slice::from_ref(&input), script);
}

#[test]
fn without_a_partition_all_rows_are_one() {
    let script = "
        in> a | 5 | 1
        in> b | 7 | 2
        out> a | 5 | 1 | 1
        marker
        in> c | 2 | 3
        out- a | 5 | 1 | 1
        out> c | 2 | 3 | 1
        end
    ";
    check(&top(vec![], vec![key(1, false)], 1, (true, false)), &[schema(INPUT)], script);
}

#[test]
fn of_equal_rows_the_first_is_ahead_but_of_the_newest_by_time_the_last_is() {
    let first = "
        in> a | 5 | 1
        in> a | 5 | 2
        out> a | 5 | 1
        marker
        in> a | 5 | 3
        end
    ";
    check(&top(vec![0], vec![key(1, true)], 1, (false, false)), &[schema(INPUT)], first);
    let newest = "
        in> a | 12:00:05 | 1
        in> a | 12:00:05 | 2
        out> a | 12:00:05 | 2
        marker
        in> a | 12:00:04 | 4
        in> a | 12:00:05 | 3
        out- a | 12:00:05 | 2
        out> a | 12:00:05 | 3
        end
    ";
    let input = schema("who STRING, at TIMESTAMP, id BIGINT");
    let spec = TopNSpec {
        partition: vec![0],
        order: vec![key(1, true)],
        limit: 1,
        with_rank: false,
        retracts: false,
        time_to_live: None,
        ranking: Ranking::RowNumber,
        deletions: None,
    };
    let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &input) };
    check(&node, &[input], newest);
}

type Row = (u8, Option<i64>, i64);

fn line((who, amount, id): &Row) -> String {
    format!("{who} | {} | {id}", amount.map_or_else(|| "NULL".to_owned(), |amount| amount.to_string()))
}

fn batch(changes: &[(i8, Row)], retracts: bool) -> Batch {
    let lines: Vec<String> = changes.iter().map(|(_, row)| line(row)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let weights: Int8Array = changes.iter().map(|(weight, _)| Some(*weight)).collect();
    let records = rows(&schema(INPUT), &lines);
    if retracts { Batch::weighted(records, weights).unwrap() } else { Batch::append(records) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each row is another one, so that of rows with one amount the first to come is known.
    #[test]
    fn what_is_shown_are_the_first_rows(
        limit in prop::sample::select(vec![1_u64, 2, 3, 1000]),
        ranking in prop::sample::select(vec![Ranking::RowNumber, Ranking::Rank, Ranking::DenseRank]),
        with_rank in any::<bool>(),
        retracts in any::<bool>(),
        at_the_end in any::<bool>(),
        steps in prop::collection::vec(
            (0_u8..5, prop::collection::vec((0_u8..3, prop::option::weighted(0.8, 0_i64..4), any::<prop::sample::Index>()), 1..6)),
            1..24,
        ),
    ) {
        let (mut live, mut script, mut expected): (Vec<Row>, _, _) = (Vec::new(), Script::default(), Vec::new());
        let shown = |live: &[Row]| {
            let mut partitions: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
            live.iter().for_each(|row| partitions.entry(row.0).or_default().push(*row));
            let mut lines: BTreeMap<String, i64> = BTreeMap::new();
            for rows in partitions.values_mut() {
                // Greatest first, nulls last; the sort keeps the order of arrival.
                rows.sort_by_key(|row| std::cmp::Reverse(row.1));
                for (index, row) in rows.iter().enumerate() {
                    let before: Vec<_> = rows.iter().take_while(|other| other.1 != row.1).map(|row| row.1).collect();
                    let number = 1 + match ranking {
                        Ranking::RowNumber => index,
                        Ranking::Rank => before.len(),
                        Ranking::DenseRank => before.into_iter().collect::<BTreeSet<_>>().len(),
                    };
                    if number as u64 <= limit {
                        let line = if with_rank { format!("{} | {number}", line(row)) } else { line(row) };
                        lines.insert(line, 1);
                    }
                }
            }
            lines
        };
        let mut next = 0;
        for (kind, rows) in &steps {
            let mut changes = Vec::new();
            match kind {
                0 => {
                    script.steps.push(Step::Marker);
                    expected.push(shown(&live));
                }
                1 | 2 => {
                    for (who, amount, _) in rows {
                        next += 1;
                        let row = (*who, *amount, next);
                        live.push(row);
                        changes.push((1, row));
                    }
                }
                _ if !retracts => {}
                _ => {
                    for (.., place) in rows {
                        if !live.is_empty() {
                            changes.push((-1, live.remove(place.index(live.len()))));
                        }
                    }
                }
            }
            if !changes.is_empty() {
                script.steps.push(Step::Rows(0, batch(&changes, retracts)));
            }
        }
        if !at_the_end {
            script.steps.push(Step::Marker);
            expected.push(shown(&live));
        }
        // What is left comes out at the end of time.
        expected.push(shown(&live));
        script.steps.push(Step::Watermark(0, Watermark::At(EventTime::MAX)));
        let node = ranked(ranking, vec![0], vec![key(1, true)], limit, (with_rank, retracts));
        for plan in Plan::ALL {
            let mut all: BTreeMap<String, i64> = BTreeMap::new();
            let found = run(&node, &[schema(INPUT)], &script, plan).unwrap();
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
