//! Where the code of a job's plugins runs.

use serde::{Deserialize, Serialize};

/// What keeps the code of a job's plugins apart from the process that runs the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Nothing does. A panic is caught; what ends the process, such as a segmentation fault, ends all that runs in it.
    #[default]
    None,
    /// Child processes do: one for each operator of a subtask, for the functions that a subtask calls, for a thread that reads a source, and for a
    /// commit of a sink.
    Process {
        /// Bytes that a plugin may allocate in such a process; `None`: as many as the system gives.
        #[serde(default)]
        memory_limit: Option<u64>,
    },
}

impl Isolation {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}
