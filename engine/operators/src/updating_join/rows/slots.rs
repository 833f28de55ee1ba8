//! What is known of rows beside their columns, by slot.

use crate::chunked::{Chunked, Shared};
use crate::row_blocks::{NONE, Slot};

/// What is known of the row in each slot. What a capture needs is in columns that it can share.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) hashes: Chunked<u64>,
    pub(super) numbers: Chunked<i64>,
    /// The number of the capture that stores the row, 0 of one that was loaded.
    pub(super) captures: Chunked<u32>,
    pub(super) next: Vec<Slot>,
    /// Rows of the other side that match this one.
    pub(super) matches: Chunked<u32>,
    /// Whether the slot is among those that are stored anew.
    pub(super) again: Vec<bool>,
    /// Whether the number of matches is the one that was stored.
    pub(super) counted: Vec<bool>,
}

/// The same of one row.
pub(super) struct Known {
    pub(super) hash: u64,
    pub(super) number: i64,
    pub(super) capture: u32,
    pub(super) next: Slot,
    pub(super) matches: u32,
}

/// What the state holds of rows beside their columns, as it was at a capture.
pub(super) struct Then {
    pub(super) hashes: Shared<u64>,
    pub(super) numbers: Shared<i64>,
    pub(super) captures: Shared<u32>,
    /// Where they are stored.
    pub(super) matches: Option<Shared<u32>>,
}

impl Slots {
    /// Makes room: there are so many slots.
    pub(super) fn grow(&mut self, slots: usize) {
        self.hashes.grow(slots);
        self.numbers.grow(slots);
        self.captures.grow(slots);
        self.next.resize(slots, NONE);
        self.matches.grow(slots);
        self.again.resize(slots, false);
        self.counted.resize(slots, false);
    }

    pub(super) fn set(&mut self, slot: Slot, known: Known) {
        *self.hashes.get_mut(slot) = known.hash;
        *self.numbers.get_mut(slot) = known.number;
        *self.captures.get_mut(slot) = known.capture;
        *self.matches.get_mut(slot) = known.matches;
        self.next[slot as usize] = known.next;
        self.counted[slot as usize] = false;
    }

    /// As it is now. `counts`: how many matches rows have is stored.
    pub(super) fn share(&mut self, counts: bool) -> Then {
        Then {
            hashes: self.hashes.share(),
            numbers: self.numbers.share(),
            captures: self.captures.share(),
            matches: counts.then(|| self.matches.share()),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.next.len() * (2 * size_of::<u64>() + 3 * size_of::<u32>() + 2 * size_of::<bool>())
    }
}
