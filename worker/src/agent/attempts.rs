//! What the worker runs.
//!
//! ```text
//!   Deploy            Opened          Start            Finished
//!   ──────▶ Opening ─────────▶ Ready ───────▶ Running ──────────▶ Ended
//!              └─────────────────┴───────────────┴──────────────────┴──── Failed ───▶ Failed
//! ```
//!
//! An attempt stays, also when it has ended or failed, until the leader cancels it or deploys a higher one: until then the
//! leader may not know how it ended. That it is missing from the next hello tells the leader that it is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Error, Incarnation, JobId, Marker, WorkerId};
use weir_proto::control::{AttemptPhase, AttemptStatus, Deploy, Failure, FromWorker, Report};
use weir_proto::limits;
use weir_state::EpochContent;

use super::{Effect, EngineEvent, failure};

/// The attempts of this worker, at most one per job.
#[derive(Debug)]
pub struct Attempts {
    worker: WorkerId,
    incarnation: Incarnation,
    jobs: BTreeMap<JobId, LocalAttempt>,
    /// The highest attempt of a job that the current leader has cancelled. Should its deployment come once more, it stays
    /// cancelled.
    cancelled: BTreeMap<JobId, Attempt>,
}

#[derive(Debug)]
struct LocalAttempt {
    status: AttemptStatus,
    /// How it stood in the last hello.
    introduced: Option<AttemptStatus>,
    /// Reports whose checkpoints are not known to be decided.
    reports: BTreeMap<Epoch, Result<EpochContent, Failure>>,
    /// The last checkpoint that is known to be decided.
    completed: Epoch,
}

impl Attempts {
    /// No attempts.
    pub fn new(worker: WorkerId, incarnation: Incarnation) -> Self {
        Self { worker, incarnation, jobs: BTreeMap::new(), cancelled: BTreeMap::new() }
    }

    /// Where every attempt stands.
    pub fn statuses(&self) -> impl Iterator<Item = &AttemptStatus> {
        self.jobs.values().map(|local| &local.status)
    }

    /// Where every attempt stands, to be told in a hello.
    pub fn introduce(&mut self) -> Vec<AttemptStatus> {
        for local in self.jobs.values_mut() {
            local.introduced = Some(local.status.clone());
        }
        self.statuses().cloned().collect()
    }

    /// What has changed since the last hello.
    pub fn changed(&self) -> impl Iterator<Item = FromWorker> {
        let changed = self.jobs.values().filter(|local| local.introduced.as_ref() != Some(&local.status));
        changed.map(LocalAttempt::told)
    }

    /// The attempts that run.
    pub fn running(&self) -> impl Iterator<Item = (JobId, Attempt)> {
        let running = self.statuses().filter(|status| status.phase == AttemptPhase::Running);
        running.map(|status| (status.job, status.attempt))
    }

    /// All reports that are not confirmed, in order.
    pub fn reports(&self) -> impl Iterator<Item = FromWorker> {
        self.jobs.values().flat_map(LocalAttempt::reports)
    }

    /// Whether nothing is to be said of this attempt any more.
    pub fn is_cancelled(&self, job: JobId, attempt: Attempt) -> bool {
        self.cancelled.get(&job).is_some_and(|cancelled| attempt <= *cancelled)
            || self.jobs.get(&job).is_some_and(|local| attempt < local.status.attempt)
    }

    /// A new session has begun: its leader has been told what there is, and nothing of former sessions is listened to.
    pub fn forget_cancelled(&mut self) {
        self.cancelled.clear();
    }

    /// The leader wants a part of an attempt opened.
    pub fn deploy(&mut self, deploy: Arc<Deploy>, effects: &mut Vec<Effect>) -> Vec<FromWorker> {
        let (job, attempt) = (deploy.job, deploy.attempt);
        if self.is_cancelled(job, attempt) {
            return Vec::new();
        }
        if let Some(known) = self.jobs.get(&job)
            && known.status.attempt == attempt
        {
            return vec![known.told()];
        }
        if let Some(older) = self.jobs.remove(&job) {
            effects.push(older.close());
        }
        let mut local = LocalAttempt::opening(&deploy);
        let news = match self.is_meant(&deploy) {
            Ok(()) => {
                effects.push(Effect::Open(deploy));
                Vec::new()
            }
            Err(error) => {
                // Nothing is wrong with the job: it needs another placement.
                local.status.phase = AttemptPhase::Failed(Failure { peer_lost: true, ..failure(&error) });
                vec![local.told()]
            }
        };
        self.jobs.insert(job, local);
        news
    }

    /// Whether a part of the attempt was given to this very process: one that was restarted under the same name has lost what
    /// the leader believes it to have.
    fn is_meant(&self, deploy: &Deploy) -> Result<(), Error> {
        let position = deploy.placement.position(&self.worker);
        let placed = position.and_then(|position| deploy.placement.workers.get(position));
        match placed {
            Some(placed) if placed.incarnation == self.incarnation || bugs::is_on(Bug::IncarnationIgnored) => Ok(()),
            Some(placed) => Err(Error::environment(format!(
                "worker {} was restarted: the attempt is for its process {}, and now it is {}",
                self.worker, placed.incarnation, self.incarnation
            ))),
            None => Err(Error::internal(format!("no part of the attempt was given to worker {}", self.worker))),
        }
    }

    fn find(&mut self, job: JobId, attempt: Attempt) -> Option<&mut LocalAttempt> {
        self.jobs.get_mut(&job).filter(|local| local.status.attempt == attempt)
    }

    /// All workers of the attempt are ready.
    pub fn start(&mut self, job: JobId, attempt: Attempt, effects: &mut Vec<Effect>) -> Vec<FromWorker> {
        let Some(local) = self.find(job, attempt) else { return Vec::new() };
        if local.status.phase == AttemptPhase::Ready {
            local.status.phase = AttemptPhase::Running;
            effects.push(Effect::Start { job, attempt });
        }
        // If the leader says it once more, it may have missed the answer.
        vec![local.told()]
    }

    /// A marker is to be sent into the dataflow.
    pub fn marker(
        &mut self,
        job: JobId,
        attempt: Attempt,
        marker: Marker,
        effects: &mut Vec<Effect>,
    ) -> Vec<FromWorker> {
        let Some(local) = self.find(job, attempt) else { return Vec::new() };
        let over = matches!(local.status.phase, AttemptPhase::Ended | AttemptPhase::Failed(_));
        if over || marker.epoch <= local.status.last_epoch {
            return Vec::new();
        }
        let ended = local.status.last_kind.is_some_and(weir_core::MarkerKind::ends);
        if local.status.phase != AttemptPhase::Running || ended || marker.epoch != local.status.last_epoch.next() {
            let error = Error::internal(format!(
                "marker {} does not follow marker {} in an attempt that is {:?}",
                marker.epoch, local.status.last_epoch, local.status.phase
            ));
            return local.fail(failure(&error), effects);
        }
        local.status.last_epoch = marker.epoch;
        local.status.last_kind = Some(marker.kind);
        local.status.wants_marker = false;
        if marker.kind.captures() {
            local.status.captures.push(marker);
        }
        effects.push(Effect::Marker { job, attempt, marker });
        Vec::new()
    }

    /// A checkpoint is decided.
    pub fn completed(&mut self, job: JobId, attempt: Attempt, epoch: Epoch, effects: &mut Vec<Effect>) {
        if let Some(local) = self.find(job, attempt) {
            local.reports = local.reports.split_off(&epoch.next());
            local.status.captures.retain(|marker| marker.epoch > epoch);
            if local.status.phase == AttemptPhase::Running && epoch > local.completed {
                local.completed = epoch;
                effects.push(Effect::Completed { job, attempt, epoch });
            }
        }
    }

    /// An attempt, and those before it, are to end.
    pub fn cancel(&mut self, job: JobId, attempt: Attempt, effects: &mut Vec<Effect>) {
        if let Some(local) = self.jobs.get(&job)
            && local.status.attempt <= attempt
        {
            effects.push(local.close());
            self.jobs.remove(&job);
        }
        let cancelled = self.cancelled.entry(job).or_default();
        *cancelled = attempt.max(*cancelled);
    }

    /// An attempt has said something.
    pub fn happened(
        &mut self,
        job: JobId,
        attempt: Attempt,
        event: EngineEvent,
        effects: &mut Vec<Effect>,
    ) -> Vec<FromWorker> {
        let Some(local) = self.find(job, attempt) else { return Vec::new() };
        let status = &mut local.status;
        match (&status.phase, event) {
            // It was closed when it failed; this was said before.
            (AttemptPhase::Failed(_), _) => return Vec::new(),
            (AttemptPhase::Opening, EngineEvent::Opened) => status.phase = AttemptPhase::Ready,
            (_, EngineEvent::Opened) => return Vec::new(),
            (_, EngineEvent::SourcesExhausted) => status.exhausted = true,
            (_, EngineEvent::MarkerWanted) if status.wants_marker => return Vec::new(),
            (_, EngineEvent::MarkerWanted) => status.wants_marker = true,
            (_, EngineEvent::Reported(content)) => return local.reported(content, effects),
            (_, EngineEvent::ReportFailed(epoch, failure)) => return vec![local.report(epoch, Err(failure))],
            (_, EngineEvent::Finished) => status.phase = AttemptPhase::Ended,
            (_, EngineEvent::Failed(failure)) => return local.fail(failure, effects),
        }
        vec![local.told()]
    }
}

impl LocalAttempt {
    fn opening(deploy: &Deploy) -> Self {
        let status = AttemptStatus {
            job: deploy.job,
            attempt: deploy.attempt,
            phase: AttemptPhase::Opening,
            last_epoch: deploy.last_epoch,
            last_kind: None,
            captures: Vec::new(),
            wants_marker: false,
            exhausted: false,
        };
        Self { status, introduced: None, reports: BTreeMap::new(), completed: deploy.last_epoch }
    }

    fn told(&self) -> FromWorker {
        FromWorker::Status(self.status.clone())
    }

    fn close(&self) -> Effect {
        Effect::Close { job: self.status.job, attempt: self.status.attempt }
    }

    fn fail(&mut self, failure: Failure, effects: &mut Vec<Effect>) -> Vec<FromWorker> {
        self.status.phase = AttemptPhase::Failed(failure);
        effects.push(self.close());
        vec![self.told()]
    }

    /// What the engine has reported it does not keep. A report that the leader would not take is therefore the end of the
    /// attempt: the next one goes on from the last checkpoint and makes all of it again.
    fn reported(&mut self, content: EpochContent, effects: &mut Vec<Effect>) -> Vec<FromWorker> {
        let epoch = content.epoch;
        let message = self.report(epoch, Ok(content));
        match limits::check(&message) {
            Ok(()) => vec![message],
            Err(error) => {
                self.reports.remove(&epoch);
                self.fail(failure(&error.context(format!("checkpoint {epoch} cannot be reported"))), effects)
            }
        }
    }

    fn report(&mut self, epoch: Epoch, outcome: Result<EpochContent, Failure>) -> FromWorker {
        self.reports.insert(epoch, outcome.clone());
        FromWorker::Report(Report { job: self.status.job, attempt: self.status.attempt, epoch, outcome })
    }

    fn reports(&self) -> impl Iterator<Item = FromWorker> {
        let AttemptStatus { job, attempt, .. } = self.status;
        let reports = self.reports.iter();
        reports.map(move |(epoch, outcome)| {
            FromWorker::Report(Report { job, attempt, epoch: *epoch, outcome: outcome.clone() })
        })
    }
}
