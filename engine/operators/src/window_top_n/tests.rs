#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use weir_core::{EventTime, NodeSpec, OperatorSpec, Ranking, SortKey, Watermark, WindowTopNSpec};

use crate::testing::{Plan, Script, Step, check, node, rows, run, schema, time_text};

const INPUT: &str = "end TIMESTAMP, shop STRING, price BIGINT, id BIGINT";

fn top(limit: u64, with_rank: bool, partition: Vec<usize>) -> NodeSpec {
    ranked(Ranking::RowNumber, limit, with_rank, partition)
}

fn ranked(ranking: Ranking, limit: u64, with_rank: bool, partition: Vec<usize>) -> NodeSpec {
    let output = if with_rank { format!("{INPUT}, rank BIGINT") } else { INPUT.to_owned() };
    let order = vec![SortKey { column: 2, descending: true, nulls_first: false }];
    let spec = WindowTopNSpec { window_end: 0, partition, order, limit, with_rank, ranking };
    node(OperatorSpec::WindowTopN(spec), &schema(&output))
}

#[test]
fn the_highest_prices_of_each_shop_and_window() {
    let script = r#"
        in> 12:00:10 | a | 5 | 1
        in> 12:00:10 | a | 7 | 2
        in> 12:00:10 | b | NULL | 3
        in> 12:00:20 | a | 1 | 4
        marker
        in> 12:00:10 | a | 7 | 0
        in> 12:00:10 | a | 6 | 5
        in> NULL | a | 9 | 9
        marker
        watermark 12:00:09.999
        out> 12:00:10 | a | 7 | 2 | 1
        out> 12:00:10 | a | 7 | 0 | 2
        out> 12:00:10 | b | NULL | 3 | 1
        marker
        in> 12:00:10 | c | 1 | 6
        in> 12:00:20 | NULL | 3 | 7
        late> 12:00:10 | 12:00:09.999 | {"end":"1970-01-01T12:00:10","shop":"c","price":1,"id":6}
        marker
        idle
        in> 12:00:20 | NULL | 4 | 8
        end
        out> 12:00:20 | a | 1 | 4 | 1
        out> 12:00:20 | NULL | 4 | 8 | 1
        out> 12:00:20 | NULL | 3 | 7 | 2
        sent> end
    "#;
    check(&top(2, true, vec![0, 1]), &[schema(INPUT)], script);
}

#[test]
fn without_a_rank_and_over_the_whole_window() {
    let script = r#"
        in> 12:00:10 | a | 5 | 1
        in> 12:00:10 | b | 7 | 2
        marker
        in> 12:00:10 | c | 9 | 3
        end
        out> 12:00:10 | c | 9 | 3
    "#;
    check(&top(1, false, vec![0]), &[schema(INPUT)], script);
}

#[test]
fn rows_that_share_a_rank_are_kept_together() {
    let script = |numbers: [u8; 3]| {
        let [second, third, fourth] = numbers;
        let out = |row: &str, number: u8| if number <= 3 { format!("out> {row} | {number}\n") } else { String::new() };
        format!(
            "in> 12:00:10 | a | 9 | 1
             in> 12:00:10 | a | 5 | 2
             marker
             in> 12:00:10 | a | 9 | 3
             in> 12:00:10 | a | 7 | 4
             in> 12:00:10 | a | 3 | 5
             marker
             watermark 12:00:09.999
             out> 12:00:10 | a | 9 | 1 | 1
             {}{}{}
             end
             sent> end",
            out("12:00:10 | a | 9 | 3", second),
            out("12:00:10 | a | 7 | 4", third),
            out("12:00:10 | a | 5 | 2", fourth),
        )
    };
    for (ranking, numbers) in
        [(Ranking::RowNumber, [2, 3, 4]), (Ranking::Rank, [1, 3, 4]), (Ranking::DenseRank, [1, 2, 3])]
    {
        check(&ranked(ranking, 3, true, vec![0, 1]), &[schema(INPUT)], &script(numbers));
    }
}

#[test]
fn of_equal_rows_the_first_is_kept_or_the_last_by_time() {
    const TIMED: &str = "end TIMESTAMP, shop STRING, ts TIMESTAMP, id BIGINT";
    let newest = |descending, limit| {
        let order = vec![SortKey { column: 2, descending, nulls_first: false }];
        let spec = WindowTopNSpec {
            window_end: 0,
            partition: vec![0, 1],
            order,
            limit,
            with_rank: false,
            ranking: Ranking::RowNumber,
        };
        node(OperatorSpec::WindowTopN(spec), &schema(TIMED))
    };
    let script = |kept: &str| {
        format!(
            r#"
            in> 12:00:10 | a | 12:00:05 | 5
            in> 12:00:10 | a | 12:00:05 | 7
            in> 12:00:10 | b | 12:00:05 | 9
            marker
            in> 12:00:10 | a | 12:00:05 | 6
            in> 12:00:10 | b | 12:00:05 | 4
            marker
            in> 12:00:10 | c | 12:00:04 | 1
            end
            {kept}
        "#
        )
    };
    let last = "out> 12:00:10 | a | 12:00:05 | 6
        out> 12:00:10 | b | 12:00:05 | 4
        out> 12:00:10 | c | 12:00:04 | 1";
    check(&newest(true, 1), &[schema(TIMED)], &script(last));
    let first = "out> 12:00:10 | a | 12:00:05 | 5
        out> 12:00:10 | b | 12:00:05 | 9
        out> 12:00:10 | c | 12:00:04 | 1";
    check(&newest(false, 1), &[schema(TIMED)], &script(first));
    let two = "out> 12:00:10 | a | 12:00:05 | 5
        out> 12:00:10 | a | 12:00:05 | 7
        out> 12:00:10 | b | 12:00:05 | 9
        out> 12:00:10 | b | 12:00:05 | 4
        out> 12:00:10 | c | 12:00:04 | 1";
    check(&newest(true, 2), &[schema(TIMED)], &script(two));
}

type Row = (i64, i64, Option<i64>);

#[derive(Debug, Clone)]
enum Event {
    Rows(Vec<Row>),
    Watermark(i64),
    Marker,
}

fn events(rows: usize) -> impl Strategy<Value = Vec<Event>> {
    let row = ((1..4_i64).prop_map(|window| window * 10), 0..3_i64, proptest::option::weighted(0.9, 0..9_i64));
    let event = prop_oneof![
        6 => prop::collection::vec(row, 1..rows).prop_map(Event::Rows),
        1 => (0..35_i64).prop_map(Event::Watermark),
        2 => Just(Event::Marker),
    ];
    prop::collection::vec(event, 1..15)
}

fn agrees_with_sorting(events: &[Event], limit: u64) -> Result<(), TestCaseError> {
    let mut kept: Vec<(i64, i64, Option<i64>, i64)> = Vec::new();
    let (mut late, mut watermark, mut id) = (0, i64::MIN, 0);
    let mut steps = Vec::new();
    for event in events {
        match event {
            Event::Marker => steps.push(Step::Marker),
            Event::Watermark(time) => {
                watermark = watermark.max(*time);
                steps.push(Step::Watermark(0, Watermark::At(EventTime(*time))));
            }
            Event::Rows(batch) => {
                let mut lines = Vec::new();
                for (end, shop, price) in batch {
                    id += 1;
                    let price_text = price.map_or("NULL".to_owned(), |price| price.to_string());
                    lines.push(format!("{end} | {shop} | {price_text} | {id}"));
                    if end - 1 <= watermark { late += 1 } else { kept.push((*end, *shop, *price, id)) }
                }
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                steps.push(Step::Rows(0, rows(&schema(INPUT), &lines).into()));
            }
        }
    }
    steps.push(Step::Watermark(0, Watermark::At(EventTime::MAX)));
    // Highest price first, nulls last, then the least id.
    let mut expected = Vec::new();
    for row in &kept {
        let ahead = kept.iter().filter(|other| (other.0, other.1) == (row.0, row.1));
        let rank = 1 + ahead
            .filter(|other| {
                let (a, b) = (other.2.unwrap_or(-1), row.2.unwrap_or(-1));
                a > b || (a == b && other.3 < row.3)
            })
            .count() as u64;
        if rank <= limit {
            let price = row.2.map_or("NULL".to_owned(), |price| price.to_string());
            expected.push(format!("{} | {} | {price} | {} | {rank}", time_text(row.0), row.1, row.3));
        }
    }
    expected.sort();
    for plan in Plan::ALL {
        let found =
            run(&top(limit, true, vec![0, 1]), &[schema(INPUT)], &Script { steps: steps.clone() }, plan).unwrap();
        let mut all: Vec<String> = found.iter().flat_map(|interval| interval.rows.clone()).collect();
        all.sort();
        prop_assert_eq!(&all, &expected, "{:?}", plan);
        prop_assert_eq!(found.iter().map(|interval| interval.late.len()).sum::<usize>(), late);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn few_rows(events in events(8), limit in 1..4_u64) {
        agrees_with_sorting(&events, limit)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4) })]

    /// So many that windows are cut down before they close.
    #[test]
    fn many_rows(events in events(900), limit in 1..4_u64) {
        agrees_with_sorting(&events, limit)?;
    }
}
