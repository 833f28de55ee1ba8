//! Rows that are forgotten some time behind their coming.

use weir_core::{EventTime, Result};

use super::Rows;
use crate::row_blocks::NONE;
use crate::time_to_live::TimeToLive;

impl Rows {
    /// How long rows are kept.
    pub(in super::super) fn life(&mut self) -> &mut TimeToLive {
        &mut self.life
    }

    /// Whether rows may have been forgotten.
    pub(in super::super) fn forgets(&self) -> bool {
        self.life.forgets()
    }

    /// Rows that were touched up to then are gone.
    pub(in super::super) fn expired(&self) -> Option<EventTime> {
        self.life.expired()
    }

    /// A marker passes: rows that have not been touched in time are forgotten.
    pub(in super::super) fn expire(&mut self) -> Result<()> {
        if !self.life.is_limited() {
            return Ok(());
        }
        self.life.marker();
        for slot in self.generations.stamp(self.life.stamp()) {
            if self.is_stored(slot) {
                self.store_anew(slot);
            }
        }
        let gone = self.generations.take(self.life.expired());
        if gone.is_empty() {
            return Ok(());
        }
        for slot in self.generations.left_unstamped(&gone) {
            if self.is_stored(slot) {
                self.removed.push(self.name(slot));
            }
        }
        // A chain is gone through once, however many of its rows go.
        let mut hashes: Vec<u64> = gone.iter().map(|slot| *self.slots.hashes.get(*slot)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut goes = vec![false; self.slots.next.len()];
        gone.iter().for_each(|slot| goes[*slot as usize] = true);
        for hash in hashes {
            let Ok(mut chain) = self.chains.find_entry(hash, |chain| chain.0 == hash) else { continue };
            let (mut first, mut last, mut slot) = (NONE, NONE, chain.get().1);
            while slot != NONE {
                let behind = self.slots.next[slot as usize];
                if !goes[slot as usize] {
                    match last {
                        NONE => first = slot,
                        last => self.slots.next[last as usize] = slot,
                    }
                    last = slot;
                }
                slot = behind;
            }
            match last {
                NONE => drop(chain.remove()),
                last => {
                    self.slots.next[last as usize] = NONE;
                    chain.get_mut().1 = first;
                }
            }
        }
        self.vacant.extend(&gone);
        self.blocks.remove(&gone)
    }
}
