//! Windows, by their definition.

use std::collections::BTreeMap;

use crate::calendar::MILLISECOND;
use crate::value::{Row, Value};

/// Lengths are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// `TUMBLE`.
    Tumble {
        /// Length.
        size: i64,
        /// Offset.
        offset: i64,
    },
    /// `HOP`.
    Hop {
        /// From one beginning to the next.
        slide: i64,
        /// Length.
        size: i64,
        /// Offset.
        offset: i64,
    },
    /// `CUMULATE`.
    Cumulate {
        /// Growth.
        step: i64,
        /// Greatest length.
        size: i64,
        /// Offset.
        offset: i64,
    },
    /// `SESSION`.
    Session {
        /// Columns of a key.
        keys: Vec<String>,
        /// Time without a row that ends a session.
        gap: i64,
    },
}

impl Window {
    /// Beginnings and ends of the windows that a time is in, in milliseconds; not of sessions.
    fn of(&self, time: i64) -> Vec<(i64, i64)> {
        let floor = |length: i64, offset: i64| (time - offset).div_euclid(length) * length + offset;
        match self {
            Window::Tumble { size, offset } => {
                let start = floor(*size, *offset);
                vec![(start, start + size)]
            }
            Window::Hop { slide, size, offset } => {
                let last = floor(*slide, *offset);
                let starts = (0..).map(|back| last - back * slide).take_while(|start| start + size > time);
                starts.map(|start| (start, start + size)).collect()
            }
            Window::Cumulate { step, size, offset } => {
                let start = floor(*size, *offset);
                let ends = (1..=size / step).map(|steps| start + steps * step);
                ends.filter(|end| *end > time).map(|end| (start, end)).collect()
            }
            Window::Session { .. } => Vec::new(),
        }
    }

    /// Puts rows into windows: each is there once for each of its windows, with the three columns of the window.
    pub fn assign(&self, rows: Vec<Row>, names: &[String], time: &str) -> Vec<Row> {
        let place = |name: &str| names.iter().position(|known| known == name).expect("the generator has checked it");
        let at = place(time);
        let windowed = |row: &Row, (start, end): (i64, i64)| {
            let mut row = row.clone();
            row.extend([start, end, end - 1].map(|millis| Value::Timestamp(i128::from(millis) * MILLISECOND)));
            row
        };
        let Window::Session { keys, gap } = self else {
            let in_windows =
                rows.iter().flat_map(|row| self.of(millis(&row[at])).into_iter().map(move |window| (row, window)));
            return in_windows.map(|(row, window)| windowed(row, window)).collect();
        };
        let keys: Vec<usize> = keys.iter().map(|key| place(key)).collect();
        let mut by_key: BTreeMap<Vec<String>, Vec<Row>> = BTreeMap::new();
        for row in rows {
            by_key.entry(keys.iter().map(|key| row[*key].key()).collect()).or_default().push(row);
        }
        let mut result = Vec::new();
        for mut rows in by_key.into_values() {
            rows.sort_by_key(|row| millis(&row[at]));
            // Two rows exactly one gap apart are one session.
            for session in rows.chunk_by(|row, next| millis(&next[at]) - millis(&row[at]) <= *gap) {
                let window = (millis(&session[0][at]), millis(&session[session.len() - 1][at]) + gap);
                result.extend(session.iter().map(|row| windowed(row, window)));
            }
        }
        result
    }

    /// The function call over the relation of this name.
    pub fn sql(&self, from: &str, time: &str) -> String {
        let interval = |millis: i64| format!("INTERVAL '{}' SECOND", millis / 1000);
        let offset = |offset: i64| if offset == 0 { String::new() } else { format!(", {}", interval(offset)) };
        match self {
            Window::Tumble { size, offset: by } => {
                format!("TUMBLE(TABLE {from}, DESCRIPTOR({time}), {}{})", interval(*size), offset(*by))
            }
            Window::Hop { slide, size, offset: by } => format!(
                "HOP(TABLE {from}, DESCRIPTOR({time}), {}, {}{})",
                interval(*slide),
                interval(*size),
                offset(*by)
            ),
            Window::Cumulate { step, size, offset: by } => format!(
                "CUMULATE(TABLE {from}, DESCRIPTOR({time}), {}, {}{})",
                interval(*step),
                interval(*size),
                offset(*by)
            ),
            Window::Session { keys, gap } => {
                let partition =
                    if keys.is_empty() { String::new() } else { format!(" PARTITION BY {}", keys.join(", ")) };
                format!("SESSION(TABLE {from}{partition}, DESCRIPTOR({time}), {})", interval(*gap))
            }
        }
    }
}

fn millis(value: &Value) -> i64 {
    match value {
        Value::Timestamp(instant) => {
            i64::try_from(instant.div_euclid(MILLISECOND)).expect("it was made of milliseconds")
        }
        other => panic!("{other:?} is no time"),
    }
}
