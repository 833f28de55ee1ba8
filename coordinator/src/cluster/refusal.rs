//! Why a command is refused. A refused command has changed nothing.

use weir_core::{Attempt, Epoch, Incarnation, JobId, WorkerId};

use super::JobStatus;

mod message;
mod tables;

pub(crate) use tables::table_changes;

/// Why a command is refused, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The cluster has not had its first command.
    NotFounded,
    /// There is no such job.
    NoSuchJob(JobId),
    /// There is no such worker.
    NoSuchWorker(WorkerId),
    /// There is no such namespace.
    NoSuchNamespace(String),
    /// There is no such token.
    NoSuchToken(String),
    /// There is a token of that name, or the same under another one.
    TokenExists(String),
    /// The job has no such checkpoint, or does not keep it any more.
    NoSuchCheckpoint {
        /// Which job.
        job: JobId,
        /// Which checkpoint.
        epoch: Epoch,
    },
    /// The command is about an attempt that is not the current one.
    StaleAttempt {
        /// Which job.
        job: JobId,
        /// The attempt that was meant.
        attempt: Attempt,
        /// The job's last attempt; the same one if it is over.
        last: Attempt,
    },
    /// The command is about a process of a worker that is not the current one.
    StaleIncarnation {
        /// Which worker.
        worker: WorkerId,
        /// The process that was meant.
        incarnation: Incarnation,
        /// The one that is here.
        current: Incarnation,
    },
    /// A checkpoint is not newer than all before.
    StaleEpoch {
        /// Which job.
        job: JobId,
        /// Its epoch.
        epoch: Epoch,
        /// The last one of the job.
        last: Epoch,
    },
    /// A placement was made for a job, or for workers, that have changed since.
    StalePlacement {
        /// Which job.
        job: JobId,
        /// What is different.
        difference: PlacementDifference,
    },
    /// A decision was made about another parallelism than the job has, or it is not decided like this any more.
    StaleScaling {
        /// Which job.
        job: JobId,
        /// The parallelism that it was about.
        from: u32,
        /// The one that the job has.
        parallelism: u32,
    },
    /// A placement contradicts itself.
    BadPlacement {
        /// Which job.
        job: JobId,
        /// Why.
        reason: &'static str,
    },
    /// A name that nothing can have.
    BadName {
        /// Whose.
        of: &'static str,
        /// The name.
        name: String,
    },
    /// A value that makes no sense.
    BadValue(&'static str),
    /// Another job that has not ended has the name.
    NameTaken {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// Whose it is.
        job: JobId,
        /// What of the two is not the same.
        difference: JobDifference,
    },
    /// A job that has ended has the name.
    NameOfEndedJob {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// Whose it is.
        job: JobId,
        /// How it has ended.
        status: JobStatus,
        /// What makes the submission another job, if it is; whatever else may be different.
        difference: Option<JobDifference>,
    },
    /// The job is not in a status that allows it.
    NotNow {
        /// Which job.
        job: JobId,
        /// Its status.
        status: JobStatus,
        /// What it cannot, as in "it cannot be deleted".
        cannot: &'static str,
    },
    /// The transition table does not have this.
    NoTransition {
        /// Which job.
        job: JobId,
        /// Its status.
        from: JobStatus,
        /// The one it was to get.
        to: JobStatus,
    },
    /// The end of the job's input is in the checkpoint that it would go on from.
    InputEnded {
        /// Which job.
        job: JobId,
        /// The checkpoint.
        epoch: Epoch,
    },
    /// An attempt has not completed a checkpoint, so it has not ended in order.
    NoLastCheckpoint {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// A checkpoint's results are decided, and have to be committed first.
    Uncommitted {
        /// Which job.
        job: JobId,
        /// The checkpoint.
        epoch: Epoch,
    },
    /// The job would go on from this checkpoint.
    CheckpointNeeded {
        /// Which job.
        job: JobId,
        /// The checkpoint.
        epoch: Epoch,
    },
    /// More than the namespace may use.
    QuotaExceeded {
        /// The namespace.
        namespace: String,
        /// Of what.
        resource: Resource,
        /// How much there may be.
        limit: u64,
        /// How much there would be.
        asked: u64,
    },
    /// The namespace has jobs.
    NamespaceNotEmpty {
        /// The namespace.
        namespace: String,
        /// How many, the ended ones too.
        jobs: usize,
    },
    /// The namespace declares something.
    CatalogNotEmpty {
        /// The namespace.
        namespace: String,
    },
    /// The default namespace is always there.
    DefaultNamespace,
    /// The catalog of a namespace is not the one that was to be replaced.
    CatalogHasChanged {
        /// The namespace.
        namespace: String,
    },
    /// The catalog of a namespace would have more than [`Catalog::MOST_BYTES`](super::Catalog::MOST_BYTES).
    CatalogTooLarge {
        /// The namespace.
        namespace: String,
        /// What it would have.
        bytes: usize,
    },
    /// A worker offers fewer slots than are used there.
    SlotsInUse {
        /// The worker.
        worker: WorkerId,
        /// Slots that it offers now.
        offered: u32,
        /// Slots that jobs use.
        used: u32,
    },
}

/// What makes a submission another job than the one that has the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobDifference {
    /// It computes something else.
    Definition {
        /// What is different about its tables, a sentence each. Nothing is if it is something else.
        tables: Vec<String>,
    },
    /// It is run another way.
    Settings,
    /// It is to have another number of slots.
    Parallelism,
}

/// What of a placement is not true any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlacementDifference {
    /// The job's parallelism.
    Parallelism {
        /// Slots that were placed.
        placed: usize,
        /// What the job wants.
        wanted: u32,
    },
    /// The checkpoint to go on from.
    RestorePoint {
        /// The one of the placement.
        placed: Option<Epoch>,
        /// The job's.
        wanted: Option<Epoch>,
    },
    /// A worker's address.
    Address(WorkerId),
    /// A worker is being emptied.
    Draining(WorkerId),
    /// A worker's free slots.
    Slots {
        /// The worker.
        worker: WorkerId,
        /// Slots that were placed there.
        placed: u32,
        /// Slots that are free there.
        free: u32,
    },
}

/// What a quota limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Slots of jobs that have not ended.
    Slots,
    /// Jobs that have not ended.
    Jobs,
    /// Bytes of state of jobs that have not ended.
    StateBytes,
}

/// What the reaction to a refusal depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// What it is about is not there.
    NotFound,
    /// Something else stands in the way; it can be changed.
    Conflict,
    /// A limit of the namespace.
    Quota,
    /// The state has moved on since the command was made: look again.
    Stale,
    /// It can never be done like this.
    Invalid,
}

impl Refusal {
    /// What the reaction depends on.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Refusal::NoSuchJob(_)
            | Refusal::NoSuchWorker(_)
            | Refusal::NoSuchNamespace(_)
            | Refusal::NoSuchToken(_)
            | Refusal::NoSuchCheckpoint { .. } => RefusalKind::NotFound,
            Refusal::StaleAttempt { .. }
            | Refusal::StaleIncarnation { .. }
            | Refusal::StaleEpoch { .. }
            | Refusal::StalePlacement { .. }
            | Refusal::StaleScaling { .. } => RefusalKind::Stale,
            Refusal::BadPlacement { .. }
            | Refusal::BadName { .. }
            | Refusal::BadValue(_)
            | Refusal::CatalogTooLarge { .. }
            | Refusal::DefaultNamespace => RefusalKind::Invalid,
            Refusal::QuotaExceeded { .. } => RefusalKind::Quota,
            Refusal::NotFounded
            | Refusal::NameTaken { .. }
            | Refusal::NameOfEndedJob { .. }
            | Refusal::NotNow { .. }
            | Refusal::NoTransition { .. }
            | Refusal::InputEnded { .. }
            | Refusal::NoLastCheckpoint { .. }
            | Refusal::Uncommitted { .. }
            | Refusal::CheckpointNeeded { .. }
            | Refusal::NamespaceNotEmpty { .. }
            | Refusal::TokenExists(_)
            | Refusal::CatalogHasChanged { .. }
            | Refusal::CatalogNotEmpty { .. }
            | Refusal::SlotsInUse { .. } => RefusalKind::Conflict,
        }
    }
}

impl std::error::Error for Refusal {}
