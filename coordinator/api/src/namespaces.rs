//! Namespaces, which jobs and limits belong to.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use weir_proto::client::{ClientRequest, ClientResponse, NamespaceInfo, QuotaInfo};

use crate::extract::{Body, Names, Parameters};
use crate::page::{Page, PageOf};
use crate::{Problem, Shared, State, answer};

/// The namespaces, by name.
#[utoipa::path(get, path = "/namespaces", tag = "catalog", params(PageOf), responses((status = 200, body = Page<NamespaceInfo>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): Shared,
    Parameters(page): Parameters<PageOf>,
) -> Result<Json<Page<NamespaceInfo>>, Problem> {
    let mut all = answer!(api.ask(ClientRequest::ListNamespaces).await?, ClientResponse::Namespaces(all) => all)?;
    all.sort_unstable_by(|one, other| one.namespace.cmp(&other.namespace));
    let name = |namespace: &NamespaceInfo| namespace.namespace.clone();
    page.cut(all, name, |text| Some(text.to_owned()), name).map(Json)
}

/// Limits of a namespace; what is not given has none.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Slots of jobs that have not ended.
    slots: Option<u32>,
    /// Jobs that have not ended.
    jobs: Option<u32>,
    /// Bytes of the newest checkpoints of jobs that have not ended.
    state_bytes: Option<u64>,
}

/// Creates a namespace, or changes its limits.
#[utoipa::path(put, path = "/namespaces/{namespace}", tag = "catalog", params(("namespace", description = "Its name.")),
    request_body = Limits, responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(
    State(api): Shared,
    Names(namespace): Names<String>,
    Body(Limits { slots, jobs, state_bytes }): Body<Limits>,
) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::SetNamespace { namespace, quota: QuotaInfo { slots, jobs, state_bytes } }).await
}

/// Removes a namespace that has no jobs.
#[utoipa::path(delete, path = "/namespaces/{namespace}", tag = "catalog", params(("namespace", description = "Its name.")),
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete(State(api): Shared, Names(namespace): Names<String>) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::DropNamespace { namespace }).await
}
