//! The log as the library reads it: in memory, a mirror of what the store holds. The library asks for terms and entries
//! all the time and panics when it gets an error, so it must not meet a disk.

use std::cell::Cell;

use raft::{GetEntriesContext, RaftState, StorageError, eraftpb};
use weir_core::Result;

use super::Membership;
use super::convert::{entry_from_wire, library_membership, snapshot_from_wire};
use super::store::{Batch, HardState, Stored};

/// Mirror of a store.
#[derive(Debug)]
pub(super) struct Log {
    hard_state: HardState,
    snapshot: Option<eraftpb::Snapshot>,
    before: (u64, u64),
    entries: Vec<eraftpb::Entry>,
    /// Somebody needs a newer snapshot than there is. The library asks through a shared reference.
    wanted: Cell<bool>,
}

impl Log {
    pub(super) fn new(stored: Stored) -> Result<Self> {
        Ok(Self {
            hard_state: stored.hard_state,
            snapshot: stored.snapshot.map(snapshot_from_wire).transpose()?,
            before: stored.before,
            entries: stored.entries.into_iter().map(entry_from_wire).collect::<Result<_>>()?,
            wanted: Cell::new(false),
        })
    }

    /// Follows the store.
    pub(super) fn apply(&mut self, batch: Batch) -> Result<()> {
        if let Some(hard_state) = batch.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = batch.installed {
            self.before = (snapshot.index, snapshot.term);
            self.entries.clear();
            self.snapshot = Some(snapshot_from_wire(snapshot)?);
        }
        if let Some(first) = batch.entries.first() {
            self.entries.truncate((first.index - self.before.0 - 1) as usize);
            for entry in batch.entries {
                self.entries.push(entry_from_wire(entry)?);
            }
        }
        if let Some(compaction) = batch.compaction {
            self.entries.drain(..(compaction.before.0 - self.before.0) as usize);
            self.before = compaction.before;
            self.snapshot = Some(snapshot_from_wire(compaction.snapshot)?);
            self.wanted.set(false);
        }
        Ok(())
    }

    pub(super) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Whether nothing was ever stored here: this coordinator knows of no cluster.
    pub(super) fn is_blank(&self) -> bool {
        self.snapshot.is_none() && self.entries.is_empty()
    }

    /// Index of the last entry that is gone.
    pub(super) fn before(&self) -> u64 {
        self.before.0
    }

    pub(super) fn snapshot_index(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.get_metadata().index)
    }

    /// Whether somebody needs a newer snapshot than there is.
    pub(super) fn snapshot_wanted(&self) -> bool {
        self.wanted.get()
    }

    /// Term of an entry, if the log still knows it.
    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.before.0 {
            return Some(self.before.1);
        }
        let place = index.checked_sub(self.before.0 + 1)?;
        self.entries.get(place as usize).map(|entry| entry.term)
    }

    fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }
}

impl raft::Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let hard_state = eraftpb::HardState {
            term: self.hard_state.term,
            vote: self.hard_state.vote.map_or(raft::INVALID_ID, |id| id.0),
            commit: self.hard_state.commit,
            ..Default::default()
        };
        let membership = match &self.snapshot {
            Some(snapshot) => snapshot.get_metadata().get_conf_state().clone(),
            None => library_membership(&Membership::default()),
        };
        Ok(RaftState::new(hard_state, membership))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<eraftpb::Entry>> {
        let Some(from) = low.checked_sub(self.before.0 + 1) else {
            return Err(raft::Error::Store(StorageError::Compacted));
        };
        let to = high - self.before.0 - 1;
        let Some(entries) = self.entries.get(from as usize..to as usize) else {
            return Err(raft::Error::Store(StorageError::Unavailable));
        };
        let mut entries = entries.to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.term_at(index).ok_or(raft::Error::Store(if index < self.before.0 {
            StorageError::Compacted
        } else {
            StorageError::Unavailable
        }))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<eraftpb::Snapshot> {
        // A coordinator drops a snapshot that does not name it as a member, so one from before it joined is of no use.
        let fits = self.snapshot.as_ref().filter(|snapshot| {
            let members = snapshot.get_metadata().get_conf_state();
            snapshot.get_metadata().index >= request_index
                && (members.voters.contains(&to) || members.learners.contains(&to))
        });
        match fits {
            Some(snapshot) => Ok(snapshot.clone()),
            None => {
                self.wanted.set(true);
                Err(raft::Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}
