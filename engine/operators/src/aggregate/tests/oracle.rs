//! The same results from all rows, by the definitions.

use std::collections::BTreeMap;

use weir_core::{AggregateCall, AggregateFunction, Pane, WindowKind};

use super::drive::{Event, Job, Outcome};
use super::row::{Row, double, time};
use super::{FLAG, FLOAT, NAME, NUMBER, TIME};

type Group = (Pane, Vec<String>);

/// Windows that a row is assigned to.
pub(super) fn windows(job: &Job, kind: WindowKind, events: &[Event]) -> Outcome {
    assigned(job, kind, events, |open| open == 0)
}

/// The same where each row has been repeated for each of its windows: each can be late.
pub(super) fn attached(job: &Job, kind: WindowKind, events: &[Event]) -> Outcome {
    assigned(job, kind, events, |_| true)
}

fn assigned(job: &Job, kind: WindowKind, events: &[Event], counts_late: impl Fn(usize) -> bool) -> Outcome {
    let mut groups: BTreeMap<Group, Vec<&Row>> = BTreeMap::new();
    let (mut watermark, mut late) = (i64::MIN, 0);
    for event in events {
        match event {
            Event::Watermark(time) => watermark = watermark.max(*time),
            Event::Checkpoint(_) => {}
            Event::Rows(rows) => {
                for row in rows {
                    let Some(time) = row.time else { continue };
                    let (size, step, offset) = match kind {
                        WindowKind::Tumble { size, offset } => (size, size, offset),
                        WindowKind::Hop { slide, size, offset } => (size, slide, offset),
                        WindowKind::Cumulate { size, offset, .. } => (size, size, offset),
                        WindowKind::Session { .. } => unreachable!("not assigned"),
                    };
                    let covering = (-200_i64..200).map(|number| offset + number * step);
                    let covering = covering.filter(|start| (*start..start + size).contains(&time));
                    let covering = covering.flat_map(|start| match kind {
                        WindowKind::Cumulate { step, .. } => {
                            let ends = (1..=size / step).map(|steps| start + steps * step);
                            ends.filter(|end| time < *end).map(|end| Pane { start, end }).collect()
                        }
                        _ => vec![Pane { start, end: start + size }],
                    });
                    let (open, closed): (Vec<Pane>, Vec<Pane>) = covering.partition(|pane| pane.end - 1 > watermark);
                    if counts_late(open.len()) && !closed.is_empty() {
                        late += if open.is_empty() && !job.attached { 1 } else { closed.len() as u64 };
                    }
                    for window in open {
                        let key = job.keys.iter().map(|key| row.key(*key)).collect();
                        groups.entry((window, key)).or_default().push(row);
                    }
                }
            }
        }
    }
    outcome(job, groups.into_iter().collect(), late)
}

/// Sessions, each a list of rows.
pub(super) fn sessions(job: &Job, gap: i64, events: &[Event]) -> Outcome {
    let mut open: Vec<(Vec<String>, Vec<&Row>)> = Vec::new();
    let mut closed = Vec::new();
    let (mut watermark, mut late) = (i64::MIN, 0);
    let first = |rows: &[&Row]| rows.iter().filter_map(|row| row.time).min().unwrap();
    let last = |rows: &[&Row]| rows.iter().filter_map(|row| row.time).max().unwrap();
    for event in events {
        match event {
            Event::Watermark(time) => {
                watermark = watermark.max(*time);
                let (ended, others): (Vec<_>, Vec<_>) =
                    open.into_iter().partition(|(_, rows)| last(rows) + gap <= watermark);
                closed.extend(ended);
                open = others;
            }
            Event::Checkpoint(_) => {}
            Event::Rows(rows) => {
                for row in rows {
                    let Some(time) = row.time else { continue };
                    let key: Vec<String> = job.keys.iter().map(|key| row.key(*key)).collect();
                    let (touching, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|(other, rows)| {
                        *other == key && first(rows) - gap <= time && time <= last(rows) + gap
                    });
                    open = others;
                    if touching.is_empty() && time + gap <= watermark {
                        late += 1;
                        continue;
                    }
                    let mut rows: Vec<&Row> = touching.into_iter().flat_map(|(_, rows)| rows).collect();
                    rows.push(row);
                    open.push((key, rows));
                }
            }
        }
    }
    let groups = closed.into_iter().map(|(key, rows)| {
        let window = Pane { start: first(&rows), end: last(&rows) + gap };
        ((window, key), rows)
    });
    outcome(job, groups.collect(), late)
}

fn outcome(job: &Job, groups: Vec<(Group, Vec<&Row>)>, late: u64) -> Outcome {
    let line = |((window, key), rows): (Group, Vec<&Row>)| {
        let results = job.aggregates.iter().map(|call| aggregate(call, &rows));
        let window = [window.start, window.end, window.end - 1].map(|millis| time(Some(millis)));
        key.into_iter().chain(results).chain(window).collect::<Vec<_>>().join("|")
    };
    let mut rows: Vec<String> = groups.into_iter().map(line).collect();
    rows.sort();
    Outcome { rows, late }
}

fn show<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn aggregate(call: &AggregateCall, rows: &[&Row]) -> String {
    let rows: Vec<&Row> = rows.iter().copied().filter(|row| call.filter.is_none() || row.flag == Some(true)).collect();
    let numbers = || rows.iter().filter_map(|row| row.number);
    let floats = || rows.iter().filter_map(|row| row.float);
    let sum = |count: usize, sum: f64| (count > 0).then_some(sum);
    match (&call.function, call.arguments.first().copied()) {
        (AggregateFunction::Count, None) => rows.len().to_string(),
        (AggregateFunction::Count, Some(NAME)) if call.distinct => {
            rows.iter().filter_map(|row| row.name.as_ref()).collect::<std::collections::BTreeSet<_>>().len().to_string()
        }
        (AggregateFunction::Count, _) if call.distinct => {
            numbers().collect::<std::collections::BTreeSet<_>>().len().to_string()
        }
        (AggregateFunction::Count, _) => numbers().count().to_string(),
        (AggregateFunction::Sum, Some(NUMBER)) => show((numbers().count() > 0).then(|| numbers().sum::<i64>())),
        (AggregateFunction::Sum, _) => double(sum(floats().count(), floats().fold(0.0, |a, b| a + b) + 0.0)),
        (AggregateFunction::Avg, _) => {
            let count = numbers().count();
            double(sum(count, numbers().sum::<i64>() as f64 / count as f64))
        }
        (AggregateFunction::Min, Some(NUMBER)) => show(numbers().min()),
        (AggregateFunction::Min, Some(NAME)) => show(rows.iter().filter_map(|row| row.name.as_ref()).min()),
        (AggregateFunction::Max, Some(FLOAT)) => double(floats().max_by(f64::total_cmp).map(|greatest| greatest + 0.0)),
        (AggregateFunction::Max, Some(FLAG)) | (AggregateFunction::Other(_), Some(FLAG)) => {
            show(rows.iter().filter_map(|row| row.flag).max())
        }
        (AggregateFunction::Max, Some(TIME)) => time(rows.iter().filter_map(|row| row.time).max()),
        (AggregateFunction::FirstValue, _) => show(rows.iter().min_by_key(|row| row.time).and_then(|row| row.number)),
        (AggregateFunction::LastValue, _) => {
            show(rows.iter().max_by_key(|row| row.time).and_then(|row| row.name.as_ref()))
        }
        (AggregateFunction::Other(name), Some(FLOAT)) if name == "median" => {
            let mut floats: Vec<f64> = floats().collect();
            floats.sort_by(f64::total_cmp);
            let middle = floats.len() / 2;
            double(match floats.len() {
                0 => None,
                odd if odd % 2 == 1 => Some(floats[middle]),
                _ => Some((floats[middle - 1] + floats[middle]) / 2.0),
            })
        }
        (AggregateFunction::Other(name), Some(NAME)) if name == "string_agg" => {
            let mut names: Vec<&str> = rows.iter().filter_map(|row| row.name.as_deref()).collect();
            names.sort_unstable();
            show((!names.is_empty()).then(|| names.join(",")))
        }
        other => unreachable!("the oracle does not know {other:?}"),
    }
}
