//! Watches a job in the cluster until it has come to what a command waits for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_core::{Error, EventTime, Result};
use weir_proto::client::{ClientRequest, ClientResponse, JobDetail, JobRef, JobSummary, status};

use super::client::{Client, expect_answer};
use super::goal::{Goal, Look};
use super::live::Live;
use super::rows::Rows;
use super::show::FIRST;
use crate::clock::{Stopwatch, wall_millis};
use crate::exit::Exit;
use crate::job::{CheckpointProgress, Progress};
use crate::result::Results;
use crate::signals::{Interrupt, Signals};
use crate::status::{Rates, line};
use crate::terminal::Screen;

/// Time between two looks.
const TICK: Duration = Duration::from_millis(500);
/// The same where there are rows to be printed.
const ROWS_TICK: Duration = Duration::from_millis(200);

/// What ^C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// Leaves the job alone.
    Leave,
    /// Stops it with a savepoint, and waits for that; a second one leaves.
    Stop,
}

/// How to watch.
pub struct Follow {
    /// Where it is told.
    pub screen: Arc<Screen>,
    /// Which job.
    pub job: JobRef,
    /// What its user calls it.
    pub name: String,
    /// What is waited for.
    pub goal: Goal,
    /// Whether nothing but the outcome is told.
    pub quiet: bool,
}

/// Why the watching is over.
pub enum Watched {
    /// The goal is reached; what to tell.
    Reached(String),
    /// The job will not come to it.
    Missed(Error),
    /// The user does not want to wait.
    Left(Interrupt),
    /// Nobody reads the rows any more.
    ReaderGone,
    /// All rows that there can be are printed.
    Complete,
    /// Rows could not be fetched or printed.
    Unread(Error),
}

impl Follow {
    /// Watches until the goal is reached or missed, or the user does not want to wait.
    ///
    /// # Errors
    /// If it is missed, or the cluster does not answer.
    pub async fn run(self, client: &mut Client, on_interrupt: OnInterrupt) -> Result<Exit> {
        let mut signals = Signals::listen()?;
        let mut watched = self.watch(client, &mut signals, None).await;
        if on_interrupt == OnInterrupt::Stop && matches!(watched, Ok(Watched::Left(_))) {
            self.say("stopping with a savepoint; ^C once more leaves it to the cluster");
            let stop = client.call(ClientRequest::StopJob { job: self.job.clone(), drain: false });
            let left = tokio::select! {
                stopped = stop => stopped.map(|_| None)?,
                signal = signals.next() => Some(signal),
            };
            watched = match left {
                Some(signal) => Ok(Watched::Left(signal)),
                None => self.watch(client, &mut signals, None).await,
            };
        }
        self.screen.set_status("");
        match watched? {
            Watched::Reached(outcome) => {
                self.screen.message(&format!("{}: {outcome}\n", self.name));
                Ok(Exit::Ok)
            }
            Watched::Missed(error) | Watched::Unread(error) => Err(error),
            Watched::Left(signal) => Ok(self.left(signal)),
            Watched::ReaderGone | Watched::Complete => Ok(Exit::Ok),
        }
    }

    /// Watches until something ends it. Meanwhile prints the rows of the job, if it has some.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub async fn watch(
        &self,
        client: &mut Client,
        signals: &mut Signals,
        mut rows: Option<&mut Rows>,
    ) -> Result<Watched> {
        let results = rows.as_ref().map(|rows| rows.results().clone());
        let stopwatch = Stopwatch::start();
        let mut ticks = tokio::time::interval(if rows.is_some() { ROWS_TICK } else { TICK });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rates = Rates::default();
        let mut live = Live::new(&self.screen, &self.name);
        loop {
            let next = async {
                ticks.tick().await;
                self.look(client, rows.as_deref_mut()).await
            };
            let (job, printed) = tokio::select! {
                next = next => next?,
                signal = signals.next() => return Ok(Watched::Left(signal)),
                () = until_nobody_reads(results.as_deref()) => return Ok(Watched::ReaderGone),
            };
            if let Err(error) = printed {
                return Ok(Watched::Unread(error));
            }
            if results.as_ref().is_some_and(|results| results.is_complete()) {
                return Ok(Watched::Complete);
            }
            match self.goal.look(&job) {
                Look::Reached(outcome) => return Ok(Watched::Reached(outcome)),
                Look::Missed(error) => return Ok(Watched::Missed(error)),
                Look::Waiting(standing) if !self.quiet => {
                    let elapsed = stopwatch.elapsed();
                    live.show(elapsed, &self.live(&job, standing, &mut rates, elapsed));
                }
                Look::Waiting(_) => {}
            }
        }
    }

    /// How the job is, and what came of printing its rows.
    async fn look(&self, client: &mut Client, rows: Option<&mut Rows>) -> Result<(JobDetail, Result<()>)> {
        let job = describe(client, &self.job).await;
        let job = job.inspect_err(|_| self.say("the job goes on in the cluster, as far as it can"))?;
        let printed = match rows {
            Some(rows) => rows.print(client, &job).await,
            None => Ok(()),
        };
        Ok((job, printed))
    }

    /// Figures for who watches a job that runs; how it stands for who waits for something else.
    fn live(&self, job: &JobDetail, standing: String, rates: &mut Rates, elapsed: Duration) -> String {
        let progress = progress(&job.summary);
        let rate = rates.observe(elapsed, &progress);
        let steady = job.summary.status == status::RUNNING && job.summary.desired == status::RUNNING;
        if self.goal != Goal::Done || !steady {
            return standing;
        }
        let line = line(&progress, rate, elapsed, wall_millis());
        // Rows are counted anew in each attempt.
        if job.summary.attempt > FIRST { format!("attempt {} · {line}", job.summary.attempt) } else { line }
    }

    fn left(&self, signal: Interrupt) -> Exit {
        self.say(&format!(
            "it goes on in the cluster; see `weir jobs describe {0}`, stop it with `weir jobs stop {0}`",
            self.job
        ));
        signal.exit()
    }

    fn say(&self, message: &str) {
        if !self.quiet {
            self.screen.message(&format!("{}: {message}\n", self.name));
        }
    }
}

async fn until_nobody_reads(results: Option<&Results>) {
    match results {
        Some(results) => results.until_reader_is_gone().await,
        None => std::future::pending().await,
    }
}

/// All about a job.
///
/// # Errors
/// If there is none, or the cluster does not answer.
pub async fn describe(client: &mut Client, job: &JobRef) -> Result<JobDetail> {
    let answer = client.call(ClientRequest::DescribeJob { job: job.clone(), graph: false }).await?;
    expect_answer!(answer, ClientResponse::Job(job) => *job)
}

/// What the status line of `weir run` shows.
fn progress(job: &JobSummary) -> Progress {
    let figures = job.figures.unwrap_or_default();
    Progress {
        rows_in: figures.rows_in,
        rows_out: figures.rows_out,
        late_rows: figures.late_rows,
        rejected_rows: figures.rejected_rows,
        watermark: figures.watermark.unwrap_or(EventTime::MIN),
        last_checkpoint: job.last_checkpoint.as_ref().map(|checkpoint| CheckpointProgress {
            epoch: checkpoint.epoch,
            duration: Duration::from_millis(checkpoint.duration_ms),
            bytes: checkpoint.written_bytes,
            at: checkpoint.completed_at,
        }),
        state_bytes: figures.state_bytes,
        ..Progress::default()
    }
}
