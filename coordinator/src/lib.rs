//! The control plane. It sees no row and runs no user code: it decides when checkpoints are taken, when their results
//! count, and when a job is over.
//!
//! Decisions are pure. [`CheckpointDriver`] is a state machine `step(now, event) -> effects`; who calls it carries the
//! effects out and brings their outcome back as events.

mod driver;
pub mod raft;

pub use driver::{CheckpointDriver, CheckpointStats, DriverConfig, Effect, Event, Outcome, StopKind, Takeover};
