//! The cluster on simulated time, network, disks and storage, from a seed.
//!
//! A *history* is one run of a whole cluster on one thread, on tokio's paused time: coordinators, which are the state machines of
//! `weir-coordinator`; workers, which are the process loop, the engine and the operators of `weir-worker`; users, who submit,
//! stop and rescale jobs; and faults. Everything that chance decides follows from the seed, so a history can be repeated.
//!
//! ```text
//!            Shape ◀── seed ──▶ faults, users
//!              │                    │ crash, cut, fail          looks on
//!              ▼                    ▼                              │
//!   coordinators ◀── Network ──▶ workers ──▶ World ◀────────── Oracle, who knows
//!        │ Disk                    │ Objects                  the right results
//! ```
//!
//! Histories differ in what they are made of: some have the database of production below consensus, on sectors that a loss of power
//! tears; some have an operator who replaces coordinators; some have windows in which nearly everything waits for room.
//!
//! A history has two phases. In the first there are faults; in the second there are none, and every job has to come to its end
//! in time, with each result out once.

mod blocking;
mod chaos;
mod client;
mod cluster;
mod connector;
mod coordinator;
mod disk;
mod engine;
mod expected;
mod faults;
mod history;
mod jobs;
mod links;
mod machines;
mod mailbox;
mod members;
mod network;
mod oracle;
mod random;
mod roster;
mod rows;
mod seeds;
mod shape;
mod storage;
mod trace;
mod worker;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use history::{Options, Outcome, run};
pub use seeds::kept;

/// Locks what belongs to one thread: nobody else holds it, and after a panic the history is over.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
