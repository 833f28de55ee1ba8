//! What the right results of a job are: computed from the rows in the plainest way, by nothing that the cluster runs.

use std::collections::BTreeMap;

use crate::query::{GAP_MS, HOP_MS, Query, SLIDE_MS, TUMBLE_MS};
use crate::rows::{Row, Rows};
use crate::world::Results;

/// Results of a query over all rows.
pub fn results(query: Query, rows: &Rows) -> Results {
    let left: Vec<Row> = rows.all(0).collect();
    let texts = match query {
        Query::Project => left
            .iter()
            .filter(|row| row.value > 300)
            .map(|row| format!("{}|{}|{}", row.serial, row.key, row.value * 2))
            .collect(),
        Query::Tumble => windows(&left, |time| vec![time.div_euclid(TUMBLE_MS) * TUMBLE_MS]),
        Query::Hop => windows(&left, |time| {
            let last = time.div_euclid(SLIDE_MS) * SLIDE_MS;
            (0..HOP_MS / SLIDE_MS).map(|slide| last - slide * SLIDE_MS).collect()
        }),
        Query::Session => sessions(left),
        Query::Join => {
            let right: Vec<Row> = rows.all(1).collect();
            let same =
                |l: &Row, r: &Row| l.key == r.key && l.time.div_euclid(TUMBLE_MS) == r.time.div_euclid(TUMBLE_MS);
            let pairs = left.iter().flat_map(|l| right.iter().filter(move |r| same(l, r)).map(move |r| (l, r)));
            pairs.map(|(l, r)| format!("{}|{}|{}", l.serial, r.serial, l.value + r.value)).collect()
        }
    };
    let mut results = Results::new();
    for text in texts {
        *results.entry(text).or_default() += 1;
    }
    results
}

fn windows(rows: &[Row], begins: impl Fn(i64) -> Vec<i64>) -> Vec<String> {
    let mut groups: BTreeMap<(i64, i64), Vec<Row>> = BTreeMap::new();
    for row in rows {
        for begin in begins(row.time) {
            groups.entry((row.key, begin)).or_default().push(*row);
        }
    }
    groups.iter().map(|((key, begin), rows)| aggregated(*key, *begin, rows)).collect()
}

fn sessions(mut rows: Vec<Row>) -> Vec<String> {
    rows.sort_by_key(|row| (row.key, row.time));
    let ends = |before: &Row, next: &Row| before.key == next.key && next.time - before.time <= GAP_MS;
    rows.chunk_by(ends).map(|session| aggregated(session[0].key, session[0].time, session)).collect()
}

fn aggregated(key: i64, begin: i64, rows: &[Row]) -> String {
    let total: i64 = rows.iter().map(|row| row.value).sum();
    let least = rows.iter().map(|row| row.serial).min().unwrap_or_default();
    format!("{key}|{begin}|{}|{total}|{least}", rows.len())
}
