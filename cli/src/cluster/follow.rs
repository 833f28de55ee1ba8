//! Watches a job in the cluster until it has come to what a command waits for.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_core::{EventTime, Result};
use weir_proto::client::{ClientRequest, ClientResponse, JobDetail, JobRef, JobSummary, status};

use super::client::{Client, expect_answer};
use super::goal::{Goal, Look};
use crate::clock::{Stopwatch, wall_millis};
use crate::exit::Exit;
use crate::job::{CheckpointProgress, Progress};
use crate::signals::{Interrupt, Signals};
use crate::status::{Rates, line};
use crate::terminal::Screen;

/// Time between two looks.
const TICK: Duration = Duration::from_millis(500);
/// Time between two lines where there is no terminal for a live one.
const LOG_EVERY: Duration = Duration::from_secs(10);

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
    /// What ^C does.
    pub on_interrupt: OnInterrupt,
    /// Whether nothing but the outcome is told.
    pub quiet: bool,
}

impl Follow {
    /// Watches until the goal is reached or missed, or the user does not want to wait.
    ///
    /// # Errors
    /// If it is missed, or the cluster does not answer.
    pub async fn run(self, client: &mut Client) -> Result<Exit> {
        let mut signals = Signals::listen()?;
        let outcome = self.watch(client, &mut signals).await;
        self.screen.set_status("");
        outcome
    }

    async fn watch(&self, client: &mut Client, signals: &mut Signals) -> Result<Exit> {
        let stopwatch = Stopwatch::start();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rates = Rates::default();
        let mut last_log = Duration::ZERO;
        let mut stopping = false;
        loop {
            let next = async {
                ticks.tick().await;
                describe(client, &self.job).await
            };
            let job = tokio::select! {
                job = next => job,
                signal = signals.next() => {
                    if self.on_interrupt == OnInterrupt::Leave || stopping {
                        return Ok(self.left(signal));
                    }
                    stopping = true;
                    self.say("stopping with a savepoint; ^C once more leaves it to the cluster");
                    client.call(ClientRequest::StopJob { job: self.job.clone(), drain: false }).await?;
                    continue;
                }
            };
            let job = job.inspect_err(|_| self.say("the job goes on in the cluster, as far as it can"))?;
            match self.goal.look(&job) {
                Look::Reached(outcome) => {
                    self.screen.set_status("");
                    self.screen.message(&format!("{}: {outcome}\n", self.name));
                    return Ok(Exit::Ok);
                }
                Look::Missed(error) => return Err(error),
                Look::Waiting(standing) if !self.quiet => {
                    let elapsed = stopwatch.elapsed();
                    let shown = self.live(&job, standing, &mut rates, elapsed);
                    if self.screen.layout().err_is_terminal {
                        self.screen.set_status(&shown);
                    } else if last_log.is_zero() || elapsed.saturating_sub(last_log) >= LOG_EVERY {
                        last_log = elapsed.max(Duration::from_millis(1));
                        self.say(&shown);
                    }
                }
                Look::Waiting(_) => {}
            }
        }
    }

    /// Figures for who watches a job that runs; how it stands for who waits for something else.
    fn live(&self, job: &JobDetail, standing: String, rates: &mut Rates, elapsed: Duration) -> String {
        let progress = progress(&job.summary);
        let rate = rates.observe(elapsed, &progress);
        let steady = job.summary.status == status::RUNNING && job.summary.desired == status::RUNNING;
        if self.goal == Goal::Ended && steady { line(&progress, rate, elapsed, wall_millis()) } else { standing }
    }

    fn left(&self, signal: Interrupt) -> Exit {
        self.screen.set_status("");
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

/// All about a job.
///
/// # Errors
/// If there is none, or the cluster does not answer.
pub async fn describe(client: &mut Client, job: &JobRef) -> Result<JobDetail> {
    let answer = client.call(ClientRequest::DescribeJob { job: job.clone() }).await?;
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
