//! What sinks have written, compared with what the cluster holds to be committed.

use serde::Serialize;
use utoipa::ToSchema;
use weir_core::{Epoch, JobId, OperatorUid};

/// Words of [`SinkAudit::verdict`]. They are text on the wire, so that a client can show a word that it has never heard of.
pub mod verdict {
    /// The system that is written has what the cluster says that it has.
    pub const AGREES: &str = "agrees";
    /// It lacks something, has something that it should not have, or has lost what would say so.
    pub const DISAGREES: &str = "disagrees";
    /// The sink keeps no account of its epochs: there is nothing to compare with.
    pub const NO_ACCOUNT: &str = "no-account";
    /// The system could not be asked, or nothing could be known from it.
    pub const NOT_AUDITED: &str = "not-audited";
}

/// Words of [`EpochAudit::found`].
pub mod found {
    /// All results are there.
    pub const WRITTEN: &str = "written";
    /// Some are.
    pub const PARTLY: &str = "partly";
    /// None are.
    pub const MISSING: &str = "missing";
    /// It cannot be told.
    pub const UNKNOWN: &str = "unknown";
    /// The checkpoint holds nothing of the sink.
    pub const EMPTY: &str = "empty";
}

/// An audit of all sinks of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SinksAudit {
    /// The job.
    #[schema(value_type = u64)]
    pub job: JobId,
    /// The last epoch whose checkpoint was completed; 0 before the first.
    #[schema(value_type = u64)]
    pub last_completed: Epoch,
    /// Its sinks, in the order of its dataflow.
    pub sinks: Vec<SinkAudit>,
}

impl SinksAudit {
    /// Whether no sink disagrees, and something is known of all that keep an account.
    pub fn passes(&self) -> bool {
        self.sinks.iter().all(|sink| [verdict::AGREES, verdict::NO_ACCOUNT].contains(&sink.verdict.as_str()))
    }
}

/// What was found of a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SinkAudit {
    /// Its table.
    pub table: String,
    /// The table's connector.
    pub connector: String,
    /// Under which it prepares its results.
    #[schema(value_type = String)]
    pub uid: OperatorUid,
    /// What is written: a topic, a folder, a table.
    pub target: Option<String>,
    /// Where it is kept how far that has come.
    pub marker: Option<String>,
    /// The last epoch that it says was written.
    #[schema(value_type = Option<u64>)]
    pub written: Option<Epoch>,
    /// Completed checkpoints that are kept, oldest first.
    pub epochs: Vec<EpochAudit>,
    /// `agrees`, `disagrees`, `no-account`, or `not-audited`.
    pub verdict: String,
    /// Why it does not agree, or could not be audited.
    pub reason: Option<String>,
}

/// What was found of a checkpoint's results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EpochAudit {
    /// The checkpoint's epoch.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// Whether the cluster knew them to be committed when the audit began.
    pub committed: bool,
    /// What the system says: `written`, `partly`, `missing` or `unknown`; `empty` if the checkpoint holds nothing of the sink.
    pub found: String,
    /// Rows that were prepared, where that is known.
    pub rows: Option<u64>,
    /// Files that were prepared, of sinks that write files.
    pub files: Option<u64>,
}
