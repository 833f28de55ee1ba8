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
//! Some have inputs that sleep, wake up and come later than others; there all rows count, for none of them may be late.
//!
//! If it is asked for, results change as rows come. Then they have to be those of a prefix of the input at each commit.
//!
//! Some lose the logs of all coordinators in the middle, and are recovered from what is in the checkpoint storage.
//!
//! A history has two phases. In the first there are faults; in the second there are none, and every job has to come to its end
//! in time, with each result out once.

#![expect(clippy::disallowed_methods, reason = "time is simulated here: a pause is a part of the history")]

mod blocking;
mod broker;
mod chaos;
mod client;
mod cluster;
mod connector;
mod coordinator;
mod coordinators;
mod disk;
mod engine;
mod expected;
mod faults;
mod history;
mod jobs;
mod known_job;
mod links;
mod lock;
mod machines;
mod mailbox;
mod members;
mod message;
mod needed;
mod network;
mod objects;
mod oracle;
mod promises;
mod query;
mod recovery;
mod rows;
mod seeds;
mod shape;
mod storage;
mod target;
mod trace;
mod updating;
mod worker;
mod world;

pub use history::{Options, Verdict, run};
pub use seeds::kept;
