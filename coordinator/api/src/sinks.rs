//! Sinks of a job.

use axum::Json;
use weir_proto::client::{ClientRequest, ClientResponse, SinksAudit};

use crate::extract::Names;
use crate::jobs::JobName;
use crate::{Problem, Shared, State, answer};

/// Asks the systems that a job writes how far its sinks have come, and compares that with what the cluster holds to be committed.
#[utoipa::path(get, path = "/namespaces/{namespace}/jobs/{job}/sinks/audit", tag = "jobs", params(JobName), responses(
    (status = 200, body = SinksAudit), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn audit(State(api): Shared, Names(name): Names<JobName>) -> Result<Json<SinksAudit>, Problem> {
    let request = ClientRequest::AuditSinks { job: name.reference() };
    answer!(api.ask(request).await?, ClientResponse::SinksAudited(audit) => Json(audit))
}
