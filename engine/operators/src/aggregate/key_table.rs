//! Key columns to dense slots, and slots back to key columns.
//!
//! One and two fixed-width columns are compared as words; any other key as bytes of Arrow's row format. Nulls are
//! values of their own, as `GROUP BY` wants it. Slots count up from zero in the order in which keys are first seen, and
//! stay: all other columns of a table are indexed by them.

use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use weir_core::hash::canonical_keys;
use weir_core::{Error, Result};

use super::chunked::{Captured, Chunked, Picked};
use super::key_words;
use super::probe::{Probe, ProbeKey, fold};

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
                .with_help("group by scalar columns, or cast it to STRING"));
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

fn intern<K: ProbeKey>(
    probe: &mut Probe<K>,
    values: &mut Chunked<K>,
    keys: impl Iterator<Item = K>,
    slots: &mut Vec<u32>,
) {
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
    keys: impl Iterator<Item = &'a [u8]>,
    slots: &mut Vec<u32>,
) {
    // The seed never shows: slots are given in order of arrival.
    let hasher = foldhash::fast::FixedState::with_seed(SEED);
    slots.extend(keys.map(|key| {
        let next = values.len() as u32;
        let mut hash = hasher.build_hasher();
        hash.write(key);
        // Positions come from the upper bits, and those are the weaker ones of this hash.
        let hash = RowHash(fold(hash.finish(), MULTIPLIER));
        probe.find_or_insert(hash, next, |slot| **values.get(slot) == *key).unwrap_or_else(|| {
            values.push(Arc::from(key));
            next
        })
    }));
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
        Self { layout: layout.clone(), keys, scratch: Default::default() }
    }

    /// How many keys.
    pub(crate) fn len(&self) -> usize {
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
        match &mut self.keys {
            Keys::Single(groups) => {
                *groups = (*groups).max(rows.min(1));
                slots.resize(rows, 0);
            }
            Keys::One(probe, values) => {
                let [words, _] = &mut self.scratch;
                key_words::encode(&columns[0], words)?;
                match columns[0].nulls().filter(|nulls| nulls.null_count() > 0) {
                    None => intern(probe, values, words.iter().map(|word| Words { words: [*word], nulls: 0 }), slots),
                    Some(nulls) => {
                        let keys = words.iter().zip(nulls).map(|(word, valid)| match valid {
                            true => Words { words: [*word], nulls: 0 },
                            false => Words { words: [0], nulls: 1 },
                        });
                        intern(probe, values, keys, slots);
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
                    intern(probe, values, keys, slots);
                } else {
                    let keys = pairs.enumerate().map(|(row, (first, second))| {
                        let (no_first, no_second) = (columns[0].is_null(row), columns[1].is_null(row));
                        Words {
                            words: [if no_first { 0 } else { *first }, if no_second { 0 } else { *second }],
                            nulls: u8::from(no_first) | u8::from(no_second) << 1,
                        }
                    });
                    intern(probe, values, keys, slots);
                }
            }
            Keys::Rows(probe, values) => {
                let Form::Rows(converter) = &self.layout.form else {
                    return Err(Error::internal("row keys under a layout without rows"));
                };
                let columns: Vec<ArrayRef> = columns.iter().map(canonical_keys).collect();
                let rows = converter.convert_columns(&columns)?;
                intern_rows(probe, values, rows.iter().map(|row| row.data()), slots);
            }
        }
        if self.len() >= u32::MAX as usize / 2 {
            return Err(Error::environment("a window holds more than two thousand million groups")
                .with_help("raise the parallelism, or group by fewer columns"));
        }
        Ok(())
    }

    /// As [`intern`](Self::intern), with the keys of `rows` of another table of the same layout.
    pub(crate) fn intern_from(&mut self, other: &KeyTable, rows: Range<usize>, slots: &mut Vec<u32>) {
        slots.clear();
        match (&mut self.keys, &other.keys) {
            (Keys::Single(groups), Keys::Single(_)) => {
                *groups = (*groups).max(rows.len().min(1));
                slots.resize(rows.len(), 0);
            }
            (Keys::One(probe, values), Keys::One(_, others)) => {
                intern(probe, values, others.piece(rows).iter().copied(), slots);
            }
            (Keys::Two(probe, values), Keys::Two(_, others)) => {
                intern(probe, values, others.piece(rows).iter().copied(), slots);
            }
            (Keys::Rows(probe, values), Keys::Rows(_, others)) => {
                intern_rows(probe, values, others.piece(rows).iter().map(|key| &**key), slots);
            }
            _ => unreachable!("tables of one layout hold keys of one form"),
        }
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

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        match &self.keys {
            Keys::Single(_) => 0,
            Keys::One(probe, values) => probe.bytes() + values.bytes(),
            Keys::Two(probe, values) => probe.bytes() + values.bytes(),
            // A row's bytes are not counted one by one; few keys are much longer than this.
            Keys::Rows(probe, values) => probe.bytes() + values.bytes() + 48 * values.len(),
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
