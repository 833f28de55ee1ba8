//! The rows that jobs read. Each follows from the seed, its table, split and place alone, so that a source can begin anywhere
//! and the oracle can say what there is without asking a source.
//!
//! In some histories splits take *naps*: they are there later than others, and nothing comes from them for a while in their middle.
//! Event time is the time at which rows come then, so that a split that wakes up is where all others are by now: none of its rows
//! is late if the subtasks that read them wait for each other as they should.

use std::time::Duration;

use weir_core::hash::mix;

/// How much there is to read.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// What the values follow from.
    pub seed: u64,
    /// Splits of each table.
    pub splits: u64,
    /// Rows of each split.
    pub per_split: u64,
    /// Different keys.
    pub keys: u64,
    /// Milliseconds between two rows of a split.
    pub pace_ms: u64,
    /// Milliseconds of event time between rows of a split.
    pub step_ms: u64,
    /// A row may be older than the one before it by less than this.
    pub disorder_ms: u64,
    /// Splits take naps.
    pub naps: bool,
    /// Splits wait for each other, see [`MAX_DRIFT`].
    pub aligned: bool,
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What it is grouped and joined by.
    pub key: i64,
    /// What is computed with.
    pub value: i64,
    /// Different for each row of a table.
    pub serial: i64,
    /// Event time in milliseconds since 1970.
    pub time: i64,
}

/// When a split is there, and when nothing comes from it.
struct Nap {
    /// Milliseconds before it is there.
    begins: u64,
    /// Rows before it sleeps.
    rows: u64,
    /// Milliseconds for which it sleeps.
    sleeps: u64,
}

/// When event time begins: 2026-01-01T00:00:00Z.
const BEGIN_MS: i64 = 1_767_225_600_000;
/// Serials of a split.
pub const SERIALS: i64 = 1_000_000;
/// How far a split may be ahead of the others, in histories in which they are aligned.
pub const MAX_DRIFT: Duration = Duration::from_millis(120);
/// An input from which nothing comes for so long is idle, in histories with naps.
pub const IDLE_AFTER: Duration = Duration::from_millis(400);
/// Milliseconds that a nap takes at least, and at most.
const NAP_MS: (u64, u64) = (200, 1800);
/// Milliseconds after which the last split of a table is there.
const LAST_BEGIN_MS: u64 = 1500;

impl Rows {
    /// The row at `place` of a split of a table.
    pub fn row(&self, table: u64, split: u64, place: u64) -> Row {
        let word = |field: u64| mix(self.seed ^ mix(table << 48 ^ split << 40 ^ place << 8 ^ field));
        let advance = if self.naps {
            self.due_ms(table, split, place)
        } else {
            place * self.step_ms + word(1) % self.step_ms.max(1)
        };
        let behind = word(2) % self.disorder_ms.max(1);
        Row {
            key: signed(word(3) % self.keys.max(1)),
            value: signed(word(4) % 1000),
            serial: signed(split) * SERIALS + signed(place),
            time: BEGIN_MS + signed(advance) + signed(self.disorder_ms) - signed(behind),
        }
    }

    /// All rows of a table.
    pub fn all(&self, table: u64) -> impl Iterator<Item = Row> + '_ {
        (0..self.splits).flat_map(move |split| (0..self.per_split).map(move |place| self.row(table, split, place)))
    }

    /// Milliseconds of the history after which a row is there.
    pub fn due_ms(&self, table: u64, split: u64, place: u64) -> u64 {
        let nap = self.nap(table, split);
        nap.begins + place * self.pace_ms + if place >= nap.rows { nap.sleeps } else { 0 }
    }

    fn nap(&self, table: u64, split: u64) -> Nap {
        if !self.naps {
            return Nap { begins: 0, rows: 0, sleeps: 0 };
        }
        let word = |field: u64| mix(self.seed ^ mix(table << 48 ^ split << 40 ^ 0xff << 8 ^ field));
        Nap {
            begins: if word(1) % 2 == 0 { 0 } else { word(2) % LAST_BEGIN_MS },
            rows: 1 + word(3) % self.per_split,
            sleeps: NAP_MS.0 + word(4) % (NAP_MS.1 - NAP_MS.0),
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0)
}
