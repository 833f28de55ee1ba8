//! `SELECT`s whose rows come back over the connection that asked.
//!
//! ```text
//!   folder for the rows ─▶ submit ─▶ watch, and send rows ─▶ end the job ─▶ send what is left ─▶ delete job and folder
//!                                        │
//!                                        └ until it has ended, or nobody listens
//! ```
//!
//! A task of its own does it, and sees it through when the client goes away: the job cannot go on without its reader.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use weir_core::JobId;
use weir_proto::client::{ClientRequest, ClientResponse, JobDetail, JobRef, status};

use crate::events::event;
use crate::extract::{Body, Names};
use crate::scripts::{self, PlannedJob, QueryRows, Script};
use crate::{Api, Problem, Shared, State, answer};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(200);
/// Events that wait for a client that reads slowly; then the fetching waits too.
const WAITING: usize = 1024;

/// The query's job.
#[derive(Debug, Serialize)]
struct Begun {
    job: JobId,
    warnings: Vec<String>,
}

/// Runs a script that ends with a SELECT, and sends its rows as they become visible. Events: `begun` (the job's number, warnings), `row` (a JSON
/// object; BIGINT and DECIMAL as strings, which no reader rounds) for each row, `problem` (a Problem) if the job fails, `end` when all rows were sent. The job ends when the client goes away.
#[utoipa::path(post, path = "/namespaces/{namespace}/queries", tag = "queries", params(("namespace", description = "The namespace.")),
    request_body = Script, responses((status = 200, content_type = "text/event-stream", body = String),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn query(
    State(api): Shared,
    Names(namespace): Names<String>,
    Body(script): Body<Script>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let catalog = scripts::catalog(&api, &namespace).await?;
    let cluster = answer!(api.ask(ClientRequest::DescribeCluster).await?, ClientResponse::Cluster(cluster) => cluster)?;
    let (planned, mut rows) = api.scripts.query(&namespace, script, catalog.statements, &cluster).await?;
    let PlannedJob { job, warnings, .. } = planned;
    let submitted = match api.ask(ClientRequest::SubmitJob(job)).await {
        Ok(submitted) => submitted,
        Err(refused) => {
            rows.remove().await?;
            return Err(refused);
        }
    };
    let job = answer!(submitted, ClientResponse::Submitted { job, .. } => job)?;
    let (sender, receiver) = mpsc::channel(WAITING);
    // There is room for one.
    let _ = sender.send(event("begun", &Begun { job, warnings })).await;
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends when the client goes away or the job ends, and clears up then"
    )]
    tokio::spawn(Query { api, job, rows, events: sender }.run());
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok(event), receiver))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

struct Query {
    api: Arc<Api>,
    job: JobId,
    rows: Box<dyn QueryRows>,
    events: mpsc::Sender<Event>,
}

impl Query {
    async fn run(mut self) {
        let events = self.events.clone();
        let outcome = tokio::select! {
            outcome = self.watch() => outcome,
            () = events.closed() => Err(None),
        };
        // Results may have been decided since the last look.
        let cleared = self.clear_away(outcome.is_ok()).await;
        let last = match (outcome, cleared) {
            (Ok(()), Ok(())) => Event::default().event("end").data("{}"),
            (Err(Some(problem)), _) | (Ok(()), Err(problem)) => event("problem", &problem),
            (Err(None), cleared) => {
                if let Err(problem) = cleared {
                    tracing::warn!(
                        job = self.job.0,
                        problem = problem.detail,
                        "a query that nobody reads any more could not be cleared away"
                    );
                }
                return;
            }
        };
        // Nobody has to be there.
        let _ = self.events.send(last).await;
    }

    /// Sends rows until the job has ended. `None`: nobody listens.
    async fn watch(&mut self) -> Result<(), Option<Problem>> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let job = match self.look().await {
                Ok(job) => job,
                Err(problem) if problem.kind == "unavailable" => continue,
                Err(problem) => return Err(Some(problem)),
            };
            self.send(&job).await?;
            if job.summary.has_ended() {
                return match job.summary.last_failure {
                    Some(failure) if job.summary.status == status::FAILED => {
                        Err(Some(Problem::invalid(failure.report)))
                    }
                    _ => Ok(()),
                };
            }
        }
    }

    async fn look(&self) -> Result<JobDetail, Problem> {
        let request = ClientRequest::DescribeJob { job: JobRef::Id(self.job), graph: false };
        answer!(self.api.ask(request).await?, ClientResponse::Job(job) => *job)
    }

    async fn send(&mut self, job: &JobDetail) -> Result<(), Option<Problem>> {
        loop {
            let rows = self.rows.next(job).await.map_err(|error| Some(Problem::from(error)))?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                self.events.send(Event::default().event("row").data(row)).await.map_err(|_| None)?;
            }
        }
    }

    /// Ends the job, sends what has come out of it if that is wanted, and deletes all that there is of it.
    async fn clear_away(&mut self, read_on: bool) -> Result<(), Problem> {
        let reference = JobRef::Id(self.job);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let job = loop {
            ticks.tick().await;
            let job = match self.look().await {
                Err(problem) if problem.kind == "unavailable" => continue,
                looked => looked?,
            };
            let decided = job.checkpoints.iter().all(|checkpoint| checkpoint.committed);
            match job.summary.has_ended() {
                true if decided => break job,
                true => {}
                // It may have ended by itself since it was looked at; the next look tells.
                false => drop(self.api.tell(ClientRequest::CancelJob { job: reference.clone() }).await),
            }
        };
        let sent = match read_on {
            true => self.send(&job).await.map_err(|gone| gone.unwrap_or_else(|| Problem::invalid("nobody listens"))),
            false => Ok(()),
        };
        self.api.tell(ClientRequest::DeleteJob { job: reference, discard_results: false }).await?;
        self.rows.remove().await?;
        sent
    }
}
