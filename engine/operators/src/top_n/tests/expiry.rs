//! Rows that are forgotten some time behind their coming.

use super::*;
use crate::testing::check_in_memory;

fn expiring(limit: u64, with_rank: bool) -> NodeSpec {
    let spec = TopNSpec {
        partition: vec![0],
        order: vec![key(1, true)],
        limit,
        with_rank,
        retracts: false,
        time_to_live: Some(16_000),
        ranking: Ranking::RowNumber,
        deletions: None,
    };
    assert!(spec.forgets_rows());
    let output = if with_rank { format!("{INPUT}, rn BIGINT") } else { INPUT.to_owned() };
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &schema(&output)) }
}

#[test]
fn a_row_that_is_forgotten_stays_shown_and_leaves_its_place() {
    let script = "
        watermark 12:00:00
        in> a | 5 | 1
        in> a | 7 | 2
        out> a | 5 | 1
        out> a | 7 | 2
        marker
        watermark 12:00:10
        in> a | 6 | 3
        out- a | 5 | 1
        out> a | 6 | 3
        marker
        watermark 12:00:16
        marker
        in> a | 1 | 4
        out> a | 1 | 4
        marker
        in> a | 2 | 5
        out- a | 1 | 4
        out> a | 2 | 5
        marker
        watermark 12:01:00
        marker
        in> a | 0 | 6
        in> b | 0 | 7
        out> a | 0 | 6
        out> b | 0 | 7
        marker
        end
    ";
    check(&expiring(2, false), &[schema(INPUT)], script);
}

#[test]
fn rows_that_were_stored_before_time_was_known_are_forgotten_for_good() {
    let script = "
        in> a | 5 | 1
        in> b | 5 | 1
        out> a | 5 | 1
        out> b | 5 | 1
        marker
        in> b | 7 | 2
        in> b | 9 | 3
        out> b | 7 | 2
        out> b | 9 | 3
        out- b | 5 | 1
        marker
        watermark 12:00:00
        marker
        watermark 12:00:30
        marker
        in> a | 1 | 4
        in> b | 1 | 4
        out> a | 1 | 4
        out> b | 1 | 4
        marker
        end
    ";
    check_in_memory(&expiring(2, false), &[schema(INPUT)], script);
}

#[test]
fn a_key_whose_row_is_forgotten_is_seen_for_the_first_time_again() {
    let script = "
        watermark 12:00:00
        in> a | 5 | 1
        in> b | 5 | 1
        out> a | 5 | 1 | 1
        out> b | 5 | 1 | 1
        marker
        watermark 12:00:10
        in> a | 7 | 2
        in> b | 3 | 2
        out- a | 5 | 1 | 1
        out> a | 7 | 2 | 1
        marker
        watermark 12:00:16
        marker
        in> a | 6 | 3
        in> b | 2 | 3
        out> b | 2 | 3 | 1
        marker
        watermark 12:00:40
        marker
        in> a | 1 | 4
        out> a | 1 | 4 | 1
        marker
    ";
    check(&expiring(1, true), &[schema(INPUT)], script);
}

/// Partitions of any Top-N are forgotten as a whole, sixteen seconds behind their last change.
fn of_partitions(ranking: Ranking, limit: u64, (with_rank, retracts): (bool, bool)) -> NodeSpec {
    let spec = TopNSpec {
        partition: vec![0],
        order: vec![key(1, true)],
        limit,
        with_rank,
        retracts,
        time_to_live: Some(16_000),
        ranking,
        deletions: None,
    };
    assert!(spec.forgets() && !spec.forgets_rows());
    let output = if with_rank { format!("{INPUT}, rn BIGINT") } else { INPUT.to_owned() };
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &schema(&output)) }
}

#[test]
fn a_partition_that_nothing_changes_in_begins_anew() {
    let script = "
        watermark 12:00:00
        in> a | 5 | 1
        in> a | 7 | 2
        in> b | 9 | 3
        out> a | 7 | 2 | 1
        out> a | 5 | 1 | 2
        out> b | 9 | 3 | 1
        marker
        watermark 12:00:10
        in> b | 8 | 4
        out> b | 8 | 4 | 2
        marker
        watermark 12:00:15
        marker
        in> b | 1 | 5
        marker
        watermark 12:00:16
        marker
        in> a | 1 | 6
        in> b | 10 | 7
        out> a | 1 | 6 | 1
        out- b | 9 | 3 | 1
        out- b | 8 | 4 | 2
        out> b | 10 | 7 | 1
        out> b | 9 | 3 | 2
        marker
        watermark 12:01:00
        marker
        in> b | 2 | 8
        out> b | 2 | 8 | 1
        marker
        end
    ";
    check(&of_partitions(Ranking::RowNumber, 2, (true, false)), &[schema(INPUT)], script);
    check(&of_partitions(Ranking::RowNumber, 2, (true, true)), &[schema(INPUT)], script);
    check(&of_partitions(Ranking::Rank, 2, (true, false)), &[schema(INPUT)], script);
    check(&of_partitions(Ranking::DenseRank, 2, (true, true)), &[schema(INPUT)], script);
}

#[test]
fn what_is_taken_back_of_a_forgotten_partition_is_passed_over() {
    let script = "
        watermark 12:00:00
        in> a | 5 | 1
        in> a | 7 | 2
        in> a | 3 | 3
        out> a | 5 | 1
        out> a | 7 | 2
        marker
        in- a | 7 | 2
        out- a | 7 | 2
        out> a | 3 | 3
        marker
        watermark 12:00:30
        marker
        in- a | 5 | 1
        marker
        in> a | 1 | 4
        in- a | 3 | 3
        out> a | 1 | 4
        marker
        in- a | 1 | 4
        out- a | 1 | 4
        marker
        end
    ";
    check(&of_partitions(Ranking::RowNumber, 2, (false, true)), &[schema(INPUT)], script);
}

#[test]
fn of_the_newest_records_only_those_are_forgotten_that_say_that_their_row_is_gone() {
    let columns = "k STRING, place BIGINT, gone BOOLEAN";
    let spec = TopNSpec {
        partition: vec![0],
        order: vec![key(1, true)],
        limit: 1,
        with_rank: false,
        retracts: false,
        time_to_live: Some(16_000),
        ranking: Ranking::RowNumber,
        deletions: Some(2),
    };
    let spec = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &schema(columns)) };
    let script = "
        watermark 12:00:00
        in> a | 5 | false
        in> b | 5 | false
        in> c | 5 | true
        out> a | 5 | false
        out> b | 5 | false
        out> c | 5 | true
        marker
        watermark 12:00:10
        in> b | 6 | true
        in> c | 4 | false
        out- b | 5 | false
        out> b | 6 | true
        marker
        watermark 12:00:18
        marker
        in> a | 4 | false
        in> b | 5 | false
        in> c | 4 | false
        out> c | 4 | false
        marker
        watermark 12:00:40
        marker
        in> a | 4 | false
        in> b | 5 | false
        in> c | 3 | false
        out> b | 5 | false
        marker
        in> a | 7 | true
        out- a | 5 | false
        out> a | 7 | true
        marker
        end
    ";
    check_in_memory(&spec, &[schema(columns)], script);
}
