//! What is known of rows beside their columns, by slot.

use crate::row_blocks::{NONE, Slot};

/// What is known of the row in each slot.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) hashes: Vec<u64>,
    pub(super) numbers: Vec<i64>,
    pub(super) next: Vec<Slot>,
    /// Rows of the other side that match this one.
    pub(super) matches: Vec<u32>,
    /// Whether a checkpoint holds the row.
    pub(super) stored: Vec<bool>,
    /// Whether the slot is among the fresh ones.
    pub(super) fresh: Vec<bool>,
    /// Whether the slot is among those that are stored anew.
    pub(super) again: Vec<bool>,
    /// Whether the number of matches is the one that was stored.
    pub(super) counted: Vec<bool>,
}

/// The same of one row.
pub(super) struct Known {
    pub(super) hash: u64,
    pub(super) number: i64,
    pub(super) next: Slot,
    pub(super) matches: u32,
    pub(super) stored: bool,
}

impl Slots {
    /// Makes room: there are so many slots.
    pub(super) fn grow(&mut self, slots: usize) {
        self.hashes.resize(slots, 0);
        self.numbers.resize(slots, 0);
        self.next.resize(slots, NONE);
        self.matches.resize(slots, 0);
        self.stored.resize(slots, false);
        self.fresh.resize(slots, false);
        self.again.resize(slots, false);
        self.counted.resize(slots, false);
    }

    pub(super) fn set(&mut self, slot: Slot, known: Known) {
        let slot = slot as usize;
        self.hashes[slot] = known.hash;
        self.numbers[slot] = known.number;
        self.next[slot] = known.next;
        self.matches[slot] = known.matches;
        self.stored[slot] = known.stored;
        self.counted[slot] = false;
    }

    pub(super) fn bytes(&self) -> usize {
        self.hashes.len() * (2 * size_of::<u64>() + 2 * size_of::<u32>() + 4 * size_of::<bool>())
    }
}
