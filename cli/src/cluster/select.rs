//! `weir submit` of a `SELECT`: a job that lives as long as somebody reads its rows.
//!
//! ```text
//!   say that somebody reads ─▶ submit ─▶ watch and print ─▶ end the job ─▶ print what is left ─▶ delete job and folder
//!                                          │
//!                                          └ until it has ended, its LIMIT is reached, ^C, or nobody reads stdout
//! ```
//!
//! A job whose `LIMIT` is reached has no more rows, whether its input goes on or not. Such a job cannot go on without this command, nor
//! be restarted, so it is deleted however it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_core::{JobId, Result};
use weir_proto::client::{ClientRequest, JobDetail, JobRef, SubmitJob};

use super::artifacts;
use super::client::Client;
use super::follow::{Follow, Watched, describe};
use super::goal::Goal;
use super::rows::Rows;
use super::submission;
use crate::exit::Exit;
use crate::figures::counted;
use crate::plugin::PluginFile;
use crate::signals::{Interrupt, Signals};
use crate::terminal::Screen;

/// Time between two looks at a job that is to end.
const TICK: Duration = Duration::from_millis(50);

/// How the rows are printed, and what is told beside them.
pub struct Select {
    /// The rows.
    pub rows: Rows,
    /// Plugins whose functions it calls.
    pub files: Vec<Arc<PluginFile>>,
    /// Where it is told how the job does.
    pub screen: Arc<Screen>,
    /// Whether nothing but what goes wrong is told.
    pub quiet: bool,
}

impl Select {
    /// Submits the job, prints its rows, and leaves nothing behind.
    ///
    /// # Errors
    /// What the cluster answers; why the job has failed; if rows cannot be fetched or printed.
    pub async fn run(self, client: &mut Client, job: SubmitJob) -> Result<Exit> {
        let expecting = self.rows.keep_expecting(client.another());
        tokio::select! {
            exit = self.see_through(client, job) => exit,
            never = expecting => match never {},
        }
    }

    async fn see_through(mut self, client: &mut Client, job: SubmitJob) -> Result<Exit> {
        // From here on ^C has something to clear away.
        let mut signals = Signals::listen()?;
        let name = job.name.clone();
        let job = match self.submit(client, job).await {
            Ok(job) => job,
            Err(error) => {
                self.remove_folder(client).await;
                return Err(error);
            }
        };
        self.rows.are_of(job);
        // While the job is there: what nothing needs any more would stay.
        if let Err(error) = artifacts::put(&self.files, client).await {
            self.clear_away(client, job, false).await.inspect_err(|_| self.screen.message(&left_behind(&name, job)))?;
            return Err(error);
        }
        self.say(&name, &format!("is submitted as job {job}"));
        let follow = Follow {
            screen: self.screen.clone(),
            job: JobRef::Id(job),
            name: name.clone(),
            goal: Goal::Done,
            quiet: self.quiet,
        };
        let watched = follow.watch(client, &mut signals, Some(&mut self.rows)).await;
        self.screen.set_status("");
        let watched = watched.inspect_err(|_| self.screen.message(&left_behind(&name, job)))?;
        let interrupt = match &watched {
            Watched::Left(interrupt) => Some(*interrupt),
            _ => None,
        };
        if interrupt.is_some() {
            self.say(&name, "cancelling; ^C once more leaves that to you");
        }
        let read_on = matches!(watched, Watched::Reached(_) | Watched::Missed(_) | Watched::Complete);
        tokio::select! {
            cleared = self.clear_away(client, job, read_on) => cleared.inspect_err(|_| {
                self.screen.message(&left_behind(&name, job));
            })?,
            signal = signals.next() => {
                self.screen.message(&left_behind(&name, job));
                return Ok(signal.exit());
            }
        }
        match watched {
            _ if self.rows.results().reader_is_gone() => Ok(Exit::Ok),
            Watched::ReaderGone => Ok(Exit::Ok),
            Watched::Left(interrupt) => {
                self.say(&name, "cancelled");
                Ok(Interrupt::exit(interrupt))
            }
            Watched::Complete => {
                self.say(&name, &format!("has all its rows: {}", counted(self.rows.printed(), "row", "rows")));
                Ok(Exit::Ok)
            }
            Watched::Reached(outcome) => {
                self.say(&name, &format!("{outcome}; {}", counted(self.rows.printed(), "row", "rows")));
                Ok(Exit::Ok)
            }
            Watched::Missed(error) | Watched::Unread(error) => Err(error),
        }
    }

    async fn submit(&self, client: &mut Client, job: SubmitJob) -> Result<JobId> {
        artifacts::put(&self.files, client).await?;
        self.rows.expect(client).await?;
        submission::send(client, job).await.map(|(job, _)| job)
    }

    /// Ends the job, prints what has come out of it if that is wanted, and deletes all that there is of it.
    async fn clear_away(&mut self, client: &mut Client, id: JobId, read_on: bool) -> Result<()> {
        let job = end(client, id).await?;
        let printed = match read_on {
            true => self.rows.print(client, &job).await,
            false => Ok(()),
        };
        let finished = self.rows.results().finish().await;
        if let Err(error) = client.call(ClientRequest::DeleteJob { job: JobRef::Id(id), discard_results: false }).await
        {
            self.screen.message(&format!("warning: job {id} is left in `weir jobs list --all`: {error}\n"));
        }
        self.remove_folder(client).await;
        let nobody_reads = !read_on || self.rows.results().reader_is_gone();
        if nobody_reads { Ok(()) } else { printed.and(finished) }
    }

    async fn remove_folder(&mut self, client: &mut Client) {
        if let Err(error) = self.rows.remove(client).await {
            self.screen.message(&format!("warning: rows of the query are left in the cluster's storage: {error}\n"));
        }
    }

    fn say(&self, name: &str, message: &str) {
        if !self.quiet {
            self.screen.message(&format!("{name}: {message}\n"));
        }
    }
}

/// Cancels the job unless it has ended, and waits until nothing of it is left to be done.
async fn end(client: &mut Client, id: JobId) -> Result<JobDetail> {
    let reference = JobRef::Id(id);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let job = describe(client, &reference).await?;
        let decided = job.checkpoints.iter().all(|checkpoint| checkpoint.committed);
        match job.summary.has_ended() {
            true if decided => return Ok(job),
            true => {}
            false => {
                let cancelled = client.call(ClientRequest::CancelJob { job: reference.clone() }).await;
                // It may have ended by itself since it was looked at.
                if let Err(error) = cancelled
                    && !describe(client, &reference).await?.summary.has_ended()
                {
                    return Err(error);
                }
            }
        }
    }
}

fn left_behind(name: &str, job: JobId) -> String {
    format!(
        "{name}: nobody reads its rows any more; delete it with `weir jobs cancel {job} --wait` and `weir jobs delete {job}`\n"
    )
}
