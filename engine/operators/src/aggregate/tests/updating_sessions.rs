//! Sessions that are shown before they end, or that rows still change which come late: as text, and at random against the sessions of all
//! rows so far, found by sorting them.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use proptest::prelude::*;
use weir_core::{
    AggregateCall, AggregateFunction, ChangelogKind, EventTime, NodeSpec, OperatorSpec, UpdatingSessionsSpec, Watermark,
};
use weir_functions::Functions;

use super::{call, other};
use crate::testing::{Plan, Script, Step, check, node, rows, run_with, schema, time_text};

const INPUT: &str = "time TIMESTAMP, who STRING, amount BIGINT";

fn sessions(aggregates: Vec<AggregateCall>, results: &str, gap: i64, lateness: u64, early: bool) -> NodeSpec {
    let output = schema(&format!("who STRING, {results}, s TIMESTAMP, e TIMESTAMP, t TIMESTAMP"));
    let spec = UpdatingSessionsSpec { keys: vec![1], aggregates, time: 0, gap, lateness, early };
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::UpdatingSessions(spec), &output) }
}

/// Count and sum of each name and session, which ends ten seconds behind its last row.
fn counts_and_sums(lateness: u64, early: bool) -> NodeSpec {
    let of = |function, arguments: &[usize]| call(function, arguments, DataType::Int64);
    let calls = vec![of(AggregateFunction::Count, &[]), of(AggregateFunction::Sum, &[2])];
    sessions(calls, "n BIGINT, total BIGINT", 10_000, lateness, early)
}

#[test]
fn a_session_that_grows_takes_the_place_of_what_it_was() {
    let script = r#"
        in> 12:00:10 | a | 1
        in> 12:00:30 | b | 5
        in> NULL | a | 100
        out> a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        out> b | 1 | 5 | 12:00:30 | 12:00:40 | 12:00:39.999
        marker
        in> 12:00:12 | a | 2
        -
        in> 12:00:05 | a | 4
        out- a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        out> a | 3 | 7 | 12:00:05 | 12:00:22 | 12:00:21.999
        marker
        marker
        in> 12:00:11 | a | 0
        in> 12:00:31 | b | 0
        out- a | 3 | 7 | 12:00:05 | 12:00:22 | 12:00:21.999
        out> a | 4 | 7 | 12:00:05 | 12:00:22 | 12:00:21.999
        out- b | 1 | 5 | 12:00:30 | 12:00:40 | 12:00:39.999
        out> b | 2 | 5 | 12:00:30 | 12:00:41 | 12:00:40.999
        marker
        watermark 12:00:22
        in> 12:00:12 | a | 9
        late> 12:00:12 | 12:00:22 | {"time":"1970-01-01T12:00:12","who":"a","amount":9}
        in> 12:00:13 | a | 9
        out> a | 1 | 9 | 12:00:13 | 12:00:23 | 12:00:22.999
        marker
        in> 12:00:29 | b | 1
        watermark 12:00:50
        out- b | 2 | 5 | 12:00:30 | 12:00:41 | 12:00:40.999
        out> b | 3 | 6 | 12:00:29 | 12:00:41 | 12:00:40.999
        marker
        in> 12:01:00 | b | 1
        end
        out> b | 1 | 1 | 12:01:00 | 12:01:10 | 12:01:09.999
        sent> end
    "#;
    check(&counts_and_sums(0, true), &[schema(INPUT)], script);
}

#[test]
fn sessions_that_are_joined_are_all_taken_back() {
    let script = r#"
        in> 12:00:10 | a | 1
        in> 12:00:30 | a | 2
        in> 12:00:50 | a | 4
        in> 12:00:30 | b | 7
        out> a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        out> a | 1 | 2 | 12:00:30 | 12:00:40 | 12:00:39.999
        out> a | 1 | 4 | 12:00:50 | 12:01:00 | 12:00:59.999
        out> b | 1 | 7 | 12:00:30 | 12:00:40 | 12:00:39.999
        marker
        in> 12:00:40 | a | 8
        in> 12:00:20 | a | 16
        out- a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        out- a | 1 | 2 | 12:00:30 | 12:00:40 | 12:00:39.999
        out- a | 1 | 4 | 12:00:50 | 12:01:00 | 12:00:59.999
        out> a | 5 | 31 | 12:00:10 | 12:01:00 | 12:00:59.999
        marker
        in> 12:01:00 | a | 32
        in> 12:01:20 | a | 64
        in> 12:01:10 | a | 128
        out- a | 5 | 31 | 12:00:10 | 12:01:00 | 12:00:59.999
        out> a | 8 | 255 | 12:00:10 | 12:01:30 | 12:01:29.999
        marker
        end
    "#;
    check(&counts_and_sums(0, true), &[schema(INPUT)], script);
}

/// What is shown are the sessions of the rows so far that have ended.
#[test]
fn rows_that_come_late_join_sessions_that_were_final() {
    let script = r#"
        in> 12:00:10 | a | 1
        in> 12:00:25 | a | 2
        in> 12:00:10 | b | 3
        marker
        watermark 12:00:19.999
        marker
        watermark 12:00:20
        out> a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        out> b | 1 | 3 | 12:00:10 | 12:00:20 | 12:00:19.999
        marker
        in> 12:00:05 | b | 4
        out- b | 1 | 3 | 12:00:10 | 12:00:20 | 12:00:19.999
        out> b | 2 | 7 | 12:00:05 | 12:00:20 | 12:00:19.999
        marker
        in> 12:00:16 | a | 8
        out- a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        marker
        marker
        watermark 12:00:40
        out> a | 3 | 11 | 12:00:10 | 12:00:35 | 12:00:34.999
        marker
        in> 12:00:35 | a | 0
        out- a | 3 | 11 | 12:00:10 | 12:00:35 | 12:00:34.999
        marker
        watermark 12:00:50
        out> a | 4 | 11 | 12:00:10 | 12:00:45 | 12:00:44.999
        in> 12:00:00 | b | 9
        late> 12:00:00 | 12:00:50 | {"time":"1970-01-01T12:00:00","who":"b","amount":9}
        marker
        in> 12:00:11 | c | 9
        out> c | 1 | 9 | 12:00:11 | 12:00:21 | 12:00:20.999
        marker
        watermark 12:01:16
        in> 12:00:36 | a | 5
        late> 12:00:36 | 12:01:16 | {"time":"1970-01-01T12:00:36","who":"a","amount":5}
        marker
        in> 12:01:30 | a | 5
        end
        out> a | 1 | 5 | 12:01:30 | 12:01:40 | 12:01:39.999
    "#;
    check(&counts_and_sums(30_000, false), &[schema(INPUT)], script);
}

#[test]
fn early_results_go_on_changing_while_rows_may_be_late() {
    let script = r#"
        in> 12:00:10 | a | 1
        out> a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        marker
        watermark 12:00:24.999
        in> 12:00:15 | a | 2
        out- a | 1 | 1 | 12:00:10 | 12:00:20 | 12:00:19.999
        out> a | 2 | 3 | 12:00:10 | 12:00:25 | 12:00:24.999
        marker
        watermark 12:00:30
        in> 12:00:15 | a | 4
        late> 12:00:15 | 12:00:30 | {"time":"1970-01-01T12:00:15","who":"a","amount":4}
        marker
        end
    "#;
    check(&counts_and_sums(5_000, true), &[schema(INPUT)], script);
}

/// A row that changes nothing that is shown.
#[test]
fn what_is_the_same_is_not_shown_again() {
    let most = call(AggregateFunction::Max, &[2], DataType::Int64);
    let script = r#"
        in> 12:00:10 | a | 5
        in> 12:00:20 | a | 1
        out> a | 5 | 12:00:10 | 12:00:30 | 12:00:29.999
        marker
        in> 12:00:15 | a | 4
        marker
        in> 12:00:15 | a | 6
        out- a | 5 | 12:00:10 | 12:00:30 | 12:00:29.999
        out> a | 6 | 12:00:10 | 12:00:30 | 12:00:29.999
        marker
        end
    "#;
    check(&sessions(vec![most], "most BIGINT", 10_000, 0, true), &[schema(INPUT)], script);
}

#[derive(Debug, Clone, Copy)]
struct Row {
    time: Option<i64>,
    who: u8,
    amount: Option<i64>,
}

#[derive(Debug, Clone)]
enum Event {
    Rows(Vec<Row>),
    Watermark(i64),
    Marker,
}

fn text(value: Option<i64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

fn calls() -> Vec<AggregateCall> {
    let of = |function, arguments: &[usize]| call(function, arguments, DataType::Int64);
    let distinct = |call: AggregateCall, name: &str| AggregateCall { distinct: true, name: name.into(), ..call };
    vec![
        of(AggregateFunction::Count, &[]),
        of(AggregateFunction::Sum, &[2]),
        of(AggregateFunction::Min, &[2]),
        of(AggregateFunction::LastValue, &[2]),
        distinct(of(AggregateFunction::Count, &[2]), "different"),
        // Keeps its values.
        distinct(other("bit_xor", &[2], DataType::Int64), "bits"),
    ]
}

/// The results of the rows of a session, in the order of time and of arrival.
fn results(rows: &[Row]) -> String {
    let amounts: Vec<i64> = rows.iter().filter_map(|row| row.amount).collect();
    let mut different = amounts.clone();
    different.sort_unstable();
    different.dedup();
    let of_any = |value: i64| (!amounts.is_empty()).then_some(value);
    let cells = [
        Some(rows.len() as i64),
        of_any(amounts.iter().sum()),
        amounts.iter().min().copied(),
        rows.last().and_then(|row| row.amount),
        Some(different.len() as i64),
        of_any(different.iter().fold(0, |bits, amount| bits ^ amount)),
    ];
    cells.map(text).join(" | ")
}

/// What sessions of all rows so far are, by nothing but sorting them.
struct Oracle {
    gap: i64,
    lateness: i64,
    early: bool,
    watermark: i64,
    /// Rows of sessions that are not forgotten, in the order of arrival.
    rows: Vec<Row>,
    /// What was shown last of those that are.
    forgotten: Vec<String>,
}

impl Oracle {
    fn sessions(&self) -> Vec<Vec<Row>> {
        let mut rows = self.rows.clone();
        rows.sort_by_key(|row| (row.who, row.time));
        let near = |row: &Row, next: &Row| {
            row.who == next.who && next.time.unwrap_or_default() - row.time.unwrap_or_default() <= self.gap
        };
        rows.chunk_by(near).map(<[Row]>::to_vec).collect()
    }

    fn end(&self, session: &[Row]) -> i64 {
        session.last().and_then(|row| row.time).unwrap_or_default() + self.gap
    }

    fn line(&self, session: &[Row]) -> String {
        let (start, end) = (session[0].time.unwrap_or_default(), self.end(session));
        let times = [start, end, end - 1].map(time_text).join(" | ");
        format!("{} | {} | {times}", session[0].who, results(session))
    }

    /// Whether the row counts.
    fn takes(&mut self, row: Row) -> bool {
        let Some(time) = row.time else { return true };
        let touches =
            |other: &Row| other.who == row.who && other.time.is_some_and(|other| (other - time).abs() <= self.gap);
        let counts = self.rows.iter().any(touches) || time + self.gap > self.watermark.saturating_sub(self.lateness);
        self.rows.extend(counts.then_some(row));
        counts
    }

    fn advance(&mut self, time: i64) {
        self.watermark = time;
        let is_over = |session: &Vec<Row>| time == i64::MAX || self.end(session) + self.lateness <= time;
        let (over, kept): (Vec<_>, Vec<_>) = self.sessions().into_iter().partition(is_over);
        let lines: Vec<String> = over.iter().map(|session| self.line(session)).collect();
        self.forgotten.extend(lines);
        let kept: Vec<Row> = kept.into_iter().flatten().collect();
        // Their order of arrival stays.
        self.rows.retain(|row| kept.iter().any(|other| other.who == row.who && other.time == row.time));
    }

    /// How often each row is shown.
    fn shown(&self) -> BTreeMap<String, i64> {
        let sessions = self.sessions();
        let shown = sessions.iter().filter(|session| self.early || self.end(session) <= self.watermark);
        let mut counts = BTreeMap::new();
        for line in shown.map(|session| self.line(session)).chain(self.forgotten.iter().cloned()) {
            *counts.entry(line).or_default() += 1;
        }
        counts
    }
}

/// Behind each marker: the rows that have been added since the one before, less those that were taken back, and the times of late rows.
type Net = Vec<(BTreeMap<String, i64>, Vec<String>)>;

fn expected(gap: i64, lateness: i64, early: bool, events: &[Event]) -> Net {
    let (rows, forgotten) = (Vec::new(), Vec::new());
    let mut oracle = Oracle { gap, lateness, early, watermark: i64::MIN, rows, forgotten };
    let (mut net, mut before, mut late) = (Vec::new(), BTreeMap::new(), Vec::new());
    for event in events {
        match event {
            Event::Rows(rows) => {
                let refused = rows.iter().filter(|row| !oracle.takes(**row));
                late.extend(refused.map(|row| time_text(row.time.unwrap_or_default())));
            }
            Event::Watermark(time) if *time > oracle.watermark => oracle.advance(*time),
            Event::Watermark(_) => {}
            Event::Marker => {
                let after = oracle.shown();
                let mut change = after.clone();
                before.into_iter().for_each(|(line, count): (String, i64)| *change.entry(line).or_default() -= count);
                change.retain(|_, count| *count != 0);
                late.sort();
                net.push((change, std::mem::take(&mut late)));
                before = after;
            }
        }
    }
    net
}

fn found(node: &NodeSpec, events: &[Event], plan: Plan) -> Net {
    let input = schema(INPUT);
    let step = |event: &Event| match event {
        Event::Rows(lines) => {
            let time = |row: &Row| row.time.map_or_else(|| "NULL".to_owned(), time_text);
            let lines: Vec<String> =
                lines.iter().map(|row| format!("{} | {} | {}", time(row), row.who, text(row.amount))).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            Step::Rows(0, rows(&input, &lines).into())
        }
        Event::Watermark(time) => Step::Watermark(0, Watermark::At(EventTime(*time))),
        Event::Marker => Step::Marker,
    };
    let script = Script { steps: events.iter().map(step).collect() };
    let intervals = run_with(&Functions::built_in(), node, &[input], &script, plan)
        .unwrap_or_else(|error| panic!("{plan:?}: {}", error.report()));
    let mut net: Net = Vec::new();
    for interval in intervals {
        let mut change = BTreeMap::new();
        for row in &interval.rows {
            let (row, weight) = row.strip_prefix("- ").map_or((row.as_str(), 1), |row| (row, -1));
            *change.entry(row.to_owned()).or_default() += weight;
        }
        change.retain(|_, count| *count != 0);
        let late = interval.late.iter().map(|late| late.split(" | ").next().unwrap_or_default().to_owned());
        net.push((change, late.collect()));
    }
    // Nothing comes behind the last marker.
    assert_eq!(net.pop(), Some(Default::default()));
    net
}

/// Rows around a time that goes on and some from long before, watermarks that are mostly behind it, and markers.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let row = (prop::option::weighted(0.97, -20_i64..6), 0..3_u8, prop::option::weighted(0.9, 0_i64..4));
    let event = prop_oneof![
        5 => (prop::collection::vec(row, 1..6), 0_i64..9).prop_map(|(rows, step)| (Some(rows), step, false)),
        2 => (-14_i64..6).prop_map(|ahead| (None, ahead, false)),
        3 => Just((None, 0, true)),
    ];
    prop::collection::vec(event, 1..40).prop_map(|events| {
        let mut now = 1000;
        let mut events: Vec<Event> = events
            .into_iter()
            .map(|event| match event {
                (Some(rows), step, _) => {
                    now += step;
                    let row = |(time, who, amount): (Option<i64>, u8, Option<i64>)| Row {
                        time: time.map(|time| now + time),
                        who,
                        amount,
                    };
                    Event::Rows(rows.into_iter().map(row).collect())
                }
                (None, _, true) => Event::Marker,
                (None, ahead, false) => Event::Watermark(now + ahead),
            })
            .collect();
        events.extend([Event::Watermark(i64::MAX), Event::Marker]);
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_the_rows_so_far_say(
        gap in 1_i64..7, lateness in prop_oneof![Just(0_i64), 1_i64..12], early in any::<bool>(), events in events()
    ) {
        let results = "n BIGINT, total BIGINT, least BIGINT, last BIGINT, different BIGINT, bits BIGINT";
        let node = sessions(calls(), results, gap, lateness as u64, early);
        let expected = expected(gap, lateness, early, &events);
        for plan in Plan::ALL {
            prop_assert_eq!(&found(&node, &events, plan), &expected, "{:?}", plan);
        }
    }
}
