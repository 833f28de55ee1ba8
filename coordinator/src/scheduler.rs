//! Which worker runs which slot of a job. Pure: a [`Problem`] in, a [`Placement`] or a [`Shortfall`] out.
//!
//! 1. A slot stays with the worker that has its state on disk: the one that had the same part of the keys in the last
//!    execution. The worker's name counts, not its process: the disk is still there after a restart.
//! 2. Every other slot goes to the worker with the greatest free share, one by one. So load is spread evenly, and a worker
//!    with twice the slots gets twice as many.
//!
//! Ties are broken by the workers' names, so that the same problem always has the same solution.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;

use weir_core::{JobId, PlacedWorker, Placement, WorkerId};

#[cfg(test)]
mod tests;

/// Where a job's slots could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How many slots the job shall have.
    pub slots_wanted: u32,
    /// The workers, each once.
    pub workers: Vec<Candidate>,
    /// Where the last execution was, of the same parallelism or another.
    pub previous: Option<Placement>,
}

/// A worker that could get slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Which one.
    pub worker: PlacedWorker,
    /// Slots that nobody uses.
    pub free: u32,
    /// Slots that it offers.
    pub total: u32,
    /// Gets no new work.
    pub draining: bool,
    /// Cannot run the job: it is of an earlier version, which would run plugins in its own process where the job isolates them.
    pub too_old: bool,
}

/// There are not enough slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// Slots that the job needs.
    pub wanted: u32,
    /// Slots that it could have.
    pub free: u64,
    /// Workers that these are on.
    pub workers: usize,
    /// Slots that are free on workers that are being drained.
    pub draining_slots: u64,
    /// Slots that are free on workers that are too old for the job.
    pub old_slots: u64,
}

/// Finds a place for every slot.
///
/// # Errors
/// If there are not enough free slots.
pub fn place(problem: &Problem) -> Result<Placement, Shortfall> {
    let wanted = problem.slots_wanted;
    let mut workers: Vec<Share<'_>> = problem
        .workers
        .iter()
        .filter(|candidate| !candidate.draining && !candidate.too_old && candidate.free > 0)
        .map(|candidate| Share { worker: &candidate.worker, free: candidate.free, total: candidate.total })
        .collect();
    workers.sort_unstable_by_key(|share| &share.worker.worker);
    let free: u64 = workers.iter().map(|share| u64::from(share.free)).sum();
    if free < u64::from(wanted) {
        let free_on = |is_meant: fn(&Candidate) -> bool| {
            problem.workers.iter().filter(|worker| is_meant(worker)).map(|worker| u64::from(worker.free)).sum()
        };
        let draining_slots = free_on(|worker| worker.draining && !worker.too_old);
        let old_slots = free_on(|worker| worker.too_old);
        return Err(Shortfall { wanted, free, workers: workers.len(), draining_slots, old_slots });
    }

    let positions: BTreeMap<&WorkerId, usize> =
        workers.iter().enumerate().map(|(position, share)| (&share.worker.worker, position)).collect();
    let stays = |slot: u32| positions.get(previous_worker(problem.previous.as_ref()?, slot, wanted)?).copied();
    let mut slots: Vec<Option<usize>> = Vec::new();
    for slot in 0..wanted {
        let stay = stays(slot).filter(|position| workers[*position].free > 0);
        if let Some(position) = stay {
            workers[position].free -= 1;
        }
        slots.push(stay);
    }
    let mut heap: BinaryHeap<Share<'_>> = workers.iter().filter(|share| share.free > 0).cloned().collect();
    for slot in slots.iter_mut().filter(|slot| slot.is_none()) {
        let Some(mut share) = heap.pop() else { break };
        *slot = positions.get(&share.worker.worker).copied();
        share.free -= 1;
        if share.free > 0 {
            heap.push(share);
        }
    }
    Ok(placement(&workers, &slots))
}

/// The placement in terms of the workers that have a slot.
fn placement(workers: &[Share<'_>], slots: &[Option<usize>]) -> Placement {
    let mut placed: BTreeMap<usize, u32> = slots.iter().flatten().map(|position| (*position, 0)).collect();
    for (place, rank) in placed.values_mut().zip(0..) {
        *place = rank;
    }
    Placement {
        workers: placed.keys().map(|position| workers[*position].worker.clone()).collect(),
        slots: slots.iter().flatten().map(|position| placed[position]).collect(),
    }
}

/// The worker that had the middle of a slot's part of the keys. With the same parallelism, the slot's own.
fn previous_worker(previous: &Placement, slot: u32, wanted: u32) -> Option<&WorkerId> {
    let middle = (2 * u128::from(slot) + 1) * u128::try_from(previous.slots.len()).ok()?;
    let before = usize::try_from(middle / (2 * u128::from(wanted))).ok()?;
    previous.worker_of(before).map(|placed| &placed.worker)
}

/// Which running jobs to stop and place anew because they are on workers that are being drained: those that find room
/// elsewhere, all of them together. `running` are the executions, `workers` the candidates with what is free beside them.
pub fn rebalance<'a>(
    running: impl IntoIterator<Item = (JobId, u32, &'a Placement)>,
    workers: &[Candidate],
) -> Vec<JobId> {
    let draining: BTreeMap<&WorkerId, bool> =
        workers.iter().map(|candidate| (&candidate.worker.worker, candidate.draining)).collect();
    let mut free: u64 =
        workers.iter().filter(|candidate| !candidate.draining).map(|candidate| u64::from(candidate.free)).sum();
    let mut moved = Vec::new();
    for (job, wanted, placement) in running {
        let drains: Vec<bool> =
            placement.workers.iter().map(|placed| draining.get(&placed.worker) == Some(&true)).collect();
        if !drains.contains(&true) {
            continue;
        }
        let on_draining =
            |position: &&u32| usize::try_from(**position).is_ok_and(|position| drains.get(position) == Some(&true));
        let leaving = placement.slots.iter().filter(on_draining).count();
        // What it has elsewhere it can have again.
        let kept = u64::try_from(placement.slots.len() - leaving).unwrap_or(u64::MAX);
        let room = free.saturating_add(kept);
        if let Some(rest) = room.checked_sub(u64::from(wanted)) {
            free = rest;
            moved.push(job);
        }
    }
    moved
}

/// What is left of a worker. The greatest is the one with the greatest free share; of equals, the one with more slots, then
/// the first by name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share<'a> {
    worker: &'a PlacedWorker,
    free: u32,
    total: u32,
}

impl Ord for Share<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let share = |a: &Self, b: &Self| u64::from(a.free) * u64::from(b.total);
        share(self, other)
            .cmp(&share(other, self))
            .then(self.free.cmp(&other.free))
            .then_with(|| other.worker.cmp(self.worker))
    }
}

impl PartialOrd for Share<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let Self { wanted, free, workers, draining_slots, old_slots } = self;
        write!(f, "needs {wanted} slot{}; ", plural(u64::from(*wanted)))?;
        match (free, workers) {
            (0, _) => f.write_str("none is free")?,
            (_, 1) => write!(f, "{free} free on 1 worker")?,
            _ => write!(f, "{free} free on {workers} workers")?,
        }
        match draining_slots {
            0 => {}
            1 => f.write_str(" (1 more is on a worker that is being drained)")?,
            more => write!(f, " ({more} more are on workers that are being drained)")?,
        }
        match old_slots {
            0 => return f.write_str(": add a worker or lower the parallelism"),
            1 => f.write_str(" (1 more is on a worker that is")?,
            more => write!(f, " ({more} more are on workers that are")?,
        }
        f.write_str(" too old to run plugins in processes of their own): upgrade such workers, or add one")
    }
}

impl std::error::Error for Shortfall {}
