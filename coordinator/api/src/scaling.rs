//! Who decides how many slots a job has.

use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use weir_proto::client::{ClientRequest, Scaling, ScalingBy};

use crate::extract::{Body, Names};
use crate::jobs::JobName;
use crate::{Problem, Shared, State};

/// Who decides how many slots a job has; what is not given has the default that `weir options` lists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decided {
    /// A person, the slots that there are, or the load.
    by: ScalingBy,
    /// By load: only say what would be done.
    #[serde(default)]
    dry_run: bool,
    /// The fewest slots.
    min_slots: Option<u32>,
    /// The most slots.
    max_slots: Option<u32>,
    /// For how long a reason to change the number has to hold, in milliseconds.
    settle_ms: Option<u64>,
    /// By load: how busy the busiest part of the job shall be, in percent.
    target_percent: Option<u32>,
    /// By load: within which time a backlog shall be read, in milliseconds.
    catch_up_ms: Option<u64>,
}

/// Says who decides how many slots a job has. What was decided is part of the job: `scaling_decisions`, and `load`.
#[utoipa::path(put, path = "/namespaces/{namespace}/jobs/{job}/scaling", tag = "jobs", params(JobName), request_body = Decided,
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(
    State(api): Shared,
    Names(name): Names<JobName>,
    Body(decided): Body<Decided>,
) -> Result<StatusCode, Problem> {
    let usual = Scaling::default();
    let scaling = Scaling {
        by: decided.by,
        dry_run: decided.dry_run,
        min_slots: decided.min_slots.unwrap_or(usual.min_slots),
        max_slots: decided.max_slots.unwrap_or(usual.max_slots),
        settle_ms: decided.settle_ms.unwrap_or(usual.settle_ms),
        target_percent: decided.target_percent.unwrap_or(usual.target_percent),
        catch_up_ms: decided.catch_up_ms.unwrap_or(usual.catch_up_ms),
    };
    api.tell(ClientRequest::SetScaling { job: name.reference(), scaling }).await
}
