//! Sinks commit what is decided. Any worker can do it, at any later time, any number of times; it is repeated until it is done,
//! oldest checkpoint first.

use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, Error, JobId};
use weir_proto::control::{CheckpointRef, Failure, ToWorker};

use super::attempt::Base;
use super::{Context, Leader, Proposal, SessionId};
use crate::cluster::{Checkpoint, Command, Job};
use crate::driver;

/// A commit that is under way.
#[derive(Debug)]
pub struct CommitWork {
    /// Which checkpoint.
    pub epoch: Epoch,
    /// Who does it; `None` while nobody can or a pause is on.
    pub session: Option<SessionId>,
    /// When to try (again); while somebody does it, when he is not waited for any more.
    pub due: Duration,
    /// Who was asked last, and did not do it.
    pub tried: Option<SessionId>,
    /// Why it failed the last time.
    pub failure: Option<String>,
}

impl Leader {
    /// Sees to it that the oldest checkpoint of a job that is not committed is being committed.
    pub(super) fn ensure_commit(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(checkpoint) = oldest_uncommitted(job) else {
            self.jobs.of(id).commit = None;
            return;
        };
        if self.is_proposed(id, Proposal::Commit) {
            return;
        }
        if self.has_nothing_to_commit(id, checkpoint.epoch) {
            return self.propose_once(
                context,
                Command::CommitCheckpoint { job: id, epoch: checkpoint.epoch, at: context.now.wall },
            );
        }
        let now = context.now.elapsed;
        let fresh = || CommitWork { epoch: checkpoint.epoch, session: None, due: now, tried: None, failure: None };
        let work = self.jobs.of(id).commit.get_or_insert_with(fresh);
        if work.epoch != checkpoint.epoch {
            *work = fresh();
        }
        if work.session.is_some() || work.due > now {
            return;
        }
        let preferred = job.execution.as_ref().and_then(|execution| execution.placement.worker_of(0));
        let preferred = preferred.and_then(|placed| self.sessions.of(&placed.worker, placed.incarnation));
        let candidates = || preferred.into_iter().chain(self.sessions.connected().map(|(_, session)| session));
        // One that has not answered may be asked again if there is nobody else.
        let fresh = candidates().find(|session| Some(*session) != work.tried);
        let Some(session) = fresh.or_else(|| candidates().next()) else { return };
        work.session = Some(session);
        work.due = now + self.config.commit_timeout;
        let checkpoint = CheckpointRef { epoch: checkpoint.epoch, manifest: checkpoint.manifest.clone() };
        let storage = context.place(id);
        context.send(session, ToWorker::Commit { job: id, storage, checkpoint });
    }

    fn has_nothing_to_commit(&self, id: JobId, epoch: Epoch) -> bool {
        let base = self.jobs.attempt(id).map(|live| &live.base);
        matches!(base, Some(Base::Known(Some(manifest))) if manifest.epoch == epoch && !manifest.has_committables())
    }

    pub(super) fn commit_answered(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        id: JobId,
        epoch: Epoch,
        result: Result<(), Failure>,
    ) {
        let duties = self.jobs.of(id);
        let Some(work) = &mut duties.commit else { return };
        if work.epoch != epoch || work.session != Some(session) {
            return;
        }
        match result {
            Ok(()) => {
                duties.commit = None;
                self.propose_once(context, Command::CommitCheckpoint { job: id, epoch, at: context.now.wall });
            }
            Err(failure) => {
                work.session = None;
                work.due = context.now.elapsed + self.config.commit_retry;
                work.failure = Some(failure.report.clone());
                let error = Error::new(failure.kind, failure.report);
                self.drive(context, id, driver::Event::CommitFailed { epoch, error });
            }
        }
    }

    /// A worker is gone: what it was to commit is for others.
    pub(super) fn reassign_commits(&mut self, context: &mut Context<'_>, session: SessionId) {
        let theirs = |work: &&mut CommitWork| work.session == Some(session);
        let now = context.now.elapsed;
        for work in self.jobs.iter_mut().filter_map(|(_, duties)| duties.commit.as_mut()).filter(theirs) {
            (work.session, work.due) = (None, now);
        }
        self.commit_again(context);
    }

    pub(super) fn commit_again(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let patient = bugs::is_on(Bug::LostCommitRequest);
        let late = |work: &&mut CommitWork| work.session.is_some() && work.due <= now && !patient;
        for work in self.jobs.iter_mut().filter_map(|(_, duties)| duties.commit.as_mut()).filter(late) {
            // It may do it all the same, later: that does no harm.
            work.tried = work.session.take();
            work.failure = Some("the worker that was to commit does not answer".to_owned());
        }
        let due = |work: &CommitWork| work.session.is_none() && work.due <= now;
        let jobs = self.jobs.which(|duties| duties.commit.as_ref().is_some_and(due));
        jobs.into_iter().for_each(|id| self.ensure_commit(context, id));
    }
}

/// The oldest checkpoint whose results may not be visible yet.
pub(super) fn oldest_uncommitted(job: &Job) -> Option<&Checkpoint> {
    job.checkpoints.iter().find(|checkpoint| !checkpoint.committed)
}
