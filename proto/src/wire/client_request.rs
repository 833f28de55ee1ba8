//! What clients ask.

use std::sync::Arc;

use prost::Message;
use weir_core::{Attempt, CoordinatorId, Epoch, Error, Result, WorkerId};

use super::client_info::{grants_of, to_grants};
use super::{job_id, named, required};
use crate::client::{AdoptedCheckpoint, ArtifactPiece, Bearer, ClientRequest, JobRef, NewToken, SubmitJob};
use crate::generated::client::v1 as wire;
use crate::json;

macro_rules! any_request {
    ($($variant:ident $rpc:ident $message:ident $response:ident,)*) => {
        /// The message of whichever call a request is.
        #[derive(Debug, Clone)]
        pub(crate) enum AnyRequest {
            $($variant(wire::$message),)*
        }

        impl AnyRequest {
            /// Bytes that the message takes.
            pub(crate) fn encoded_len(&self) -> usize {
                match self {
                    $(AnyRequest::$variant(message) => message.encoded_len(),)*
                }
            }
        }
    };
}
each_rpc!(any_request);

impl From<&ClientRequest> for AnyRequest {
    fn from(request: &ClientRequest) -> Self {
        let reference = |job: &JobRef| Some(job.into());
        match request {
            ClientRequest::SubmitJob(job) => AnyRequest::SubmitJob(job.into()),
            ClientRequest::ListJobs { namespace, all } => {
                AnyRequest::ListJobs(wire::ListJobsRequest { namespace: namespace.clone(), all: *all })
            }
            ClientRequest::DescribeJob { job, graph } => {
                AnyRequest::DescribeJob(wire::DescribeJobRequest { job: reference(job), graph: *graph })
            }
            ClientRequest::StopJob { job, drain } => {
                AnyRequest::StopJob(wire::StopJobRequest { job: reference(job), drain: *drain })
            }
            ClientRequest::CancelJob { job } => AnyRequest::CancelJob(wire::CancelJobRequest { job: reference(job) }),
            ClientRequest::RestartJob { job, from, adopted } => AnyRequest::RestartJob(wire::RestartJobRequest {
                job: reference(job),
                from: from.map(|epoch| epoch.0),
                adopted: adopted.map(|checkpoint| wire::AdoptedCheckpoint {
                    epoch: checkpoint.epoch.0,
                    attempt: checkpoint.attempt.0,
                    state_bytes: checkpoint.state_bytes,
                    parallelism: checkpoint.parallelism,
                }),
            }),
            ClientRequest::RescaleJob { job, parallelism } => {
                AnyRequest::RescaleJob(wire::RescaleJobRequest { job: reference(job), parallelism: *parallelism })
            }
            ClientRequest::SetScaling { job, scaling } => {
                AnyRequest::SetScaling(wire::SetScalingRequest { job: reference(job), scaling: Some(scaling.into()) })
            }
            ClientRequest::DeleteJob { job, discard_results } => {
                AnyRequest::DeleteJob(wire::DeleteJobRequest { job: reference(job), discard_results: *discard_results })
            }
            ClientRequest::TakeSavepoint { job } => {
                AnyRequest::TakeSavepoint(wire::TakeSavepointRequest { job: reference(job) })
            }
            ClientRequest::ListCheckpoints { job } => {
                AnyRequest::ListCheckpoints(wire::ListCheckpointsRequest { job: reference(job) })
            }
            ClientRequest::ForgetCheckpoint { job, epoch } => {
                AnyRequest::ForgetCheckpoint(wire::ForgetCheckpointRequest { job: reference(job), epoch: epoch.0 })
            }
            ClientRequest::ExpectResults { namespace, token, reading } => {
                AnyRequest::ExpectResults(wire::ExpectResultsRequest {
                    namespace: namespace.clone(),
                    token: *token,
                    reading: *reading,
                })
            }
            ClientRequest::ReadResults { job, after, offset } => AnyRequest::ReadResults(wire::ReadResultsRequest {
                job: reference(job),
                after: after.map(Into::into),
                offset: *offset,
            }),
            ClientRequest::PutArtifact(piece) => AnyRequest::PutArtifact(wire::PutArtifactRequest {
                hash: piece.hash.as_str().to_owned(),
                size: piece.size,
                offset: piece.offset,
                bytes: piece.bytes.clone(),
            }),
            ClientRequest::AuditSinks { job } => {
                AnyRequest::AuditSinks(wire::AuditSinksRequest { job: reference(job) })
            }
            ClientRequest::ListWorkers => AnyRequest::ListWorkers(wire::ListWorkersRequest {}),
            ClientRequest::DrainWorker { worker, draining } => {
                AnyRequest::DrainWorker(wire::DrainWorkerRequest { worker: worker.0.clone(), draining: *draining })
            }
            ClientRequest::ListNamespaces => AnyRequest::ListNamespaces(wire::ListNamespacesRequest {}),
            ClientRequest::SetNamespace { namespace, quota } => AnyRequest::SetNamespace(wire::SetNamespaceRequest {
                namespace: namespace.clone(),
                quota: Some(quota.into()),
            }),
            ClientRequest::DropNamespace { namespace } => {
                AnyRequest::DropNamespace(wire::DropNamespaceRequest { namespace: namespace.clone() })
            }
            ClientRequest::ShowCatalog { namespace, to_change } => AnyRequest::ShowCatalog(wire::ShowCatalogRequest {
                namespace: namespace.clone(),
                to_change: *to_change,
            }),
            ClientRequest::ReplaceCatalog { namespace, version, statements } => {
                AnyRequest::ReplaceCatalog(wire::ReplaceCatalogRequest {
                    namespace: namespace.clone(),
                    version: *version,
                    statements: statements.clone(),
                })
            }
            ClientRequest::ListTokens => AnyRequest::ListTokens(wire::ListTokensRequest {}),
            ClientRequest::CreateToken(token) => AnyRequest::CreateToken(wire::CreateTokenRequest {
                name: token.name.clone(),
                sha256: match &token.bearer {
                    Bearer::Secret(sha256) => sha256.clone(),
                    Bearer::Group(_) => String::new(),
                },
                grants: grants_of(&token.grants),
                plugins: token.plugins,
                expires_at: token.expires_at,
                group: token.bearer.group().map(str::to_owned),
            }),
            ClientRequest::RevokeToken { name } => {
                AnyRequest::RevokeToken(wire::RevokeTokenRequest { name: name.clone() })
            }
            ClientRequest::DescribeCluster => AnyRequest::DescribeCluster(wire::DescribeClusterRequest {}),
            ClientRequest::AddCoordinator { id, address, log } => {
                AnyRequest::AddCoordinator(wire::AddCoordinatorRequest {
                    id: id.0,
                    address: address.clone(),
                    log: *log,
                })
            }
            ClientRequest::RemoveCoordinator { id } => {
                AnyRequest::RemoveCoordinator(wire::RemoveCoordinatorRequest { id: id.0 })
            }
            ClientRequest::TransferLeadership { to } => {
                AnyRequest::TransferLeadership(wire::TransferLeadershipRequest { to: to.map(|id| id.0) })
            }
        }
    }
}

impl TryFrom<AnyRequest> for ClientRequest {
    type Error = Error;

    fn try_from(request: AnyRequest) -> Result<Self> {
        Ok(match request {
            AnyRequest::SubmitJob(job) => ClientRequest::SubmitJob(job.try_into()?),
            AnyRequest::ListJobs(list) => ClientRequest::ListJobs { namespace: list.namespace, all: list.all },
            AnyRequest::DescribeJob(of) => {
                ClientRequest::DescribeJob { job: job_ref(of.job, "DescribeJobRequest.job")?, graph: of.graph }
            }
            AnyRequest::StopJob(stop) => {
                ClientRequest::StopJob { job: job_ref(stop.job, "StopJobRequest.job")?, drain: stop.drain }
            }
            AnyRequest::CancelJob(of) => ClientRequest::CancelJob { job: job_ref(of.job, "CancelJobRequest.job")? },
            AnyRequest::RestartJob(restart) => ClientRequest::RestartJob {
                job: job_ref(restart.job, "RestartJobRequest.job")?,
                from: restart.from.map(Epoch),
                adopted: restart.adopted.map(|checkpoint| AdoptedCheckpoint {
                    epoch: Epoch(checkpoint.epoch),
                    attempt: Attempt(checkpoint.attempt),
                    state_bytes: checkpoint.state_bytes,
                    parallelism: checkpoint.parallelism,
                }),
            },
            AnyRequest::RescaleJob(rescale) => ClientRequest::RescaleJob {
                job: job_ref(rescale.job, "RescaleJobRequest.job")?,
                parallelism: parallelism(rescale.parallelism, "RescaleJobRequest.parallelism")?,
            },
            AnyRequest::SetScaling(set) => ClientRequest::SetScaling {
                job: job_ref(set.job, "SetScalingRequest.job")?,
                scaling: required(set.scaling, "SetScalingRequest.scaling")?.try_into()?,
            },
            AnyRequest::DeleteJob(delete) => ClientRequest::DeleteJob {
                job: job_ref(delete.job, "DeleteJobRequest.job")?,
                discard_results: delete.discard_results,
            },
            AnyRequest::TakeSavepoint(of) => {
                ClientRequest::TakeSavepoint { job: job_ref(of.job, "TakeSavepointRequest.job")? }
            }
            AnyRequest::ListCheckpoints(of) => {
                ClientRequest::ListCheckpoints { job: job_ref(of.job, "ListCheckpointsRequest.job")? }
            }
            AnyRequest::ForgetCheckpoint(forget) => ClientRequest::ForgetCheckpoint {
                job: job_ref(forget.job, "ForgetCheckpointRequest.job")?,
                epoch: Epoch(forget.epoch),
            },
            AnyRequest::ExpectResults(of) => {
                ClientRequest::ExpectResults { namespace: of.namespace, token: of.token, reading: of.reading }
            }
            AnyRequest::ReadResults(of) => ClientRequest::ReadResults {
                job: job_ref(of.job, "ReadResultsRequest.job")?,
                after: of.after.map(Into::into),
                offset: of.offset,
            },
            AnyRequest::PutArtifact(of) => ClientRequest::PutArtifact(ArtifactPiece {
                hash: of.hash.parse()?,
                size: of.size,
                offset: of.offset,
                bytes: of.bytes,
            }),
            AnyRequest::AuditSinks(of) => ClientRequest::AuditSinks { job: job_ref(of.job, "AuditSinksRequest.job")? },
            AnyRequest::ListWorkers(wire::ListWorkersRequest {}) => ClientRequest::ListWorkers,
            AnyRequest::DrainWorker(drain) => ClientRequest::DrainWorker {
                worker: WorkerId(named(drain.worker, "DrainWorkerRequest.worker")?),
                draining: drain.draining,
            },
            AnyRequest::ListNamespaces(wire::ListNamespacesRequest {}) => ClientRequest::ListNamespaces,
            AnyRequest::SetNamespace(set) => ClientRequest::SetNamespace {
                namespace: named(set.namespace, "SetNamespaceRequest.namespace")?,
                quota: required(set.quota, "SetNamespaceRequest.quota")?.into(),
            },
            AnyRequest::DropNamespace(drop) => {
                ClientRequest::DropNamespace { namespace: named(drop.namespace, "DropNamespaceRequest.namespace")? }
            }
            AnyRequest::ShowCatalog(show) => ClientRequest::ShowCatalog {
                namespace: named(show.namespace, "ShowCatalogRequest.namespace")?,
                to_change: show.to_change,
            },
            AnyRequest::ReplaceCatalog(replace) => ClientRequest::ReplaceCatalog {
                namespace: named(replace.namespace, "ReplaceCatalogRequest.namespace")?,
                version: replace.version,
                statements: replace.statements,
            },
            AnyRequest::ListTokens(wire::ListTokensRequest {}) => ClientRequest::ListTokens,
            AnyRequest::CreateToken(create) => ClientRequest::CreateToken(NewToken {
                name: named(create.name, "CreateTokenRequest.name")?,
                bearer: bearer(create.sha256, create.group)?,
                grants: to_grants(create.grants, "CreateTokenRequest.grants")?,
                plugins: create.plugins,
                expires_at: create.expires_at,
            }),
            AnyRequest::RevokeToken(revoke) => {
                ClientRequest::RevokeToken { name: named(revoke.name, "RevokeTokenRequest.name")? }
            }
            AnyRequest::DescribeCluster(wire::DescribeClusterRequest {}) => ClientRequest::DescribeCluster,
            AnyRequest::AddCoordinator(add) => ClientRequest::AddCoordinator {
                id: coordinator(add.id, "AddCoordinatorRequest.id")?,
                address: named(add.address, "AddCoordinatorRequest.address")?,
                log: add.log,
            },
            AnyRequest::RemoveCoordinator(remove) => {
                ClientRequest::RemoveCoordinator { id: coordinator(remove.id, "RemoveCoordinatorRequest.id")? }
            }
            AnyRequest::TransferLeadership(transfer) => {
                ClientRequest::TransferLeadership { to: transfer.to.map(CoordinatorId) }
            }
        })
    }
}

fn job_ref(job: Option<wire::JobRef>, name: &str) -> Result<JobRef> {
    use wire::job_ref::Reference;
    match required(required(job, name)?.reference, name)? {
        Reference::Id(id) => Ok(JobRef::Id(job_id(id, name)?)),
        Reference::Name(job) => {
            Ok(JobRef::Name { namespace: named(job.namespace, name)?, name: named(job.name, name)? })
        }
    }
}

/// Whose a token is to be. One that is both a secret's and a group's would lose one of them without a word.
fn bearer(sha256: String, group: Option<String>) -> Result<Bearer> {
    match group {
        Some(_) if !sha256.is_empty() => {
            Err(Error::data("the message has both CreateTokenRequest.sha256 and CreateTokenRequest.group"))
        }
        Some(group) => Ok(Bearer::Group(named(group, "CreateTokenRequest.group")?)),
        None => Ok(Bearer::Secret(named(sha256, "CreateTokenRequest.sha256")?)),
    }
}

/// Coordinators count from 1.
fn coordinator(id: u64, name: &str) -> Result<CoordinatorId> {
    if id == 0 { Err(Error::data(format!("the message lacks {name}"))) } else { Ok(CoordinatorId(id)) }
}

fn parallelism(slots: u32, name: &str) -> Result<u32> {
    if slots == 0 { Err(Error::data(format!("the message lacks {name}"))) } else { Ok(slots) }
}

impl From<&JobRef> for wire::JobRef {
    fn from(job: &JobRef) -> Self {
        use wire::job_ref::Reference;
        let reference = match job {
            JobRef::Id(id) => Reference::Id(id.0),
            JobRef::Name { namespace, name } => {
                Reference::Name(wire::JobName { namespace: namespace.clone(), name: name.clone() })
            }
        };
        Self { reference: Some(reference) }
    }
}

impl From<&SubmitJob> for wire::SubmitJobRequest {
    fn from(job: &SubmitJob) -> Self {
        Self {
            namespace: job.namespace.clone(),
            name: job.name.clone(),
            graph: json::encode_deep(&job.graph),
            fingerprint: job.fingerprint.clone(),
            sql: job.sql.clone(),
            parallelism: job.parallelism,
            settings: Some((&job.settings).into()),
            awaits_state: job.awaits_state,
            scaling: job.scaling.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::SubmitJobRequest> for SubmitJob {
    type Error = Error;

    fn try_from(job: wire::SubmitJobRequest) -> Result<Self> {
        Ok(Self {
            namespace: named(job.namespace, "SubmitJobRequest.namespace")?,
            name: named(job.name, "SubmitJobRequest.name")?,
            graph: Arc::new(json::decode_graph(&job.graph, "SubmitJobRequest.graph")?),
            fingerprint: named(job.fingerprint, "SubmitJobRequest.fingerprint")?,
            sql: job.sql,
            parallelism: parallelism(job.parallelism, "SubmitJobRequest.parallelism")?,
            settings: required(job.settings, "SubmitJobRequest.settings")?.into(),
            awaits_state: job.awaits_state,
            scaling: job.scaling.map(TryInto::try_into).transpose()?,
        })
    }
}
