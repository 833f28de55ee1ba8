//! The rows of one side: found by key hash, added and taken out again, captured as what changed.
//!
//! Rows lie in immutable *blocks*, batches as they came. Each has a *slot*, a number under which all else is known of it: its
//! place, its key hash, the next row with the same hash, how many rows of the other side match it. So blocks can be made anew (small ones
//! are put together, those with gaps are packed) without anything else being told. A chain of slots holds the rows of a hash, and no others: what
//! is taken out leaves it at once, however often a key changes.
//!
//! A capture looks at no row: it takes the blocks that were made since the last one, and shares what is known of slots. Which rows of those
//! blocks are new is found when it is written out.
//!
//! In the state a row is named by its key hash and a number. Numbers go on above the greatest one that is loaded, so that a
//! name is unique at whatever parallelism: all rows of a hash are there before one of them gets a number.
//!
//! Rows may have a [time to live](TimeToLive), from when they came, or from when the number of their matches changed, where that counts. How many
//! matches a row has is stored then: rows of the other side may have been forgotten that it matched, and nothing has been said of that.

mod capture;
mod expiry;
mod slots;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use weir_core::{Error, Result};

pub(crate) use self::capture::Captured;
use self::capture::Changed;
use self::slots::{Known, Slots};
pub(super) use crate::row_blocks::Slot;
use crate::row_blocks::{Blocks, NONE, equal_rows, identities};
use crate::time_to_live::{Generations, TimeToLive};

/// What a row is called in the state: key hash and number.
pub(crate) type Name = (u64, i64);

/// The rows of one side.
pub(super) struct Rows {
    blocks: Blocks,
    /// First row of each hash.
    chains: HashTable<(u64, Slot)>,
    slots: Slots,
    /// Slots without a row, to be used again.
    vacant: Vec<Slot>,
    next_number: i64,
    /// The number of the next capture, from 1 on. Rows that it will store are known by it.
    capture: u32,
    /// Rows that a checkpoint holds and that have been taken out since the last capture.
    removed: Vec<Name>,
    life: TimeToLive,
    generations: Generations,
    /// Whether the numbers of matches are stored.
    counts: bool,
    /// Rows that a checkpoint holds with another number of matches, or without their stamp, once each: they are stored anew.
    again: Vec<Slot>,
}

/// Rows to be added.
pub(super) struct Added<'a> {
    pub(super) records: &'a RecordBatch,
    pub(super) hashes: &'a [u64],
    /// How many rows of the other side match each; empty where nobody asks.
    pub(super) matches: &'a [u32],
}

/// What else a checkpoint holds of its rows.
pub(super) struct Stored<'a> {
    pub(super) numbers: &'a [i64],
    /// How many matches each has, where that is stored.
    pub(super) counted: &'a Int64Array,
    /// When each was touched last, if that is known.
    pub(super) stamps: &'a TimestampMillisecondArray,
}

impl Rows {
    /// No rows of this schema. `counts`: how many matches a row has is stored.
    pub(super) fn new(schema: &SchemaRef, life: TimeToLive, counts: bool) -> Self {
        Self {
            blocks: Blocks::new(schema).noting_recent(),
            chains: HashTable::new(),
            slots: Slots::default(),
            vacant: Vec::new(),
            next_number: 0,
            capture: 1,
            removed: Vec::new(),
            counts,
            again: Vec::new(),
            life,
            generations: Generations::default(),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.chains.is_empty()
    }

    /// Hands every row with this key hash to `found`.
    pub(super) fn candidates(&self, hash: u64, found: &mut impl FnMut(Slot) -> Result<()>) -> Result<()> {
        let mut next = self.chains.find(hash, |chain| chain.0 == hash).map_or(NONE, |chain| chain.1);
        while next != NONE {
            found(next)?;
            next = self.slots.next[next as usize];
        }
        Ok(())
    }

    /// The rows in these slots.
    pub(super) fn gather(&self, slots: &[Slot]) -> Result<RecordBatch> {
        self.blocks.gather(slots)
    }

    /// The columns of the rows in these slots, null where there is none.
    pub(super) fn gather_or_null(&self, slots: &[Option<Slot>]) -> Result<Vec<ArrayRef>> {
        self.blocks.gather_or_null(slots)
    }

    /// Another row matches the one in `slot`. Whether it is the first.
    pub(super) fn matched(&mut self, slot: Slot) -> Result<bool> {
        self.recount(slot);
        let matches = self.slots.matches.get_mut(slot);
        *matches = matches.checked_add(1).ok_or_else(|| {
            Error::environment("a row has more than four thousand million matches").with_help("join by more columns")
        })?;
        Ok(*matches == 1)
    }

    /// A row that matched the one in `slot` is taken back. Whether it was the last.
    pub(super) fn unmatched(&mut self, slot: Slot) -> Result<bool> {
        self.recount(slot);
        let matches = self.slots.matches.get_mut(slot);
        let fewer = matches.checked_sub(1);
        *matches = fewer.ok_or_else(|| Error::internal("a match of a row was taken back that had none"))?;
        Ok(*matches == 0)
    }

    /// The number of a row's matches changes: it is stored anew, and touched.
    fn recount(&mut self, slot: Slot) {
        if self.counts {
            self.store_anew(slot);
            if self.life.is_limited() {
                self.generations.touch(slot);
            }
        }
    }

    /// A row that a checkpoint holds is captured once more.
    fn store_anew(&mut self, slot: Slot) {
        if !std::mem::replace(&mut self.slots.again[slot as usize], true) {
            self.again.push(slot);
        }
    }

    /// While rows are loaded: another row matches the one in `slot`, which counts if its matches are not stored.
    pub(super) fn matched_before(&mut self, slot: Slot) {
        if !self.slots.counted[slot as usize] {
            let matches = self.slots.matches.get_mut(slot);
            *matches = matches.saturating_add(1);
        }
    }

    /// Adds rows that no checkpoint holds.
    pub(super) fn add(&mut self, rows: &Added<'_>) -> Result<()> {
        let first = self.next_number;
        self.next_number += rows.hashes.len() as i64;
        let slots = self.insert(rows, self.capture, first..self.next_number)?;
        if self.life.is_limited() {
            slots.iter().for_each(|slot| self.generations.touch(*slot));
        }
        self.blocks.push(rows.records, slots)
    }

    /// Adds rows as a checkpoint holds them.
    pub(super) fn load(&mut self, rows: &Added<'_>, stored: Stored<'_>) -> Result<()> {
        let Stored { numbers, counted, stamps } = stored;
        let greatest = numbers.iter().max().map_or(0, |number| number + 1);
        self.next_number = self.next_number.max(greatest);
        let slots = self.insert(rows, 0, numbers.iter().copied())?;
        if counted.null_count() < counted.len() {
            // Where counts are stored they go on being stored: what has been forgotten cannot be counted again.
            self.counts = true;
        }
        for (row, slot) in slots.iter().enumerate() {
            self.slots.counted[*slot as usize] = counted.is_valid(row);
            // What is counted now is stored, before rows are forgotten that are among it.
            if self.counts && counted.is_null(row) {
                self.store_anew(*slot);
            }
        }
        if self.life.is_limited() {
            for (slot, stamp) in slots.iter().zip(stamps) {
                match stamp {
                    Some(stamp) => self.generations.set(*slot, stamp),
                    // It has been kept for ever so far; it is stored again with its stamp.
                    None => self.generations.touch_unstamped(*slot),
                }
            }
        }
        self.blocks.load(rows.records, slots)
    }

    /// Gives rows slots and names. `capture`: the number of the one that stores them, 0 if they are stored.
    fn insert(&mut self, rows: &Added<'_>, capture: u32, numbers: impl Iterator<Item = i64>) -> Result<Vec<Slot>> {
        if self.slots.next.len() + rows.hashes.len() >= NONE as usize {
            return Err(Error::environment("a side of a join has more than four thousand million rows in one subtask")
                .with_help("raise the parallelism"));
        }
        let slots = self.free_slots(rows.hashes.len());
        self.chains.reserve(rows.hashes.len(), |chain| chain.0);
        for (((row, hash), number), slot) in rows.hashes.iter().enumerate().zip(numbers).zip(&slots) {
            let matches = rows.matches.get(row).copied().unwrap_or_default();
            let next = match self.chains.entry(*hash, |chain| chain.0 == *hash, |chain| chain.0) {
                Entry::Occupied(mut chain) => std::mem::replace(&mut chain.get_mut().1, *slot),
                Entry::Vacant(chain) => {
                    chain.insert((*hash, *slot));
                    NONE
                }
            };
            self.slots.set(*slot, Known { hash: *hash, number, next, matches, capture });
        }
        Ok(slots)
    }

    /// So many slots without a row: vacant ones first.
    fn free_slots(&mut self, count: usize) -> Vec<Slot> {
        let mut slots = self.vacant.split_off(self.vacant.len() - count.min(self.vacant.len()));
        let first = self.slots.next.len() as Slot;
        let end = first + (count - slots.len()) as Slot;
        slots.extend(first..end);
        self.slots.grow(end as usize);
        slots
    }

    /// Takes out, for each row of `records`, one that is equal in every column. Says of each how many matches it had; `None` where there was
    /// none.
    ///
    /// # Errors
    /// An internal error if there is none, and none could have been forgotten.
    pub(super) fn remove(&mut self, records: &RecordBatch, hashes: &[u64]) -> Result<Vec<Option<u32>>> {
        let wanted = identities(records)?;
        // Equal hashes of all columns are nearly always equal rows: the first of them is taken, and looked at with all others.
        let mut found = Vec::with_capacity(hashes.len());
        for (hash, identity) in hashes.iter().zip(&wanted) {
            found.push(self.unlink(*hash, |blocks, slot| Ok(blocks.identity(slot)? == *identity))?);
        }
        let rows: Vec<usize> = (0..found.len()).filter(|row| found[*row].is_some()).collect();
        let taken: Vec<Slot> = found.iter().copied().flatten().collect();
        let looked_for =
            take_record_batch(records, &UInt32Array::from_iter_values(rows.iter().map(|row| *row as u32)))?;
        let equal = equal_rows(&looked_for, &self.gather(&taken)?)?;
        let mistaken = || (0..taken.len()).filter(|place| !equal.value(*place));
        mistaken().for_each(|place| self.link(taken[place]));
        for place in mistaken() {
            let row = rows[place];
            let record = records.slice(row, 1);
            found[row] = self.unlink(hashes[row], |blocks, slot| {
                Ok(blocks.identity(slot)? == wanted[row] && equal_rows(&record, &blocks.gather(&[slot])?)?.value(0))
            })?;
        }
        if found.contains(&None) && !self.life.forgets() {
            return Err(absent());
        }
        let taken: Vec<Slot> = found.iter().copied().flatten().collect();
        for slot in &taken {
            if self.is_stored(*slot) {
                self.removed.push(self.name(*slot));
            }
            self.generations.leave(*slot);
        }
        self.vacant.extend(&taken);
        self.blocks.remove(&taken)?;
        Ok(found.iter().map(|slot| slot.map(|slot| *self.slots.matches.get(slot))).collect())
    }

    /// Takes the first row of a chain that `is_it` out of the chain.
    fn unlink(&mut self, hash: u64, mut is_it: impl FnMut(&mut Blocks, Slot) -> Result<bool>) -> Result<Option<Slot>> {
        let Ok(mut chain) = self.chains.find_entry(hash, |chain| chain.0 == hash) else { return Ok(None) };
        let next = &mut self.slots.next;
        let (mut before, mut slot) = (NONE, chain.get().1);
        while slot != NONE {
            let behind = next[slot as usize];
            if is_it(&mut self.blocks, slot)? {
                match (before, behind) {
                    (NONE, NONE) => drop(chain.remove()),
                    (NONE, _) => chain.get_mut().1 = behind,
                    _ => next[before as usize] = behind,
                }
                return Ok(Some(slot));
            }
            (before, slot) = (slot, behind);
        }
        Ok(None)
    }

    /// Puts a row back into its chain.
    fn link(&mut self, slot: Slot) {
        let hash = *self.slots.hashes.get(slot);
        self.slots.next[slot as usize] = match self.chains.entry(hash, |chain| chain.0 == hash, |chain| chain.0) {
            Entry::Occupied(mut chain) => std::mem::replace(&mut chain.get_mut().1, slot),
            Entry::Vacant(chain) => {
                chain.insert((hash, slot));
                NONE
            }
        };
    }

    /// Lets go of the rows whose key hash `leaves`; checkpoints hold them all.
    pub(super) fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<()> {
        let mut leaving = Vec::new();
        let (slots, capture) = (&self.slots, self.capture);
        let mut all_stored = true;
        self.chains.retain(|(hash, first)| {
            let leaves = leaves(*hash);
            let mut slot = if leaves { *first } else { NONE };
            while slot != NONE {
                all_stored &= *slots.captures.get(slot) != capture;
                leaving.push(slot);
                slot = slots.next[slot as usize];
            }
            !leaves
        });
        if !all_stored {
            return Err(Error::internal("a row was to leave before it is stored"));
        }
        leaving.iter().for_each(|slot| self.generations.leave(*slot));
        self.vacant.extend(&leaving);
        self.blocks.remove(&leaving)?;
        if self.chains.is_empty() {
            // Nothing is left that a slot could be the number of.
            self.slots = Slots::default();
            self.vacant = Vec::new();
            self.generations = Generations::default();
            self.again.clear();
            self.chains = HashTable::new();
            self.blocks.clear();
        }
        Ok(())
    }

    /// Whether a checkpoint holds the row.
    fn is_stored(&self, slot: Slot) -> bool {
        *self.slots.captures.get(slot) != self.capture
    }

    /// What the row is called.
    fn name(&self, slot: Slot) -> Name {
        (*self.slots.hashes.get(slot), *self.slots.numbers.get(slot))
    }

    /// What changed since the last capture.
    pub(super) fn capture(&mut self) -> Changed {
        let mut again = std::mem::take(&mut self.again);
        again.sort_unstable();
        again.iter().for_each(|slot| self.slots.again[*slot as usize] = false);
        // A slot may have lost its row since, and may have got a new one.
        again.retain(|slot| self.blocks.is_there(*slot) && self.is_stored(*slot));
        let changed = Changed {
            recent: self.blocks.take_recent(),
            capture: self.capture,
            again: self.blocks.pick(&again),
            again_slots: again,
            then: self.slots.share(self.counts),
            stamps: self.life.is_limited().then(|| self.generations.share()),
            removed: std::mem::take(&mut self.removed),
        };
        self.generations.captured();
        // Rows are not kept for as many captures as there are numbers.
        self.capture = self.capture.checked_add(1).unwrap_or(1);
        changed
    }

    /// Bytes held, roughly.
    pub(super) fn bytes(&self) -> usize {
        let slots = self.vacant.len() + self.again.len();
        let names = self.removed.len() * size_of::<Name>() + slots * size_of::<Slot>();
        self.blocks.bytes()
            + self.slots.bytes()
            + self.generations.bytes()
            + names
            + self.chains.capacity() * size_of::<(u64, Slot)>()
    }
}

fn absent() -> Error {
    Error::internal("a row was taken back that had not been added, or not with the same values")
}

#[cfg(test)]
mod tests;
