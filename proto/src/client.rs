//! What people and programs ask of the cluster, and what they are told.
//!
//! Any coordinator takes a request; one that does not lead passes it on to the one that does. Reads are linearizable: they see
//! every change that was acknowledged before they were asked.

mod access;
pub mod artifacts;
mod audit;
mod error;
mod info;
pub mod results;
mod scaling;
mod signs_of_life;

use std::fmt;
use std::sync::Arc;

use weir_core::{Attempt, CoordinatorId, Epoch, JobGraph, JobId, WorkerId};

pub use access::{Authenticator, Bearer, Caller, Grant, Identity, NewToken, Role, Subject, Token, TokenInfo};
pub use artifacts::ArtifactPiece;
pub use audit::{EpochAudit, SinkAudit, SinksAudit, found, verdict};
pub use error::{ClientError, ClientErrorKind};
pub use info::{
    CatalogInfo, CheckpointInfo, CheckpointProgress, ClusterInfo, CoordinatorInfo, JobAction, JobDetail,
    JobFailureInfo, JobSettingsInfo, JobSummary, NamespaceInfo, QuotaInfo, VertexInfo, WorkerInfo, WorkerJob, status,
};
pub use results::{Brought, FilePosition, ResultPiece, ResultReader};
pub use scaling::{LoadInfo, Scaling, ScalingBy, ScalingDecision};
pub use signs_of_life::{SignDue, SignsOfLife};

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
        /// One of a job elsewhere, whose files have been put into the job's storage: for a job that has none of its own.
        adopted: Option<AdoptedCheckpoint>,
    },
    /// Give a job another parallelism.
    RescaleJob {
        /// Which one.
        job: JobRef,
        /// How many slots.
        parallelism: u32,
    },
    /// Say who decides how many slots a job has.
    SetScaling {
        /// Which one.
        job: JobRef,
        /// How it is decided from now on.
        scaling: Scaling,
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
    /// Compare what sinks have written with what the cluster holds to be committed.
    AuditSinks {
        /// Of which job.
        job: JobRef,
    },
    /// Say that somebody reads the rows of a `SELECT`, or nobody any more: then the folder goes in which they wait. The first word comes
    /// before the job is submitted, and another one every now and then: see [`results::SAY_AGAIN`].
    ExpectResults {
        /// In which the job is, or will be.
        namespace: String,
        /// Which [folder](results::folder).
        token: u64,
        /// Whether somebody reads.
        reading: bool,
    },
    /// The next piece of these rows.
    ReadResults {
        /// Of which job.
        job: JobRef,
        /// The last file that has arrived: it and those before it are deleted.
        after: Option<FilePosition>,
        /// Bytes of the next file that have arrived.
        offset: u64,
    },
    /// Put a piece of a plugin's file into the cluster. Pieces that are there already, or are out of order, change nothing.
    PutArtifact(ArtifactPiece),
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
        /// Whether whoever asks is about to change something in it, and has to have the right to.
        to_change: bool,
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
    /// The tokens that there are.
    ListTokens,
    /// Make a token.
    CreateToken(NewToken),
    /// A token is good for nothing any more.
    RevokeToken {
        /// Its name.
        name: String,
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
    /// Whether it changes nothing that coordinators agree on.
    pub fn is_read(&self) -> bool {
        use ClientRequest as R;
        match self {
            R::ListJobs { .. }
            | R::DescribeJob { .. }
            | R::ListCheckpoints { .. }
            | R::AuditSinks { .. }
            | R::ExpectResults { .. }
            | R::ReadResults { .. }
            | R::PutArtifact(_)
            | R::ListWorkers
            | R::ListNamespaces
            | R::ShowCatalog { .. }
            | R::ListTokens
            | R::DescribeCluster => true,
            R::SubmitJob(_)
            | R::StopJob { .. }
            | R::CancelJob { .. }
            | R::RestartJob { .. }
            | R::RescaleJob { .. }
            | R::SetScaling { .. }
            | R::DeleteJob { .. }
            | R::TakeSavepoint { .. }
            | R::ForgetCheckpoint { .. }
            | R::DrainWorker { .. }
            | R::SetNamespace { .. }
            | R::DropNamespace { .. }
            | R::ReplaceCatalog { .. }
            | R::CreateToken(_)
            | R::RevokeToken { .. }
            | R::AddCoordinator { .. }
            | R::RemoveCoordinator { .. }
            | R::TransferLeadership { .. } => false,
        }
    }

    /// Whether it is to be noted who has asked: for a change, and for the beginning and the end of a file that brings code.
    pub fn is_noted(&self) -> bool {
        !self.is_read() || matches!(self, ClientRequest::PutArtifact(piece) if piece.is_first() || piece.is_last())
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
            | R::SetScaling { .. }
            | R::DrainWorker { .. }
            | R::SetNamespace { .. }
            | R::ReplaceCatalog { .. }
            | R::CreateToken(_) => true,
            // A second restart restarts, a second savepoint is another one, and what is gone cannot be removed.
            R::RestartJob { .. }
            | R::TakeSavepoint { .. }
            | R::DeleteJob { .. }
            | R::ForgetCheckpoint { .. }
            | R::DropNamespace { .. }
            | R::RevokeToken { .. }
            | R::AddCoordinator { .. }
            | R::RemoveCoordinator { .. }
            | R::TransferLeadership { .. } => false,
            read => read.is_read(),
        }
    }
}

impl ClientRequest {
    /// The job that it is about, if it is about one.
    pub fn job(&self) -> Option<&JobRef> {
        use ClientRequest as R;
        match self {
            R::DescribeJob { job, .. }
            | R::StopJob { job, .. }
            | R::CancelJob { job }
            | R::RestartJob { job, .. }
            | R::RescaleJob { job, .. }
            | R::SetScaling { job, .. }
            | R::DeleteJob { job, .. }
            | R::TakeSavepoint { job }
            | R::ListCheckpoints { job }
            | R::AuditSinks { job }
            | R::ReadResults { job, .. }
            | R::ForgetCheckpoint { job, .. } => Some(job),
            _ => None,
        }
    }

    /// What it asks for, in a word, and of what: for an audit.
    pub fn told(&self) -> (&'static str, String) {
        use ClientRequest as R;
        let on = match self {
            R::SubmitJob(submit) => format!("{}/{}", submit.namespace, submit.name),
            R::PutArtifact(piece) => piece.hash.to_string(),
            R::DrainWorker { worker, .. } => worker.to_string(),
            R::SetNamespace { namespace, .. }
            | R::DropNamespace { namespace }
            | R::ShowCatalog { namespace, .. }
            | R::ReplaceCatalog { namespace, .. }
            | R::ExpectResults { namespace, .. }
            | R::ListJobs { namespace: Some(namespace), .. } => namespace.clone(),
            R::CreateToken(token) => token.name.clone(),
            R::RevokeToken { name } => name.clone(),
            R::AddCoordinator { id, .. } | R::RemoveCoordinator { id } => id.to_string(),
            R::TransferLeadership { to } => to.map(|to| to.to_string()).unwrap_or_default(),
            other => other.job().map(ToString::to_string).unwrap_or_default(),
        };
        let what = match self {
            R::SubmitJob(_) => "submit-job",
            R::ListJobs { .. } => "list-jobs",
            R::DescribeJob { .. } => "describe-job",
            R::StopJob { drain: false, .. } => "stop-job",
            R::StopJob { drain: true, .. } => "drain-job",
            R::CancelJob { .. } => "cancel-job",
            R::RestartJob { .. } => "restart-job",
            R::RescaleJob { .. } => "rescale-job",
            R::SetScaling { .. } => "set-scaling",
            R::DeleteJob { .. } => "delete-job",
            R::TakeSavepoint { .. } => "take-savepoint",
            R::ListCheckpoints { .. } => "list-checkpoints",
            R::ForgetCheckpoint { .. } => "forget-checkpoint",
            R::AuditSinks { .. } => "audit-sinks",
            R::ExpectResults { .. } => "expect-results",
            R::ReadResults { .. } => "read-results",
            R::PutArtifact(_) => "put-artifact",
            R::ListWorkers => "list-workers",
            R::DrainWorker { draining: true, .. } => "drain-worker",
            R::DrainWorker { draining: false, .. } => "undrain-worker",
            R::ListNamespaces => "list-namespaces",
            R::SetNamespace { .. } => "set-namespace",
            R::DropNamespace { .. } => "drop-namespace",
            R::ShowCatalog { .. } => "show-catalog",
            R::ReplaceCatalog { .. } => "replace-catalog",
            R::ListTokens => "list-tokens",
            R::CreateToken(_) => "create-token",
            R::RevokeToken { .. } => "revoke-token",
            R::DescribeCluster => "describe-cluster",
            R::AddCoordinator { .. } => "add-coordinator",
            R::RemoveCoordinator { .. } => "remove-coordinator",
            R::TransferLeadership { .. } => "transfer-leadership",
        };
        (what, on)
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
    /// Who decides how many they are from then on. `None`: nothing is said of it, so a job that is there goes on as it was.
    pub scaling: Option<Scaling>,
    /// Whether it is there and stopped until it is [given the state](AdoptedCheckpoint) of another job.
    pub awaits_state: bool,
}

/// A checkpoint of a job elsewhere, to go on from. All that it has written is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdoptedCheckpoint {
    /// The epoch that it closed.
    pub epoch: Epoch,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// Bytes of state that it holds.
    pub state_bytes: u64,
    /// The job's parallelism then.
    pub parallelism: u32,
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
        /// Why nobody has looked whether this version can go on with the job's state; `None` if somebody has, or did not have to.
        unchecked: Option<String>,
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
    /// To [`ClientRequest::AuditSinks`].
    SinksAudited(SinksAudit),
    /// To [`ClientRequest::ReadResults`]; `None`: for now there are no more rows.
    Results(Option<ResultPiece>),
    /// To [`ClientRequest::PutArtifact`].
    ArtifactHere {
        /// How many bytes of the file are there, from its beginning; all of them: it is there as a whole.
        bytes: u64,
    },
    /// To [`ClientRequest::ListWorkers`].
    Workers(Vec<WorkerInfo>),
    /// To [`ClientRequest::ListNamespaces`].
    Namespaces(Vec<NamespaceInfo>),
    /// To [`ClientRequest::ShowCatalog`].
    Catalog(CatalogInfo),
    /// To [`ClientRequest::ListTokens`].
    Tokens(Vec<TokenInfo>),
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
            ClientResponse::SinksAudited(_) => "SinksAudited",
            ClientResponse::Results(_) => "Results",
            ClientResponse::ArtifactHere { .. } => "ArtifactHere",
            ClientResponse::Workers(_) => "Workers",
            ClientResponse::Namespaces(_) => "Namespaces",
            ClientResponse::Catalog(_) => "Catalog",
            ClientResponse::Tokens(_) => "Tokens",
            ClientResponse::Cluster(_) => "Cluster",
        }
    }
}
