//! Splits as rows: what goes from a discovery to the readers, and what a checkpoint keeps of it. The two have one schema.
//!
//! A split has a number, by which its reader is found: subtask `number mod parallelism`. Numbers are given in the order in which
//! splits are announced, so that readers get equally many of those that were announced together, and neighbours in a file go to
//! different ones; a hash of the name would do neither. The table only grows, as readers' does: a split that was forgotten
//! would be found again. Forgetting needs a bound that discovery and readers know alike (no file that was modified before a
//! certain time is announced any more), and its place is [`DiscoveryState::capture`], which can delete rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::Int64Type;
use weir_core::source::announcement_schema;
use weir_core::{Capture, Distribution, Error, Result, Split, StateRows, TableSchema, hash, state_column};

/// A split that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its number, from 0.
    pub number: usize,
    /// The split.
    pub split: Split,
}

impl Announced {
    /// The subtask that reads it, of so many.
    pub fn reader(&self, parallelism: usize) -> usize {
        self.number % parallelism.max(1)
    }
}

/// Announcements as rows.
pub fn encode(announced: &[Announced]) -> Result<RecordBatch> {
    let text = |of: fn(&Split) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(announced.iter().map(|announced| of(&announced.split))))
    };
    let numbers = announced.iter().map(|announced| i64::try_from(announced.number).unwrap_or(i64::MAX));
    let columns = vec![
        text(|split| &split.name),
        Arc::new(Int64Array::from_iter_values(numbers)),
        text(|split| &split.sequence),
        text(|split| &split.description),
    ];
    Ok(RecordBatch::try_new(announcement_schema(), columns)?)
}

/// Announcements from rows, in the order of the rows.
///
/// # Errors
/// If the rows are something else.
pub fn decode(rows: &RecordBatch) -> Result<Vec<Announced>> {
    if rows.schema().fields() != announcement_schema().fields() {
        return Err(Error::internal(format!("splits are announced as {}", rows.schema())));
    }
    let text = |column: usize| rows.column(column).as_string::<i32>();
    let numbers = rows.column(1).as_primitive::<Int64Type>();
    let announced = (0..rows.num_rows()).map(|row| {
        let number = usize::try_from(numbers.value(row));
        Ok(Announced {
            number: number.map_err(|_| Error::internal("a split has a negative number"))?,
            split: Split {
                name: text(0).value(row).into(),
                sequence: text(2).value(row).into(),
                description: text(3).value(row).to_owned(),
            },
        })
    });
    announced.collect()
}

/// All splits that were announced, and how many of them a checkpoint knows.
#[derive(Debug, Default)]
pub struct DiscoveryState {
    announced: Vec<Announced>,
    captured: usize,
}

/// The declared table.
pub fn table() -> TableSchema {
    TableSchema {
        name: "announced".into(),
        version: 1,
        schema: state_column::numbered_schema(&announcement_schema()),
        key_columns: 1,
        time_column: None,
        distribution: Distribution::Broadcast,
    }
}

impl DiscoveryState {
    /// What a checkpoint knows.
    pub fn restored(mut announced: Vec<Announced>) -> Self {
        announced.sort_by_key(|announced| announced.number);
        Self { captured: announced.len(), announced }
    }

    /// All splits, in order.
    pub fn announced(&self) -> &[Announced] {
        &self.announced
    }

    /// Numbers splits, and keeps them. Returns what is to be announced.
    pub fn announce(&mut self, splits: Vec<Split>) -> &[Announced] {
        let known = self.announced.len();
        let first = self.announced.last().map_or(0, |last| last.number + 1);
        let numbered = splits.into_iter().enumerate();
        self.announced.extend(numbered.map(|(place, split)| Announced { number: first + place, split }));
        &self.announced[known..]
    }

    /// The splits that have been announced since the last capture.
    pub fn capture(&mut self) -> Result<Capture> {
        let fresh = self.announced[self.captured..].to_vec();
        self.captured = self.announced.len();
        if fresh.is_empty() {
            return Ok(Capture::unchanged(None));
        }
        let rows = move || {
            let rows = encode(&fresh)?;
            let mut hashes = Vec::new();
            hash::hash_rows(&rows.columns()[..1], rows.num_rows(), &mut hashes)?;
            Ok(vec![StateRows { rows, hashes: UInt64Array::from(hashes), deleted: None }])
        };
        Ok(Capture { rows: Box::new(rows), expired: None })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn splits(names: &[&str]) -> Vec<Split> {
        let split =
            |name: &&str| Split { name: (*name).into(), sequence: "s".into(), description: format!("about {name}") };
        names.iter().map(split).collect()
    }

    #[test]
    fn numbers_go_on_behind_what_was_announced_before_and_a_capture_has_what_is_new() {
        let mut state = DiscoveryState::default();
        state.announce(splits(&["a", "b"]));
        let rows = |capture: Capture| {
            let rows = (capture.rows)().unwrap();
            rows.iter().flat_map(|rows| decode(&rows.rows).unwrap()).collect::<Vec<_>>()
        };
        let first = rows(state.capture().unwrap());
        assert_eq!(first, state.announced());
        let mut restored = DiscoveryState::restored(first.into_iter().rev().collect());
        assert_eq!(restored.announced(), state.announced());
        let announced = restored.announce(splits(&["c"])).to_vec();
        assert_eq!((announced.len(), announced[0].number, &*announced[0].split.name), (1, 2, "c"));
        assert_eq!(rows(restored.capture().unwrap()), announced);
        assert_eq!(rows(restored.capture().unwrap()), []);
    }

    #[test]
    fn splits_that_are_announced_together_are_spread_evenly() {
        let mut state = DiscoveryState::default();
        let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
        let announced = state.announce(splits(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        let mut readers: Vec<usize> = announced.iter().map(|announced| announced.reader(4)).collect();
        assert_ne!(readers[0], readers[1]);
        readers.sort_unstable();
        assert_eq!(readers, [0, 0, 1, 1, 2, 2, 3, 3]);
    }
}
