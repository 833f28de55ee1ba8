//! Splits as rows: what goes from a discovery to the readers, and what a checkpoint keeps of it. The two have one schema.
//!
//! A split has a number, by which its reader is found: subtask `number mod parallelism`. Numbers are given in the order in which
//! splits are announced, so that readers get equally many of those that were announced together, and neighbours in a file go to
//! different ones; a hash of the name would do neither.
//!
//! A split that has been read to its end is kept as long as it might be found again. When its discovery says that it will not be, it is
//! forgotten here, and readers are told so by one more row, whose number is that of the split with all bits turned: below zero.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use weir_core::source::announcement_schema;
use weir_core::{Capture, Distribution, Error, Result, Split, StateRows, TableSchema, hash, state_column};

/// A split that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its number, from 0.
    pub number: usize,
    /// The split.
    pub split: Split,
    /// Whether it is not to be kept any more.
    pub is_forgotten: bool,
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
    let numbers = announced.iter().map(|announced| {
        let number = i64::try_from(announced.number).unwrap_or(i64::MAX);
        if announced.is_forgotten { !number } else { number }
    });
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
        let number = numbers.value(row);
        let is_forgotten = number < 0;
        let number = usize::try_from(if is_forgotten { !number } else { number });
        Ok(Announced {
            number: number.map_err(|_| Error::internal("a split has a number that is too large"))?,
            is_forgotten,
            split: Split {
                name: text(0).value(row).into(),
                sequence: text(2).value(row).into(),
                description: text(3).value(row).to_owned(),
            },
        })
    });
    announced.collect()
}

/// Splits that were announced and are not forgotten, what is known of their end, and what of all that a checkpoint does not know yet.
#[derive(Debug, Default)]
pub struct DiscoveryState {
    announced: BTreeMap<usize, Announced>,
    /// The number of the next split.
    next: usize,
    sequences: BTreeMap<Arc<str>, Sequence>,
    /// Announced since the last capture.
    fresh: BTreeSet<usize>,
    /// Forgotten since the last capture, and known to a checkpoint.
    gone: Vec<Announced>,
}

/// Splits of one sequence.
#[derive(Debug, Default)]
struct Sequence {
    splits: Vec<usize>,
    /// Which of them have been read to their end, by which source.
    finished: BTreeSet<(usize, usize)>,
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
    pub fn restored(announced: Vec<Announced>) -> Self {
        let mut state = Self::default();
        announced.into_iter().for_each(|announced| state.add(announced));
        state
    }

    fn add(&mut self, announced: Announced) {
        self.next = self.next.max(announced.number + 1);
        self.sequences.entry(announced.split.sequence.clone()).or_default().splits.push(announced.number);
        self.announced.insert(announced.number, announced);
    }

    /// All splits that are not forgotten, in order.
    pub fn announced(&self) -> impl Iterator<Item = &Announced> {
        self.announced.values()
    }

    /// Numbers splits, and keeps them. Returns what is to be announced.
    pub fn announce(&mut self, splits: Vec<Split>) -> Vec<Announced> {
        let mut fresh = Vec::with_capacity(splits.len());
        for split in splits {
            let announced = Announced { number: self.next, split, is_forgotten: false };
            fresh.push(announced.clone());
            self.fresh.insert(announced.number);
            self.add(announced);
        }
        fresh
    }

    /// One of so many sources has read a split to its end. Returns its sequence if all of them have read all of that.
    pub fn finished(&mut self, source: usize, number: usize, sources: usize) -> Option<Arc<str>> {
        let name = &self.announced.get(&number)?.split.sequence;
        let sequence = self.sequences.get_mut(name)?;
        let is_news = sequence.finished.insert((source, number));
        (is_news && sequence.finished.len() == sequence.splits.len() * sources).then(|| name.clone())
    }

    /// Forgets all splits of sequences. Returns what readers are to be told.
    pub fn forget(&mut self, sequences: &[Arc<str>]) -> Vec<Announced> {
        let numbers = sequences.iter().filter_map(|sequence| self.sequences.remove(sequence));
        let numbers: Vec<usize> = numbers.flat_map(|sequence| sequence.splits).collect();
        let mut forgotten = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(announced) = self.announced.remove(&number) else { continue };
            if !self.fresh.remove(&number) {
                self.gone.push(announced.clone());
            }
            forgotten.push(Announced { is_forgotten: true, ..announced });
        }
        forgotten
    }

    /// What has changed since the last capture.
    pub fn capture(&mut self) -> Result<Capture> {
        // What is forgotten comes first: a split of its name may have been announced anew.
        let mut changed = std::mem::take(&mut self.gone);
        let gone = changed.len();
        let fresh = std::mem::take(&mut self.fresh);
        changed.extend(fresh.iter().filter_map(|number| self.announced.get(number).cloned()));
        if changed.is_empty() {
            return Ok(Capture::unchanged(None));
        }
        let rows = move || {
            let rows = encode(&changed)?;
            let mut hashes = Vec::new();
            hash::hash_rows(&rows.columns()[..1], rows.num_rows(), &mut hashes)?;
            let deleted = (gone > 0).then(|| (0..changed.len()).map(|row| Some(row < gone)).collect());
            Ok(vec![StateRows { rows, hashes: UInt64Array::from(hashes), deleted }])
        };
        Ok(Capture { rows: Box::new(rows), expired: None })
    }
}

/// Numbers of splits that a reader has read to their end, as it reports them.
pub fn encode_finished(numbers: &[usize]) -> Result<RecordBatch> {
    let numbers = numbers.iter().map(|number| i64::try_from(*number).unwrap_or(i64::MAX));
    let schema = Schema::new(vec![Field::new("number", DataType::Int64, false)]);
    Ok(RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from_iter_values(numbers))])?)
}

/// Reads such a report.
///
/// # Errors
/// If it is something else.
pub fn decode_finished(rows: &RecordBatch) -> Result<Vec<usize>> {
    let numbers = rows.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
    let numbers =
        numbers.ok_or_else(|| Error::internal(format!("ends of splits are reported as {}", rows.schema())))?;
    let number = |number: &i64| usize::try_from(*number).map_err(|_| Error::internal("a split has a negative number"));
    numbers.values().iter().map(number).collect()
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
        let all = |state: &DiscoveryState| state.announced().cloned().collect::<Vec<_>>();
        assert_eq!(first, all(&state));
        let mut restored = DiscoveryState::restored(first.into_iter().rev().collect());
        assert_eq!(all(&restored), all(&state));
        let announced = restored.announce(splits(&["c"]));
        assert_eq!((announced.len(), announced[0].number, &*announced[0].split.name), (1, 2, "c"));
        assert_eq!(rows(restored.capture().unwrap()), announced);
        assert_eq!(rows(restored.capture().unwrap()), []);
    }

    #[test]
    fn a_sequence_is_forgotten_when_all_sources_have_read_all_of_it() {
        let named = |name: &str, sequence: &str| Split {
            name: name.into(),
            sequence: sequence.into(),
            description: String::new(),
        };
        let mut state = DiscoveryState::default();
        state.announce(vec![named("a1", "a"), named("a2", "a"), named("b1", "b")]);
        let _ = state.capture().unwrap();
        let ends = [(0, 0), (1, 0), (0, 1), (0, 1), (0, 2)];
        assert!(ends.into_iter().all(|(source, number)| state.finished(source, number, 2).is_none()));
        assert_eq!(state.finished(1, 1, 2).as_deref(), Some("a"));
        state.announce(vec![named("c1", "c")]);
        let forgotten = state.forget(&["a".into(), "c".into(), "never".into()]);
        let forgotten: Vec<_> = forgotten.iter().map(|split| (split.number, split.is_forgotten)).collect();
        assert_eq!(forgotten, [(0, true), (1, true), (3, true)]);
        // One of that name has come again.
        state.announce(vec![named("a1", "a")]);
        let rows = (state.capture().unwrap().rows)().unwrap().remove(0);
        let captured: Vec<_> = decode(&rows.rows).unwrap().iter().map(|split| split.split.name.to_string()).collect();
        assert_eq!(captured, ["a1", "a2", "a1"]);
        assert_eq!(rows.deleted.unwrap().iter().flatten().collect::<Vec<_>>(), [true, true, false]);
        let left: Vec<usize> = state.announced().map(|split| split.number).collect();
        assert_eq!(left, [2, 4]);
        let encoded = encode(&[Announced { number: 0, split: named("x", "x"), is_forgotten: true }]).unwrap();
        assert!(decode(&encoded).unwrap()[0].is_forgotten);
        assert_eq!(decode_finished(&encode_finished(&[0, 7]).unwrap()).unwrap(), [0, 7]);
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
