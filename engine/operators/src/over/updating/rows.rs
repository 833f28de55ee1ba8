//! All rows of a subtask, each under its slot: found by their values when they are taken back, and captured as what has come and gone.
//!
//! A row that is taken back stays until the next marker, for its results have to be computed once more. In the state a row is named by
//! its key hash and a number, as in a regular join. Numbers also say which of equal rows came first.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use weir_core::{Error, Result};

use super::frame::Distance;
use crate::row_blocks::{Blocks, NONE, Slot, equal_rows, identities};
use crate::updating_join::{Captured, Name};

/// The rows of a subtask.
pub(super) struct Rows {
    blocks: Blocks,
    known: Vec<Known>,
    /// Where rows are in the value that they are ordered by, if frames are bounded by that.
    distances: Vec<Distance>,
    /// First row of each hash of all columns; `None`: rows are only added.
    chains: Option<HashTable<(u64, Slot)>>,
    /// Slots without a row, to be used again.
    vacant: Vec<Slot>,
    next_number: i64,
    /// Slots that were given a row since the last marker.
    fresh: Vec<Slot>,
    /// Slots that were given a row since the last capture, once each; some of them may be vacant again.
    uncaptured: Vec<Slot>,
    /// Rows that a checkpoint holds and that have gone since the last capture.
    removed: Vec<Name>,
}

/// What is known of a row.
#[derive(Clone, Copy)]
struct Known {
    hash: u64,
    number: i64,
    /// Hash of all columns, and the next row with the same one.
    identity: u64,
    next: Slot,
    /// Whether a checkpoint holds it.
    is_stored: bool,
    /// Whether the slot is among the uncaptured ones.
    is_listed: bool,
    /// Whether it was not there at the last marker.
    is_fresh: bool,
    is_gone: bool,
    /// Stamp of its partition, [`UNSTAMPED`] if it has none.
    stamp: i64,
    /// Whether a checkpoint may hold it with another stamp.
    is_restamped: bool,
}

const NOBODY: Known = Known {
    hash: 0,
    number: 0,
    identity: 0,
    next: NONE,
    is_stored: false,
    is_listed: false,
    is_fresh: false,
    is_gone: false,
    stamp: UNSTAMPED,
    is_restamped: false,
};

const UNSTAMPED: i64 = i64::MIN;

impl Rows {
    pub(super) fn new(input: &SchemaRef, retracts: bool) -> Self {
        Self {
            blocks: Blocks::new(input),
            known: Vec::new(),
            distances: Vec::new(),
            chains: retracts.then(HashTable::new),
            vacant: Vec::new(),
            next_number: 0,
            fresh: Vec::new(),
            uncaptured: Vec::new(),
            removed: Vec::new(),
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        self.blocks.schema()
    }

    pub(super) fn can_take_back(&self) -> bool {
        self.chains.is_some()
    }

    pub(super) fn number(&self, slot: Slot) -> i64 {
        self.known[slot as usize].number
    }

    pub(super) fn distance(&self, slot: Slot) -> Distance {
        self.distances[slot as usize]
    }

    /// Whether the row has come since the last marker.
    pub(super) fn is_fresh(&self, slot: Slot) -> bool {
        self.known[slot as usize].is_fresh
    }

    /// Whether the row was taken back since the last marker.
    pub(super) fn is_gone(&self, slot: Slot) -> bool {
        self.known[slot as usize].is_gone
    }

    /// Gives slots to rows that have come, or to those that a checkpoint holds under these numbers. [`push`](Self::push) comes next.
    pub(super) fn add(
        &mut self,
        records: &RecordBatch,
        hashes: &[u64],
        stored: Option<&[i64]>,
        distances: Option<Vec<Distance>>,
    ) -> Result<Vec<Slot>> {
        if self.known.len() + hashes.len() >= NONE as usize {
            return Err(Error::environment("there are more than four thousand million rows in one subtask")
                .with_help("raise the parallelism, and partition by more columns"));
        }
        let first = match stored {
            None => self.next_number,
            Some(numbers) => numbers.iter().max().map_or(0, |number| number + 1).max(self.next_number),
        };
        self.next_number = if stored.is_none() { first + hashes.len() as i64 } else { first };
        let identities = self.chains.as_ref().map(|_| identities(records)).transpose()?;
        let slots = self.free_slots(hashes.len(), distances.is_some());
        for (row, slot) in slots.iter().enumerate() {
            let number = stored.map_or(first + row as i64, |numbers| numbers[row]);
            let identity = identities.as_ref().map_or(0, |identities| identities[row]);
            let is_fresh = stored.is_none();
            let known = &mut self.known[*slot as usize];
            let is_listed = known.is_listed;
            *known = Known { hash: hashes[row], number, identity, is_stored: !is_fresh, is_listed, is_fresh, ..NOBODY };
            if is_fresh {
                self.fresh.push(*slot);
                if !std::mem::replace(&mut known.is_listed, true) {
                    self.uncaptured.push(*slot);
                }
            }
        }
        // In the order of their numbers each stands in front of its chain at once.
        let mut in_order = slots.clone();
        in_order.sort_unstable_by_key(|slot| self.known[*slot as usize].number);
        in_order.into_iter().for_each(|slot| self.link(slot));
        for (slot, distance) in slots.iter().zip(distances.into_iter().flatten()) {
            self.distances[*slot as usize] = distance;
        }
        Ok(slots)
    }

    /// The rows in these slots.
    pub(super) fn push(&mut self, records: &RecordBatch, slots: Vec<Slot>) -> Result<()> {
        self.blocks.push(records, slots)
    }

    /// So many slots without a row: vacant ones first.
    fn free_slots(&mut self, count: usize, have_distances: bool) -> Vec<Slot> {
        let mut slots = self.vacant.split_off(self.vacant.len() - count.min(self.vacant.len()));
        let first = self.known.len() as Slot;
        let end = first + (count - slots.len()) as Slot;
        slots.extend(first..end);
        self.known.resize(end as usize, NOBODY);
        if have_distances {
            self.distances.resize(end as usize, Distance::Before);
        }
        slots
    }

    /// Puts a row into the chain of its hash, in which the one that came last is the first.
    fn link(&mut self, slot: Slot) {
        let Some(chains) = &mut self.chains else { return };
        let Known { identity, number, .. } = self.known[slot as usize];
        let mut chain = match chains.entry(identity, |chain| chain.0 == identity, |chain| chain.0) {
            Entry::Occupied(chain) => chain,
            Entry::Vacant(chain) => {
                chain.insert((identity, slot));
                return;
            }
        };
        let (mut before, mut behind) = (NONE, chain.get().1);
        while behind != NONE && self.known[behind as usize].number > number {
            (before, behind) = (behind, self.known[behind as usize].next);
        }
        self.known[slot as usize].next = behind;
        match before {
            NONE => chain.get_mut().1 = slot,
            _ => self.known[before as usize].next = slot,
        }
    }

    /// Takes the first row that `is_it` out of the chain of a hash.
    fn unlink(&mut self, identity: u64, mut is_it: impl FnMut(&Blocks, Slot) -> Result<bool>) -> Result<Option<Slot>> {
        let Some(chains) = &mut self.chains else { return Ok(None) };
        let Ok(mut chain) = chains.find_entry(identity, |chain| chain.0 == identity) else { return Ok(None) };
        let (mut before, mut slot) = (NONE, chain.get().1);
        while slot != NONE {
            let behind = self.known[slot as usize].next;
            if is_it(&self.blocks, slot)? {
                match (before, behind) {
                    (NONE, NONE) => drop(chain.remove()),
                    (NONE, _) => chain.get_mut().1 = behind,
                    _ => self.known[before as usize].next = behind,
                }
                return Ok(Some(slot));
            }
            (before, slot) = (slot, behind);
        }
        Ok(None)
    }

    /// Takes the rows that are gone out of the chain of a hash.
    fn thin_out(&mut self, identity: u64) {
        let Some(chains) = &mut self.chains else { return };
        let Ok(mut chain) = chains.find_entry(identity, |chain| chain.0 == identity) else { return };
        let (mut first, mut last, mut slot) = (NONE, NONE, chain.get().1);
        while slot != NONE {
            let Known { next: behind, is_gone, .. } = self.known[slot as usize];
            if !is_gone {
                match last {
                    NONE => first = slot,
                    _ => self.known[last as usize].next = slot,
                }
                self.known[slot as usize].next = NONE;
                last = slot;
            }
            slot = behind;
        }
        match first {
            NONE => drop(chain.remove()),
            _ => chain.get_mut().1 = first,
        }
    }

    /// Marks, for each row of `records`, one as gone that is equal in every column: the one that came last.
    ///
    /// # Errors
    /// An internal error if there is none.
    pub(super) fn take_back(&mut self, records: &RecordBatch) -> Result<()> {
        let absent =
            || Error::internal("a row was to be taken back that had not come before, or not with the same values");
        let wanted = identities(records)?;
        // Equal hashes of all columns are nearly always equal rows: the first of them is taken, and looked at with all others.
        let mut taken = Vec::with_capacity(wanted.len());
        for identity in &wanted {
            taken.push(self.unlink(*identity, |_, _| Ok(true))?.ok_or_else(absent)?);
        }
        let equal = equal_rows(records, &self.blocks.gather(&taken)?)?;
        let mistaken: Vec<usize> = (0..taken.len()).filter(|row| !equal.value(*row)).collect();
        mistaken.iter().for_each(|row| self.link(taken[*row]));
        for row in mistaken {
            let record = records.slice(row, 1);
            let is_it = |blocks: &Blocks, slot| Ok(equal_rows(&record, &blocks.gather(&[slot])?)?.value(0));
            taken[row] = self.unlink(wanted[row], is_it)?.ok_or_else(absent)?;
        }
        taken.iter().for_each(|slot| self.known[*slot as usize].is_gone = true);
        Ok(())
    }

    /// The same of those rows that there are, where partitions have been forgotten. Returns which.
    pub(super) fn take_back_known(&mut self, records: &RecordBatch) -> Result<BooleanArray> {
        let mut found = Vec::with_capacity(records.num_rows());
        for (row, identity) in identities(records)?.into_iter().enumerate() {
            let record = records.slice(row, 1);
            let is_it = |blocks: &Blocks, slot| Ok(equal_rows(&record, &blocks.gather(&[slot])?)?.value(0));
            let taken = self.unlink(identity, is_it)?;
            taken.iter().for_each(|slot| self.known[*slot as usize].is_gone = true);
            found.push(taken.is_some());
        }
        Ok(found.into())
    }

    /// Gives a row the stamp of its partition.
    pub(super) fn stamp(&mut self, slot: Slot, stamp: i64) {
        let known = &mut self.known[slot as usize];
        if std::mem::replace(&mut known.stamp, stamp) != stamp {
            known.is_restamped = true;
            if !std::mem::replace(&mut known.is_listed, true) {
                self.uncaptured.push(slot);
            }
        }
    }

    /// A row was stored with this stamp.
    pub(super) fn load_stamp(&mut self, slot: Slot, stamp: Option<i64>) {
        self.known[slot as usize].stamp = stamp.unwrap_or(UNSTAMPED);
    }

    /// Lets go of rows of partitions that are forgotten.
    pub(super) fn forget(&mut self, slots: &[Slot]) -> Result<()> {
        slots.iter().for_each(|slot| self.known[*slot as usize].is_gone = true);
        slots.iter().for_each(|slot| self.thin_out(self.known[*slot as usize].identity));
        for slot in slots {
            let known = &mut self.known[*slot as usize];
            known.is_gone = false;
            if known.is_stored {
                self.removed.push((known.hash, known.number));
            }
        }
        self.vacant.extend(slots);
        self.blocks.remove(slots)
    }

    /// All rows in these slots, whether they are gone or not.
    pub(super) fn gather(&self, slots: &[Slot]) -> Result<RecordBatch> {
        self.blocks.gather(slots)
    }

    /// Some columns of them.
    pub(super) fn gather_columns(&self, slots: &[Slot], columns: &[usize]) -> Result<Vec<ArrayRef>> {
        self.blocks.gather_columns(slots, columns)
    }

    /// A marker has passed: lets go of rows that are gone.
    pub(super) fn settle(&mut self, gone: &[Slot]) -> Result<()> {
        for slot in std::mem::take(&mut self.fresh) {
            self.known[slot as usize].is_fresh = false;
        }
        for slot in gone {
            let known = &mut self.known[*slot as usize];
            known.is_gone = false;
            if known.is_stored {
                self.removed.push((known.hash, known.number));
            }
        }
        self.vacant.extend(gone);
        self.blocks.remove(gone)
    }

    /// Lets go of rows that checkpoints hold.
    pub(super) fn evict(&mut self, leaving: &[Slot]) -> Result<()> {
        if leaving.iter().any(|slot| !self.known[*slot as usize].is_stored) {
            return Err(Error::internal("a row was to leave before it is stored"));
        }
        leaving.iter().for_each(|slot| self.known[*slot as usize].is_gone = true);
        leaving.iter().for_each(|slot| self.thin_out(self.known[*slot as usize].identity));
        leaving.iter().for_each(|slot| self.known[*slot as usize].is_gone = false);
        self.vacant.extend(leaving);
        self.blocks.remove(leaving)?;
        if self.vacant.len() == self.known.len() {
            // Nothing is left that a slot could be the number of.
            let (blocks, chains) = (Blocks::new(self.blocks.schema()), self.chains.as_ref().map(|_| HashTable::new()));
            let (next_number, removed) = (self.next_number, std::mem::take(&mut self.removed));
            *self = Self { blocks, chains, next_number, removed, ..Self::new(self.blocks.schema(), false) };
        }
        Ok(())
    }

    /// What has changed since the last capture.
    pub(super) fn capture(&mut self) -> Captured {
        let mut uncaptured = std::mem::take(&mut self.uncaptured);
        // A slot may have lost its row since, and may have got one that was loaded.
        uncaptured.retain(|slot| {
            let known = &mut self.known[*slot as usize];
            known.is_listed = false;
            let is_restamped = std::mem::take(&mut known.is_restamped);
            let is_new = self.blocks.is_there(*slot) && (is_restamped || !known.is_stored);
            known.is_stored |= is_new;
            is_new
        });
        let stamp = |slot: &Slot| Some(self.known[*slot as usize].stamp).filter(|stamp| *stamp != UNSTAMPED);
        let stamps = uncaptured.iter().map(stamp).collect();
        let name = |slot: &Slot| (self.known[*slot as usize].hash, self.known[*slot as usize].number);
        let names = uncaptured.iter().map(name).collect();
        let removed = std::mem::take(&mut self.removed);
        Captured::new(self.blocks.pick(&uncaptured), names, stamps, removed)
    }

    /// Bytes held, roughly.
    pub(super) fn bytes(&self) -> usize {
        let slots = (self.vacant.len() + self.fresh.len() + self.uncaptured.len()) * size_of::<Slot>();
        let known = self.known.len() * size_of::<Known>() + self.distances.len() * size_of::<Distance>();
        let chains = self.chains.as_ref().map_or(0, HashTable::capacity) * size_of::<(u64, Slot)>();
        self.blocks.bytes() + known + slots + chains + self.removed.len() * size_of::<Name>()
    }
}
