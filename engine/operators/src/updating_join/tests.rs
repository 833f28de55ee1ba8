#![allow(clippy::unwrap_used)]

mod expiry;
mod oracle;
mod order;

use weir_core::{BinaryOperator, ChangelogKind, Expr, JoinSpec, JoinSpread, JoinType, NodeSpec, OperatorSpec};

use crate::testing::{check, node, schema};

const PAIRS: &str = "k BIGINT, a BIGINT, k BIGINT, b BIGINT";

fn inputs() -> Vec<arrow::datatypes::SchemaRef> {
    vec![schema("k BIGINT, a BIGINT"), schema("k BIGINT, b BIGINT")]
}

fn join(join_type: JoinType, residual: Option<Expr>, changelog: ChangelogKind) -> NodeSpec {
    use JoinType::{LeftAnti, LeftSemi, RightAnti, RightSemi};
    let output = match join_type {
        LeftSemi | LeftAnti => "k BIGINT, a BIGINT",
        RightSemi | RightAnti => "k BIGINT, b BIGINT",
        _ => PAIRS,
    };
    let spec = JoinSpec { join_type, on: vec![(0, 0)], residual, time_to_live: (None, None), spread: JoinSpread::Keys };
    NodeSpec { changelog, ..node(OperatorSpec::Join(spec), &schema(output)) }
}

/// `left.a < right.b`
fn less() -> Expr {
    let (left, right) = (Box::new(Expr::Column(1)), Box::new(Expr::Column(3)));
    Expr::Binary { operator: BinaryOperator::Lt, left, right }
}

#[test]
fn without_a_key_every_row_meets_every_other() {
    let spec = JoinSpec {
        join_type: JoinType::Left,
        on: Vec::new(),
        residual: Some(less()),
        time_to_live: (None, None),
        spread: JoinSpread::Keys,
    };
    let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::Join(spec), &schema(PAIRS)) };
    let script = "
        left> 1 | 10
        left> NULL | 20
        out> 1 | 10 | NULL | NULL
        out> NULL | 20 | NULL | NULL
        marker
        right> 2 | 15
        right> NULL | 5
        out- 1 | 10 | NULL | NULL
        out> 1 | 10 | 2 | 15
        marker
        right- 2 | 15
        right> NULL | 25
        out- 1 | 10 | 2 | 15
        out> 1 | 10 | NULL | NULL
        out- 1 | 10 | NULL | NULL
        out> 1 | 10 | NULL | 25
        out- NULL | 20 | NULL | NULL
        out> NULL | 20 | NULL | 25
        end
        sent> end
    ";
    check(&node, &inputs(), script);
}

#[test]
fn an_inner_join_of_rows_that_stay_adds_each_pair_once() {
    let script = "
        left> 1 | 10
        left> 2 | 20
        left> NULL | 30
        right> 1 | 5
        right> 1 | 15
        right> 3 | 1
        right> NULL | 1
        out> 1 | 10 | 1 | 5
        out> 1 | 10 | 1 | 15
        marker
        left> 1 | 10
        left> 3 | 30
        out> 1 | 10 | 1 | 5
        out> 1 | 10 | 1 | 15
        out> 3 | 30 | 3 | 1
        marker
        right> 1 | 5
        right> 2 | 0
        out> 1 | 10 | 1 | 5
        out> 1 | 10 | 1 | 5
        out> 2 | 20 | 2 | 0
        watermark 12:00:00
        sent> 12:00:00
        end
        sent> end
    ";
    check(&join(JoinType::Inner, None, ChangelogKind::Append), &inputs(), script);
}

#[test]
fn a_further_condition_may_be_null() {
    let script = "
        left> 1 | 10
        left> 1 | NULL
        right> 1 | 5
        right> 1 | 15
        right> 1 | NULL
        out> 1 | 10 | 1 | 15
        marker
        right- 1 | 15
        left- 1 | NULL
        out- 1 | 10 | 1 | 15
        end
    ";
    check(&join(JoinType::Inner, Some(less()), ChangelogKind::Retract), &inputs(), script);
}

#[test]
fn a_left_join_takes_the_padded_row_back_and_shows_it_again() {
    let script = "
        left> 1 | 10
        left> 1 | 10
        left> NULL | 30
        out> 1 | 10 | NULL | NULL
        out> 1 | 10 | NULL | NULL
        out> NULL | 30 | NULL | NULL
        marker
        right> 1 | 5
        right> NULL | 5
        out- 1 | 10 | NULL | NULL
        out- 1 | 10 | NULL | NULL
        out> 1 | 10 | 1 | 5
        out> 1 | 10 | 1 | 5
        marker
        right> 1 | 6
        out> 1 | 10 | 1 | 6
        out> 1 | 10 | 1 | 6
        marker
        left- 1 | 10
        out- 1 | 10 | 1 | 5
        out- 1 | 10 | 1 | 6
        marker
        right- 1 | 5
        out- 1 | 10 | 1 | 5
        marker
        right- 1 | 6
        right> 2 | 6
        out- 1 | 10 | 1 | 6
        out> 1 | 10 | NULL | NULL
        marker
        left- 1 | 10
        left- NULL | 30
        out- 1 | 10 | NULL | NULL
        out- NULL | 30 | NULL | NULL
        end
    ";
    check(&join(JoinType::Left, None, ChangelogKind::Retract), &inputs(), script);
}

#[test]
fn a_full_join_pads_both_sides() {
    let script = "
        left> 1 | 10
        right> 1 | 5
        right> 2 | 7
        right> NULL | 8
        out> 1 | 10 | NULL | NULL
        out> NULL | NULL | 1 | 5
        out> NULL | NULL | 2 | 7
        out> NULL | NULL | NULL | 8
        marker
        left> 1 | 4
        left> 2 | 9
        out- NULL | NULL | 1 | 5
        out> 1 | 4 | 1 | 5
        out> 2 | 9 | NULL | NULL
        marker
        left- 1 | 4
        left> 1 | 4
        left- 1 | 4
        left> 2 | 6
        out- 1 | 4 | 1 | 5
        out> NULL | NULL | 1 | 5
        out- NULL | NULL | 1 | 5
        out> 1 | 4 | 1 | 5
        out- 1 | 4 | 1 | 5
        out> NULL | NULL | 1 | 5
        out- NULL | NULL | 2 | 7
        out> 2 | 6 | 2 | 7
        end
    ";
    check(&join(JoinType::Full, Some(less()), ChangelogKind::Retract), &inputs(), script);
}

#[test]
fn a_semi_join_of_rows_that_stay_shows_each_row_once() {
    let script = "
        left> 1 | 10
        left> 1 | 10
        right> 1 | 5
        right> 1 | 5
        out> 1 | 10
        out> 1 | 10
        marker
        right> 1 | 6
        left> 1 | 11
        left> NULL | 11
        right> NULL | 11
        out> 1 | 11
        end
    ";
    check(&join(JoinType::LeftSemi, None, ChangelogKind::Append), &inputs(), script);
}

#[test]
fn semi_and_anti_joins_follow_the_first_and_the_last_match() {
    let script = |matched: char, alone: char| {
        let (shows, leaves) = if matched == '+' { ("out>", "out-") } else { ("out-", "out>") };
        let first = if alone == '+' { "out> 1 | 10\nout> NULL | 9" } else { "" };
        let last = if alone == '+' { "out- 1 | 10\nout- NULL | 9" } else { "" };
        format!(
            "left> 1 | 10\nleft> NULL | 9\n{first}\nmarker\nright> 1 | 5\nright> 1 | 6\n{shows} 1 | 10\nmarker\n\
             right- 1 | 5\nmarker\nright- 1 | 6\n{leaves} 1 | 10\nmarker\nright> 1 | 6\nright- 1 | 6\n\
             {shows} 1 | 10\n{leaves} 1 | 10\nmarker\nleft- 1 | 10\nleft- NULL | 9\n{last}\nend"
        )
    };
    let mirrored = |script: &str| script.replace("left", "middle").replace("right", "left").replace("middle", "right");
    let (semi, anti) = (script('+', '-'), script('-', '+'));
    for (join_type, script) in [
        (JoinType::LeftSemi, semi.clone()),
        (JoinType::LeftAnti, anti.clone()),
        (JoinType::RightSemi, mirrored(&semi)),
        (JoinType::RightAnti, mirrored(&anti)),
    ] {
        check(&join(join_type, None, ChangelogKind::Retract), &inputs(), &script);
    }
}
