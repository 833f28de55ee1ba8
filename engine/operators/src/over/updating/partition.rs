//! The rows of one partition in their order, as they were at the last marker and as they are now.

use crate::row_blocks::Slot;

use super::rows::Rows;

/// Bytes around a place, roughly.
const AROUND: usize = 40;

/// A row in its order.
pub(super) struct Entry {
    /// What it is ordered by, as bytes, and its number behind.
    pub(super) place: Box<[u8]>,
    pub(super) slot: Slot,
}

impl Entry {
    fn new(order: &[u8], number: i64, slot: Slot) -> Self {
        let mut place = Vec::with_capacity(order.len() + size_of::<i64>());
        place.extend_from_slice(order);
        // Numbers are not negative, so their bytes are in their order.
        place.extend_from_slice(&number.to_be_bytes());
        Self { place: place.into(), slot }
    }

    /// The part of a place that equal rows have in common.
    pub(super) fn order(&self) -> &[u8] {
        &self.place[..self.place.len() - size_of::<i64>()]
    }

    fn bytes(&self) -> usize {
        self.place.len() + AROUND
    }
}

/// A partition.
pub(super) struct Partition {
    hash: u64,
    /// Rows that were there at the last marker. Some may be gone since.
    entries: Vec<Entry>,
    is_sorted: bool,
    /// Rows that have come since. Some may be gone again.
    fresh: Vec<Entry>,
    /// Whether it is among those that have changed since.
    is_noted: bool,
    /// When it has changed last, if that is known.
    pub(super) stamp: Option<i64>,
}

/// A partition as it was and as it is, between its rows of both times.
pub(super) struct Versions<'a> {
    pub(super) entries: &'a [Entry],
    /// Which of the entries were there, and which are.
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
    /// How many rows at the beginning are the same, and how many at the end.
    pub(super) front: usize,
    pub(super) back: usize,
}

impl Partition {
    pub(super) fn new(hash: u64) -> Self {
        Self { hash, entries: Vec::new(), is_sorted: true, fresh: Vec::new(), is_noted: false, stamp: None }
    }

    /// Hash of its key.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a row; says how many bytes there are more.
    pub(super) fn add(&mut self, order: &[u8], number: i64, slot: Slot) -> usize {
        let entry = Entry::new(order, number, slot);
        let bytes = entry.bytes();
        self.fresh.push(entry);
        bytes
    }

    /// Takes a row that is stored; says how many bytes there are more.
    pub(super) fn load(&mut self, order: &[u8], number: i64, slot: Slot) -> usize {
        let entry = Entry::new(order, number, slot);
        let bytes = entry.bytes();
        self.entries.push(entry);
        self.is_sorted = false;
        bytes
    }

    /// The partition changes. Whether for the first time since the last marker.
    pub(super) fn note(&mut self) -> bool {
        !std::mem::replace(&mut self.is_noted, true)
    }

    /// Its rows, at a marker.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.entries.iter().map(|entry| entry.slot)
    }

    /// All of it goes; says how many bytes there are less.
    pub(super) fn leave(&self, slots: &mut Vec<Slot>) -> usize {
        slots.extend(self.entries.iter().map(|entry| entry.slot));
        self.entries.iter().map(Entry::bytes).sum()
    }

    /// Puts rows that have come among the others. `None`: nothing has changed.
    pub(super) fn versions(&mut self, rows: &Rows) -> Option<Versions<'_>> {
        self.is_noted = false;
        if !std::mem::replace(&mut self.is_sorted, true) {
            self.entries.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        fresh.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        let follows = fresh.first().zip(self.entries.last()).is_none_or(|(first, last)| last.place < first.place);
        self.entries.append(&mut fresh);
        if !follows {
            // Two runs, each in order: that is what a stable sort is quick at.
            self.entries.sort_by(|a, b| a.place.cmp(&b.place));
        }
        let entries = &self.entries;
        let stays = |entry: &&Entry| !rows.is_fresh(entry.slot) && !rows.is_gone(entry.slot);
        let front = entries.iter().take_while(stays).count();
        if front == entries.len() {
            return None;
        }
        let back = entries.iter().rev().take_while(stays).count();
        let there = |is_there: &dyn Fn(Slot) -> bool| {
            (0_u32..).zip(entries).filter(|(_, entry)| is_there(entry.slot)).map(|(index, _)| index).collect()
        };
        let before = there(&|slot| !rows.is_fresh(slot));
        let after = there(&|slot| !rows.is_gone(slot));
        Some(Versions { entries, before, after, front, back })
    }

    /// Lets go of rows that are gone; says how many bytes there are less.
    pub(super) fn settle(&mut self, rows: &Rows, gone: &mut Vec<Slot>) -> usize {
        let mut bytes = 0;
        self.entries.retain(|entry| {
            let stays = !rows.is_gone(entry.slot);
            if !stays {
                gone.push(entry.slot);
                bytes += entry.bytes();
            }
            stays
        });
        bytes
    }
}
