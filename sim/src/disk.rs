//! A coordinator's disk: what was written is there after a crash only if it had been synced, or by luck.
//!
//! There are two kinds. One models what the database promises, and costs next to nothing. The other is the database that
//! production has, on a disk whose unsynced sectors may be there after a crash, or not.

use std::sync::{Arc, Mutex};

use weir_coordinator::raft::{Batch, Identity, LogStore, MemoryStore, RedbStore, SimulatedDisk, Stored};
use weir_core::bugs::{self, Bug};
use weir_core::{CoordinatorId, Error, Result};

use crate::coordinators::log_of;
use crate::lock::lock;
use crate::oracle::Oracle;
use weir_core::random::Random;

/// The disk of one coordinator. It outlives its processes; clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk {
    owner: CoordinatorId,
    oracle: Arc<Oracle>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    medium: Medium,
    /// What was written and is not synced.
    unsynced: Vec<Batch>,
    /// How many of these the oracle has seen.
    told: usize,
}

/// What the log is written on.
#[derive(Debug)]
enum Medium {
    /// Each batch is there as a whole or not at all, as the database promises.
    Model {
        /// What a loss of power leaves.
        durable: MemoryStore,
        full: bool,
    },
    /// Sectors, and the database as the process has it open.
    Sectors {
        disk: SimulatedDisk,
        database: Option<RedbStore>,
        /// Whether the file is there. It gets its name when it is complete, so one that was begun is begun anew.
        made: bool,
        full: bool,
    },
}

impl Disk {
    /// An empty disk, for a model of the database or for the database itself.
    pub fn new(owner: CoordinatorId, oracle: Arc<Oracle>, model: bool) -> Self {
        let medium = if model {
            Medium::Model { durable: MemoryStore::default(), full: false }
        } else {
            // Until a process has waited for the disk nobody knows how far the disk has come.
            Medium::Sectors { disk: SimulatedDisk::default().in_doubt(), database: None, made: false, full: false }
        };
        let state = State { medium, unsynced: Vec::new(), told: 0 };
        Self { owner, oracle, state: Arc::new(Mutex::new(state)) }
    }

    /// Nothing fits on it any more, or something does again.
    pub fn set_full(&self, is_full: bool) {
        match &mut lock(&self.state).medium {
            Medium::Model { full, .. } => *full = is_full,
            Medium::Sectors { disk, full, .. } => {
                *full = is_full;
                disk.set_full(is_full);
            }
        }
    }

    /// Whether something is not synced.
    pub fn is_dirty(&self) -> bool {
        !lock(&self.state).unsynced.is_empty()
    }

    /// Syncs what was written.
    pub fn sync(&self) {
        let mut state = lock(&self.state);
        let State { unsynced, told, .. } = &mut *state;
        // Only now may anybody act on it.
        unsynced.iter().skip(*told).for_each(|batch| self.oracle.log_written(self.owner, batch));
        *told = unsynced.len();
        if !bugs::is_on(Bug::SkippedSync) {
            state.settle();
        }
    }

    /// Syncs what founds a cluster, whatever bugs there are.
    pub fn found(&self) {
        let mut state = lock(&self.state);
        state.settle();
        if let Medium::Sectors { disk, .. } = &state.medium
            && bugs::is_on(Bug::SkippedSync)
        {
            disk.ignore_sync();
        }
    }

    /// The power is lost: of what was not synced, a beginning is there.
    pub fn crash(&self, random: &mut Random) {
        let mut state = lock(&self.state);
        let State { medium, unsynced, told } = &mut *state;
        *told = 0;
        match medium {
            Medium::Model { durable, .. } => {
                let kept = upto(random, unsynced.len());
                for batch in unsynced.drain(..).take(kept) {
                    durable.write(&batch).expect("memory takes everything");
                }
            }
            Medium::Sectors { disk, database, .. } => {
                let operations = upto(random, disk.pending());
                unsynced.clear();
                // In this order: a database that is closed writes to its disk, and this one does not get to it.
                *disk = disk.after_power_loss_at(operations, &mut |percent| random.chance(percent * 10));
                *database = None;
            }
        }
    }
}

fn upto(random: &mut Random, most: usize) -> usize {
    usize::try_from(random.between(0, most as u64)).unwrap_or(0)
}

impl State {
    fn settle(&mut self) {
        let batches = self.unsynced.drain(..);
        self.told = 0;
        match &mut self.medium {
            Medium::Model { durable, .. } => {
                batches.for_each(|batch| durable.write(&batch).expect("memory takes everything"));
            }
            Medium::Sectors { disk, .. } => disk.settle(),
        }
    }
}

impl LogStore for Disk {
    fn load(&self) -> Result<Stored> {
        match &mut lock(&self.state).medium {
            Medium::Model { durable, .. } => durable.load(),
            Medium::Sectors { disk, database, made, full } => {
                if !*made {
                    *disk = SimulatedDisk::default().in_doubt();
                    disk.set_full(*full);
                }
                let store = match database.take() {
                    Some(store) => store,
                    None => {
                        let identity =
                            Identity { cluster: "sim".to_owned(), coordinator: self.owner, fresh: log_of(self.owner) };
                        RedbStore::open_on(disk.clone(), &identity)?
                    }
                };
                if !std::mem::replace(made, true) {
                    disk.settle();
                }
                database.insert(store).load()
            }
        }
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let mut state = lock(&self.state);
        match &mut state.medium {
            Medium::Model { full: true, .. } => {
                return Err(Error::environment("no space left on the disk of the log"));
            }
            Medium::Model { .. } => {}
            Medium::Sectors { database, .. } => {
                let closed = || Error::internal("a log was written to before it was read");
                database.as_mut().ok_or_else(closed)?.write(batch)?;
            }
        }
        state.unsynced.push(batch.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use weir_coordinator::raft::HardState;

    use super::*;

    fn term(term: u64) -> Batch {
        let hard_state = HardState { term, ..HardState::default() };
        Batch { hard_state: Some(hard_state), ..Batch::default() }
    }

    /// Writes terms one after the other, some of them without waiting for the disk, and loses power in between.
    fn last_terms(model: bool) {
        let mut random = Random::new(7);
        let mut lost = 0;
        for _ in 0..20 {
            let mut disk = Disk::new(CoordinatorId(1), Arc::default(), model);
            disk.load().unwrap();
            disk.found();
            let mut synced = 0;
            for number in 1..=20 {
                disk.write(&term(number)).unwrap();
                if random.chance(500) {
                    disk.sync();
                    synced = number;
                } else if random.chance(500) {
                    disk.crash(&mut random);
                    let there = disk.load().unwrap().hard_state.term;
                    assert!((synced..=number).contains(&there), "{there} is there, and {synced} was synced");
                    lost += u64::from(there < number);
                    // What is there stays there.
                    synced = there;
                    disk.sync();
                }
            }
        }
        assert!(lost > 10, "a crash costs nothing: {lost}");
    }

    #[test]
    fn a_model_keeps_what_was_synced() {
        last_terms(true);
    }

    #[test]
    fn sectors_keep_what_was_synced() {
        last_terms(false);
    }

    #[test]
    fn a_full_disk_takes_nothing() {
        for model in [true, false] {
            let mut disk = Disk::new(CoordinatorId(1), Arc::default(), model);
            disk.load().unwrap();
            disk.write(&term(1)).unwrap();
            disk.sync();
            disk.set_full(true);
            assert_eq!(disk.write(&term(2)).unwrap_err().kind(), weir_core::ErrorKind::Environment);
            disk.set_full(false);
            disk.crash(&mut Random::new(1));
            assert_eq!(disk.load().unwrap().hard_state.term, 1);
        }
    }
}
