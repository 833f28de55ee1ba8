//! Who commits. Any worker can, at any later time; one at a time is asked, at best the one that has the job's first part.

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, Error, JobId, Result};
use weir_proto::control::ToWorker;
use weir_proto::version;

use super::{Context, Leader, SessionId};
use crate::checkpoints::{CheckpointName, Event};

/// Who was asked to commit.
#[derive(Debug, Default)]
pub struct CommitAssignment {
    /// Who does it now, and of which checkpoint. A worker that comes back says again what it has done before, which is no answer.
    asked: Option<(SessionId, Epoch)>,
    /// Who was asked before, and did not do it.
    tried: Option<SessionId>,
}

impl Leader {
    /// Asks a worker to commit.
    pub(super) fn ask_to_commit(&mut self, context: &mut Context<'_>, id: JobId, checkpoint: CheckpointName) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let preferred = job.execution.as_ref().and_then(|execution| execution.placement.worker_of(0));
        let preferred = preferred.and_then(|placed| self.sessions.of(&placed.worker, placed.incarnation));
        // One that would run the plugin of a sink where the job does not want that commits nothing of it.
        let (needed, isolation) = (version::needed_by(&job.spec.graph), job.spec.graph.isolation());
        let understands =
            |session: &SessionId| self.sessions.get(*session).is_some_and(|known| known.hello.protocol >= needed);
        let connected = || self.sessions.connected().map(|(_, session)| session);
        let candidates = || preferred.into_iter().chain(connected()).filter(understands);
        let committer = &mut self.jobs.of(id).committer;
        // Whoever is asked still has not answered: he may be asked again if there is nobody else.
        committer.tried = committer.asked.take().map(|(session, _)| session).or(committer.tried);
        let fresh = candidates().find(|session| Some(*session) != committer.tried);
        match fresh.or_else(|| candidates().next()) {
            Some(session) => {
                committer.asked = Some((session, checkpoint.epoch));
                let storage = context.place(id);
                context.send(session, ToWorker::Commit { job: id, storage, checkpoint, isolation });
            }
            None => self.checkpoints(context, id, Event::CommitLost),
        }
    }

    pub(super) fn commit_answered(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        id: JobId,
        epoch: Epoch,
        result: Result<()>,
    ) {
        let Some(duties) = self.jobs.get_mut(id) else { return };
        if duties.committer.asked.take_if(|asked| *asked == (session, epoch)).is_some() {
            duties.committer.tried = None;
            self.checkpoints(context, id, Event::Committed { epoch, result });
        }
    }

    /// A worker is gone: what it was to commit is for others.
    pub(super) fn reassign_commits(&mut self, context: &mut Context<'_>, session: SessionId) {
        let theirs = self.jobs.which(|duties| matches!(duties.committer.asked, Some((asked, _)) if asked == session));
        for id in theirs {
            self.jobs.of(id).committer.asked = None;
            self.checkpoints(context, id, Event::CommitLost);
            self.checkpoints(context, id, Event::Tick);
        }
    }

    /// The oldest checkpoint that is not committed is made visible by somebody, if it is time.
    pub(super) fn ensure_commit(&mut self, context: &mut Context<'_>, id: JobId) {
        let uncommitted = |job: &crate::cluster::Job| job.checkpoints.iter().any(|checkpoint| !checkpoint.committed);
        if context.state.jobs.get(&id).is_some_and(uncommitted) {
            // An earlier leader may have left it, of a job that does not run.
            self.jobs.of(id);
            self.checkpoints(context, id, Event::Tick);
        }
    }

    /// Why a job whose results are decided has to wait for them to be visible; `None` if there are none.
    pub(super) fn waits_for_commit(&self, context: &Context<'_>, id: JobId) -> Option<String> {
        let job = context.state.jobs.get(&id)?;
        let waits = job.checkpoints.iter().any(|checkpoint| !checkpoint.committed) && !bugs::is_on(Bug::DroppedCommit);
        let failure = || self.jobs.get(id)?.checkpoints.commit_failure();
        waits.then(|| failure().unwrap_or("a worker is needed for it").to_owned())
    }
}

/// What a worker reports, as an error.
pub(super) fn error_of(failure: weir_proto::control::Failure) -> Error {
    Error::new(failure.kind, failure.report)
}
