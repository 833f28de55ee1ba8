//! What consensus needs of a disk, as a contract. Raft's promises rest on one thing: what a coordinator has said that it
//! holds, it still holds after a loss of power.
//!
//! The log is read once, when a coordinator starts, and checked as a whole; after that the store is only written to.
//! A failing read can therefore never meet a running coordinator, and a failing write ends it: which of the bytes
//! reached the disk nobody knows then, and asking for them to be synced again would hide it.

mod memory;
mod redb;
#[cfg(any(test, feature = "simulation"))]
mod simulated_disk;

use weir_core::{CoordinatorId, Error, Result};
use weir_proto::peer::{Entry, Snapshot};

pub use self::memory::MemoryStore;
pub use self::redb::{Identity, RedbStore};
#[cfg(any(test, feature = "simulation"))]
pub use self::simulated_disk::SimulatedDisk;

/// Term, vote and commit: what Raft calls the hard state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HardState {
    /// The newest term that this coordinator has heard of.
    pub term: u64,
    /// Whom it voted for in that term.
    pub vote: Option<CoordinatorId>,
    /// Entries up to here are known to be decided. May be older than what was.
    pub commit: u64,
}

/// Everything that a store holds. An empty store holds the default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stored {
    /// Term, vote and commit.
    pub hard_state: HardState,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// Index and term of the entry before the first of `entries`; zeros when the log begins at its beginning.
    pub before: (u64, u64),
    /// The log behind `before`. It overlaps with the snapshot by the tail that slow followers may still need.
    pub entries: Vec<Entry>,
}

/// One step of a store, done as a whole or not at all. Parts are applied in the order of the fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Replaces term, vote and commit.
    pub hard_state: Option<HardState>,
    /// Came from the leader: replaces the snapshot and the whole log. The log goes on behind it.
    pub installed: Option<Snapshot>,
    /// Are in the log from here on, each at its index; what stood at the index of the first one or behind it is gone.
    /// The first one follows what is in the log without a gap.
    pub entries: Vec<Entry>,
    /// Replaces the snapshot and shortens the log from its beginning.
    pub compaction: Option<Compaction>,
}

/// Shortens the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Compaction {
    /// The state after an entry that is in the log, or after the one before its first.
    pub snapshot: Snapshot,
    /// Index and term of the last entry that goes; not behind the snapshot, not before what has gone already.
    pub before: (u64, u64),
}

/// Where a coordinator keeps its log. Every implementation passes the suite in `tests/store.rs`.
pub trait LogStore {
    /// Everything that was ever written and not replaced since. Called once, before the first `write`.
    ///
    /// # Errors
    /// Damage is an error that names what is damaged, never a shorter log: a coordinator that forgets what it
    /// acknowledged breaks the cluster, one that does not start only weakens it.
    fn load(&self) -> Result<Stored>;

    /// Applies the batch. On return it is durable: a loss of power does not take it back, and a batch whose write did
    /// not return is there as a whole or not at all.
    ///
    /// # Errors
    /// The store has failed and stays failed: every later call fails too. The process has to stop.
    fn write(&mut self, batch: &Batch) -> Result<()>;
}

impl Stored {
    /// Index of the last entry, or of the one before the first.
    pub fn last_index(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Applies a batch, as every store does.
    pub(super) fn apply(&mut self, batch: &Batch) {
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = &batch.installed {
            self.before = (snapshot.index, snapshot.term);
            self.entries.clear();
            self.snapshot = Some(snapshot.clone());
        }
        if let Some(first) = batch.entries.first() {
            assert!(
                first.index > self.before.0 && first.index <= self.last_index() + 1,
                "entries leave a gap in the log"
            );
            self.entries.truncate((first.index - self.before.0 - 1) as usize);
            self.entries.extend_from_slice(&batch.entries);
        }
        if let Some(compaction) = &batch.compaction {
            let gone = compaction.before.0.checked_sub(self.before.0).expect("compaction goes forward");
            self.entries.drain(..gone as usize);
            self.before = compaction.before;
            self.snapshot = Some(compaction.snapshot.clone());
        }
    }

    /// Checks what checksums cannot: that the parts belong together.
    pub(super) fn check(&self) -> Result<()> {
        let damaged = |what: String| Err(Error::data(format!("the store of this coordinator is damaged: {what}")));
        let mut previous = self.before;
        for entry in &self.entries {
            if entry.index != previous.0 + 1 {
                return damaged(format!("entry {} of the log follows entry {}", entry.index, previous.0));
            }
            if entry.term < previous.1 {
                return damaged(format!(
                    "the term falls from {} to {} at entry {}",
                    previous.1, entry.term, entry.index
                ));
            }
            previous = (entry.index, entry.term);
        }
        let HardState { term, commit, .. } = self.hard_state;
        if previous.1 > term {
            return damaged(format!(
                "the log reaches term {}, but this coordinator has heard of {term} only",
                previous.1
            ));
        }
        let snapshot = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.index);
        if snapshot < self.before.0 || snapshot > previous.0 {
            return damaged(format!(
                "the snapshot stands at {snapshot}, the log from {} to {}",
                self.before.0, previous.0
            ));
        }
        if commit < snapshot || commit > previous.0 {
            return damaged(format!("decided up to {commit}, but the log goes from {snapshot} to {}", previous.0));
        }
        Ok(())
    }
}
