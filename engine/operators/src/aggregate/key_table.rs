//! Key columns to dense slots, and slots back to key columns.
//!
//! One and two fixed-width columns are compared as words; any other key as bytes of Arrow's row format. Nulls are
//! values of their own, as `GROUP BY` wants it. Slots count up from zero in the order in which keys are first seen: all other
//! columns of a table are indexed by them. A key keeps its slot until it is removed; the slots of removed keys are given to
//! new ones.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use weir_core::hash::{canonical_keys, hash_rows};
use weir_core::{Error, Result};

use super::key_words;
use super::probe::{Probe, ProbeKey, fold};
use crate::chunked::{Captured, Chunked, Picked};

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Up to two fixed-width columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words<const N: usize> {
    words: [u64; N],
    /// A bit for each null; its word is zero.
    nulls: u8,
}

impl<const N: usize> ProbeKey for Words<N> {
    const ANY: Self = Self { words: [0; N], nulls: 0 };

    #[inline]
    fn hash(&self) -> u64 {
        self.words.iter().fold(SEED ^ u64::from(self.nulls), |hash, word| fold(hash ^ word, MULTIPLIER))
    }
}

/// Hash of a row; the row itself is compared when hashes agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowHash(u64);

impl ProbeKey for RowHash {
    const ANY: Self = Self(0);

    #[inline]
    fn hash(&self) -> u64 {
        self.0
    }
}

type RowBytes = Arc<[u8]>;

/// Types of the key columns and how they are held. Fixed by the plan.
#[derive(Debug, Clone)]
pub(crate) struct KeyLayout {
    types: Vec<DataType>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Single,
    One,
    Two,
    Rows(Arc<RowConverter>),
}

impl KeyLayout {
    pub(crate) fn new(types: Vec<DataType>) -> Result<Self> {
        if let Some(unfit) = types.iter().find(|data_type| !weir_core::hash::is_hashable(data_type)) {
            return Err(Error::user(format!("a column of type {unfit} cannot be grouped by"))
                .with_help("group by other columns, or cast it to STRING"));
        }
        let form = match types.as_slice() {
            [] => Form::Single,
            [one] if key_words::is_word(one) => Form::One,
            [one, two] if key_words::is_word(one) && key_words::is_word(two) => Form::Two,
            _ => {
                let fields = types.iter().cloned().map(SortField::new).collect();
                Form::Rows(Arc::new(RowConverter::new(fields)?))
            }
        };
        Ok(Self { types, form })
    }

    fn decode_words<const N: usize>(&self, keys: &[Words<N>]) -> Result<Vec<ArrayRef>> {
        let decode = |(column, data_type): (usize, &DataType)| {
            let bit = 1 << column;
            let nulls = keys.iter().any(|key| key.nulls & bit != 0);
            let nulls = nulls.then(|| keys.iter().map(|key| key.nulls & bit == 0).collect::<NullBuffer>());
            key_words::decode(data_type, keys.iter().map(|key| key.words[column]), nulls)
        };
        self.types.iter().enumerate().map(decode).collect()
    }

    fn decode_rows(&self, keys: &[RowBytes]) -> Result<Vec<ArrayRef>> {
        let Form::Rows(converter) = &self.form else {
            return Err(Error::internal("row keys under a layout without rows"));
        };
        let parser = converter.parser();
        Ok(converter.convert_rows(keys.iter().map(|key| parser.parse(key)))?)
    }
}

/// Keys seen so far.
#[derive(Debug)]
pub(crate) struct KeyTable {
    layout: KeyLayout,
    keys: Keys,
    /// Slots of keys that were removed.
    vacant: Vec<u32>,
    /// Reused from batch to batch.
    scratch: [Vec<u64>; 2],
}

#[derive(Debug)]
enum Keys {
    /// Without key columns there is one group, once there is a row.
    Single(usize),
    One(Probe<Words<1>>, Chunked<Words<1>>),
    Two(Probe<Words<2>>, Chunked<Words<2>>),
    Rows(Probe<RowHash>, Chunked<RowBytes>),
}

/// Puts the key of a new slot in its place: the last vacant one, or one behind all others.
fn place<T: Clone>(values: &mut Chunked<T>, vacant: &mut Vec<u32>, value: T) {
    match vacant.pop() {
        Some(slot) => *values.get_mut(slot) = value,
        None => values.push(value),
    }
}

fn intern<K: ProbeKey>(
    probe: &mut Probe<K>,
    values: &mut Chunked<K>,
    vacant: &mut Vec<u32>,
    keys: impl Iterator<Item = K>,
    slots: &mut Vec<u32>,
) {
    if !vacant.is_empty() {
        slots.extend(keys.map(|key| {
            let next = vacant.last().copied().unwrap_or(values.len() as u32);
            probe.find_or_insert(key, next, |_| true).unwrap_or_else(|| {
                place(values, vacant, key);
                next
            })
        }));
        return;
    }
    slots.extend(keys.map(|key| {
        let next = values.len() as u32;
        probe.find_or_insert(key, next, |_| true).unwrap_or_else(|| {
            values.push(key);
            next
        })
    }));
}

fn intern_rows<'a>(
    probe: &mut Probe<RowHash>,
    values: &mut Chunked<RowBytes>,
    vacant: &mut Vec<u32>,
    keys: impl Iterator<Item = &'a [u8]>,
    slots: &mut Vec<u32>,
) {
    slots.extend(keys.map(|key| {
        let next = vacant.last().copied().unwrap_or(values.len() as u32);
        probe.find_or_insert(row_hash(key), next, |slot| **values.get(slot) == *key).unwrap_or_else(|| {
            place(values, vacant, Arc::from(key));
            next
        })
    }));
}

fn row_hash(key: &[u8]) -> RowHash {
    // The seed never shows: slots are given in order of arrival.
    const HASHES: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(SEED);
    let mut hash = HASHES.build_hasher();
    hash.write(key);
    // Positions come from the upper bits, and those are the weaker ones of this hash.
    RowHash(fold(hash.finish(), MULTIPLIER))
}

impl KeyTable {
    /// An empty table with room for `capacity` keys.
    pub(crate) fn new(layout: &KeyLayout, capacity: usize) -> Self {
        let keys = match layout.form {
            Form::Single => Keys::Single(0),
            Form::One => Keys::One(Probe::with_capacity(capacity), Chunked::default()),
            Form::Two => Keys::Two(Probe::with_capacity(capacity), Chunked::default()),
            Form::Rows(_) => Keys::Rows(Probe::with_capacity(capacity), Chunked::default()),
        };
        Self { layout: layout.clone(), keys, vacant: Vec::new(), scratch: Default::default() }
    }

    /// Lets go of all keys; their slots are given anew.
    pub(crate) fn clear(&mut self) {
        match &mut self.keys {
            Keys::Single(groups) => *groups = 0,
            Keys::One(probe, values) => {
                probe.clear();
                values.clear();
            }
            Keys::Two(probe, values) => {
                probe.clear();
                values.clear();
            }
            Keys::Rows(probe, values) => {
                probe.clear();
                values.clear();
            }
        }
        self.vacant.clear();
    }

    /// How many keys.
    pub(crate) fn len(&self) -> usize {
        self.slots() - self.vacant.len()
    }

    /// The slots of all keys.
    pub(crate) fn all(&self) -> Picked {
        if self.vacant.is_empty() {
            return Picked::First(self.slots());
        }
        let mut taken = vec![true; self.slots()];
        self.vacant.iter().for_each(|slot| taken[*slot as usize] = false);
        Picked::Slots((0..self.slots() as u32).filter(|slot| taken[*slot as usize]).collect())
    }

    /// Every slot is below this one.
    pub(crate) fn slots(&self) -> usize {
        match &self.keys {
            Keys::Single(groups) => *groups,
            Keys::One(_, values) => values.len(),
            Keys::Two(_, values) => values.len(),
            Keys::Rows(_, values) => values.len(),
        }
    }

    /// Replaces `slots` by the slots of the rows' keys, new keys entered.
    pub(crate) fn intern(&mut self, columns: &[ArrayRef], rows: usize, slots: &mut Vec<u32>) -> Result<()> {
        slots.clear();
        let vacant = &mut self.vacant;
        match &mut self.keys {
            Keys::Single(groups) => {
                *groups = (*groups).max(rows.min(1));
                slots.resize(rows, 0);
            }
            Keys::One(probe, values) => {
                let [words, _] = &mut self.scratch;
                key_words::encode(&columns[0], words)?;
                match columns[0].nulls().filter(|nulls| nulls.null_count() > 0) {
                    None => {
                        let keys = words.iter().map(|word| Words { words: [*word], nulls: 0 });
                        intern(probe, values, vacant, keys, slots);
                    }
                    Some(nulls) => {
                        let keys = words.iter().zip(nulls).map(|(word, valid)| match valid {
                            true => Words { words: [*word], nulls: 0 },
                            false => Words { words: [0], nulls: 1 },
                        });
                        intern(probe, values, vacant, keys, slots);
                    }
                }
            }
            Keys::Two(probe, values) => {
                let [first, second] = &mut self.scratch;
                key_words::encode(&columns[0], first)?;
                key_words::encode(&columns[1], second)?;
                let pairs = first.iter().zip(second.iter());
                if columns.iter().all(|column| column.null_count() == 0) {
                    let keys = pairs.map(|(first, second)| Words { words: [*first, *second], nulls: 0 });
                    intern(probe, values, vacant, keys, slots);
                } else {
                    let keys = pairs.enumerate().map(|(row, (first, second))| {
                        let (no_first, no_second) = (columns[0].is_null(row), columns[1].is_null(row));
                        Words {
                            words: [if no_first { 0 } else { *first }, if no_second { 0 } else { *second }],
                            nulls: u8::from(no_first) | u8::from(no_second) << 1,
                        }
                    });
                    intern(probe, values, vacant, keys, slots);
                }
            }
            Keys::Rows(probe, values) => {
                let Form::Rows(converter) = &self.layout.form else {
                    return Err(Error::internal("row keys under a layout without rows"));
                };
                let columns: Vec<ArrayRef> = columns.iter().map(canonical_keys).collect();
                let rows = converter.convert_columns(&columns)?;
                intern_rows(probe, values, vacant, rows.iter().map(|row| row.data()), slots);
            }
        }
        if self.slots() >= u32::MAX as usize / 2 {
            return Err(Error::environment("a window holds more than two thousand million groups")
                .with_help("raise the parallelism, or group by fewer columns"));
        }
        Ok(())
    }

    /// As [`intern`](Self::intern), with the keys of a piece of the picked slots of another table of the same layout.
    pub(crate) fn intern_from(&mut self, other: &KeyTable, picked: &Picked, piece: Range<usize>, slots: &mut Vec<u32>) {
        slots.clear();
        let vacant = &mut self.vacant;
        match (&mut self.keys, &other.keys) {
            (Keys::Single(groups), Keys::Single(_)) => {
                *groups = (*groups).max(piece.len().min(1));
                slots.resize(piece.len(), 0);
            }
            (Keys::One(probe, values), Keys::One(_, others)) => {
                intern(probe, values, vacant, others.read(picked, piece).iter().copied(), slots);
            }
            (Keys::Two(probe, values), Keys::Two(_, others)) => {
                intern(probe, values, vacant, others.read(picked, piece).iter().copied(), slots);
            }
            (Keys::Rows(probe, values), Keys::Rows(_, others)) => {
                intern_rows(probe, values, vacant, others.read(picked, piece).iter().map(|key| &**key), slots);
            }
            _ => unreachable!("tables of one layout hold keys of one form"),
        }
    }

    /// The slots of keys whose hash, the one of so many of their columns that spreads them over subtasks, `leaves`.
    pub(crate) fn leaving(&self, spread_by: usize, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<u32>> {
        let all = self.all();
        let (mut leaving, mut hashes) = (Vec::new(), Vec::new());
        for piece in all.pieces() {
            let mut columns = self.columns(&all, piece.clone())?;
            columns.truncate(spread_by);
            hash_rows(&columns, piece.len(), &mut hashes)?;
            let slots = hashes.iter().zip(piece).filter(|(hash, _)| leaves(**hash));
            leaving.extend(slots.map(|(_, position)| all.slot(position) as u32));
        }
        Ok(leaving)
    }

    /// Removes the keys in these slots, which are given to keys to come.
    pub(crate) fn remove(&mut self, slots: &[u32]) {
        match &mut self.keys {
            Keys::Single(groups) => {
                *groups -= slots.len().min(*groups);
                return;
            }
            Keys::One(probe, values) => slots.iter().for_each(|slot| probe.remove(*values.get(*slot), *slot)),
            Keys::Two(probe, values) => slots.iter().for_each(|slot| probe.remove(*values.get(*slot), *slot)),
            Keys::Rows(probe, values) => {
                let nothing: RowBytes = Arc::from([]);
                for slot in slots {
                    let key = std::mem::replace(values.get_mut(*slot), nothing.clone());
                    probe.remove(row_hash(&key), *slot);
                }
            }
        }
        self.vacant.extend(slots);
    }

    /// Key columns of a piece of the picked slots.
    pub(crate) fn columns(&self, picked: &Picked, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        match &self.keys {
            Keys::Single(_) => Ok(Vec::new()),
            Keys::One(_, values) => self.layout.decode_words(&values.read(picked, piece)),
            Keys::Two(_, values) => self.layout.decode_words(&values.read(picked, piece)),
            Keys::Rows(_, values) => self.layout.decode_rows(&values.read(picked, piece)),
        }
    }

    /// The picked keys, to be turned into columns later.
    pub(crate) fn capture(&mut self, picked: &Picked) -> CapturedKeys {
        let keys = match &mut self.keys {
            Keys::Single(_) => CapturedForm::Single,
            Keys::One(_, values) => CapturedForm::One(values.capture(picked)),
            Keys::Two(_, values) => CapturedForm::Two(values.capture(picked)),
            Keys::Rows(_, values) => CapturedForm::Rows(values.capture(picked)),
        };
        CapturedKeys { layout: self.layout.clone(), keys }
    }

    /// Bytes held, roughly. Vacant slots are free for other keys and do not count.
    pub(crate) fn bytes(&self) -> usize {
        let (vacant, keys) = (self.vacant.len(), self.len());
        match &self.keys {
            Keys::Single(_) => 0,
            Keys::One(probe, values) => probe.bytes() + values.bytes() - vacant * size_of::<Words<1>>(),
            Keys::Two(probe, values) => probe.bytes() + values.bytes() - vacant * size_of::<Words<2>>(),
            // A row's bytes are not counted one by one; few keys are much longer than this.
            Keys::Rows(probe, _) => probe.bytes() + keys * (size_of::<RowBytes>() + 48),
        }
    }
}

/// Keys as they were at a capture.
#[derive(Debug)]
pub(crate) struct CapturedKeys {
    layout: KeyLayout,
    keys: CapturedForm,
}

#[derive(Debug)]
enum CapturedForm {
    Single,
    One(Captured<Words<1>>),
    Two(Captured<Words<2>>),
    Rows(Captured<RowBytes>),
}

impl CapturedKeys {
    /// Key columns of a piece of the picked slots.
    pub(crate) fn columns(&self, piece: Range<usize>) -> Result<Vec<ArrayRef>> {
        match &self.keys {
            CapturedForm::Single => Ok(Vec::new()),
            CapturedForm::One(keys) => self.layout.decode_words(&keys.read(piece)),
            CapturedForm::Two(keys) => self.layout.decode_words(&keys.read(piece)),
            CapturedForm::Rows(keys) => self.layout.decode_rows(&keys.read(piece)),
        }
    }
}

#[cfg(test)]
mod tests;
