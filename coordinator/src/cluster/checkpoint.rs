//! A checkpoint as the cluster knows it: that it is complete, and where its manifest is.

use serde::{Deserialize, Serialize};
use weir_core::{Attempt, Epoch};

/// A completed checkpoint. That this is in the replicated state is what decides the results of its epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The epoch that it closed.
    pub epoch: Epoch,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Path of its manifest in the job's storage.
    pub manifest: String,
    /// Bytes of state that it holds.
    pub state_bytes: u64,
    /// Bytes that it wrote.
    pub written_bytes: u64,
    /// When it was completed, in milliseconds since 1970, by the leader's clock; for people.
    pub completed_at: i64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Whether it is kept until a person deletes it.
    pub savepoint: bool,
    /// Whether the job's input had ended with it, by itself or because the job was drained. Then nothing is left to be done
    /// but to commit.
    pub finished: bool,
    /// The job's parallelism then.
    pub parallelism: u32,
    /// Whether all sinks have made its results visible.
    pub committed: bool,
}
