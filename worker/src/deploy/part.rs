//! Which part of a job runs in this process.

use std::sync::Arc;

use weir_core::{Error, PlacedWorker, Placement, Result};

use crate::exchange::network::{Network, Process};

/// The slots of a job that this process has. A job has as many slots as it has parallelism; slot *i* holds subtask *i*
/// of every chain, and slot 0 those that there is one of.
#[derive(Debug, Clone)]
pub struct Part {
    slots: Slots,
}

#[derive(Debug, Clone)]
enum Slots {
    /// All of them.
    Whole(usize),
    /// Those that the placement gives to this process.
    Share { placement: Placement, me: usize, network: Arc<Network> },
}

impl Part {
    /// The whole of a job with `parallelism` slots: nothing of it runs elsewhere.
    pub fn whole(parallelism: usize) -> Self {
        Self { slots: Slots::Whole(parallelism) }
    }

    /// What `placement` gives to the process that `network` belongs to.
    ///
    /// # Errors
    /// If it names another process, or makes no sense.
    pub fn share(placement: Placement, network: Arc<Network>) -> Result<Self> {
        let me = placement.workers.iter().position(|worker| Process::from(worker) == *network.me());
        let me = me.ok_or_else(|| Error::environment(format!("no slot was placed on {}", network.me())))?;
        if placement.slots.is_empty() || (0..placement.slots.len()).any(|slot| placement.worker_of(slot).is_none()) {
            return Err(Error::internal("a placement has a slot without a worker"));
        }
        Ok(Self { slots: Slots::Share { placement, me, network } })
    }

    /// Number of slots of the whole job.
    pub fn parallelism(&self) -> usize {
        match &self.slots {
            Slots::Whole(parallelism) => *parallelism,
            Slots::Share { placement, .. } => placement.slots.len(),
        }
    }

    /// Whether the subtasks of this slot run here.
    pub fn has(&self, slot: usize) -> bool {
        slot < self.parallelism() && self.peer(slot).is_none()
    }

    /// The other worker that has this slot.
    pub(super) fn peer(&self, slot: usize) -> Option<&PlacedWorker> {
        match &self.slots {
            Slots::Whole(_) => None,
            Slots::Share { placement, me, .. } => {
                placement.worker_of(slot).filter(|worker| **worker != placement.workers[*me])
            }
        }
    }

    /// What connects this part with the others.
    pub(super) fn network(&self) -> Option<&Arc<Network>> {
        match &self.slots {
            Slots::Whole(_) => None,
            Slots::Share { network, .. } => Some(network),
        }
    }
}
