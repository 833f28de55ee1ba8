//! Jobs.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use weir_core::{Epoch, JobId};
use weir_monitoring::Preparation;
use weir_proto::client::{ClientRequest, ClientResponse, JobDetail, JobRef, JobSummary};

use crate::extract::{Body, Names, Parameters};
use crate::page::{Page, PageOf};
use crate::scripts::{self, Script};
use crate::{Api, Problem, Shared, State, answer, artifacts};

/// How long an answer waits until it is told what was done before.
const TELLING: Duration = Duration::from_secs(2);

/// A job, by its name in its namespace.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct JobName {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub job: String,
}

impl JobName {
    pub(crate) fn reference(self) -> JobRef {
        JobRef::Name { namespace: self.namespace, name: self.job }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Also jobs that have ended.
    all: bool,
}

/// The jobs of all namespaces, by number.
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(Which, PageOf), responses(
    (status = 200, body = Page<JobSummary>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list_all(
    State(api): Shared,
    Parameters(which): Parameters<Which>,
    Parameters(page): Parameters<PageOf>,
) -> Result<Json<Page<JobSummary>>, Problem> {
    let jobs = answer!(api.ask(ClientRequest::ListJobs { namespace: None, all: which.all }).await?, ClientResponse::Jobs(jobs) => jobs)?;
    paged(jobs, &page)
}

/// The jobs of a namespace, by number.
#[utoipa::path(get, path = "/namespaces/{namespace}/jobs", tag = "jobs",
    params(("namespace", description = "The namespace."), Which, PageOf), responses(
    (status = 200, body = Page<JobSummary>), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): Shared,
    Names(namespace): Names<String>,
    Parameters(which): Parameters<Which>,
    Parameters(page): Parameters<PageOf>,
) -> Result<Json<Page<JobSummary>>, Problem> {
    let request = ClientRequest::ListJobs { namespace: Some(namespace), all: which.all };
    let jobs = answer!(api.ask(request).await?, ClientResponse::Jobs(jobs) => jobs)?;
    paged(jobs, &page)
}

fn paged(mut jobs: Vec<JobSummary>, page: &PageOf) -> Result<Json<Page<JobSummary>>, Problem> {
    jobs.sort_unstable_by_key(|job| job.job);
    let read = |text: &str| text.parse().ok().map(JobId);
    page.cut(jobs, |job| job.job, read, |job| job.job.to_string()).map(Json)
}

/// What came of a submission.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Submitted {
    /// The job's number.
    #[schema(value_type = u64)]
    job: JobId,
    /// Its name.
    name: String,
    /// Whether it was there before: the same query under the same name.
    already_there: bool,
    /// Whether it was, and has other settings from now on.
    updated: bool,
    /// What is odd about the script.
    warnings: Vec<String>,
}

/// Plans a script of `INSERT INTO`s and runs it. The same script once more changes nothing; with other settings, the job goes on with these.
#[utoipa::path(post, path = "/namespaces/{namespace}/jobs", tag = "jobs", params(("namespace", description = "The namespace.")),
    request_body = Script, responses((status = 201, body = Submitted, description = "It is a new job."),
    (status = 200, body = Submitted, description = "It was there."),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn submit(
    State(api): Shared,
    Names(namespace): Names<String>,
    Body(script): Body<Script>,
) -> Result<(StatusCode, Json<Submitted>), Problem> {
    let mut preparation = Preparation::default();
    let began = (api.serving.wall_clock)();
    let planned = scripts::planned(&api, namespace, script).await?;
    preparation.add("plan", began, (api.serving.wall_clock)());
    artifacts::check(&api, &planned.job.graph).await?;
    let graph = planned.job.graph.clone();
    let (name, mut warnings) = (planned.job.name.clone(), planned.warnings);
    let answered = api.ask(ClientRequest::SubmitJob(planned.job)).await?;
    let (job, already_there, updated, unchecked) = answer!(answered,
        ClientResponse::Submitted { job, already_there, updated, unchecked } => (job, already_there, updated, unchecked))?;
    warnings.extend(unchecked.map(|why| {
        format!("it was not looked whether this version can go on with the job's state, since {why}: if it cannot, the job fails")
    }));
    if updated {
        go_on(&api, job).await?;
    }
    // Nothing has needed them until now, so they may be gone since. From now on they stay. The job is there, whatever is not known of them.
    let missing = artifacts::missing(&api, &graph).await;
    let unknown =
        |problem: Problem| vec![format!("it was not looked whether its plugins are here: {}", problem.detail)];
    warnings.extend(missing.unwrap_or_else(unknown));
    if !already_there {
        warnings.extend(planned.earlier_results);
        // Nobody has submitted a job for its sake.
        let _ = timeout(TELLING, tell(&api, job, &preparation)).await;
    }
    let status = if already_there { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Submitted { job, name, already_there, updated, warnings })))
}

/// Tells what was done before the job was there, if anybody wants to know.
async fn tell(api: &Api, job: JobId, preparation: &Preparation) {
    if !api.serving.spans.are_wanted() {
        return;
    }
    let described = api.ask(ClientRequest::DescribeJob { job: JobRef::Id(job), graph: false }).await;
    let cluster = api.ask(ClientRequest::DescribeCluster).await;
    // A trace without it is one all the same.
    let (Ok(ClientResponse::Job(there)), Ok(ClientResponse::Cluster(cluster))) = (described, cluster) else { return };
    let identity = there.summary.identity(&cluster.cluster);
    let spans = preparation.spans(identity, job, &there.summary.full_name());
    spans.into_iter().for_each(|span| api.serving.spans.record(span));
}

/// A job that had ended and has other settings now runs again.
async fn go_on(api: &Api, job: JobId) -> Result<(), Problem> {
    let request = ClientRequest::DescribeJob { job: JobRef::Id(job), graph: false };
    let there = answer!(api.ask(request).await?, ClientResponse::Job(there) => *there)?;
    if there.summary.has_ended() {
        api.tell(ClientRequest::RestartJob { job: JobRef::Id(job), from: None, adopted: None }).await?;
    }
    Ok(())
}

/// All about a job; secrets in its text are masked.
#[utoipa::path(get, path = "/namespaces/{namespace}/jobs/{job}", tag = "jobs", params(JobName), responses(
    (status = 200, body = JobDetail), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn describe(State(api): Shared, Names(name): Names<JobName>) -> Result<Json<JobDetail>, Problem> {
    let request = ClientRequest::DescribeJob { job: name.reference(), graph: false };
    let mut job = answer!(api.ask(request).await?, ClientResponse::Job(job) => *job)?;
    job.sql = api.serving.scripts.shown(&job.sql);
    Ok(Json(job))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Deletion {
    /// Also if results of its checkpoints are decided and not visible yet: they never will be.
    discard_results: bool,
}

/// Forgets a job that has ended, and its checkpoints.
#[utoipa::path(delete, path = "/namespaces/{namespace}/jobs/{job}", tag = "jobs", params(JobName, Deletion), responses(
    (status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn delete(
    State(api): Shared,
    Names(name): Names<JobName>,
    Parameters(deletion): Parameters<Deletion>,
) -> Result<StatusCode, Problem> {
    let discard_results = deletion.discard_results;
    api.tell(ClientRequest::DeleteJob { job: name.reference(), discard_results }).await
}

/// How a job is stopped.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Stop {
    /// Whether windows fire first, as at the end of the input.
    drain: bool,
}

/// Stops a job with a savepoint. Answered when it is accepted: `status` tells when it has stopped.
#[utoipa::path(post, path = "/namespaces/{namespace}/jobs/{job}/stop", tag = "jobs", params(JobName), request_body = Stop,
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stop(
    State(api): Shared,
    Names(name): Names<JobName>,
    Body(stop): Body<Stop>,
) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::StopJob { job: name.reference(), drain: stop.drain }).await
}

/// Ends a job at once, without a savepoint.
#[utoipa::path(post, path = "/namespaces/{namespace}/jobs/{job}/cancel", tag = "jobs", params(JobName), responses(
    (status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn cancel(State(api): Shared, Names(name): Names<JobName>) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::CancelJob { job: name.reference() }).await
}

/// Where a job starts again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Restart {
    /// The epoch of the checkpoint; the newest if not given.
    #[schema(value_type = Option<u64>)]
    from: Option<Epoch>,
}

/// Runs a job again that has ended, or takes a running one back to a checkpoint.
#[utoipa::path(post, path = "/namespaces/{namespace}/jobs/{job}/restart", tag = "jobs", params(JobName), request_body = Restart,
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn restart(
    State(api): Shared,
    Names(name): Names<JobName>,
    Body(restart): Body<Restart>,
) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::RestartJob { job: name.reference(), from: restart.from, adopted: None }).await
}

/// How large a job shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rescale {
    /// How many slots.
    parallelism: u32,
}

/// Gives a job another parallelism; it goes on with its state.
#[utoipa::path(post, path = "/namespaces/{namespace}/jobs/{job}/rescale", tag = "jobs", params(JobName), request_body = Rescale,
    responses((status = 202), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn rescale(
    State(api): Shared,
    Names(name): Names<JobName>,
    Body(rescale): Body<Rescale>,
) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::RescaleJob { job: name.reference(), parallelism: rescale.parallelism }).await
}
