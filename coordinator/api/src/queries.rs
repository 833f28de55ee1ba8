//! `SELECT`s whose rows come back over the connection that asked.
//!
//! ```text
//!   say that somebody reads ─▶ submit ─▶ watch, and send rows ─▶ end the job ─▶ send what is left ─▶ delete job and folder
//!                                            │
//!                                            └ until it has ended, its last row has come, or nobody listens
//! ```
//!
//! A task of its own does it from the first step on, and sees it through when the client goes away: the job cannot go on without its reader. Of a
//! process that is killed the job stays, and fails after five minutes without a reader.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use weir_core::JobId;
use weir_proto::client::{
    Brought, ClientRequest, ClientResponse, JobDetail, JobRef, ResultReader, SignsOfLife, SubmitJob, status,
};

use crate::events::event;
use crate::extract::{Body, Names};
use crate::scripts::{self, PlannedJob, Script};
use crate::{Api, Problem, Shared, State, answer, artifacts};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(200);
/// Events that wait for a client that reads slowly; then the fetching waits too.
const WAITING: usize = 1024;
/// How long the storage may be away before the query has failed.
const STORAGE: Duration = Duration::from_secs(60);

/// The query's job.
#[derive(Debug, Serialize)]
struct Begun {
    job: JobId,
    warnings: Vec<String>,
}

/// Runs a script that ends with a SELECT, and sends its rows as they become visible. Events: `begun` (the job's number, warnings), `row`
/// (a JSON object; BIGINT and DECIMAL as strings, which no reader rounds) for each row, `problem` (a Problem) if the job fails, `end` when all
/// rows were sent. The job ends when the client goes away.
#[utoipa::path(post, path = "/namespaces/{namespace}/queries", tag = "queries", params(("namespace", description = "The namespace.")),
    request_body = Script, responses((status = 200, content_type = "text/event-stream", body = String),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn query(
    State(api): Shared,
    Names(namespace): Names<String>,
    Body(script): Body<Script>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let place = api.limits.query()?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let (begun, beginning) = oneshot::channel();
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends when the client goes away or the job ends, and clears up then"
    )]
    tokio::spawn(async move {
        answer(api, namespace, script, sender, begun).await;
        drop(place);
    });
    beginning.await.map_err(|_| Problem::failed("the query ended before it began"))??;
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok(event), receiver))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Runs a query from its planning to its clearing away. `begun` is told whether it runs.
async fn answer(
    api: Arc<Api>,
    namespace: String,
    script: Script,
    events: mpsc::Sender<Event>,
    begun: oneshot::Sender<Result<(), Problem>>,
) {
    // Whoever asked may be gone, here and below: then the query is over with its first look.
    let (planned, token) = match prepared(&api, &namespace, script).await {
        Ok(prepared) => prepared,
        Err(problem) => return drop(begun.send(Err(problem))),
    };
    let PlannedJob { job, last_row, warnings, .. } = planned;
    let name = JobRef::Name { namespace: namespace.clone(), name: job.name.clone() };
    let expect = |reading| ClientRequest::ExpectResults { namespace: namespace.clone(), token, reading };
    let rows = ResultReader::new(name.clone());
    let left = last_row.unwrap_or(u64::MAX);
    let signs = SignsOfLife::default();
    let query =
        Query { api: api.clone(), job: name, rows, nobody_reads: expect(false), signs: signs.clone(), left, events };
    tokio::select! {
        () = query.see_through(expect(true), job, warnings, begun) => {}
        never = keep_saying(&api, expect(true), &signs) => match never {},
    }
}

/// Says again and again that somebody reads, though the connection may block for long.
async fn keep_saying(api: &Api, somebody_reads: ClientRequest, signs: &SignsOfLife) -> Infallible {
    loop {
        let _due = signs.due().await;
        if let Err(problem) = api.tell(somebody_reads.clone()).await {
            tracing::debug!(problem = problem.detail, "could not say that somebody reads");
        }
    }
}

async fn prepared(api: &Api, namespace: &str, script: Script) -> Result<(PlannedJob, u64), Problem> {
    let catalog = scripts::catalog_to_change(api, namespace).await?;
    let cluster = answer!(api.ask(ClientRequest::DescribeCluster).await?, ClientResponse::Cluster(cluster) => cluster)?;
    let planned = {
        let _place = api.limits.planning().await;
        api.serving.scripts.query(namespace, script, catalog.statements, &cluster).await?
    };
    artifacts::check(api, &planned.0.job.graph).await?;
    Ok(planned)
}

/// One that runs.
struct Query {
    api: Arc<Api>,
    job: JobRef,
    rows: ResultReader,
    /// Has the folder of the rows removed.
    nobody_reads: ClientRequest,
    signs: SignsOfLife,
    /// Rows to come, at most.
    left: u64,
    events: mpsc::Sender<Event>,
}

impl Query {
    /// Runs it. `begun` is told whether it does.
    async fn see_through(
        mut self,
        somebody_reads: ClientRequest,
        job: SubmitJob,
        warnings: Vec<String>,
        begun: oneshot::Sender<Result<(), Problem>>,
    ) {
        match self.submit(somebody_reads, job).await {
            Ok(job) => {
                self.job = JobRef::Id(job);
                self.rows = ResultReader::new(self.job.clone());
                let _ = self.events.send(event("begun", &Begun { job, warnings })).await;
                let _ = begun.send(Ok(()));
                self.run().await;
            }
            Err(problem) => {
                // Where it is not known whether there is a job, there may be one.
                self.clear_away_unheard(false).await;
                let _ = begun.send(Err(problem));
            }
        }
    }

    async fn submit(&self, somebody_reads: ClientRequest, job: SubmitJob) -> Result<JobId, Problem> {
        self.api.tell(somebody_reads).await?;
        let submitted = self.api.ask(ClientRequest::SubmitJob(job)).await?;
        answer!(submitted, ClientResponse::Submitted { job, .. } => job)
    }

    async fn run(mut self) {
        let events = self.events.clone();
        let outcome = tokio::select! {
            outcome = self.watch() => outcome,
            () = events.closed() => Err(None),
        };
        let last = match outcome {
            Err(None) => return self.clear_away_unheard(false).await,
            // Results may have been decided since the last look.
            Ok(()) => match self.clear_away(true).await {
                Ok(()) => Event::default().event("end").data("{}"),
                Err(problem) => event("problem", &problem),
            },
            Err(Some(problem)) => {
                self.clear_away_unheard(false).await;
                event("problem", &problem)
            }
        };
        // Nobody has to be there.
        let _ = self.events.send(last).await;
    }

    /// Sends rows until the job has ended. `None`: nobody listens.
    async fn watch(&mut self) -> Result<(), Option<Problem>> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unread_since = None;
        loop {
            ticks.tick().await;
            let job = match self.look().await {
                Ok(job) => job,
                Err(problem) if problem.kind == "unavailable" => continue,
                Err(problem) => return Err(Some(problem)),
            };
            match self.send(&job).await {
                Ok(()) => unread_since = None,
                // The storage may be back in a moment.
                Err(Unsent::Unread(problem)) if problem.kind == "unavailable" => {
                    let since = *unread_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > STORAGE {
                        return Err(Some(problem));
                    }
                    continue;
                }
                Err(unsent) => return Err(unsent.problem()),
            }
            if self.left == 0 {
                return Ok(());
            }
            if job.summary.has_ended() {
                return match job.summary.last_failure {
                    Some(failure) if job.summary.status == status::FAILED => Err(Some(Problem::failed(failure.report))),
                    _ => Ok(()),
                };
            }
        }
    }

    async fn look(&self) -> Result<JobDetail, Problem> {
        let request = ClientRequest::DescribeJob { job: self.job.clone(), graph: false };
        answer!(self.api.ask(request).await?, ClientResponse::Job(job) => *job)
    }

    async fn send(&mut self, job: &JobDetail) -> Result<(), Unsent> {
        while let Some(request) = self.rows.request(job) {
            let answer = self.api.ask(request).await.map_err(Unsent::Unread)?;
            let piece = answer!(answer, ClientResponse::Results(piece) => piece).map_err(Unsent::Unread)?;
            let Brought::File(file) = self.rows.take(job, piece) else { continue };
            let rows = self.api.serving.scripts.rows(file).await.map_err(|error| Unsent::Unread(error.into()))?;
            for row in rows {
                if self.left == 0 {
                    return Ok(());
                }
                self.left -= 1;
                self.events.send(Event::default().event("row").data(row)).await.map_err(|_| Unsent::Unheard)?;
            }
        }
        Ok(())
    }

    /// The same where nobody is there to be told what goes wrong.
    async fn clear_away_unheard(&mut self, read_on: bool) {
        if let Err(problem) = self.clear_away(read_on).await {
            tracing::warn!(job = %self.job, problem = problem.detail, "a query could not be cleared away");
        }
    }

    /// Ends the job, sends what has come out of it if that is wanted, and deletes all that there is of it.
    async fn clear_away(&mut self, read_on: bool) -> Result<(), Problem> {
        let ended = self.end(read_on).await;
        self.signs.end().await;
        let removed = self.api.tell(self.nobody_reads.clone()).await.map(drop);
        ended.and(removed)
    }

    async fn end(&mut self, read_on: bool) -> Result<(), Problem> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let job = loop {
            ticks.tick().await;
            let job = match self.look().await {
                Err(problem) if problem.kind == "unavailable" => continue,
                Err(problem) if problem.kind == "not-found" => return Ok(()),
                looked => looked?,
            };
            let decided = job.checkpoints.iter().all(|checkpoint| checkpoint.committed);
            match job.summary.has_ended() {
                true if decided => break job,
                true => {}
                // It may have ended by itself since it was looked at; the next look tells.
                false => drop(self.api.tell(ClientRequest::CancelJob { job: self.job.clone() }).await),
            }
        };
        let sent = match read_on {
            true => self.send(&job).await,
            false => Ok(()),
        };
        self.api.tell(ClientRequest::DeleteJob { job: self.job.clone(), discard_results: false }).await?;
        sent.map_err(|unsent| unsent.problem().unwrap_or_else(|| Problem::failed("nobody listens")))
    }
}

/// Why rows were not sent.
enum Unsent {
    /// They cannot be read.
    Unread(Problem),
    /// Nobody listens.
    Unheard,
}

impl Unsent {
    /// What to tell, if somebody listens.
    fn problem(self) -> Option<Problem> {
        match self {
            Unsent::Unread(problem) => Some(problem),
            Unsent::Unheard => None,
        }
    }
}
