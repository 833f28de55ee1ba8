//! Workers.

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use weir_core::WorkerId;
use weir_proto::client::{ClientRequest, ClientResponse, WorkerInfo};

use crate::extract::{Body, Names, Parameters};
use crate::page::{Page, PageOf};
use crate::{Problem, Shared, State, answer};

/// The workers, by name.
#[utoipa::path(get, path = "/workers", tag = "cluster", params(PageOf), responses((status = 200, body = Page<WorkerInfo>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): Shared,
    Parameters(page): Parameters<PageOf>,
) -> Result<Json<Page<WorkerInfo>>, Problem> {
    let mut all = answer!(api.ask(ClientRequest::ListWorkers).await?, ClientResponse::Workers(all) => all)?;
    all.sort_unstable_by(|one, other| one.worker.cmp(&other.worker));
    let read = |text: &str| Some(WorkerId(text.to_owned()));
    page.cut(all, |worker| worker.worker.clone(), read, |worker| worker.worker.to_string()).map(Json)
}

/// What a worker shall do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Whether its work is moved away and it gets no more.
    draining: bool,
}

/// Moves the work of a worker away, or gives it work again.
#[utoipa::path(patch, path = "/workers/{worker}", tag = "cluster", params(("worker", description = "Its name.")),
    request_body = Change, responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn change(
    State(api): Shared,
    Names(worker): Names<String>,
    Body(change): Body<Change>,
) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::DrainWorker { worker: WorkerId(worker), draining: change.draining }).await
}
