//! From an attempt in the replicated state to one that runs.
//!
//! 1. every worker of the attempt is told to open its part,
//! 2. when all are ready, all are told to start: no row flows before everything is open,
//! 3. when all run, that goes into the replicated state, and checkpoints begin.
//!
//! A worker whose connection broke is told again on the next one, as far as what it says shows that it has to be.

use std::sync::Arc;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, ErrorKind, JobId, Marker, WorkerId};
use weir_proto::control::{AttemptPhase, AttemptStatus, CheckpointRef, Deploy, Failure, ToWorker};
use weir_proto::version;

use super::attempt::{Part, is_ended, is_ready, is_running};
use super::checkpoints::last_marker;
use super::{Context, Leader, Proposal, SessionId};
use crate::cluster::{Command, Execution, Job, JobStatus};
use crate::driver;

/// Bytes of a report of a failure.
const MAX_REPORT: usize = 16 << 10;

impl Leader {
    /// A worker is connected (again): what it runs of this job, if anything, and what it should.
    pub(super) fn reunited(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        worker: &WorkerId,
        session: SessionId,
        status: Option<&AttemptStatus>,
    ) {
        self.ensure_attempt(context, id);
        let Some(job) = context.state.jobs.get(&id) else { return };
        // An attempt that has just been given up is cleared away when the job is looked at.
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| job.is_current(live.number)) else { return };
        let Some(position) = live.placement.position(worker) else { return };
        match status.filter(|status| status.attempt == live.number) {
            Some(status) => {
                live.parts[position].last_marker = status.last_epoch;
                self.status(context, worker, session, status.clone());
                self.remind(context, id, position, session);
            }
            // Another process than the one that ran it, which has not been noticed by its incarnation.
            None if job.status == JobStatus::Running && bugs::is_on(Bug::IncarnationIgnored) => {
                live.parts[position] = Part::default();
                self.deploy(context, id);
                self.advance(context, id);
            }
            None if job.status == JobStatus::Running => {
                let report = format!("worker {worker} does not know the job any more");
                let attempt = live.number;
                self.fail(context, id, attempt, None, report);
            }
            None => self.deploy(context, id),
        }
    }

    /// Says again what a worker may have missed between two connections.
    fn remind(&mut self, context: &mut Context<'_>, id: JobId, position: usize, session: SessionId) {
        let (Some(job), Some(live)) = (context.state.jobs.get(&id), self.jobs.attempt(id)) else { return };
        let attempt = live.number;
        if let Some(checkpoint) = job.checkpoints.last().filter(|checkpoint| checkpoint.attempt == attempt) {
            context.send(session, ToWorker::Completed { job: id, attempt, epoch: checkpoint.epoch });
        }
        let last = self.jobs.get(id).and_then(|duties| last_marker(&duties.checkpoints));
        if let Some(last) = last.filter(|_| !bugs::is_on(Bug::MissedMarkers)) {
            self.send_markers(context, id, last.epoch, Some(position));
        }
    }

    /// Tells the workers of an attempt to open their parts.
    pub(super) fn deploy(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(execution) = &job.execution else { return };
        if let Some(worker) = self.without_isolation(job, execution) {
            let report = format!("worker {worker} is too old to run plugins in processes of their own");
            return self.fail(context, id, job.attempt, Some(ErrorKind::Environment), report);
        }
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| live.number == job.attempt) else { return };
        let mut order = None;
        for (placed, part) in live.placement.workers.iter().zip(&mut live.parts) {
            if part.status.is_some() || part.deployed_on.is_some() {
                continue;
            }
            let Some(session) = self.sessions.of(&placed.worker, placed.incarnation) else { continue };
            let order = order.get_or_insert_with(|| Arc::new(order_of(context, id, job, execution)));
            part.deployed_on = Some(session);
            part.last_marker = job.last_epoch;
            if let Some(known) = self.sessions.get_mut(session) {
                known.attempts.insert(id, job.attempt);
            }
            context.send(session, ToWorker::Deploy(order.clone()));
        }
    }

    /// A worker of an attempt that would run plugins in its own process where the job does not want that: a leader of an earlier version may
    /// have placed it there.
    fn without_isolation(&self, job: &Job, execution: &Execution) -> Option<WorkerId> {
        let needed = version::needed_by(&job.spec.graph);
        let mut workers = execution.placement.workers.iter();
        workers.find(|placed| !self.speaks(placed, needed)).map(|placed| placed.worker.clone())
    }

    /// An attempt has come to another phase on a worker.
    pub(super) fn status(
        &mut self,
        context: &mut Context<'_>,
        worker: &WorkerId,
        session: SessionId,
        status: AttemptStatus,
    ) {
        let id = status.job;
        self.ensure_attempt(context, id);
        let last = self.jobs.get(id).and_then(|duties| last_marker(&duties.checkpoints));
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| live.number == status.attempt) else { return };
        let Some(position) = live.placement.position(worker) else { return };
        // A worker of that name that is another process has nothing to say about this attempt.
        if self.sessions.of(worker, live.placement.workers[position].incarnation) != Some(session) {
            return;
        }
        if last.is_some_and(|last| status.last_epoch > last.epoch) {
            let report = format!("worker {worker} says that it has come to epoch {}", status.last_epoch);
            return self.fail(context, id, status.attempt, Some(ErrorKind::Internal), report);
        }
        if let AttemptPhase::Failed(failure) = &status.phase {
            let (attempt, failure) = (live.number, failure.clone());
            live.parts[position].status = Some(status);
            return self.part_failed(context, id, attempt, failure);
        }
        live.parts[position].status = Some(status);
        self.advance(context, id);
    }

    fn part_failed(&mut self, context: &mut Context<'_>, id: JobId, attempt: Attempt, failure: Failure) {
        // Others of the attempt notice a dead worker too, and as an error of their own: it is not the job's fault.
        let Some(live) = self.jobs.attempt(id) else { return };
        let complete =
            live.placement.workers.iter().all(|placed| self.sessions.of(&placed.worker, placed.incarnation).is_some());
        let kind = (complete && !failure.peer_lost).then_some(failure.kind);
        self.fail(context, id, attempt, kind, failure.report);
    }

    /// Takes an attempt as far as its workers have come.
    pub(super) fn advance(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(live) = self.jobs.attempt_mut(id) else { return };
        let attempt = live.number;
        if live.all(is_ready) {
            for (placed, part) in live.placement.workers.iter().zip(&mut live.parts) {
                let session = self.sessions.of(&placed.worker, placed.incarnation);
                if part.is(|phase| matches!(phase, AttemptPhase::Ready))
                    && part.started_on.is_none()
                    && let Some(session) = session
                {
                    part.started_on = Some(session);
                    context.send(session, ToWorker::Start { job: id, attempt });
                }
            }
        }
        let runs = live.all(is_running);
        let (ended, exhausted, wants_marker) = (live.all(is_ended), live.exhausted(), live.wants_marker());
        if job.status == JobStatus::Deploying && runs {
            self.propose_once(context, Command::AttemptRunning { job: id, attempt, at: context.now.wall });
        }
        if job.status == JobStatus::Running {
            self.ensure_driver(context, id);
            if exhausted {
                self.drive(context, id, driver::Event::SourcesExhausted);
            }
            if wants_marker {
                self.drive(context, id, driver::Event::MarkerWanted);
            }
            if ended {
                self.drive(context, id, driver::Event::Ended);
            }
        }
    }

    /// An attempt cannot go on.
    pub(super) fn fail(
        &mut self,
        context: &mut Context<'_>,
        job: JobId,
        attempt: Attempt,
        kind: Option<ErrorKind>,
        report: String,
    ) {
        let at = context.now.wall;
        let report = cut(report);
        self.propose_once(context, Command::AttemptFailed { job, attempt, kind, report, at });
    }

    pub(super) fn give_up_slow_deployments(&mut self, context: &mut Context<'_>) {
        let timeout = self.config.deploy_timeout;
        let slow: Vec<_> = self
            .jobs
            .attempts()
            .filter(|(id, live)| {
                let deploying = context.state.jobs.get(id).is_some_and(|job| job.status == JobStatus::Deploying);
                deploying && live.since + timeout <= context.now.elapsed
            })
            .map(|(id, live)| (id, live.number, unready(live)))
            .collect();
        for (id, attempt, workers) in slow {
            if !self.is_proposed(id, Proposal::Fail) {
                let report = format!("opening sources, sinks and state took longer than {timeout:?} on {workers}");
                self.fail(context, id, attempt, Some(ErrorKind::Environment), report);
            }
        }
    }

    /// Sends the markers up to `last` that the workers of an attempt, or `only` one of them, have not been given: each is of the
    /// kind that the others had, for all of them align on it. What the driver has decided and nobody has noted yet is behind
    /// `last`: its kind is not known here.
    pub(super) fn send_markers(&mut self, context: &mut Context<'_>, id: JobId, last: Epoch, only: Option<usize>) {
        let Some(live) = self.jobs.attempt_mut(id) else { return };
        let attempt = live.number;
        for (position, placed) in live.placement.workers.iter().enumerate() {
            let Some(session) = self.sessions.of(&placed.worker, placed.incarnation) else { continue };
            if only.is_some_and(|only| only != position) {
                continue;
            }
            while live.parts[position].last_marker < last {
                let Marker { epoch, kind } = live.marker(live.parts[position].last_marker.next());
                context.send(session, ToWorker::Marker { job: id, attempt, epoch, kind });
                live.parts[position].last_marker = epoch;
            }
        }
    }
}

/// A report as it is kept in the replicated state: a record that was quoted in it may be long.
fn cut(mut report: String) -> String {
    if report.len() > MAX_REPORT {
        report.truncate(report.floor_char_boundary(MAX_REPORT));
        report.push_str(" …");
    }
    report
}

/// Workers that are not ready yet, for people.
fn unready(live: &super::attempt::LiveAttempt) -> String {
    let workers = live.placement.workers.iter().zip(&live.parts).filter(|(_, part)| !part.is(is_running));
    workers.map(|(placed, _)| placed.worker.to_string()).collect::<Vec<_>>().join(", ")
}

fn order_of(context: &Context<'_>, id: JobId, job: &Job, execution: &Execution) -> Deploy {
    let restore = execution.restored.and_then(|epoch| {
        let checkpoint = job.checkpoints.iter().find(|checkpoint| checkpoint.epoch == epoch)?;
        Some(CheckpointRef { epoch, manifest: checkpoint.manifest.clone() })
    });
    Deploy {
        job: id,
        identity: context.state.identity(id, job),
        attempt: job.attempt,
        name: format!("{}/{}", job.namespace, job.name),
        graph: job.spec.graph.clone(),
        placement: execution.placement.clone(),
        storage: context.place(id),
        restore,
        last_epoch: job.last_epoch,
        batch_rows: job.spec.settings.batch_rows,
        memory_budget: job.spec.settings.memory_budget,
        checkpoint_interval: job.spec.settings.checkpoint_interval(),
    }
}
