//! How a job does, as server-sent events, until it has ended.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use serde::Serialize;
use tokio::time::MissedTickBehavior;
use weir_proto::client::{ClientRequest, ClientResponse, JobRef, JobSummary};

use crate::extract::Names;
use crate::jobs::JobName;
use crate::{Problem, Shared, State, answer};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(500);

/// Follows a job. Events, each with JSON as its data: `job` (a JobSummary) first and whenever status, attempt or what is wanted of it
/// changes; `checkpoint` (a CheckpointInfo) for each completed one; `failure` (a JobFailureInfo); `figures` (Figures) when they have changed;
/// `problem` (a Problem) if nothing more is known. The stream ends behind the `job` event of a job that has ended.
#[utoipa::path(get, path = "/namespaces/{namespace}/jobs/{job}/events", tag = "jobs", params(JobName), responses(
    (status = 200, content_type = "text/event-stream", body = String),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn job_events(
    State(api): Shared,
    Names(name): Names<JobName>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let job = name.reference();
    let first = look(&api, &job).await?;
    // By number from here on: another job may get the name.
    let job = JobRef::Id(first.job);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = stream::unfold((None, Some(first), ticks), move |(before, mut known, mut ticks)| {
        let (api, job) = (api.clone(), job.clone());
        async move {
            loop {
                let now = match known.take() {
                    Some(first) => first,
                    None if before.as_ref().is_some_and(JobSummary::has_ended) => return None,
                    None => {
                        ticks.tick().await;
                        match look(&api, &job).await {
                            Ok(now) => now,
                            Err(problem) if problem.kind == "unavailable" => continue,
                            Err(problem) => {
                                let ended = before
                                    .map(|before: JobSummary| JobSummary { status: "cancelled".into(), ..before });
                                return Some((vec![event("problem", &problem)], (ended, None, ticks)));
                            }
                        }
                    }
                };
                let events = changes(before.as_ref(), &now);
                if !events.is_empty() {
                    return Some((events, (Some(now), None, ticks)));
                }
            }
        }
    });
    let events = futures::StreamExt::flat_map(events, |events| stream::iter(events.into_iter().map(Ok)));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

async fn look(api: &crate::Api, job: &JobRef) -> Result<JobSummary, Problem> {
    let request = ClientRequest::DescribeJob { job: job.clone(), graph: false };
    answer!(api.ask(request).await?, ClientResponse::Job(job) => job.summary)
}

/// What is to be told of a job that was `before`.
fn changes(before: Option<&JobSummary>, now: &JobSummary) -> Vec<Event> {
    let standing = |job: &JobSummary| (job.status.clone(), job.desired.clone(), job.attempt, job.parallelism);
    let mut events = Vec::new();
    let Some(before) = before else { return vec![event("job", now)] };
    if now.last_failure != before.last_failure
        && let Some(failure) = &now.last_failure
    {
        events.push(event("failure", failure));
    }
    if now.last_checkpoint.as_ref().map(|last| last.epoch) != before.last_checkpoint.as_ref().map(|last| last.epoch)
        && let Some(checkpoint) = &now.last_checkpoint
    {
        events.push(event("checkpoint", checkpoint));
    }
    if now.figures != before.figures
        && let Some(figures) = &now.figures
    {
        events.push(event("figures", figures));
    }
    if standing(now) != standing(before) {
        events.push(event("job", now));
    }
    events
}

/// An event of that name.
pub(crate) fn event<T: Serialize>(name: &str, data: &T) -> Event {
    let event = Event::default().event(name);
    match serde_json::to_string(data) {
        Ok(data) => event.data(data),
        // These types have neither maps with odd keys nor writers that fail.
        Err(error) => event.comment(error.to_string()),
    }
}
