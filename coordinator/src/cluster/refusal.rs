//! Why a command is refused. A refused command has changed nothing.

use std::fmt;

use weir_core::{Attempt, Epoch, Incarnation, JobId, WorkerId};

use super::JobStatus;

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
        difference: &'static str,
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
    /// The default namespace is always there.
    DefaultNamespace,
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
            | Refusal::NoSuchCheckpoint { .. } => RefusalKind::NotFound,
            Refusal::StaleAttempt { .. }
            | Refusal::StaleIncarnation { .. }
            | Refusal::StaleEpoch { .. }
            | Refusal::StalePlacement { .. } => RefusalKind::Stale,
            Refusal::BadPlacement { .. }
            | Refusal::BadName { .. }
            | Refusal::BadValue(_)
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
            | Refusal::SlotsInUse { .. } => RefusalKind::Conflict,
        }
    }

    /// What can be done, as a sentence.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Refusal::NameTaken { job, difference: "parallelism", .. } => {
                format!("rescale job {job}, or choose another name")
            }
            Refusal::NameTaken { job, .. } => format!("cancel and delete job {job}, or choose another name"),
            Refusal::NameOfEndedJob { job, status: JobStatus::Finished, .. } => {
                format!("delete job {job}, or choose another name")
            }
            Refusal::NameOfEndedJob { job, .. } => format!("restart job {job}, delete it, or choose another name"),
            Refusal::BadName { .. } => "use 1 to 128 letters, digits, dots, underscores and hyphens".into(),
            Refusal::InputEnded { .. } => "restart it from an earlier checkpoint".into(),
            Refusal::Uncommitted { .. } => "this is tried again and again; try later, or see the cluster's log".into(),
            Refusal::QuotaExceeded { resource: Resource::StateBytes, .. } => {
                "stop or cancel jobs there, or raise the limit".into()
            }
            Refusal::QuotaExceeded { .. } => "stop or cancel jobs there, ask for less, or raise the limit".into(),
            Refusal::NamespaceNotEmpty { .. } => "delete its jobs first".into(),
            Refusal::NoSuchNamespace(_) => "create it first, or use the namespace default".into(),
            _ => return None,
        };
        Some(help)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFounded => f.write_str("the cluster is not founded yet"),
            Refusal::NoSuchJob(job) => write!(f, "there is no job {job}"),
            Refusal::NoSuchWorker(worker) => write!(f, "there is no worker {worker}"),
            Refusal::NoSuchNamespace(namespace) => write!(f, "there is no namespace {namespace}"),
            Refusal::NoSuchCheckpoint { job, epoch } => write!(f, "job {job} has no checkpoint {epoch}"),
            Refusal::StaleAttempt { job, attempt, last } if attempt == last => {
                write!(f, "attempt {attempt} of job {job} is over")
            }
            Refusal::StaleAttempt { job, attempt, last } => {
                write!(f, "attempt {attempt} of job {job} is not the current one: the last is {last}")
            }
            Refusal::StaleIncarnation { worker, incarnation, current } => {
                write!(f, "process {incarnation} of worker {worker} is not the current one: that is {current}")
            }
            Refusal::StaleEpoch { job, epoch, last } => {
                write!(f, "checkpoint {epoch} of job {job} is not newer than the last: that is {last}")
            }
            Refusal::StalePlacement { job, difference } => {
                write!(f, "job {job} cannot be placed like this any more: {difference}")
            }
            Refusal::BadPlacement { job, reason } => write!(f, "a placement of job {job} is wrong: {reason}"),
            Refusal::BadName { of, name } => write!(f, "{name:?} cannot be the name of a {of}"),
            Refusal::BadValue(what) => f.write_str(what),
            Refusal::NameTaken { namespace, name, job, difference } => {
                write!(f, "job {job} in namespace {namespace} has the name {name} already, and another {difference}")
            }
            Refusal::NameOfEndedJob { namespace, name, job, status } => {
                write!(f, "job {job} in namespace {namespace} has the name {name} already, and is {status}")
            }
            Refusal::NotNow { job, status, cannot } => write!(f, "job {job} cannot {cannot}: it is {status}"),
            Refusal::NoTransition { job, from, to } => write!(f, "job {job} is {from}, which cannot become {to}"),
            Refusal::InputEnded { job, epoch } => {
                write!(f, "job {job} has nothing left to do: its input ended with checkpoint {epoch}")
            }
            Refusal::NoLastCheckpoint { job, attempt } => {
                write!(f, "attempt {attempt} of job {job} has completed no checkpoint, so it has not ended in order")
            }
            Refusal::Uncommitted { job, epoch } => {
                write!(f, "results of checkpoint {epoch} of job {job} are decided and not committed yet")
            }
            Refusal::CheckpointNeeded { job, epoch } => {
                write!(f, "job {job} would go on from checkpoint {epoch}, so that cannot be given up")
            }
            Refusal::QuotaExceeded { namespace, resource, limit, asked } => {
                write!(f, "namespace {namespace} may use {limit} {resource}, and would use {asked}")
            }
            Refusal::NamespaceNotEmpty { namespace, jobs: 1 } => write!(f, "namespace {namespace} has a job"),
            Refusal::NamespaceNotEmpty { namespace, jobs } => write!(f, "namespace {namespace} has {jobs} jobs"),
            Refusal::DefaultNamespace => f.write_str("the default namespace cannot be removed"),
            Refusal::SlotsInUse { worker, offered, used } => {
                write!(f, "worker {worker} offers {offered} slots, and {used} are in use there")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for PlacementDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = |epoch: &Option<Epoch>| epoch.map_or_else(|| "the beginning".into(), |e| format!("checkpoint {e}"));
        match self {
            PlacementDifference::Parallelism { placed, wanted } => {
                write!(f, "its parallelism is {wanted}, not {placed}")
            }
            PlacementDifference::RestorePoint { placed, wanted } => {
                write!(f, "it goes on from {}, not from {}", point(wanted), point(placed))
            }
            PlacementDifference::Address(worker) => write!(f, "worker {worker} has another address"),
            PlacementDifference::Draining(worker) => write!(f, "worker {worker} is being drained"),
            PlacementDifference::Slots { worker, placed, free } => {
                write!(f, "worker {worker} has {free} free slots, not {placed}")
            }
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Slots => "slots",
            Resource::Jobs => "jobs",
            Resource::StateBytes => "bytes of state",
        })
    }
}
