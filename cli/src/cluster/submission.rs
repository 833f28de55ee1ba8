//! Sends a job to the cluster. If it is refused because its name belongs to another query that has state, the error says what the new
//! query could do with that.
//!
//! Checkpoints are where workers reach them, and perhaps not this command. So what the old query keeps is what its dataflow says,
//! which the coordinator has.

use std::sync::Arc;

use weir_core::{Error, ErrorKind, JobGraph, Result};
use weir_proto::client::{ClientRequest, ClientResponse, JobRef, SubmitJob};
use weir_state::RestorePlan;
use weir_worker::kept_states;

use super::client::{Client, expect_answer};

/// Sends a job.
///
/// # Errors
/// What the cluster answers. Of a changed query it says what has changed with it, as `weir run` does.
pub async fn send(client: &mut Client, job: SubmitJob) -> Result<ClientResponse> {
    let refusal = match client.call(ClientRequest::SubmitJob(job.clone())).await {
        Err(error) if error.kind() == ErrorKind::User => error,
        answer => return answer,
    };
    let plan = match before(client, &job).await {
        Ok(Some(before)) => plan(&before, &job.graph),
        Ok(None) => return Err(refusal),
        Err(error) => Err(error),
    };
    Err(match plan {
        Ok(plan) => with_plan(&refusal, &plan),
        // What was asked for is refused all the same, and that is what has to be told.
        Err(error) => {
            tracing::debug!(error = error.report(), "it cannot be told what has changed");
            refusal
        }
    })
}

/// The other query that has the name, if it has state.
async fn before(client: &mut Client, job: &SubmitJob) -> Result<Option<Arc<JobGraph>>> {
    let named = JobRef::Name { namespace: job.namespace.clone(), name: job.name.clone() };
    let answer = client.call(ClientRequest::DescribeJob { job: named, graph: true }).await?;
    let there = expect_answer!(answer, ClientResponse::Job(there) => *there)?;
    let is_other = there.fingerprint != job.fingerprint && !there.checkpoints.is_empty();
    Ok(there.graph.filter(|_| is_other))
}

fn plan(before: &JobGraph, now: &JobGraph) -> Result<RestorePlan> {
    Ok(RestorePlan::between(&kept_states(before)?, &kept_states(now)?))
}

fn with_plan(refusal: &Error, plan: &RestorePlan) -> Error {
    let error = Error::user(format!("{refusal}; to this query its state would be\n{plan}"));
    match refusal.help() {
        Some(help) => error.with_help(help),
        None => error,
    }
}
