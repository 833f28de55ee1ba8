//! Whether another version of a job can go on with its state: looked at before the job is told to go on with it, so that one that cannot
//! is refused, and the job is left as it is.
//!
//! ```text
//!   client ── SubmitJob ─▶ leader ── CompareState { version, checkpoint } ─▶ worker ─▶ what its operators keep, beside the manifest
//!          ◀─ refused ─────────── or UpdateJob ◀──── StateCompared { misfits } ──
//! ```
//!
//! Operators of plugins say what they keep when they are made, which coordinators do not do. What state there is does not change
//! meanwhile: a checkpoint that is completed behind the answer is of the same version, and a version keeps the same from its beginning to its end.

use std::sync::Arc;
use std::time::Duration;

use weir_core::{Epoch, ErrorKind, JobGraph, JobId, WorkerId};
use weir_proto::client::{ClientError, ClientErrorKind};
use weir_proto::control::{CheckpointRef, Failure, Misfits, StateComparison, ToWorker};

use super::{Context, Effect, Leader, SessionId};
use crate::cluster::{ClusterState, Job, JobSpec, JobStatus};

/// How long a worker may take, which may have to fetch a plugin first. Whoever asks over HTTP waits for half a minute.
const PATIENCE: Duration = Duration::from_secs(25);
/// Comparisons that are under way at once: each may load a plugin.
const MOST: usize = 8;

/// Number of a comparison, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComparisonId(pub u64);

/// Whether somebody looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// A worker does; [`Effect::StateCompared`] has what came of it.
    Asked(ComparisonId),
    /// Nobody has to: there is no state, or the operators keep what they kept.
    Needless,
    /// Nobody can, and why.
    Impossible(String),
}

/// What a worker was asked to compare.
#[derive(Debug)]
pub(super) struct Compared {
    job: JobId,
    /// What the job was then: what it runs, and what it was to go on with.
    before: (Arc<JobSpec>, Option<Arc<JobSpec>>),
    checkpoint: Option<Epoch>,
    version: Arc<JobGraph>,
}

impl Compared {
    /// The version that was submitted.
    pub(super) fn version(&self) -> &JobGraph {
        &self.version
    }

    /// Whether the answer is about the versions that the job has now.
    fn is_about(&self, job: &Job) -> bool {
        let is_same = |one: &Option<Arc<JobSpec>>, other: &Option<Arc<JobSpec>>| match (one, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let (spec, update) = &self.before;
        Arc::ptr_eq(spec, &job.spec) && is_same(update, &job.update)
    }

    /// Whether what is answered is about this job as it is.
    fn answers(&self, id: JobId, job: &Job) -> bool {
        self.job == id && self.is_about(job) && self.is_kept(job)
    }

    /// Whether the checkpoint that was to be read is kept: a job that runs gives it up for newer ones, perhaps before it was read.
    fn is_kept(&self, job: &Job) -> bool {
        self.checkpoint.is_none_or(|epoch| job.checkpoint(epoch).is_some())
    }
}

impl Leader {
    /// Has a worker look whether a job could go on with this version.
    ///
    /// # Errors
    /// If workers that could look may come in a moment, or too many versions are looked at.
    pub(crate) fn compare_state(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        version: &JobSpec,
    ) -> Result<Comparison, ClientError> {
        let Some(job) = context.state.jobs.get(&id) else { return Ok(Comparison::Needless) };
        let checkpoint = job.restore_point().filter(|checkpoint| !checkpoint.finished);
        // What runs may be another version than the one that has written the checkpoint.
        let is_of_attempt = checkpoint.is_some_and(|checkpoint| checkpoint.attempt == job.attempt);
        let running = job.execution.is_some() && !is_of_attempt;
        let has_state = checkpoint.is_some() || running;
        // Of a version that has failed it is not known that its state fits.
        let keeps_the_same = version.keeps_like(job.wanted()) && job.status != JobStatus::Failed;
        if job.input_has_ended() || keeps_the_same || !has_state {
            return Ok(Comparison::Needless);
        }
        // A client that has waited for some seconds asks again.
        let is_meant = |asked: &Compared| asked.answers(id, job) && asked.version.runs_like(&version.graph);
        if let Some(under_way) = self.comparisons.find(is_meant) {
            return Ok(Comparison::Asked(ComparisonId(under_way)));
        }
        if self.comparisons.count() >= MOST {
            let many = format!("{MOST} versions of jobs are being compared with their state already");
            return Err(ClientError::new(ClientErrorKind::Conflict, many).with_help("submit it again in a moment"));
        }
        let Some(session) = self.worker_to_ask(job) else {
            return self.nobody_to_ask(context.state).map(Comparison::Impossible);
        };
        let order = Arc::new(StateComparison {
            graph: version.graph.clone(),
            storage: context.place(id),
            checkpoint: checkpoint
                .map(|checkpoint| CheckpointRef { epoch: checkpoint.epoch, manifest: checkpoint.manifest.clone() }),
            running: running.then(|| job.spec.graph.clone()),
        });
        let subject = Compared {
            job: id,
            before: (job.spec.clone(), job.update.clone()),
            checkpoint: checkpoint.map(|checkpoint| checkpoint.epoch),
            version: version.graph.clone(),
        };
        let comparison = self.comparisons.ask(session, context.now.elapsed + PATIENCE, subject);
        context.send(session, ToWorker::CompareState { id: comparison, order });
        Ok(Comparison::Asked(ComparisonId(comparison)))
    }

    /// A worker of the job, which has its plugins, or any other, of those that know how; one that is about to go if there is no other.
    fn worker_to_ask(&self, job: &Job) -> Option<SessionId> {
        let placed = job.execution.iter().flat_map(|execution| &execution.placement.workers);
        let placed = placed.filter_map(|placed| self.sessions.of(&placed.worker, placed.incarnation));
        let all = placed.chain(self.sessions.connected().map(|(_, session)| session));
        let known = all.filter_map(|session| Some((session, self.sessions.get(session)?)));
        let able = known.filter(|(_, known)| known.hello.compares_state && !known.dismissed);
        able.min_by_key(|(_, known)| known.leaving).map(|(session, _)| session)
    }

    /// Why there is no worker to ask.
    ///
    /// # Errors
    /// If there may be one in a moment: a new leader has none of those that are registered until they have come to it, and loses those that do not.
    fn nobody_to_ask(&self, state: &ClusterState) -> Result<String, ClientError> {
        let has_come = |worker: &WorkerId, incarnation| self.sessions.of(worker, incarnation).is_some();
        if state.workers.iter().any(|(worker, known)| !has_come(worker, known.incarnation)) {
            let why = "workers that could compare this version with the job's state have not come to the leader yet";
            return Err(ClientError::new(ClientErrorKind::Unavailable, why).with_help("submit it again in a moment"));
        }
        let is_one_here = self.sessions.connected().next().is_some();
        let why =
            if is_one_here { "the workers are of an earlier version, which cannot look" } else { "no worker is here" };
        Ok(why.to_owned())
    }

    /// A worker has looked.
    pub(super) fn state_compared(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        id: u64,
        misfits: Result<Misfits, Failure>,
    ) {
        let Some(asked) = self.comparisons.answered(session, id) else { return };
        let job = context.state.jobs.get(&asked.job);
        let outcome = match (job.filter(|job| asked.is_about(job)), misfits) {
            // Somebody has asked later, and was answered first.
            (None, _) if job.is_some_and(|job| job.wanted().graph.runs_like(&asked.version)) => Ok(()),
            (None, _) => Err(undecided(format!("job {} was changed meanwhile", asked.job))),
            (Some(job), Err(_)) if !asked.is_kept(job) => {
                Err(undecided(format!("job {} has completed other checkpoints before it could be looked", asked.job)))
            }
            (Some(_), Err(failure)) => Err(untold(asked.job, failure)),
            (Some(_), Ok(misfits)) => refusal(&asked, &misfits).map_or(Ok(()), Err),
        };
        context.effects.push(Effect::StateCompared(ComparisonId(id), outcome));
    }

    /// A worker is gone. It may be the plugin that has ended it, so no other one is asked.
    pub(super) fn give_up_comparisons_of(&mut self, context: &mut Context<'_>, session: SessionId) {
        let gone = "the worker that looked whether this version could go on with the job's state is gone";
        let lost = self.comparisons.lost(session).into_iter();
        context.effects.extend(lost.map(|id| Effect::StateCompared(ComparisonId(id), Err(undecided(gone)))));
    }

    pub(super) fn give_up_slow_comparisons(&mut self, context: &mut Context<'_>) {
        let slow = format!(
            "a worker has not said within {} s whether this version could go on with the job's state",
            PATIENCE.as_secs()
        );
        let overdue = self.comparisons.overdue(context.now.elapsed).into_iter();
        context.effects.extend(overdue.map(|id| Effect::StateCompared(ComparisonId(id), Err(undecided(slow.clone())))));
    }
}

/// The job is what it was, and whoever asks again may hear something else.
fn undecided(why: impl Into<String>) -> ClientError {
    ClientError::new(ClientErrorKind::Conflict, why).with_help("nothing was changed: submit it again")
}

/// A worker could not look. What is not to be reached may be there soon, and the file of a plugin that nothing needs yet may be deleted before it is
/// fetched: whoever submits it again brings it again.
fn untold(job: JobId, failure: Failure) -> ClientError {
    let Failure { kind, report, .. } = failure;
    let why = format!(
        "job {job} is left as it is: it cannot be told whether this version could go on with its state: {report}"
    );
    match kind {
        ErrorKind::Environment => undecided(why),
        ErrorKind::User | ErrorKind::Data | ErrorKind::Internal => ClientError::new(ClientErrorKind::Conflict, why),
    }
}

/// Why the version cannot go on; `None` if it can.
fn refusal(asked: &Compared, misfits: &Misfits) -> Option<ClientError> {
    let Misfits { stored, running } = misfits;
    let job = asked.job;
    let epoch = asked.checkpoint.unwrap_or_default();
    let stored_lines = stored.iter().map(|why| format!("\n  checkpoint {epoch}: {why}"));
    let running_lines =
        running.iter().filter(|why| !stored.contains(why)).map(|why| format!("\n  what runs now: {why}"));
    let lines: String = stored_lines.chain(running_lines).collect();
    if lines.is_empty() {
        return None;
    }
    let help = if stored.is_empty() {
        let from = asked
            .checkpoint
            .map_or_else(|| "begins anew".to_owned(), |epoch| format!("goes on from checkpoint {epoch}"));
        format!(
            "what runs has completed no checkpoint yet: `weir jobs cancel {job}` ends it without one, and then this version {from}"
        )
    } else {
        "submit a version whose state fits: what is kept may get columns that may be null or have a default, lose columns, or have wider ones; \
         or submit this one under another --name, as a job that begins without state"
            .to_owned()
    };
    let message = format!("job {job} is left as it is: this version could not go on with its state{lines}");
    Some(ClientError::new(ClientErrorKind::Conflict, message).with_help(help))
}
