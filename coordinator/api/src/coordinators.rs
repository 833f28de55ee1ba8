//! The cluster as a whole, and its coordinators.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use weir_core::CoordinatorId;
use weir_proto::client::{ClientRequest, ClientResponse, ClusterInfo};

use crate::extract::{Body, Names};
use crate::{Problem, Shared, State, answer};

/// The cluster at a glance.
#[utoipa::path(get, path = "/cluster", tag = "cluster", responses((status = 200, body = ClusterInfo),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cluster(State(api): Shared) -> Result<Json<ClusterInfo>, Problem> {
    answer!(api.ask(ClientRequest::DescribeCluster).await?, ClientResponse::Cluster(cluster) => Json(cluster))
}

/// A coordinator that shall take part.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Where it is reached, `host:port`.
    address: String,
}

/// Takes a coordinator in, which was started with `--join`. It follows the log first, and votes once it has caught up.
#[utoipa::path(put, path = "/coordinators/{id}", tag = "cluster", params(("id" = u64, description = "Its identity.")),
    request_body = Member, responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(api): Shared,
    Names(id): Names<u64>,
    Body(member): Body<Member>,
) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::AddCoordinator { id: CoordinatorId(id), address: member.address, log: 0 }).await
}

/// Takes a coordinator out, for good.
#[utoipa::path(delete, path = "/coordinators/{id}", tag = "cluster", params(("id" = u64, description = "Its identity.")),
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn remove(State(api): Shared, Names(id): Names<u64>) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::RemoveCoordinator { id: CoordinatorId(id) }).await
}

/// Who shall lead.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Leader {
    /// Which coordinator; whichever knows most if not given.
    to: Option<u64>,
}

/// Has another coordinator lead.
#[utoipa::path(post, path = "/cluster/leader", tag = "cluster", request_body = Leader, responses((status = 202),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn lead(State(api): Shared, Body(leader): Body<Leader>) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::TransferLeadership { to: leader.to.map(CoordinatorId) }).await
}
