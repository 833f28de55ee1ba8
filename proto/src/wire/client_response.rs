//! What clients are told.

use weir_core::{Epoch, Error, Result};

use super::{all, job_id, required};
use crate::client::{CatalogInfo, ClientError, ClientErrorKind, ClientResponse, FilePosition, ResultPiece};
use crate::generated::client::v1 as wire;

/// The answer is not the one that belongs to the request.
fn mismatch(expected: &str, response: &ClientResponse) -> Error {
    Error::internal(format!("a request that is answered with {expected} was answered with {}", response.name()))
}

impl TryFrom<ClientResponse> for wire::SubmitJobResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::Submitted { job, already_there, updated, unchecked } => {
                Ok(Self { job: job.0, already_there, updated, unchecked })
            }
            other => Err(mismatch("Submitted", &other)),
        }
    }
}

impl TryFrom<wire::SubmitJobResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::SubmitJobResponse) -> Result<Self> {
        let job = job_id(response.job, "SubmitJobResponse.job")?;
        let wire::SubmitJobResponse { job: _, already_there, updated, unchecked } = response;
        Ok(ClientResponse::Submitted { job, already_there, updated, unchecked })
    }
}

impl TryFrom<ClientResponse> for wire::Accepted {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::Accepted => Ok(Self {}),
            other => Err(mismatch("Accepted", &other)),
        }
    }
}

impl TryFrom<wire::Accepted> for ClientResponse {
    type Error = Error;

    fn try_from(_: wire::Accepted) -> Result<Self> {
        Ok(ClientResponse::Accepted)
    }
}

impl TryFrom<ClientResponse> for wire::TakeSavepointResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::SavepointBegun { after } => Ok(Self { after: after.0 }),
            other => Err(mismatch("SavepointBegun", &other)),
        }
    }
}

impl TryFrom<wire::TakeSavepointResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::TakeSavepointResponse) -> Result<Self> {
        Ok(ClientResponse::SavepointBegun { after: Epoch(response.after) })
    }
}

impl TryFrom<ClientResponse> for wire::DescribeJobResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::Job(job) => Ok(Self { job: Some(job.as_ref().into()) }),
            other => Err(mismatch("Job", &other)),
        }
    }
}

impl TryFrom<wire::DescribeJobResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::DescribeJobResponse) -> Result<Self> {
        let job = required(response.job, "DescribeJobResponse.job")?;
        Ok(ClientResponse::Job(Box::new(job.try_into()?)))
    }
}

impl TryFrom<ClientResponse> for wire::AuditSinksResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::SinksAudited(audit) => Ok(Self { audit: Some((&audit).into()) }),
            other => Err(mismatch("SinksAudited", &other)),
        }
    }
}

impl TryFrom<wire::AuditSinksResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::AuditSinksResponse) -> Result<Self> {
        let audit = required(response.audit, "AuditSinksResponse.audit")?;
        Ok(ClientResponse::SinksAudited(audit.try_into()?))
    }
}

impl TryFrom<ClientResponse> for wire::PutArtifactResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::ArtifactHere { bytes } => Ok(Self { here: bytes }),
            other => Err(mismatch("ArtifactHere", &other)),
        }
    }
}

impl TryFrom<wire::PutArtifactResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::PutArtifactResponse) -> Result<Self> {
        Ok(ClientResponse::ArtifactHere { bytes: response.here })
    }
}

impl TryFrom<ClientResponse> for wire::ReadResultsResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::Results(None) => Ok(Self::default()),
            ClientResponse::Results(Some(ResultPiece { position, bytes, is_last })) => {
                Ok(Self { position: Some(position.into()), bytes, is_last })
            }
            other => Err(mismatch("Results", &other)),
        }
    }
}

impl TryFrom<wire::ReadResultsResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::ReadResultsResponse) -> Result<Self> {
        let wire::ReadResultsResponse { position, bytes, is_last } = response;
        let piece = position.map(|position| ResultPiece { position: position.into(), bytes, is_last });
        Ok(ClientResponse::Results(piece))
    }
}

impl From<FilePosition> for wire::ResultPosition {
    fn from(position: FilePosition) -> Self {
        Self { epoch: position.epoch.0, number: position.number }
    }
}

impl From<wire::ResultPosition> for FilePosition {
    fn from(position: wire::ResultPosition) -> Self {
        Self { epoch: Epoch(position.epoch), number: position.number }
    }
}

impl TryFrom<ClientResponse> for wire::ShowCatalogResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::Catalog(CatalogInfo { version, statements }) => {
                Ok(Self { catalog: Some(wire::Catalog { version, statements }) })
            }
            other => Err(mismatch("Catalog", &other)),
        }
    }
}

impl TryFrom<wire::ShowCatalogResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::ShowCatalogResponse) -> Result<Self> {
        let wire::Catalog { version, statements } = required(response.catalog, "ShowCatalogResponse.catalog")?;
        Ok(ClientResponse::Catalog(CatalogInfo { version, statements }))
    }
}

impl TryFrom<ClientResponse> for wire::DescribeClusterResponse {
    type Error = Error;

    fn try_from(response: ClientResponse) -> Result<Self> {
        match response {
            ClientResponse::Cluster(cluster) => Ok(Self { cluster: Some((&cluster).into()) }),
            other => Err(mismatch("Cluster", &other)),
        }
    }
}

impl TryFrom<wire::DescribeClusterResponse> for ClientResponse {
    type Error = Error;

    fn try_from(response: wire::DescribeClusterResponse) -> Result<Self> {
        let cluster = required(response.cluster, "DescribeClusterResponse.cluster")?;
        Ok(ClientResponse::Cluster(cluster.try_into()?))
    }
}

macro_rules! lists {
    ($($message:ident $field:ident $variant:ident,)*) => {$(
        impl TryFrom<ClientResponse> for wire::$message {
            type Error = Error;

            fn try_from(response: ClientResponse) -> Result<Self> {
                match response {
                    ClientResponse::$variant(list) => Ok(Self { $field: list.iter().map(Into::into).collect() }),
                    other => Err(mismatch(stringify!($variant), &other)),
                }
            }
        }

        impl TryFrom<wire::$message> for ClientResponse {
            type Error = Error;

            fn try_from(response: wire::$message) -> Result<Self> {
                Ok(ClientResponse::$variant(all(response.$field, TryInto::try_into)?))
            }
        }
    )*};
}
lists! {
    ListJobsResponse jobs Jobs,
    ListCheckpointsResponse checkpoints Checkpoints,
    ListWorkersResponse workers Workers,
    ListNamespacesResponse namespaces Namespaces,
    ListTokensResponse tokens Tokens,
}

impl From<&ClientError> for wire::Error {
    fn from(error: &ClientError) -> Self {
        use wire::error::Kind;
        let kind = match error.kind {
            ClientErrorKind::NotFound => Kind::NotFound,
            ClientErrorKind::Conflict => Kind::Conflict,
            ClientErrorKind::Quota => Kind::Quota,
            ClientErrorKind::Invalid => Kind::Invalid,
            ClientErrorKind::Unknown => Kind::Unknown,
            ClientErrorKind::Unavailable => Kind::Unavailable,
            ClientErrorKind::Internal => Kind::Internal,
            ClientErrorKind::Unauthenticated => Kind::Unauthenticated,
            ClientErrorKind::Denied => Kind::Denied,
        };
        Self { kind: kind.into(), message: error.message.clone(), help: error.help.clone() }
    }
}

impl TryFrom<wire::Error> for ClientError {
    type Error = Error;

    fn try_from(error: wire::Error) -> Result<Self> {
        use wire::error::Kind;
        let kind = match Kind::try_from(error.kind) {
            Ok(Kind::NotFound) => ClientErrorKind::NotFound,
            Ok(Kind::Conflict) => ClientErrorKind::Conflict,
            Ok(Kind::Quota) => ClientErrorKind::Quota,
            Ok(Kind::Invalid) => ClientErrorKind::Invalid,
            Ok(Kind::Unknown) => ClientErrorKind::Unknown,
            Ok(Kind::Unavailable) => ClientErrorKind::Unavailable,
            Ok(Kind::Internal) => ClientErrorKind::Internal,
            Ok(Kind::Unauthenticated) => ClientErrorKind::Unauthenticated,
            Ok(Kind::Denied) => ClientErrorKind::Denied,
            Ok(Kind::Unspecified) | Err(_) => return Err(super::unknown(error.kind, "Error.kind")),
        };
        Ok(Self { kind, message: error.message, help: error.help })
    }
}
