//! Random histories, compared with what SQL says of the rows that were not late: for each row all rows of its partition are looked at.

use proptest::prelude::*;
use weir_core::{EventTime, OverCall, OverFrame, OverFunction, Watermark};

use super::{ALL, INPUT, call, number, over};
use crate::testing::{Plan, Script, Step, rows, run, schema, time_text};

#[derive(Debug, Clone)]
struct Row {
    who: i64,
    time: i64,
    n: Option<i64>,
    arrival: usize,
}

#[derive(Debug, Clone)]
enum Event {
    Rows(Vec<(i64, i64, Option<i64>)>),
    Watermark(i64),
    Marker,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = (0..3_i64, 0..25_i64, proptest::option::weighted(0.8, -4..9_i64));
    let event = prop_oneof![
        5 => prop::collection::vec(row, 1..6).prop_map(Event::Rows),
        3 => (0..25_i64).prop_map(Event::Watermark),
        3 => Just(Event::Marker),
    ];
    prop::collection::vec(event, 1..18)
}

fn frames() -> impl Strategy<Value = OverFrame> {
    prop_oneof![
        Just(ALL),
        Just(OverFrame::Rows(None)),
        (0..4_u64).prop_map(|rows| OverFrame::Rows(Some(rows))),
        (0..8_i64).prop_map(|time| OverFrame::Range(Some(time))),
    ]
}

fn calls() -> impl Strategy<Value = OverCall> {
    let integer = arrow::datatypes::DataType::Int64;
    let function = prop_oneof![
        Just(OverFunction::Count),
        Just(OverFunction::Sum),
        Just(OverFunction::Min),
        Just(OverFunction::Max),
        any::<bool>().prop_map(|respect_nulls| OverFunction::FirstValue { respect_nulls }),
        any::<bool>().prop_map(|respect_nulls| OverFunction::LastValue { respect_nulls }),
        Just(OverFunction::RowNumber),
        Just(OverFunction::Rank),
        Just(OverFunction::DenseRank),
        (0..3_u64).prop_map(OverFunction::Lag),
        (0..3_u64).prop_map(OverFunction::Lead),
        Just(OverFunction::LastBefore),
    ];
    (function, frames(), any::<bool>()).prop_map(move |(function, frame, flag)| match function {
        OverFunction::Count if flag => call(function, frame, None, integer.clone()),
        OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank => {
            call(function, frame, None, integer.clone())
        }
        _ => number(function, frame),
    })
}

/// What the call is for the row at `index` of its partition, which is in order.
fn expected(call: &OverCall, partition: &[Row], index: usize) -> Option<i64> {
    let row = &partition[index];
    let frame: Vec<&Row> = match call.frame {
        OverFrame::Rows(preceding) => {
            let preceding = preceding.map_or(usize::MAX, |rows| rows as usize);
            partition[index.saturating_sub(preceding)..=index].iter().collect()
        }
        OverFrame::Range(preceding) => {
            let least = preceding.map_or(i64::MIN, |time| row.time - time);
            partition.iter().filter(|other| other.time >= least && other.time <= row.time).collect()
        }
    };
    let values = || frame.iter().filter_map(|row| row.n);
    match call.function {
        OverFunction::Count if call.argument.is_none() => Some(frame.len() as i64),
        OverFunction::Count => Some(values().count() as i64),
        OverFunction::Sum => values().reduce(|a, b| a + b),
        OverFunction::Min => values().min(),
        OverFunction::Max => values().max(),
        OverFunction::FirstValue { respect_nulls: true } => frame.first()?.n,
        OverFunction::LastValue { respect_nulls: true } => frame.last()?.n,
        OverFunction::FirstValue { .. } => values().next(),
        OverFunction::LastValue { .. } => values().next_back(),
        OverFunction::RowNumber => Some(index as i64 + 1),
        OverFunction::Rank => Some(partition.iter().filter(|other| other.time < row.time).count() as i64 + 1),
        OverFunction::DenseRank => {
            let mut times: Vec<i64> = partition.iter().map(|row| row.time).filter(|time| *time <= row.time).collect();
            times.dedup();
            Some(times.len() as i64)
        }
        OverFunction::Lag(rows) => partition.get(index.checked_sub(rows as usize)?)?.n,
        OverFunction::LastBefore => partition[..index].iter().rev().find_map(|row| row.n),
        OverFunction::Lead(rows) => partition.get(index + rows as usize)?.n,
        OverFunction::Avg => unreachable!("its results are no whole numbers"),
    }
}

fn agrees(events: &[Event], calls: &[OverCall]) -> Result<(), TestCaseError> {
    let (mut kept, mut late, mut watermark): (Vec<Row>, usize, i64) = (Vec::new(), 0, i64::MIN);
    let mut steps = Vec::new();
    let mut arrivals = 0..;
    for event in events {
        match event {
            Event::Marker => steps.push(Step::Marker),
            Event::Watermark(time) => {
                watermark = watermark.max(*time);
                steps.push(Step::Watermark(0, Watermark::At(EventTime(*time))));
            }
            Event::Rows(batch) => {
                let mut lines = Vec::new();
                for (who, time, n) in batch {
                    let n_text = n.map_or("NULL".to_owned(), |n| n.to_string());
                    lines.push(format!("{who} | {time} | {n_text} | NULL"));
                    match *time <= watermark {
                        true => late += 1,
                        false => kept.push(Row {
                            who: *who,
                            time: *time,
                            n: *n,
                            arrival: arrivals.next().unwrap_or_default(),
                        }),
                    }
                }
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                steps.push(Step::Rows(0, rows(&schema(INPUT), &lines).into()));
            }
        }
    }
    steps.push(Step::Watermark(0, Watermark::At(EventTime::MAX)));
    let text = |n: Option<i64>| n.map_or("NULL".to_owned(), |n| n.to_string());
    let mut all = Vec::new();
    for who in 0..3 {
        let mut partition: Vec<Row> = kept.iter().filter(|row| row.who == who).cloned().collect();
        partition.sort_by_key(|row| (row.time, row.arrival));
        for (index, row) in partition.iter().enumerate() {
            let results: Vec<String> = calls.iter().map(|call| text(expected(call, &partition, index))).collect();
            all.push(format!("{who} | {} | {} | NULL | {}", time_text(row.time), text(row.n), results.join(" | ")));
        }
    }
    all.sort();
    for plan in Plan::ALL {
        let node = over(vec![0], calls.to_vec());
        let found = run(&node, &[schema(INPUT)], &Script { steps: steps.clone() }, plan)
            .unwrap_or_else(|error| panic!("{plan:?}: {}", error.report()));
        let mut rows: Vec<String> = found.iter().flat_map(|interval| interval.rows.clone()).collect();
        rows.sort();
        prop_assert_eq!(&rows, &all, "{:?}", plan);
        prop_assert_eq!(found.iter().map(|interval| interval.late.len()).sum::<usize>(), late);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn results_are_those_of_all_rows_that_were_in_time(events in events(), calls in prop::collection::vec(calls(), 1..4)) {
        agrees(&events, &calls)?;
    }
}
