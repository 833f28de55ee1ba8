//! A coordinator's disk: what was written is there after a crash only if it had been synced, or by luck.

use std::sync::{Arc, Mutex};

use weir_coordinator::raft::{Batch, LogStore, MemoryStore, Stored};
use weir_core::bugs::{self, Bug};
use weir_core::{CoordinatorId, Error, Result};

use crate::lock;
use crate::oracle::Oracle;
use crate::random::Random;

/// The disk of one coordinator. It outlives its processes; clones are the same disk.
#[derive(Debug, Clone)]
pub struct Disk {
    owner: CoordinatorId,
    oracle: Arc<Oracle>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What a loss of power leaves.
    durable: MemoryStore,
    /// What was written behind it. Each batch is there as a whole or not at all, as the database promises.
    unsynced: Vec<Batch>,
    /// How many of these the oracle has seen.
    told: usize,
    full: bool,
}

impl Disk {
    /// An empty disk.
    pub fn new(owner: CoordinatorId, oracle: Arc<Oracle>) -> Self {
        Self { owner, oracle, state: Arc::default() }
    }

    /// Nothing fits on it any more, or something does again.
    pub fn set_full(&self, full: bool) {
        lock(&self.state).full = full;
    }

    /// Whether something is not synced.
    pub fn is_dirty(&self) -> bool {
        !lock(&self.state).unsynced.is_empty()
    }

    /// Syncs what was written.
    pub fn sync(&self) {
        let mut state = lock(&self.state);
        let State { durable, unsynced, told, .. } = &mut *state;
        // Only now may anybody act on it.
        unsynced.iter().skip(*told).for_each(|batch| self.oracle.log_written(self.owner, batch));
        *told = unsynced.len();
        if bugs::is_on(Bug::SkippedSync) {
            return;
        }
        *told = 0;
        for batch in unsynced.drain(..) {
            durable.write(&batch).expect("memory takes everything");
        }
    }

    /// Syncs what founds a cluster, whatever bugs there are.
    pub fn found(&self) {
        let mut state = lock(&self.state);
        let State { durable, unsynced, .. } = &mut *state;
        for batch in unsynced.drain(..) {
            durable.write(&batch).expect("memory takes everything");
        }
    }

    /// The power is lost: of what was not synced, a beginning is there.
    pub fn crash(&self, random: &mut Random) {
        let mut state = lock(&self.state);
        let State { durable, unsynced, told, .. } = &mut *state;
        *told = 0;
        let kept = usize::try_from(random.between(0, unsynced.len() as u64)).unwrap_or(0);
        for batch in unsynced.drain(..).take(kept) {
            durable.write(&batch).expect("memory takes everything");
        }
    }
}

impl LogStore for Disk {
    fn load(&self) -> Result<Stored> {
        lock(&self.state).durable.load()
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let mut state = lock(&self.state);
        if state.full {
            return Err(Error::environment("no space left on the disk of the log"));
        }
        state.unsynced.push(batch.clone());
        Ok(())
    }
}
