//! Namespaces keep the jobs of different people apart and bound what they use.

use serde::{Deserialize, Serialize};

/// Name of the namespace that is always there.
pub const DEFAULT_NAMESPACE: &str = "default";

/// A namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// What its jobs may use together.
    pub quota: Quota,
    /// What its scripts know without saying it.
    #[serde(default, skip_serializing_if = "Catalog::is_new")]
    pub catalog: Catalog,
}

/// Tables, views and functions that the scripts of a namespace share, as the statements that create them. Coordinators do not read SQL:
/// whoever changes a catalog has planned it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Another one after each change; 0 before the first.
    pub version: u64,
    /// `CREATE` statements, in their order.
    pub statements: Vec<String>,
}

impl Catalog {
    /// Bytes that the statements of one may have.
    pub const MOST_BYTES: usize = 1 << 20;

    /// Whether nobody has changed it yet.
    pub fn is_new(&self) -> bool {
        self.version == 0
    }
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
