//! Which worker runs which part of a job.

use serde::{Deserialize, Serialize};

use crate::{Incarnation, WorkerId};

/// A worker as other workers reach it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlacedWorker {
    /// Its name.
    pub worker: WorkerId,
    /// Its process.
    pub incarnation: Incarnation,
    /// Where it listens, `host:port`.
    pub address: String,
}

/// Where the parts of an attempt run. A job has as many slots as it has parallelism; slot *i* runs subtask *i* of every
/// chain, and slot 0 those that there is one of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The workers, each once.
    pub workers: Vec<PlacedWorker>,
    /// For each slot the position of its worker in `workers`.
    pub slots: Vec<u32>,
}

impl Placement {
    /// The worker of a slot.
    pub fn worker_of(&self, slot: usize) -> Option<&PlacedWorker> {
        self.workers.get(usize::try_from(*self.slots.get(slot)?).ok()?)
    }

    /// Position of a worker among the workers.
    pub fn position(&self, worker: &WorkerId) -> Option<usize> {
        self.workers.iter().position(|placed| placed.worker == *worker)
    }

    /// Slots that the worker at `position` has.
    pub fn slots_of(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        let slots = self.slots.iter().enumerate();
        slots.filter(move |(_, worker)| usize::try_from(**worker) == Ok(position)).map(|(slot, _)| slot)
    }
}
