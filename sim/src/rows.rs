//! The rows that jobs read. Each follows from the seed, its table, split and place alone, so that a source can begin anywhere
//! and the oracle can say what there is without asking a source.

use weir_core::hash::mix;

/// How much there is to read.
#[derive(Debug, Clone)]
pub struct Rows {
    /// What the values follow from.
    pub seed: u64,
    /// Splits of each table.
    pub splits: u64,
    /// Rows of each split.
    pub per_split: u64,
    /// Different keys.
    pub keys: u64,
    /// Milliseconds of event time between rows of a split.
    pub step_ms: u64,
    /// A row may be older than the one before it by less than this.
    pub disorder_ms: u64,
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

/// When event time begins: 2026-01-01T00:00:00Z.
const BEGIN_MS: i64 = 1_767_225_600_000;

impl Rows {
    /// The row at `place` of a split of a table.
    pub fn row(&self, table: u64, split: u64, place: u64) -> Row {
        let word = |field: u64| mix(self.seed ^ mix(table << 48 ^ split << 40 ^ place << 8 ^ field));
        let signed = |number: u64| i64::try_from(number).unwrap_or(0);
        let advance = place * self.step_ms + word(1) % self.step_ms.max(1);
        let behind = word(2) % self.disorder_ms.max(1);
        Row {
            key: signed(word(3) % self.keys.max(1)),
            value: signed(word(4) % 1000),
            serial: signed(split * 1_000_000 + place),
            time: BEGIN_MS + signed(advance) + signed(self.disorder_ms) - signed(behind),
        }
    }

    /// All rows of a table.
    pub fn all(&self, table: u64) -> impl Iterator<Item = Row> + '_ {
        (0..self.splits).flat_map(move |split| (0..self.per_split).map(move |place| self.row(table, split, place)))
    }
}
