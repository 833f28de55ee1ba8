//! Namespaces keep the jobs of different people apart and bound what they use.

use serde::{Deserialize, Serialize};

/// Name of the namespace that is always there.
pub const DEFAULT_NAMESPACE: &str = "default";

/// A namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// What its jobs may use together.
    pub quota: Quota,
}

/// Limits; `None`: no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Slots of jobs that have not ended: the sum of their parallelisms.
    pub slots: Option<u32>,
    /// Jobs that have not ended.
    pub jobs: Option<u32>,
    /// Bytes of the newest checkpoints of jobs that have not ended. When it is exceeded, new jobs are refused and running
    /// ones go on.
    pub state_bytes: Option<u64>,
}
