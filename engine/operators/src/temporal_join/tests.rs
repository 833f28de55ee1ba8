//! Scripts, and random histories compared with a search through all versions.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use weir_core::{BinaryOperator, EventTime, Expr, JoinType, NodeSpec, OperatorSpec, TemporalJoinSpec, Watermark};

use crate::testing::{Plan, Script, Step, check, node, rows, run, schema, time_text};

const LEFT: &str = "k BIGINT, at TIMESTAMP, n BIGINT";
const RIGHT: &str = "key BIGINT, since TIMESTAMP, v BIGINT";

fn join(join_type: JoinType, residual: Option<Expr>) -> NodeSpec {
    let spec = TemporalJoinSpec { join_type, on: vec![(0, 0)], time: (1, 1), residual };
    node(OperatorSpec::TemporalJoin(spec), &schema(&format!("{LEFT}, {RIGHT}")))
}

/// `n < v`
fn less() -> Expr {
    let column = |column| Box::new(Expr::Column(column));
    Expr::Binary { operator: BinaryOperator::Lt, left: column(2), right: column(5) }
}

#[test]
fn a_row_meets_the_version_of_its_time() {
    let script = r#"
        left> 1 | 12:00:03 | 1
        left> 1 | 12:00:05 | 2
        left> 2 | 12:00:03 | 3
        left> NULL | 12:00:03 | 4
        out> NULL | 12:00:03 | 4 | NULL | NULL | NULL
        right> 1 | 12:00:05 | 50
        right> 1 | 12:00:02 | 20
        marker
        right> 1 | 12:00:02 | 21
        right> NULL | 12:00:02 | 9
        right> 2 | 12:00:04 | 40
        watermark 12:00:04
        out> 1 | 12:00:03 | 1 | 1 | 12:00:02 | 21
        out> 2 | 12:00:03 | 3 | NULL | NULL | NULL
        sent> 12:00:04
        marker
        left> 1 | 12:00:04 | 5
        late> 12:00:04 | 12:00:04 | {"k":1,"at":"1970-01-01T12:00:04","n":5}
        right> 1 | 12:00:03 | 30
        right> 2 | 12:00:03 | 39
        late> 12:00:03 | 12:00:04 | {"key":2,"since":"1970-01-01T12:00:03","v":39}
        marker
        left> 2 | 12:00:09 | 6
        left> 1 | 12:00:04.500 | 7
        end
        out> 1 | 12:00:04.500 | 7 | 1 | 12:00:03 | 30
        out> 1 | 12:00:05 | 2 | 1 | 12:00:05 | 50
        out> 2 | 12:00:09 | 6 | 2 | 12:00:04 | 40
        sent> end
    "#;
    check(&join(JoinType::Left, None), &[schema(LEFT), schema(RIGHT)], script);
}

#[test]
fn a_condition_does_not_choose_the_version() {
    let script = r#"
        right> 1 | 12:00:01 | 9
        right> 1 | 12:00:02 | 1
        left> 1 | 12:00:03 | 5
        left> 1 | 12:00:01 | 5
        marker
        end
        out> 1 | 12:00:01 | 5 | 1 | 12:00:01 | 9
    "#;
    check(&join(JoinType::Inner, Some(less())), &[schema(LEFT), schema(RIGHT)], script);
    let padded = format!("{script}        out> 1 | 12:00:03 | 5 | NULL | NULL | NULL\n");
    check(&join(JoinType::Left, Some(less())), &[schema(LEFT), schema(RIGHT)], &padded);
}

/// Key, time and value.
type Keyed = (i64, i64, i64);

type Input = (Option<i64>, i64, i64);

#[derive(Debug, Clone)]
enum Event {
    Rows(usize, Vec<Input>),
    Watermark(i64),
    Marker,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = (proptest::option::weighted(0.9, 0..3_i64), 0..25_i64, 0..9_i64);
    let event = prop_oneof![
        6 => (0..2_usize, prop::collection::vec(row, 1..6)).prop_map(|(side, rows)| Event::Rows(side, rows)),
        3 => (0..25_i64).prop_map(Event::Watermark),
        3 => Just(Event::Marker),
    ];
    prop::collection::vec(event, 1..18)
}

fn agrees(events: &[Event], join_type: JoinType, with_condition: bool) -> Result<(), TestCaseError> {
    let (mut probes, mut versions): (Vec<Keyed>, Vec<Keyed>) = (Vec::new(), Vec::new());
    let (mut late, mut watermark) = (0, i64::MIN);
    let (mut steps, mut expected) = (Vec::new(), Vec::new());
    let inputs = [schema(LEFT), schema(RIGHT)];
    let null = |value: Option<i64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    let alone = |row: &str, expected: &mut Vec<String>| {
        if join_type == JoinType::Left {
            expected.push(format!("{row} | NULL | NULL | NULL"));
        }
    };
    // A row meets what has come when the watermark passes it.
    let pass = |watermark: i64, probes: &mut Vec<Keyed>, versions: &[Keyed], expected: &mut Vec<String>| {
        for (key, time, n) in probes.iter().filter(|row| row.1 <= watermark) {
            let row = format!("{key} | {} | {n}", time_text(*time));
            let of_key = versions.iter().filter(|version| version.0 == *key && version.1 <= *time);
            // Of equal ones the last is the greatest.
            match of_key.max_by_key(|version| version.1).filter(|version| !with_condition || *n < version.2) {
                Some((key, time, v)) => expected.push(format!("{row} | {key} | {} | {v}", time_text(*time))),
                None => alone(&row, expected),
            }
        }
        probes.retain(|row| row.1 > watermark);
    };
    for event in events {
        match event {
            Event::Marker => steps.push(Step::Marker),
            Event::Watermark(time) => {
                watermark = watermark.max(*time);
                pass(watermark, &mut probes, &versions, &mut expected);
                steps.extend([0, 1].map(|side| Step::Watermark(side, Watermark::At(EventTime(*time)))));
            }
            Event::Rows(side, batch) => {
                let mut lines = Vec::new();
                for (key, time, value) in batch {
                    lines.push(format!("{} | {time} | {value}", null(*key)));
                    let passed = *time <= watermark;
                    match key {
                        _ if *side == 0 && passed => late += 1,
                        None if *side == 0 => alone(&format!("NULL | {} | {value}", time_text(*time)), &mut expected),
                        None => {}
                        Some(key) if *side == 0 => probes.push((*key, *time, *value)),
                        Some(key) => {
                            let replaced = |other: &Keyed| other.0 == *key && other.1 > *time && other.1 <= watermark;
                            match passed && versions.iter().any(replaced) {
                                true => late += 1,
                                false => versions.push((*key, *time, *value)),
                            }
                        }
                    }
                }
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                steps.push(Step::Rows(*side, rows(&inputs[*side], &lines).into()));
            }
        }
    }
    pass(i64::MAX, &mut probes, &versions, &mut expected);
    steps.extend([0, 1].map(|side| Step::Watermark(side, Watermark::At(EventTime::MAX))));
    expected.sort();
    let node = join(join_type, with_condition.then(less));
    for plan in Plan::ALL {
        let found = run(&node, &inputs, &Script { steps: steps.clone() }, plan)
            .unwrap_or_else(|error| panic!("{plan:?}: {}", error.report()));
        let mut rows: Vec<String> = found.iter().flat_map(|interval| interval.rows.clone()).collect();
        rows.sort();
        prop_assert_eq!(&rows, &expected, "{:?}", plan);
        prop_assert_eq!(found.iter().map(|interval| interval.late.len()).sum::<usize>(), late, "{:?}", plan);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn versions_are_those_of_a_search(events in events(), left in any::<bool>(), with_condition in any::<bool>()) {
        agrees(&events, if left { JoinType::Left } else { JoinType::Inner }, with_condition)?;
    }
}
