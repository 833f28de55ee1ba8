//! Checkpoints and savepoints of a job.

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_core::Epoch;
use weir_proto::client::{CheckpointInfo, ClientRequest, ClientResponse, JobRef};

use crate::extract::{Names, Parameters};
use crate::jobs::JobName;
use crate::page::{Page, PageOf};
use crate::{Problem, Shared, State, answer};

/// The checkpoints of a job that are kept, oldest first.
#[utoipa::path(get, path = "/namespaces/{namespace}/jobs/{job}/checkpoints", tag = "checkpoints", params(JobName, PageOf), responses(
    (status = 200, body = Page<CheckpointInfo>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): Shared,
    Names(name): Names<JobName>,
    Parameters(page): Parameters<PageOf>,
) -> Result<Json<Page<CheckpointInfo>>, Problem> {
    let request = ClientRequest::ListCheckpoints { job: name.reference() };
    let kept = answer!(api.ask(request).await?, ClientResponse::Checkpoints(kept) => kept)?;
    let read = |text: &str| text.parse().ok().map(Epoch);
    page.cut(kept, |checkpoint| checkpoint.epoch, read, |checkpoint| checkpoint.epoch.to_string()).map(Json)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct CheckpointName {
    /// The job's namespace.
    namespace: String,
    /// The job's name there.
    job: String,
    /// The checkpoint's epoch.
    #[param(value_type = u64)]
    epoch: Epoch,
}

/// Gives up a savepoint or checkpoint.
#[utoipa::path(delete, path = "/namespaces/{namespace}/jobs/{job}/checkpoints/{epoch}", tag = "checkpoints", params(CheckpointName),
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete(State(api): Shared, Names(name): Names<CheckpointName>) -> Result<StatusCode, Problem> {
    let job = JobRef::Name { namespace: name.namespace, name: name.job };
    api.tell(ClientRequest::ForgetCheckpoint { job, epoch: name.epoch }).await
}

/// A savepoint has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavepointBegun {
    /// It is the first savepoint of the job behind this epoch.
    #[schema(value_type = u64)]
    after: Epoch,
}

/// Takes a savepoint: a checkpoint that is kept until it is deleted. Answered when it has begun.
#[utoipa::path(post, path = "/namespaces/{namespace}/jobs/{job}/savepoints", tag = "checkpoints", params(JobName), responses(
    (status = 202, body = SavepointBegun), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn savepoint(
    State(api): Shared,
    Names(name): Names<JobName>,
) -> Result<(StatusCode, Json<SavepointBegun>), Problem> {
    let request = ClientRequest::TakeSavepoint { job: name.reference() };
    answer!(api.ask(request).await?, ClientResponse::SavepointBegun { after } => (StatusCode::ACCEPTED, Json(SavepointBegun { after })))
}
