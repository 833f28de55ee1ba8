#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use weir_core::{
    BinaryOperator, EventTime, Expr, JoinSpread, JoinType, NodeSpec, OperatorSpec, Watermark, WindowJoinSpec,
};

use crate::testing::{Plan, Script, Step, check, node, rows, run, schema, time_text};

const PAIRS: &str = "key BIGINT, id BIGINT, end TIMESTAMP, key BIGINT, id BIGINT, end TIMESTAMP";
const ONE: &str = "key BIGINT, id BIGINT, end TIMESTAMP";

fn join(join_type: JoinType, residual: Option<Expr>, spread: JoinSpread) -> NodeSpec {
    let pairs = matches!(join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
    let spec = WindowJoinSpec { join_type, on: vec![(2, 2), (0, 0)], window_end: (2, 2), residual, spread };
    node(OperatorSpec::WindowJoin(spec), &schema(if pairs { PAIRS } else { ONE }))
}

/// All ways to spread the rows of a join.
fn spreads(join_type: JoinType) -> Vec<JoinSpread> {
    let broadcast = [0, 1].into_iter().filter(|input| !join_type.tracks(*input)).map(JoinSpread::Broadcast);
    [JoinSpread::Keys, JoinSpread::SomeKeys(vec![1])].into_iter().chain(broadcast).collect()
}

fn check_join(join_type: JoinType, script: &str) {
    for spread in spreads(join_type) {
        check(&join(join_type, None, spread), &[schema(ONE), schema(ONE)], script);
    }
}

#[test]
fn inner_join_emits_when_the_window_closes() {
    let script = r#"
        left> 1 | 10 | 12:00:10
        left> 2 | 20 | 12:00:10
        left> 1 | 11 | 12:00:20
        right> 1 | 100 | 12:00:10
        right> 1 | 101 | 12:00:10
        right> 1 | 102 | 12:00:20
        watermark 12:00:09.998
        marker
        right> NULL | 103 | 12:00:10
        left> NULL | 12 | 12:00:10
        watermark 12:00:09.999
        out> 1 | 10 | 12:00:10 | 1 | 100 | 12:00:10
        out> 1 | 10 | 12:00:10 | 1 | 101 | 12:00:10
        sent> 12:00:09.999
        marker
        left> 2 | 21 | 12:00:10
        left> 1 | 13 | 12:00:20
        late> 12:00:10 | 12:00:09.999 | {"key":2,"id":21,"end":"1970-01-01T12:00:10"}
        marker
        idle left
        marker
        watermark right 12:00:30
        out> 1 | 11 | 12:00:20 | 1 | 102 | 12:00:20
        out> 1 | 13 | 12:00:20 | 1 | 102 | 12:00:20
        marker
        left> 1 | 14 | 12:00:40
        end
    "#;
    check_join(JoinType::Inner, script);
}

#[test]
fn outer_joins_pad_what_nothing_matched() {
    let arrive = r#"
        left> 1 | 10 | 12:00:10
        left> NULL | 11 | 12:00:10
        right> 1 | 100 | 12:00:10
        -
        right> 2 | 101 | 12:00:10
        marker
        left> 3 | 12 | 12:00:20
        right> 5 | 102 | NULL
        marker
        end
        out> 1 | 10 | 12:00:10 | 1 | 100 | 12:00:10
    "#;
    let left = "out> NULL | 11 | 12:00:10 | NULL | NULL | NULL\n out> 3 | 12 | 12:00:20 | NULL | NULL | NULL\n";
    let right = "out> NULL | NULL | NULL | 2 | 101 | 12:00:10\n";
    check_join(JoinType::Left, &format!("{arrive}{left}"));
    // A row without a window waits for nothing.
    let with_null = arrive.replacen("| NULL\n", "| NULL\n out> NULL | NULL | NULL | 5 | 102 | NULL\n", 1);
    check_join(JoinType::Right, &format!("{with_null}{right}"));
    check_join(JoinType::Full, &format!("{with_null}{left}{right}"));
}

#[test]
fn semi_and_anti_joins_emit_rows_once() {
    let arrive = r#"
        left> 1 | 10 | 12:00:10
        left> 2 | 11 | 12:00:10
        left> NULL | 12 | 12:00:10
        right> 1 | 100 | 12:00:10
        right> 1 | 101 | 12:00:10
        right> 2 | 102 | 12:00:20
        marker
        right> NULL | 103 | 12:00:10
        marker
        end
    "#;
    let with =
        |out: &[&str]| format!("{arrive}\n{}", out.iter().map(|row| format!("out> {row}\n")).collect::<String>());
    check_join(JoinType::LeftSemi, &with(&["1 | 10 | 12:00:10"]));
    check_join(JoinType::LeftAnti, &with(&["2 | 11 | 12:00:10", "NULL | 12 | 12:00:10"]));
    check_join(JoinType::RightSemi, &with(&["1 | 100 | 12:00:10", "1 | 101 | 12:00:10"]));
    check_join(JoinType::RightAnti, &with(&["2 | 102 | 12:00:20", "NULL | 103 | 12:00:10"]));
}

#[derive(Debug, Clone)]
enum Event {
    Rows(usize, Vec<(Option<i64>, i64)>),
    Watermark(i64),
    Marker,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = (proptest::option::weighted(0.9, 0..4_i64), (1..5_i64).prop_map(|window| window * 10));
    let event = prop_oneof![
        6 => (0..2_usize, prop::collection::vec(row, 1..10)).prop_map(|(side, rows)| Event::Rows(side, rows)),
        2 => (0..45_i64).prop_map(Event::Watermark),
        2 => Just(Event::Marker),
    ];
    prop::collection::vec(event, 1..25)
}

type Row = (Option<i64>, i64, i64);

fn text(row: Option<&Row>) -> String {
    let key = |key: Option<i64>| key.map_or("NULL".to_owned(), |key| key.to_string());
    row.map_or("NULL | NULL | NULL".to_owned(), |row| format!("{} | {} | {}", key(row.0), row.1, time_text(row.2)))
}

/// Nested loops over all rows that were not late.
fn oracle(events: &[Event], join_type: JoinType, residual: bool) -> (Vec<String>, usize) {
    use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right, RightAnti, RightSemi};
    let mut sides: [Vec<Row>; 2] = Default::default();
    let (mut late, mut watermark, mut id) = (0, i64::MIN, 0);
    for event in events {
        match event {
            Event::Marker => {}
            Event::Watermark(time) => watermark = watermark.max(*time),
            Event::Rows(side, rows) => {
                for (key, end) in rows {
                    id += 1;
                    if end - 1 <= watermark { late += 1 } else { sides[*side].push((*key, id, *end)) }
                }
            }
        }
    }
    let [left, right] = &sides;
    let matches = |l: &Row, r: &Row| l.0.is_some() && l.0 == r.0 && l.2 == r.2 && (!residual || l.1 < r.1);
    let mut output = Vec::new();
    for l in left {
        let partners: Vec<&Row> = right.iter().filter(|r| matches(l, r)).collect();
        match join_type {
            Inner | Left | Right | Full => {
                output.extend(partners.iter().map(|r| format!("{} | {}", text(Some(l)), text(Some(r)))));
                if partners.is_empty() && matches!(join_type, Left | Full) {
                    output.push(format!("{} | {}", text(Some(l)), text(None)));
                }
            }
            LeftSemi if !partners.is_empty() => output.push(text(Some(l))),
            LeftAnti if partners.is_empty() => output.push(text(Some(l))),
            _ => {}
        }
    }
    for r in right {
        let matched = left.iter().any(|l| matches(l, r));
        match join_type {
            Right | Full if !matched => output.push(format!("{} | {}", text(None), text(Some(r)))),
            RightSemi if matched => output.push(text(Some(r))),
            RightAnti if !matched => output.push(text(Some(r))),
            _ => {}
        }
    }
    output.sort();
    (output, late)
}

fn script(events: &[Event]) -> Script {
    let mut id = 0;
    let mut steps = Vec::new();
    for event in events {
        match event {
            Event::Marker => steps.push(Step::Marker),
            Event::Watermark(time) => {
                steps.extend([0, 1].map(|input| Step::Watermark(input, Watermark::At(EventTime(*time)))));
            }
            Event::Rows(side, batch) => {
                let mut lines = Vec::new();
                for (key, end) in batch {
                    id += 1;
                    lines.push(format!("{} | {id} | {end}", key.map_or("NULL".to_owned(), |key| key.to_string())));
                }
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                steps.push(Step::Rows(*side, rows(&schema(ONE), &lines).into()));
            }
        }
    }
    steps.extend([0, 1].map(|input| Step::Watermark(input, Watermark::At(EventTime::MAX))));
    Script { steps }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn agrees_with_nested_loops(
        events in events(), kind in 0..8_usize, spread in 0..4_usize, residual in any::<bool>()
    ) {
        use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right, RightAnti, RightSemi};
        let join_type = [Inner, Left, Right, Full, LeftSemi, LeftAnti, RightSemi, RightAnti][kind];
        let less = Expr::Binary {
            operator: BinaryOperator::Lt,
            left: Box::new(Expr::Column(1)),
            right: Box::new(Expr::Column(4)),
        };
        let spreads = spreads(join_type);
        let spread = &spreads[spread % spreads.len()];
        let node = join(join_type, residual.then_some(less), spread.clone());
        let (expected, late) = oracle(&events, join_type, residual);
        for plan in Plan::ALL {
            let found = run(&node, &[schema(ONE), schema(ONE)], &script(&events), plan).unwrap();
            let mut all: Vec<String> = found.iter().flat_map(|interval| interval.rows.clone()).collect();
            all.sort();
            prop_assert_eq!(&all, &expected, "{:?} {:?}", plan, spread);
            prop_assert_eq!(found.iter().map(|interval| interval.late.len()).sum::<usize>(), late);
        }
    }
}
