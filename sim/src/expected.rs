//! What the right results of a job are: computed from the rows in the plainest way, by nothing that the cluster runs.

use std::collections::BTreeMap;

use crate::query::{GAP_MS, GROWN_MS, HOP_MS, NEAR_MS, OUTER_MS, Query, SLIDE_MS, STEP_MS, TOP, TUMBLE_MS};
use crate::rows::{Row, Rows};
use crate::updating;
use crate::world::Results;

/// Results of a query over all rows, by sink.
pub fn results(query: Query, rows: &Rows) -> BTreeMap<String, Results> {
    let texts = texts(query, rows);
    query.sinks().iter().zip(texts).map(|(sink, texts)| ((*sink).to_owned(), counted(texts))).collect()
}

fn counted(texts: Vec<String>) -> Results {
    let mut results = Results::new();
    for text in texts {
        *results.entry(text).or_default() += 1;
    }
    results
}

fn texts(query: Query, rows: &Rows) -> Vec<Vec<String>> {
    let left: Vec<Row> = rows.all(0).collect();
    let right: Vec<Row> = if query.tables() > 1 { rows.all(1).collect() } else { Vec::new() };
    let texts = match query {
        Query::Project => left
            .iter()
            .filter(|row| row.value > 300)
            .map(|row| format!("{}|{}|{}", row.serial, row.key, row.value * 2))
            .collect(),
        Query::Pair => {
            let (more, rest): (Vec<&Row>, Vec<&Row>) = left.iter().partition(|row| row.value > 300);
            let texts = |rows: Vec<&Row>| rows.iter().map(|row| format!("{}|{}", row.serial, row.key)).collect();
            return vec![texts(more), texts(rest)];
        }
        Query::Tumble => windows(&left, |time| vec![(begin(time, TUMBLE_MS), TUMBLE_MS)], false),
        Query::Hop => {
            let begins =
                |time| (0..HOP_MS / SLIDE_MS).map(move |slide| (begin(time, SLIDE_MS) - slide * SLIDE_MS, HOP_MS));
            windows(&left, |time| begins(time).collect(), false)
        }
        Query::Cumulate => {
            let grown = |time| (1..=GROWN_MS / STEP_MS).map(move |steps| (begin(time, GROWN_MS), steps * STEP_MS));
            windows(&left, |time| grown(time).filter(|(begin, size)| time < begin + size).collect(), true)
        }
        Query::Session => sessions(left),
        Query::TopN => top(&left),
        Query::Join => {
            let same = |l: &Row, r: &Row| l.key == r.key && begin(l.time, TUMBLE_MS) == begin(r.time, TUMBLE_MS);
            let pairs = left.iter().flat_map(|l| right.iter().filter(move |r| same(l, r)).map(move |r| (l, r)));
            pairs.map(|(l, r)| format!("{}|{}|{}", l.serial, r.serial, l.value + r.value)).collect()
        }
        Query::Interval => left.iter().flat_map(|row| partners(row, &right)).collect(),
        Query::Stages => {
            let mut outer: BTreeMap<i64, (usize, i64)> = BTreeMap::new();
            for row in &left {
                // The time of an inner window is its last millisecond.
                let time = begin(row.time, TUMBLE_MS) + TUMBLE_MS - 1;
                let (count, least) = outer.entry(begin(time, OUTER_MS)).or_insert((0, i64::MAX));
                (*count, *least) = (*count + 1, row.serial.min(*least));
            }
            outer.iter().map(|(begin, (count, least))| format!("{begin}|{count}|{least}")).collect()
        }
        Query::Deep => deep(&left),
        Query::Progress | Query::Transfers | Query::Matches | Query::Leaders => updating::results(query, rows),
    };
    vec![texts]
}

fn begin(time: i64, size: i64) -> i64 {
    time.div_euclid(size) * size
}

/// Aggregates of each key and window; `windows` are the begins and sizes of those that a time falls into.
fn windows(rows: &[Row], windows: impl Fn(i64) -> Vec<(i64, i64)>, with_end: bool) -> Vec<String> {
    let mut groups: BTreeMap<(i64, i64, i64), Vec<Row>> = BTreeMap::new();
    for row in rows {
        for (begin, size) in windows(row.time) {
            groups.entry((row.key, begin, begin + size)).or_default().push(*row);
        }
    }
    let text = |((key, begin, end), rows): (&(i64, i64, i64), &Vec<Row>)| {
        let window = if with_end { format!("{begin}|{end}") } else { begin.to_string() };
        aggregated(*key, &window, rows)
    };
    groups.iter().map(text).collect()
}

fn sessions(mut rows: Vec<Row>) -> Vec<String> {
    rows.sort_by_key(|row| (row.key, row.time));
    let ends = |before: &Row, next: &Row| before.key == next.key && next.time - before.time <= GAP_MS;
    rows.chunk_by(ends).map(|rows| aggregated(rows[0].key, &rows[0].time.to_string(), rows)).collect()
}

fn aggregated(key: i64, window: &str, rows: &[Row]) -> String {
    let total: i64 = rows.iter().map(|row| row.value).sum();
    let least = rows.iter().map(|row| row.serial).min().unwrap_or_default();
    format!("{key}|{window}|{}|{total}|{least}", rows.len())
}

fn top(rows: &[Row]) -> Vec<String> {
    let mut rows = rows.to_vec();
    let window = |row: &Row| (begin(row.time, TUMBLE_MS), row.key);
    rows.sort_by_key(|row| (window(row), -row.value, row.serial));
    let first = rows.chunk_by(|a, b| window(a) == window(b)).flat_map(|rows| rows.iter().take(TOP));
    first.map(|row| format!("{}|{}|{}|{}", begin(row.time, TUMBLE_MS), row.key, row.serial, row.value)).collect()
}

fn partners(row: &Row, others: &[Row]) -> Vec<String> {
    let near = (row.time - NEAR_MS.0)..=(row.time + NEAR_MS.1);
    let found = others.iter().filter(|other| other.key == row.key && near.contains(&other.time));
    let pairs: Vec<String> =
        found.map(|other| format!("{}|{}|{}", row.serial, other.serial, row.value + other.value)).collect();
    if pairs.is_empty() { vec![format!("{}|null|null", row.serial)] } else { pairs }
}

fn deep(rows: &[Row]) -> Vec<String> {
    let counts = |counts: fn(&&Row) -> bool| {
        let rows = rows.iter().filter(counts);
        let mut counts: BTreeMap<(i64, i64), usize> = BTreeMap::new();
        rows.for_each(|row| *counts.entry((begin(row.time, TUMBLE_MS), row.key)).or_default() += 1);
        counts
    };
    let others = counts(|row| row.value <= 300);
    let mut windows: BTreeMap<i64, (usize, usize, Option<usize>)> = BTreeMap::new();
    for ((begin, key), count) in counts(|row| row.value > 300) {
        let (rows, keys, partners) = windows.entry(begin).or_default();
        (*rows, *keys) = (*rows + count, *keys + 1);
        if let Some(other) = others.get(&(begin, key)) {
            *partners = Some(partners.unwrap_or(0) + other);
        }
    }
    let text = |(begin, (rows, keys, partners)): (&i64, &(usize, usize, Option<usize>))| {
        let partners = partners.map_or_else(|| "null".to_owned(), |partners| partners.to_string());
        format!("{begin}|{rows}|{keys}|{partners}")
    };
    windows.iter().map(text).collect()
}
