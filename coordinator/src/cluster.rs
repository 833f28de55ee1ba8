//! What all coordinators agree on: jobs, workers, checkpoints, namespaces.
//!
//! A [`ClusterState`] changes by [`apply`](ClusterState::apply) alone, a deterministic function of the state and a
//! [`Command`]; Raft sees to it that every coordinator applies the same commands in the same order. What is not here, every
//! new leader can find out or do without: heartbeats, progress, connections, how far an attempt has come.
//!
//! Fencing lives here. A command names the attempt, or the worker's incarnation, that it is about; if that is not the current
//! one any more, the command is refused and changes nothing. So does everything else that is wrong with a command: `apply`
//! never panics, and a [`Refusal`] says what would have to be different.

mod apply;
mod checkpoint;
mod command;
mod encoding;
mod invariants;
mod job;
mod namespace;
mod queries;
mod recovered;
mod refusal;
mod shares;
#[cfg(test)]
pub(crate) mod tests;
mod token;
mod worker;

pub use apply::Applied;
pub use checkpoint::Checkpoint;
pub use command::Command;
pub(crate) use command::plugins_of;
pub use job::{Desired, Execution, Job, JobFailure, JobSettings, JobSpec, JobStatus, RestartPolicy};
pub use namespace::{Catalog, DEFAULT_NAMESPACE, Namespace, Quota};
pub use queries::Usage;
pub use recovered::{Condition, Findings, FoundManifest, JobFindings, Recovered, RecoveredJob, recovered};
pub(crate) use refusal::table_changes;
pub use refusal::{JobDifference, PlacementDifference, Refusal, RefusalKind, Resource};
pub use token::{Action, Token, Tokens};
pub use worker::Worker;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_core::{JobId, WorkerId};

/// The replicated state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClusterState {
    /// The cluster's name and a random part; empty before the first command.
    pub cluster: String,
    /// Where the checkpoints of all jobs are, a URL.
    pub storage: String,
    /// The next job gets this number. Counted from 1.
    pub next_job: u64,
    /// Jobs that were not deleted, the ended ones too.
    pub jobs: BTreeMap<JobId, Job>,
    /// Workers that are here.
    pub workers: BTreeMap<WorkerId, Worker>,
    /// Namespaces; `default` is always there.
    pub namespaces: BTreeMap<String, Namespace>,
    /// Tokens, by their names.
    #[serde(default, skip_serializing_if = "Tokens::is_empty")]
    pub tokens: Tokens,
}
