//! What people and programs ask of the cluster, and what they are told.
//!
//! Any coordinator takes a request; one that does not lead passes it on to the one that does. Reads are linearizable: they see
//! every change that was acknowledged before they were asked.

pub mod artifacts;
mod error;
mod info;
pub mod results;

use std::fmt;
use std::sync::Arc;

use weir_core::{CoordinatorId, Epoch, JobGraph, JobId, WorkerId};

pub use error::{ClientError, ClientErrorKind};
pub use info::{
    CatalogInfo, CheckpointInfo, CheckpointProgress, ClusterInfo, CoordinatorInfo, JobDetail, JobFailureInfo,
    JobSettingsInfo, JobSummary, NamespaceInfo, QuotaInfo, VertexInfo, WorkerInfo, WorkerJob, status,
};

/// Which job is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRef {
    /// The job of that number.
    Id(JobId),
    /// The job of that name.
    Name {
        /// Its namespace.
        namespace: String,
        /// Its name there.
        name: String,
    },
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobRef::Id(job) => write!(f, "{job}"),
            JobRef::Name { namespace, name } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub enum ClientRequest {
    /// Submit a job. The same job once more changes nothing.
    SubmitJob(SubmitJob),
    /// The jobs that there are.
    ListJobs {
        /// Of which namespace; `None`: of all.
        namespace: Option<String>,
        /// Also those that have ended.
        all: bool,
    },
    /// All about one job.
    DescribeJob {
        /// Which one.
        job: JobRef,
        /// Also its dataflow, which may be large.
        graph: bool,
    },
    /// Stop with a savepoint. Answered when it is accepted, not when the job has stopped.
    StopJob {
        /// Which one.
        job: JobRef,
        /// Whether windows fire first, as at the end of the input.
        drain: bool,
    },
    /// End at once.
    CancelJob {
        /// Which one.
        job: JobRef,
    },
    /// Run a job again that has ended, or take a running one back to a checkpoint.
    RestartJob {
        /// Which one.
        job: JobRef,
        /// The checkpoint to start from; `None`: the newest.
        from: Option<Epoch>,
    },
    /// Give a job another parallelism.
    RescaleJob {
        /// Which one.
        job: JobRef,
        /// How many slots.
        parallelism: u32,
    },
    /// Forget a job that has ended.
    DeleteJob {
        /// Which one.
        job: JobRef,
        /// Also if results of its checkpoints are decided and not visible yet: they never will be.
        discard_results: bool,
    },
    /// Begin a savepoint. Answered with its epoch when it is begun.
    TakeSavepoint {
        /// Of which job.
        job: JobRef,
    },
    /// The checkpoints that are kept.
    ListCheckpoints {
        /// Of which job.
        job: JobRef,
    },
    /// Give up a savepoint or checkpoint.
    ForgetCheckpoint {
        /// Of which job.
        job: JobRef,
        /// Which one.
        epoch: Epoch,
    },
    /// The workers that there are.
    ListWorkers,
    /// Move the work of a worker away, or give it work again.
    DrainWorker {
        /// Which one.
        worker: WorkerId,
        /// Whether it is to be emptied.
        draining: bool,
    },
    /// The namespaces that there are.
    ListNamespaces,
    /// Create a namespace or change its limits.
    SetNamespace {
        /// Its name.
        namespace: String,
        /// Its limits.
        quota: QuotaInfo,
    },
    /// Remove a namespace that has no jobs.
    DropNamespace {
        /// Its name.
        namespace: String,
    },
    /// What the scripts of a namespace know without saying it.
    ShowCatalog {
        /// The namespace.
        namespace: String,
    },
    /// Replace it, unless it has changed meanwhile.
    ReplaceCatalog {
        /// The namespace.
        namespace: String,
        /// The version that is replaced.
        version: u64,
        /// `CREATE` statements, in their order.
        statements: Vec<String>,
    },
    /// The cluster at a glance.
    DescribeCluster,
    /// Let another coordinator take part.
    AddCoordinator {
        /// Its identity.
        id: CoordinatorId,
        /// Where it is reached, `host:port`.
        address: String,
        /// The log that it writes; 0 from a client, who does not know. The leader asks it.
        log: u64,
    },
    /// Take a coordinator out.
    RemoveCoordinator {
        /// Its identity.
        id: CoordinatorId,
    },
    /// Let another coordinator lead.
    TransferLeadership {
        /// Which one; `None`: whichever knows most.
        to: Option<CoordinatorId>,
    },
}

impl ClientRequest {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        use ClientRequest as R;
        match self {
            R::ListJobs { .. }
            | R::DescribeJob { .. }
            | R::ListCheckpoints { .. }
            | R::ListWorkers
            | R::ListNamespaces
            | R::ShowCatalog { .. }
            | R::DescribeCluster => true,
            R::SubmitJob(_)
            | R::StopJob { .. }
            | R::CancelJob { .. }
            | R::RestartJob { .. }
            | R::RescaleJob { .. }
            | R::DeleteJob { .. }
            | R::TakeSavepoint { .. }
            | R::ForgetCheckpoint { .. }
            | R::DrainWorker { .. }
            | R::SetNamespace { .. }
            | R::DropNamespace { .. }
            | R::ReplaceCatalog { .. }
            | R::AddCoordinator { .. }
            | R::RemoveCoordinator { .. }
            | R::TransferLeadership { .. } => false,
        }
    }

    /// Whether asking twice comes to the same as asking once, the answer included. Only then may a request be repeated whose
    /// outcome is not known.
    pub fn is_idempotent(&self) -> bool {
        use ClientRequest as R;
        match self {
            // Each of these says how things shall be.
            R::SubmitJob(_)
            | R::StopJob { .. }
            | R::CancelJob { .. }
            | R::RescaleJob { .. }
            | R::DrainWorker { .. }
            | R::SetNamespace { .. }
            | R::ReplaceCatalog { .. } => true,
            // A second restart restarts, a second savepoint is another one, and what is gone cannot be removed.
            R::RestartJob { .. }
            | R::TakeSavepoint { .. }
            | R::DeleteJob { .. }
            | R::ForgetCheckpoint { .. }
            | R::DropNamespace { .. }
            | R::AddCoordinator { .. }
            | R::RemoveCoordinator { .. }
            | R::TransferLeadership { .. } => false,
            read => read.is_read(),
        }
    }
}

/// A job to be run.
#[derive(Debug, Clone)]
pub struct SubmitJob {
    /// Its namespace.
    pub namespace: String,
    /// Its name, of which there is one per namespace.
    pub name: String,
    /// The dataflow.
    pub graph: Arc<JobGraph>,
    /// Identity of the dataflow: equal ones compute the same.
    pub fingerprint: String,
    /// The text that it was planned from, for people.
    pub sql: String,
    /// How many slots it shall have.
    pub parallelism: u32,
    /// How it is run.
    pub settings: JobSettingsInfo,
}

/// An answer.
#[derive(Debug, Clone)]
pub enum ClientResponse {
    /// To [`ClientRequest::SubmitJob`].
    Submitted {
        /// The job's number.
        job: JobId,
        /// Whether it was there before.
        already_there: bool,
        /// Whether it was, and is run another way from now on: with other settings, or another parallelism.
        updated: bool,
    },
    /// To [`ClientRequest::ListJobs`].
    Jobs(Vec<JobSummary>),
    /// To [`ClientRequest::DescribeJob`].
    Job(Box<JobDetail>),
    /// It will be carried out: to every request that has no answer of its own.
    Accepted,
    /// To [`ClientRequest::TakeSavepoint`].
    SavepointBegun {
        /// The last epoch before it was asked for: it is the first savepoint behind this one.
        after: Epoch,
    },
    /// To [`ClientRequest::ListCheckpoints`], oldest first.
    Checkpoints(Vec<CheckpointInfo>),
    /// To [`ClientRequest::ListWorkers`].
    Workers(Vec<WorkerInfo>),
    /// To [`ClientRequest::ListNamespaces`].
    Namespaces(Vec<NamespaceInfo>),
    /// To [`ClientRequest::ShowCatalog`].
    Catalog(CatalogInfo),
    /// To [`ClientRequest::DescribeCluster`].
    Cluster(ClusterInfo),
}

impl ClientResponse {
    /// What kind of answer it is, for messages about one that does not fit its request.
    pub fn name(&self) -> &'static str {
        match self {
            ClientResponse::Submitted { .. } => "Submitted",
            ClientResponse::Jobs(_) => "Jobs",
            ClientResponse::Job(_) => "Job",
            ClientResponse::Accepted => "Accepted",
            ClientResponse::SavepointBegun { .. } => "SavepointBegun",
            ClientResponse::Checkpoints(_) => "Checkpoints",
            ClientResponse::Workers(_) => "Workers",
            ClientResponse::Namespaces(_) => "Namespaces",
            ClientResponse::Catalog(_) => "Catalog",
            ClientResponse::Cluster(_) => "Cluster",
        }
    }
}
