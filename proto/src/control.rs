//! What coordinators and workers tell each other.
//!
//! A worker keeps one connection to the leader. Its first message is [`Hello`], which says all that the leader has to know of
//! what the worker runs; so after a break, or under a new leader, both sides know where they stand without a history.
//!
//! ```text
//!   worker                                    leader
//!     ── Hello { attempts } ───────────────────▶
//!     ◀───────────────────────────── Welcome ──     or Redirect, NameTaken, Refused
//!     ◀────────────────────────────── Deploy ──
//!     ── Status { Ready } ─────────────────────▶    everything is open, nothing runs
//!     ◀─────────────────────────────── Start ──     all workers of the attempt are ready
//!     ── Status { Running } ───────────────────▶
//!     ◀────────────────────────── Marker { n } ──    n counts all markers; a flush marker has no report
//!     ── Report { n } ─────────────────────────▶    repeated on every new connection until
//!     ◀─────────────────────── Completed { n } ──   the checkpoint is decided
//!     ◀───────────────────────── Commit { n } ──    to one worker
//!     ── Committed { n } ──────────────────────▶
//! ```
//!
//! Everything a coordinator sends may come twice, and is then done once: an attempt is deployed, started and cancelled by its
//! number, a marker is taken only if it follows the last one taken.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_core::audit::AuditedSink;
use weir_core::plugin::Isolation;
use weir_core::{
    Attempt, Epoch, ErrorKind, EventTime, Incarnation, JobGraph, JobId, JobIdentity, Marker, MarkerKind, OperatorUid,
    Placement, TableSpec, WorkerId,
};
use weir_state::{EpochContent, MergedRuns};

/// From a worker.
#[derive(Debug, Clone)]
pub enum FromWorker {
    /// The first message of a connection.
    Hello(Hello),
    /// The worker is alive; how its jobs are doing.
    Heartbeat(Heartbeat),
    /// An attempt has come to another phase.
    Status(AttemptStatus),
    /// What the worker adds to a checkpoint.
    Report(Report),
    /// What came of a [`ToWorker::Commit`].
    Committed {
        /// Which job.
        job: JobId,
        /// Which checkpoint.
        epoch: Epoch,
        /// Whether its results are visible.
        result: Result<(), Failure>,
    },
    /// What came of a [`ToWorker::Merge`].
    Merged {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// The checkpoint whose runs were looked at.
        epoch: Epoch,
        /// Runs that became one; none if nothing was worth it.
        merged: Result<Vec<MergedRuns>, Failure>,
    },
    /// What came of a [`ToWorker::Audit`].
    Audited {
        /// The number of the question.
        id: u64,
        /// What was found.
        findings: Result<AuditFindings, Failure>,
    },
    /// What came of a [`ToWorker::CompareState`].
    StateCompared {
        /// The number of the question.
        id: u64,
        /// What does not fit.
        misfits: Result<Misfits, Failure>,
    },
    /// The worker wants to go: its work is to be moved away first.
    Leaving,
}

/// Who a worker is and what it runs.
#[derive(Debug, Clone)]
pub struct Hello {
    /// The cluster that the worker belongs to; `None` before its first connection.
    pub cluster: Option<String>,
    /// Its name, the same across restarts.
    pub worker: WorkerId,
    /// This process.
    pub incarnation: Incarnation,
    /// How many slots it offers.
    pub slots: u32,
    /// Where other workers reach it, `host:port`.
    pub address: String,
    /// Weir's version, for people.
    pub version: String,
    /// Everything it runs or has run and was not told to forget.
    pub attempts: Vec<AttemptStatus>,
    /// Whether it wants to go.
    pub leaving: bool,
    /// The protocol that it speaks, [`PROTOCOL`](crate::PROTOCOL).
    pub protocol: u32,
    /// Whether it answers a [`ToWorker::Audit`].
    pub audits: bool,
    /// Whether it answers a [`ToWorker::CompareState`].
    pub compares_state: bool,
}

/// Where an attempt stands on one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptStatus {
    /// Which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: Attempt,
    /// How far it is.
    pub phase: AttemptPhase,
    /// The last marker that its sources were given; the epoch of the restored checkpoint before the first.
    pub last_epoch: Epoch,
    /// Kind of that marker, once there was one.
    pub last_kind: Option<MarkerKind>,
    /// Of the markers behind the last checkpoint that is known to be decided, those at which state is captured, oldest first.
    /// All others since then were flush markers: so a new leader can give everybody the same ones.
    pub captures: Vec<Marker>,
    /// Whether a subtask here cannot go on before the next marker.
    pub wants_marker: bool,
    /// Whether all sources of this worker have come to their end.
    pub exhausted: bool,
}

/// Phases of an attempt on one worker, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptPhase {
    /// State is being restored, sources and sinks are being opened.
    Opening,
    /// Everything is open, nothing runs.
    Ready,
    /// It runs.
    Running,
    /// All its subtasks have ended in order, behind a stop marker.
    Ended,
    /// It cannot go on.
    Failed(Failure),
}

/// An error of another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Who must act.
    pub kind: ErrorKind,
    /// The whole chain of errors, and what can be done.
    pub report: String,
    /// Whether a connection to another worker broke: then nothing is wrong with the job.
    pub peer_lost: bool,
}

/// What a worker adds to a checkpoint.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: Attempt,
    /// Which epoch.
    pub epoch: Epoch,
    /// What is durable now; or why it is not, and then it comes with the next epoch.
    pub outcome: Result<EpochContent, Failure>,
}

/// Sent in regular intervals.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat {
    /// Figures of each attempt that runs.
    pub figures: Vec<AttemptFigures>,
}

/// How a vertex does since its attempt started, or a whole job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Figures {
    /// Rows that came in: at a source, and into a job, those that were read.
    pub rows_in: u64,
    /// Rows that went out: at a sink, and out of a job, those that were taken to be written.
    pub rows_out: u64,
    /// Rows that came too late.
    pub late_rows: u64,
    /// Records that could not be decoded.
    pub rejected_rows: u64,
    /// State in memory at the last capture, in bytes, roughly.
    pub state_bytes: u64,
    /// The least watermark of its subtasks; of a job, that of its sinks. `None` where there are none.
    #[schema(value_type = Option<i64>)]
    pub watermark: Option<EventTime>,
    /// What its subtasks are at; `None` for a job, and of workers of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
}

/// What the subtasks of a vertex are at. Sums over them, but where it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Activity {
    /// How many there are.
    pub subtasks: u32,
    /// How they have spent their time; `None` but for the first vertex of a chain, whose subtasks do the work of all of it.
    pub times: Option<Times>,
    /// The most rows that one of them has taken.
    pub most_rows_in: u64,
    /// The last marker that has passed all of them.
    #[schema(value_type = u64)]
    pub marker: Epoch,
    /// Bytes of rows that wait in front of them.
    pub queued_bytes: u64,
    /// Of a source that knows: records that are there and were not read yet.
    pub lag_records: Option<u64>,
    /// Of a source that knows: the age of the oldest of them, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Of a source: splits that it reads.
    pub splits: u32,
    /// Of them, those that have brought no event time yet.
    pub silent_splits: u32,
    /// Those that wait because they are further ahead of the slowest than the table's option lets them.
    pub held_splits: u32,
    /// Of those with event time: how far the last one is behind the first one in event time, in milliseconds, the most of any subtask.
    pub spread_ms: Option<u64>,
}

/// How subtasks have spent their time since their attempt began, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Times {
    /// Working.
    pub busy_ms: u64,
    /// Waiting for input.
    pub idle_ms: u64,
    /// Waiting for room behind them, or for the system that their sink writes to.
    pub backpressured_ms: u64,
}

impl Activity {
    /// Those of other subtasks, too.
    pub fn add(&mut self, other: &Activity) {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.marker = if self.subtasks == 0 { other.marker } else { self.marker.min(other.marker) };
        self.subtasks = self.subtasks.saturating_add(other.subtasks);
        if let Some(theirs) = other.times {
            let times = self.times.get_or_insert_default();
            times.busy_ms = times.busy_ms.saturating_add(theirs.busy_ms);
            times.idle_ms = times.idle_ms.saturating_add(theirs.idle_ms);
            times.backpressured_ms = times.backpressured_ms.saturating_add(theirs.backpressured_ms);
        }
        self.most_rows_in = self.most_rows_in.max(other.most_rows_in);
        self.queued_bytes = self.queued_bytes.saturating_add(other.queued_bytes);
        self.lag_records = sum(self.lag_records, other.lag_records);
        self.lag_ms = self.lag_ms.max(other.lag_ms);
        self.splits = self.splits.saturating_add(other.splits);
        self.silent_splits = self.silent_splits.saturating_add(other.silent_splits);
        self.held_splits = self.held_splits.saturating_add(other.held_splits);
        self.spread_ms = self.spread_ms.max(other.spread_ms);
    }
}

impl Figures {
    /// Those of other subtasks, too.
    pub fn add(&mut self, other: &Figures) {
        self.rows_in = self.rows_in.saturating_add(other.rows_in);
        self.rows_out = self.rows_out.saturating_add(other.rows_out);
        self.late_rows = self.late_rows.saturating_add(other.late_rows);
        self.rejected_rows = self.rejected_rows.saturating_add(other.rejected_rows);
        self.state_bytes = self.state_bytes.saturating_add(other.state_bytes);
        self.watermark = [self.watermark, other.watermark].into_iter().flatten().min();
        if let Some(activity) = &other.activity {
            self.activity.get_or_insert_default().add(activity);
        }
    }
}

/// How a vertex does on one worker, over its subtasks there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexFigures {
    /// Which one.
    pub uid: OperatorUid,
    /// How it does.
    pub figures: Figures,
}

/// How one attempt does on one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptFigures {
    /// Which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: Attempt,
    /// The vertices that have subtasks here.
    pub vertices: Vec<VertexFigures>,
    /// Markers that the sources here have no room for yet.
    pub waiting_markers: u32,
}

/// To a worker.
#[derive(Debug, Clone)]
pub enum ToWorker {
    /// The worker belongs to the cluster now.
    Welcome(Welcome),
    /// This coordinator does not lead. The connection is closed.
    Redirect {
        /// Address of the one that does, if it is known.
        leader: Option<String>,
    },
    /// The worker must not come again before a person has changed something. The connection is closed.
    Refused {
        /// Why.
        reason: String,
    },
    /// Another process is connected under the worker's name: this one may come again once that one is gone. The connection is
    /// closed.
    NameTaken {
        /// Where the other one is reached by workers.
        address: String,
    },
    /// Open a part of an attempt. Older attempts of the job end at once.
    Deploy(Arc<Deploy>),
    /// All workers of the attempt are ready.
    Start {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Send this marker into the dataflow.
    Marker {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// Number; the one after the last.
        epoch: Epoch,
        /// Kind.
        kind: MarkerKind,
    },
    /// A checkpoint is decided: reports up to it can be forgotten.
    Completed {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// Which checkpoint.
        epoch: Epoch,
    },
    /// End this attempt, and those before it, at once, and forget them.
    Cancel {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Let the sinks make visible what a checkpoint holds.
    Commit {
        /// Which job.
        job: JobId,
        /// Where its checkpoints are.
        storage: StoragePlace,
        /// The checkpoint.
        checkpoint: CheckpointRef,
        /// Where plugins run whose sinks these are.
        isolation: Isolation,
    },
    /// Merge runs where there are too many.
    Merge {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// Where its checkpoints are.
        storage: StoragePlace,
        /// The checkpoint whose runs to look at.
        checkpoint: CheckpointRef,
    },
    /// Remove what a job has left that has ended. Not answered: where it stays it does no harm.
    Discard(Arc<Leftovers>),
    /// Ask the systems that a job writes how far its sinks have come. Answered once, and asked again of nobody: whoever waits asks anew.
    Audit {
        /// The number of the question, for the answer.
        id: u64,
        /// What to find out.
        order: Arc<AuditOrder>,
    },
    /// Look whether a version of a job could go on with the state that is there. Answered once, as [`Audit`](Self::Audit) is.
    CompareState {
        /// The number of the question, for the answer.
        id: u64,
        /// What to compare.
        order: Arc<StateComparison>,
    },
    /// The worker has nothing more to do and may go.
    Farewell,
}

/// What a job that has ended leaves in the tables that it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftovers {
    /// Identity of the job.
    pub identity: JobIdentity,
    /// Its last attempt and its last decided epoch; what was prepared for later ones is of no use. `None`: it was deleted.
    pub behind: Option<(Attempt, Epoch)>,
    /// Its sinks and their tables.
    pub sinks: Vec<(OperatorUid, TableSpec)>,
}

/// What to find out about the sinks of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOrder {
    /// Identity of the job.
    pub identity: JobIdentity,
    /// Where its checkpoints are.
    pub storage: StoragePlace,
    /// Those to look into, oldest first.
    pub checkpoints: Vec<CheckpointRef>,
    /// Its sinks and their tables.
    pub sinks: Vec<(OperatorUid, TableSpec)>,
    /// Where plugins run whose sinks these are.
    #[serde(default, skip_serializing_if = "Isolation::is_none")]
    pub isolation: Isolation,
}

/// What was found about the sinks of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFindings {
    /// Checkpoints that could not be looked into: they may have been given up meanwhile.
    pub unread: Vec<(Epoch, Failure)>,
    /// What the system of each sink says, in the order of the question. `None`: it keeps no account.
    pub sinks: Vec<Result<Option<AuditedSink>, Failure>>,
}

/// A version of a job, and the state that it would go on with.
#[derive(Debug, Clone)]
pub struct StateComparison {
    /// What that version computes.
    pub graph: Arc<JobGraph>,
    /// Where the job's checkpoints are.
    pub storage: StoragePlace,
    /// The one that it would go on from; `None`: there is none.
    pub checkpoint: Option<CheckpointRef>,
    /// What runs, and ends with a checkpoint before that version begins; `None` if `checkpoint` is one of its own, or nothing runs.
    pub running: Option<Arc<JobGraph>>,
}

/// What of a job's state a version of it cannot go on with, a sentence each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Misfits {
    /// State that the checkpoint holds.
    pub stored: Vec<String>,
    /// State that the running version keeps.
    pub running: Vec<String>,
}

/// The worker belongs to the cluster now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The cluster.
    pub cluster: String,
    /// The leader's term; messages of lower terms are refused from now on.
    pub term: u64,
    /// Pause between heartbeats.
    pub heartbeat_interval: Duration,
    /// Where all coordinators are reached.
    pub coordinators: Vec<String>,
}

/// A part of an attempt.
#[derive(Debug, Clone)]
pub struct Deploy {
    /// Which job.
    pub job: JobId,
    /// Its identity, for what its sinks write.
    pub identity: JobIdentity,
    /// Which attempt.
    pub attempt: Attempt,
    /// The job's name, for people.
    pub name: String,
    /// What to run.
    pub graph: Arc<JobGraph>,
    /// Where its parts run; the job has as many slots as it has parallelism.
    pub placement: Placement,
    /// Where checkpoints are.
    pub storage: StoragePlace,
    /// The checkpoint to go on from.
    pub restore: Option<CheckpointRef>,
    /// The last epoch that the job has had; markers count on from here.
    pub last_epoch: Epoch,
    /// Rows that sources put into a batch.
    pub batch_rows: u32,
    /// Bytes that the state of one slot may take in memory; `None`: no limit.
    pub memory_budget: Option<u64>,
    /// From one checkpoint to the next; `None`: they do not come at intervals, or the coordinator does not say.
    pub checkpoint_interval: Option<Duration>,
}

/// Where the checkpoints of a job are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePlace {
    /// URL of a folder, `file:///…`.
    pub url: String,
}

/// A completed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRef {
    /// Its epoch.
    pub epoch: Epoch,
    /// Path of its manifest in the job's storage.
    pub manifest: String,
}
