//! What a sink has written, asked of the system that it writes: so that what a cluster believes to be committed can be compared with what is.

use serde::{Deserialize, Serialize};

use crate::{Epoch, JobIdentity, OperatorUid};

/// A question about one sink of a job.
#[derive(Debug, Clone)]
pub struct Audit {
    /// The job.
    pub job: JobIdentity,
    /// Identity of the sink's node.
    pub uid: OperatorUid,
    /// Completed checkpoints that hold something of the sink, oldest first. Whether they were committed is not known here.
    pub epochs: Vec<PreparedEpoch>,
}

/// What a completed checkpoint holds of a sink.
#[derive(Debug, Clone)]
pub struct PreparedEpoch {
    /// The checkpoint's epoch.
    pub epoch: Epoch,
    /// What [`Sink::prepare`](crate::Sink::prepare) has returned, of all subtasks.
    pub committables: Vec<Vec<u8>>,
}

/// What the system says of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedSink {
    /// What is written, for people: a topic, a folder, a table.
    pub target: String,
    /// Where it is kept how far that has come, for people.
    pub marker: String,
    /// The last epoch that it says was written; `None` if it says of none.
    pub last: Option<Epoch>,
    /// Whether it is not there, though a sink of this kind has one before its first checkpoint: the sink has not begun, or it was lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// What there is of each epoch that was asked about, in the same order.
    pub epochs: Vec<AuditedEpoch>,
}

/// What the system says of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditedEpoch {
    /// Which one.
    pub epoch: Epoch,
    /// Whether its results are there.
    pub found: Found,
    /// Rows that were prepared for it, where that is known.
    pub rows: Option<u64>,
    /// Files that were prepared for it, of sinks that write files.
    pub files: Option<u64>,
}

/// Whether the results of an epoch are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// All of them are, or were until a reader has taken them.
    Written,
    /// Some of them are: a commit is under way, or has broken off.
    Partly,
    /// None of them are.
    Missing,
    /// It cannot be told: what would say so has been lost.
    Unknown,
}
