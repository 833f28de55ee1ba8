#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use weir_core::{
    BinaryOperator, EventTime, Expr, IntervalJoinSpec, JoinSpread, JoinType, NodeSpec, OperatorSpec, Watermark,
};

use crate::testing::{Plan, Script, Step, check, node, rows, run, schema, time_text};

fn join(join_type: JoinType, lower: i64, upper: i64, residual: Option<Expr>) -> NodeSpec {
    let output = schema("id BIGINT, name STRING, at TIMESTAMP, id BIGINT, amount BIGINT, at TIMESTAMP");
    let (on, spread) = (vec![(0, 0)], JoinSpread::Keys);
    let spec = IntervalJoinSpec { join_type, on, time: (2, 2), lower, upper, residual, spread };
    node(OperatorSpec::IntervalJoin(spec), &output)
}

/// All ways to spread the rows of a join.
fn spreads(join_type: JoinType) -> Vec<JoinSpread> {
    let broadcast = [0, 1].into_iter().filter(|_| join_type == JoinType::Inner).map(JoinSpread::Broadcast);
    [JoinSpread::Keys].into_iter().chain(broadcast).collect()
}

fn inputs() -> Vec<arrow::datatypes::SchemaRef> {
    vec![schema("id BIGINT, name STRING, at TIMESTAMP"), schema("id BIGINT, amount BIGINT, at TIMESTAMP")]
}

#[test]
fn inner_join_meets_rows_of_the_ten_seconds_before() {
    let script = r#"
        left> 1 | a | 12:00:01
        left> 2 | b | 12:00:05
        right> 1 | 100 | 12:00:10
        right> 2 | 200 | 12:00:20
        watermark 12:00:12
        out> 1 | a | 12:00:01 | 1 | 100 | 12:00:10
        sent> 12:00:02
        marker
        left> 2 | c | 12:00:15
        left> 2 | d | 12:00:02
        left> 2 | e | 12:00:03
        right> 2 | 201 | 12:00:13
        right> NULL | 5 | 12:00:13
        right> 2 | 7 | NULL
        out> 2 | c | 12:00:15 | 2 | 200 | 12:00:20
        out> 2 | b | 12:00:05 | 2 | 201 | 12:00:13
        out> 2 | e | 12:00:03 | 2 | 201 | 12:00:13
        late> 12:00:02 | 12:00:12 | {"id":2,"name":"d","at":"1970-01-01T12:00:02"}
        marker
        idle right
        marker
        watermark left 12:00:30
        right> 2 | 300 | 12:00:25
        late> 12:00:25 | 12:00:30 | {"id":2,"amount":300,"at":"1970-01-01T12:00:25"}
        sent> 12:00:20
        marker
        right> 1 | 1 | 12:00:35
        left> 1 | f | 12:00:34
        out> 1 | f | 12:00:34 | 1 | 1 | 12:00:35
        end
        sent> end
    "#;
    check(&join(JoinType::Inner, -10_000, 0, None), &inputs(), script);
}

#[test]
fn full_join_emits_what_nothing_matched_when_its_time_has_passed() {
    let script = r#"
        left> 1 | a | 12:00:00
        left> 1 | b | 12:00:03
        left> NULL | c | 12:00:01
        right> 1 | 10 | 12:00:04
        right> 9 | 90 | 12:00:04
        right> 9 | 91 | NULL
        out> 1 | b | 12:00:03 | 1 | 10 | 12:00:04
        out> NULL | c | 12:00:01 | NULL | NULL | NULL
        out> NULL | NULL | NULL | 9 | 91 | NULL
        watermark 12:00:01
        marker
        watermark 12:00:02
        out> 1 | a | 12:00:00 | NULL | NULL | NULL
        marker
        left> 9 | z | 12:00:06
        out> 9 | z | 12:00:06 | 9 | 90 | 12:00:04
        watermark 12:00:05.999
        marker
        right> 1 | 11 | 12:00:06
        watermark 12:00:06
        sent> 12:00:04
        marker
        watermark 12:00:07.999
        marker
        watermark 12:00:08
        out> NULL | NULL | NULL | 1 | 11 | 12:00:06
        end
    "#;
    check(&join(JoinType::Full, -2_000, 2_000, None), &inputs(), script);
}

#[test]
fn a_left_row_that_only_meets_the_past_does_not_wait() {
    // left.time is 10 to 20 seconds after right.time.
    let script = r#"
        right> 1 | 10 | 12:00:00
        watermark 12:00:12
        left> 1 | a | 12:00:15
        left> 2 | b | 12:00:15
        out> 1 | a | 12:00:15 | 1 | 10 | 12:00:00
        out> 2 | b | 12:00:15 | NULL | NULL | NULL
        marker
        left> 1 | c | 12:00:12
        late> 12:00:12 | 12:00:12 | {"id":1,"name":"c","at":"1970-01-01T12:00:12"}
        left> 1 | d | 12:00:20
        left> 1 | e | 12:00:21
        out> 1 | d | 12:00:20 | 1 | 10 | 12:00:00
        out> 1 | e | 12:00:21 | NULL | NULL | NULL
        end
    "#;
    check(&join(JoinType::Left, 10_000, 20_000, None), &inputs(), script);
}

#[derive(Debug, Clone)]
enum Event {
    Rows(usize, Vec<(Option<i64>, Option<i64>)>),
    Watermark(i64),
    Marker,
}

fn events(keys: i64, rows: usize) -> impl Strategy<Value = Vec<Event>> {
    let row = (proptest::option::weighted(0.9, 0..keys), proptest::option::weighted(0.95, 0..60_i64));
    let event = prop_oneof![
        6 => (0..2_usize, prop::collection::vec(row, 1..rows)).prop_map(|(side, rows)| Event::Rows(side, rows)),
        3 => (0..60_i64).prop_map(Event::Watermark),
        2 => Just(Event::Marker),
    ];
    prop::collection::vec(event, 1..30)
}

struct Arrived {
    side: usize,
    key: Option<i64>,
    time: Option<i64>,
    id: i64,
    matched: bool,
}

/// Nested loops over everything that ever arrived. Returns result and late rows.
fn oracle(events: &[Event], join_type: JoinType, lower: i64, upper: i64, residual: bool) -> (Vec<String>, usize) {
    let mut arrived: Vec<Arrived> = Vec::new();
    let (mut output, mut late, mut watermark) = (Vec::new(), 0, i64::MIN);
    let deadline = |side: usize, time: i64| if side == 0 { time - lower } else { time + upper };
    let mut id = 0;
    let text = |row: Option<&Arrived>| match row {
        None => "NULL | NULL | NULL".to_owned(),
        Some(row) => {
            let key = row.key.map_or("NULL".to_owned(), |key| key.to_string());
            let time = row.time.map_or("NULL".to_owned(), time_text);
            format!("{key} | {} | {time}", row.id)
        }
    };
    for event in events {
        match event {
            Event::Marker => {}
            Event::Watermark(time) => watermark = watermark.max(*time),
            Event::Rows(side, rows) => {
                for (key, time) in rows {
                    id += 1;
                    let mut row = Arrived { side: *side, key: *key, time: *time, id, matched: false };
                    if time.is_some_and(|time| time.max(deadline(*side, time)) <= watermark) {
                        late += 1;
                        continue;
                    }
                    for other in arrived.iter_mut().filter(|other| other.side != *side) {
                        let (Some(time), Some(other_time)) = (row.time, other.time) else { continue };
                        let (left, right) = if *side == 0 { (time, other_time) } else { (other_time, time) };
                        let ids = if *side == 0 { (row.id, other.id) } else { (other.id, row.id) };
                        if row.key.is_some()
                            && row.key == other.key
                            && (lower..=upper).contains(&(left - right))
                            && deadline(other.side, other_time) > watermark
                            && (!residual || ids.0 < ids.1)
                        {
                            (row.matched, other.matched) = (true, true);
                            let pair = if *side == 0 { (&row, &*other) } else { (&*other, &row) };
                            output.push(format!("{} | {}", text(Some(pair.0)), text(Some(pair.1))));
                        }
                    }
                    arrived.push(row);
                }
            }
        }
    }
    for row in arrived.iter().filter(|row| !row.matched) {
        match (row.side, join_type) {
            (0, JoinType::Left | JoinType::Full) => output.push(format!("{} | {}", text(Some(row)), text(None))),
            (1, JoinType::Right | JoinType::Full) => output.push(format!("{} | {}", text(None), text(Some(row)))),
            _ => {}
        }
    }
    output.sort();
    (output, late)
}

fn script(events: &[Event]) -> Script {
    let columns = schema("key BIGINT, id BIGINT, at TIMESTAMP");
    let mut id = 0;
    let mut steps = Vec::new();
    let mut lines = |rows: &[(Option<i64>, Option<i64>)]| {
        let cell = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
        let line = |(key, time): &(Option<i64>, Option<i64>)| {
            id += 1;
            format!("{} | {id} | {}", cell(*key), cell(*time))
        };
        rows.iter().map(line).collect::<Vec<_>>()
    };
    for event in events {
        match event {
            Event::Marker => steps.push(Step::Marker),
            Event::Watermark(time) => {
                steps.extend([0, 1].map(|input| Step::Watermark(input, Watermark::At(EventTime(*time)))));
            }
            Event::Rows(side, batch) => {
                let lines = lines(batch);
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                steps.push(Step::Rows(*side, rows(&columns, &lines).into()));
            }
        }
    }
    steps.extend([0, 1].map(|input| Step::Watermark(input, Watermark::At(EventTime::MAX))));
    Script { steps }
}

fn agrees_with_nested_loops(
    events: &[Event],
    join_type: JoinType,
    (lower, width): (i64, i64),
    residual: bool,
) -> Result<(), TestCaseError> {
    let upper = lower + width;
    let less = Expr::Binary {
        operator: BinaryOperator::Lt,
        left: Box::new(Expr::Column(1)),
        right: Box::new(Expr::Column(4)),
    };
    let columns = schema("key BIGINT, id BIGINT, at TIMESTAMP");
    let output = schema("key BIGINT, id BIGINT, at TIMESTAMP, key BIGINT, id BIGINT, at TIMESTAMP");
    let residual_expr = residual.then_some(less);
    let (expected, late) = oracle(events, join_type, lower, upper, residual);
    let nodes = spreads(join_type).into_iter().map(|spread| {
        let (on, residual) = (vec![(0, 0)], residual_expr.clone());
        let spec = IntervalJoinSpec { join_type, on, time: (2, 2), lower, upper, residual, spread };
        node(OperatorSpec::IntervalJoin(spec), &output)
    });
    for (node, plan) in nodes.flat_map(|node| Plan::ALL.map(|plan| (node.clone(), plan))) {
        let found = run(&node, &[columns.clone(), columns.clone()], &script(events), plan).unwrap();
        let mut all: Vec<String> = found.iter().flat_map(|interval| interval.rows.clone()).collect();
        all.sort();
        prop_assert_eq!(&all, &expected, "{:?}", plan);
        prop_assert_eq!(found.iter().map(|interval| interval.late.len()).sum::<usize>(), late);
    }
    Ok(())
}

const TYPES: [JoinType; 4] = [JoinType::Inner, JoinType::Left, JoinType::Right, JoinType::Full];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(120) })]

    #[test]
    fn few_rows(events in events(3, 5), kind in 0..4_usize, bounds in (-15..15_i64, 0..20_i64), residual in any::<bool>()) {
        agrees_with_nested_loops(&events, TYPES[kind], bounds, residual)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(30) })]

    /// So many that blocks are merged, indexed and dropped.
    #[test]
    fn many_rows(events in events(40, 60), kind in 0..4_usize, bounds in (-15..15_i64, 0..20_i64)) {
        agrees_with_nested_loops(&events, TYPES[kind], bounds, false)?;
    }
}
