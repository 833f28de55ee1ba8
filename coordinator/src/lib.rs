//! The control plane. It sees no row and runs no user code: it decides where jobs run, when checkpoints are taken, when their
//! results count, and when a job is over.
//!
//! Decisions are pure. Every state machine here is a function `step(now, event) -> effects`: an `Event` says what has happened,
//! an `Effect` what is to be done, and whoever calls it carries the effects out and brings back what came of them as events.
//! [`driver::CheckpointDriver`] decides about markers and checkpoints, and [`checkpoints::CheckpointExecutor`] carries out what
//! it decides, for the leader and for `weir run` alike. [`cluster::ClusterState`] is what all coordinators agree on, and changes
//! by `apply(command)` alone. [`scheduler::place`] says where a job runs. [`leader::Leader`] is what the leader does for the
//! cluster, and [`node::Node`] one coordinator as a whole. [`recovery`] is for when the coordinators are lost.

pub mod access;
pub mod autoscaler;
pub mod checkpoints;
pub mod cluster;
pub mod copies;
pub mod doctor;
pub mod driver;
pub mod founding;
pub mod leader;
pub mod metrics;
pub mod node;
mod now;
pub mod raft;
pub mod recovery;
pub mod scheduler;
pub mod server;
pub mod workforce;

pub use now::Now;
