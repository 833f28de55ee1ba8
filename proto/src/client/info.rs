//! What the cluster tells about itself. Serialised as it stands, this is what `--json` of the command line prints: fields are
//! added, never renamed. Times end in `_at` and are milliseconds since 1970, on the leader's clock.

use std::fmt::Display;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use weir_core::{
    Attempt, CoordinatorId, Epoch, ErrorKind, Incarnation, JobGraph, JobId, JobIdentity, OperatorUid, PlacedWorker,
    Placement, WorkerId,
};

use super::{LoadInfo, Scaling, ScalingDecision};
use crate::control::Figures;

/// Words of [`JobSummary::status`] and [`JobSummary::desired`]. They are text on the wire, so that a client can show a word that
/// it has never heard of.
pub mod status {
    /// Waits for slots.
    pub const SCHEDULING: &str = "scheduling";
    /// Workers restore state and open sources and sinks.
    pub const DEPLOYING: &str = "deploying";
    /// Runs.
    pub const RUNNING: &str = "running";
    /// Waits for a pause after a failure to be over.
    pub const RESTARTING: &str = "restarting";
    /// Stopped with a savepoint; can be resumed.
    pub const STOPPED: &str = "stopped";
    /// Its input has ended, and all results are out.
    pub const FINISHED: &str = "finished";
    /// Cannot go on without a person; can be resumed.
    pub const FAILED: &str = "failed";
    /// Ended at once, by a user; can be resumed from its last checkpoint.
    pub const CANCELLED: &str = "cancelled";
    /// Desired only: its windows fire, then it stops with a savepoint.
    pub const DRAINED: &str = "drained";
}

/// How a job is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobSettingsInfo {
    /// Rows that sources put into a batch.
    pub batch_rows: u32,
    /// Bytes that the state of one slot may take in memory; `None`: no limit.
    pub memory_budget: Option<u64>,
    /// Pause between the starts of checkpoints; 0: only the last one is taken.
    pub checkpoint_interval_ms: u64,
    /// When a checkpoint is given up.
    pub checkpoint_timeout_ms: u64,
    /// Checkpoints that may fail in a row before the attempt does.
    pub tolerable_failures: u32,
    /// How many completed checkpoints are kept, savepoints not counted.
    pub retained_checkpoints: u32,
    /// Failures in a row after which the job is failed; `None`: it is restarted for ever.
    pub restart_attempts: Option<u32>,
    /// Pause after the first failure.
    pub restart_initial_delay_ms: u64,
    /// The longest pause.
    pub restart_maximum_delay_ms: u64,
    /// A job that ran for so long without a failure starts counting anew.
    pub restart_stable_ms: u64,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct JobSummary {
    /// Its number.
    #[schema(value_type = u64)]
    pub job: JobId,
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// How far it is, a word of [`status`].
    pub status: String,
    /// What is wanted of it: `running`, `stopped`, `drained` or `cancelled`.
    pub desired: String,
    /// How many slots it shall have.
    pub parallelism: u32,
    /// How many slots its attempt runs on, if one does: fewer or more than it shall have until it is rescaled.
    pub slots: Option<u32>,
    /// The last attempt; 0 before the first.
    #[schema(value_type = u64)]
    pub attempt: Attempt,
    /// How often it was started again after a failure, a lost worker included.
    pub restarts: u64,
    /// When it was submitted.
    pub submitted_at: i64,
    /// When its status last changed.
    pub changed_at: i64,
    /// Sums over its workers since the last attempt began; the watermark is the least.
    pub figures: Option<Figures>,
    /// The newest completed checkpoint.
    pub last_checkpoint: Option<CheckpointInfo>,
    /// The last failure.
    pub last_failure: Option<JobFailureInfo>,
    /// Why it does not run, though it should: `needs 4 slots; …`.
    pub waiting_for: Option<String>,
}

impl JobSummary {
    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its identity in the cluster of this name, by which it is traced: as the coordinators make it of the same.
    pub fn identity(&self, cluster: &str) -> JobIdentity {
        JobIdentity::of(&format!("{cluster}/{}/{}", self.job, self.submitted_at))
    }

    /// Whether it has come to an end of some kind.
    pub fn has_ended(&self) -> bool {
        [status::STOPPED, status::FINISHED, status::FAILED, status::CANCELLED].contains(&self.status.as_str())
    }
}

/// What a person has done to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobAction {
    /// In a word: `submit`, `update`, `stop`, `drain`, `cancel`, `restart`, `rescale`.
    pub what: String,
    /// Who: the name of a token.
    pub by: String,
    /// When.
    pub at: i64,
}

/// All about a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobDetail {
    /// What lists tell.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Who submitted it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,
    /// What a person has last done to it, where it is known who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_action: Option<JobAction>,
    /// The text that it was planned from.
    pub sql: String,
    /// How it is run.
    pub settings: JobSettingsInfo,
    /// Identity of its dataflow.
    pub fingerprint: String,
    /// Where its last attempt runs.
    #[serde(serialize_with = "placement")]
    #[schema(value_type = Option<PlacementInfo>)]
    pub placement: Option<Placement>,
    /// The nodes of its dataflow, upstream first.
    pub vertices: Vec<VertexInfo>,
    /// Checkpoints that are kept, oldest first.
    pub checkpoints: Vec<CheckpointInfo>,
    /// The one that is being taken.
    pub checkpoint_in_progress: Option<CheckpointProgress>,
    /// Of the last rescale or restart, in milliseconds: from the end of one attempt's processing to the start of the next.
    pub last_pause_ms: Option<u64>,
    /// Who decides how many slots it has.
    pub scaling: Scaling,
    /// What was last decided about them without a person, oldest first.
    pub scaling_decisions: Vec<ScalingDecision>,
    /// What its load was found to be, if that decides on its slots.
    pub load: Option<LoadInfo>,
    /// Its dataflow, if it was asked for; for programs that plan, not for people.
    #[serde(skip)]
    pub graph: Option<Arc<JobGraph>>,
}

/// How a [`Placement`] is shown.
#[derive(Serialize, ToSchema)]
pub struct PlacementInfo {
    /// The workers, each once.
    workers: Vec<PlacedWorkerInfo>,
    /// For each slot the position of its worker in `workers`.
    slots: Vec<u32>,
}

/// A worker of a placement.
#[derive(Serialize, ToSchema)]
pub struct PlacedWorkerInfo {
    /// Its name.
    #[schema(value_type = String)]
    worker: WorkerId,
    /// Its process.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    incarnation: Incarnation,
    /// Where it listens, `host:port`.
    address: String,
}

fn placement<S: Serializer>(placement: &Option<Placement>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = placement.as_ref().map(|placement| PlacementInfo {
        workers: placement
            .workers
            .iter()
            .cloned()
            .map(|PlacedWorker { worker, incarnation, address }| PlacedWorkerInfo { worker, incarnation, address })
            .collect(),
        slots: placement.slots.clone(),
    });
    shown.serialize(serializer)
}

/// Random numbers of 64 bits, which many readers of JSON round, as the text that people know them by.
fn as_text<S: Serializer>(number: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// A node of a job's dataflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VertexInfo {
    /// For people.
    pub name: String,
    /// Under which its state is kept.
    #[schema(value_type = String)]
    pub uid: OperatorUid,
    /// How it does over all workers; `None` if nothing of it runs.
    pub figures: Option<Figures>,
}

/// A checkpoint that is being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckpointProgress {
    /// Its epoch.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// Milliseconds since it began.
    pub running_ms: u64,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobFailureInfo {
    /// Which attempt.
    #[schema(value_type = u64)]
    pub attempt: Attempt,
    /// Who must act; `None` if nobody has to, because the cluster itself lost something.
    #[schema(value_type = Option<String>)]
    pub kind: Option<ErrorKind>,
    /// The whole chain of errors, and what can be done.
    pub report: String,
    /// When.
    pub at: i64,
    /// When the next attempt may start; `None`: there is none.
    pub retry_at: Option<i64>,
}

/// A completed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CheckpointInfo {
    /// The epoch that it closed.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// The attempt that made it.
    #[schema(value_type = u64)]
    pub attempt: Attempt,
    /// When it was completed.
    pub completed_at: i64,
    /// How long it took.
    pub duration_ms: u64,
    /// State that it holds.
    pub state_bytes: u64,
    /// What it wrote.
    pub written_bytes: u64,
    /// Whether it is kept until a person deletes it.
    pub savepoint: bool,
    /// Whether the job's input had ended with it.
    pub finished: bool,
    /// Whether all sinks have made its results visible.
    pub committed: bool,
    /// The job's parallelism then.
    pub parallelism: u32,
    /// Path of its manifest in the job's storage.
    pub manifest: String,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkerInfo {
    /// Its name.
    #[schema(value_type = String)]
    pub worker: WorkerId,
    /// Its process.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub incarnation: Incarnation,
    /// Where other workers reach it.
    pub address: String,
    /// Slots that it offers.
    pub slots: u32,
    /// Slots in use.
    pub used: u32,
    /// Whether its work is being moved away.
    pub draining: bool,
    /// Whether it is connected to the leader.
    pub connected: bool,
    /// Weir's version there.
    pub version: String,
    /// Milliseconds since it was last heard of.
    pub last_heard_ms: Option<u64>,
    /// What it runs.
    pub jobs: Vec<WorkerJob>,
    /// When it was given up, if it was: it is not part of the cluster any more, and shown for a while.
    pub lost_at: Option<i64>,
    /// Why it was given up.
    pub lost_because: Option<String>,
}

/// A job's part on a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkerJob {
    /// Which job.
    #[schema(value_type = u64)]
    pub job: JobId,
    /// `namespace/name`.
    pub name: String,
    /// Its slots there.
    pub slots: u32,
}

/// Limits; `None`: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuotaInfo {
    /// Slots of jobs that have not ended.
    pub slots: Option<u32>,
    /// Jobs that have not ended.
    pub jobs: Option<u32>,
    /// Bytes of the newest checkpoints of jobs that have not ended.
    pub state_bytes: Option<u64>,
}

/// A namespace, and what its jobs use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NamespaceInfo {
    /// Its name.
    pub namespace: String,
    /// Its limits.
    pub quota: QuotaInfo,
    /// Slots of jobs that have not ended.
    pub slots_used: u32,
    /// Jobs that have not ended.
    pub jobs: u32,
    /// Bytes of their newest checkpoints.
    pub state_bytes: u64,
}

/// What the scripts of a namespace know without saying it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CatalogInfo {
    /// Another one after each change; 0 before the first.
    pub version: u64,
    /// `CREATE` statements, in their order.
    pub statements: Vec<String>,
}

/// The cluster at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClusterInfo {
    /// Its name.
    pub cluster: String,
    /// URL of where checkpoints are.
    pub storage: String,
    /// Who leads.
    #[schema(value_type = Option<u64>)]
    pub leader: Option<CoordinatorId>,
    /// The leader's term.
    pub term: u64,
    /// All coordinators.
    pub coordinators: Vec<CoordinatorInfo>,
    /// Workers that are here.
    pub workers: u32,
    /// Slots that they offer.
    pub slots: u32,
    /// Slots in use.
    pub slots_used: u32,
    /// Jobs that run.
    pub jobs_running: u32,
}

/// A coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CoordinatorInfo {
    /// Its identity.
    #[schema(value_type = u64)]
    pub id: CoordinatorId,
    /// Where it is reached.
    pub address: String,
    /// `leader`, `follower` or `learner`, as far as the answering coordinator knows.
    pub role: String,
    /// The last entry of the log that it is known to have.
    pub matched: Option<u64>,
    /// The last entry that is committed.
    pub commit: u64,
    /// Milliseconds since the answering coordinator last heard of it; `None` for itself.
    pub silent_ms: Option<u64>,
}
