//! From an attempt in the replicated state to one that runs.
//!
//! 1. every worker of the attempt is told to open its part,
//! 2. when all are ready, all are told to start: no row flows before everything is open,
//! 3. when all run, that goes into the replicated state, and checkpoints begin.
//!
//! A worker whose connection broke is told again on the next one, as far as what it says shows that it has to be.

use std::sync::Arc;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, ErrorKind, JobId, MarkerKind, WorkerId};
use weir_proto::control::{AttemptPhase, AttemptStatus, CheckpointRef, Deploy, Failure, ToWorker};

use super::run::{Part, is_ended, is_ready, is_running};
use super::{Context, Leader, SessionId, Step};
use crate::cluster::{Command, Execution, Job, JobStatus};
use crate::driver::Event;

/// Bytes of a report of a failure.
const MAX_REPORT: usize = 16 << 10;

/// Epochs that can be under way or given up behind the last completed one.
const MARKERS_AHEAD: u64 = 100_000;

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
        self.ensure_run(context, id);
        let Some(job) = context.state.jobs.get(&id) else { return };
        // An attempt that has just been given up is cleared away when the job is looked at.
        let Some(run) = self.runs.get_mut(&id).filter(|run| job.is_current(run.attempt)) else { return };
        let Some(position) = run.placement.position(worker) else { return };
        match status.filter(|status| status.attempt == run.attempt) {
            Some(status) => {
                run.parts[position].last_marker = status.last_epoch;
                self.status(context, worker, session, status.clone());
                self.remind(context, id, position, session);
            }
            // Another process than the one that ran it, which has not been noticed by its incarnation.
            None if job.status == JobStatus::Running && bugs::is_on(Bug::IncarnationIgnored) => {
                run.parts[position] = Part::default();
                self.deploy(context, id);
                self.advance(context, id);
            }
            None if job.status == JobStatus::Running => {
                let report = format!("worker {worker} does not know the job any more");
                let attempt = run.attempt;
                self.fail(context, id, attempt, None, report);
            }
            None => self.deploy(context, id),
        }
    }

    /// Says again what a worker may have missed between two connections.
    fn remind(&mut self, context: &mut Context<'_>, id: JobId, position: usize, session: SessionId) {
        let (Some(job), Some(run)) = (context.state.jobs.get(&id), self.runs.get(&id)) else { return };
        let attempt = run.attempt;
        if let Some(checkpoint) = job.checkpoints.last().filter(|checkpoint| checkpoint.attempt == attempt) {
            context.send(session, ToWorker::Completed { job: id, attempt, epoch: checkpoint.epoch });
        }
        self.send_markers(context, id, Some(position));
    }

    /// Tells the workers of an attempt to open their parts.
    pub(super) fn deploy(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(execution) = &job.execution else { return };
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.attempt == job.attempt) else { return };
        let mut order = None;
        for (placed, part) in run.placement.workers.iter().zip(&mut run.parts) {
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

    /// An attempt has come to another phase on a worker.
    pub(super) fn status(
        &mut self,
        context: &mut Context<'_>,
        worker: &WorkerId,
        session: SessionId,
        status: AttemptStatus,
    ) {
        let id = status.job;
        self.ensure_run(context, id);
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.attempt == status.attempt) else { return };
        let Some(position) = run.placement.position(worker) else { return };
        // A worker of that name that is another process has nothing to say about this attempt.
        if self.sessions.of(worker, run.placement.workers[position].incarnation) != Some(session) {
            return;
        }
        // Nobody counts that far: what is missing is said marker by marker.
        if context
            .state
            .jobs
            .get(&id)
            .is_none_or(|job| status.last_epoch.0 > job.last_epoch.0.saturating_add(MARKERS_AHEAD))
        {
            let report = format!("worker {worker} says that it has come to epoch {}", status.last_epoch);
            return self.fail(context, id, status.attempt, Some(ErrorKind::Internal), report);
        }
        if let AttemptPhase::Failed(failure) = &status.phase {
            let (attempt, failure) = (run.attempt, failure.clone());
            run.parts[position].status = Some(status);
            return self.part_failed(context, id, attempt, failure);
        }
        run.parts[position].status = Some(status);
        self.advance(context, id);
    }

    fn part_failed(&mut self, context: &mut Context<'_>, id: JobId, attempt: Attempt, failure: Failure) {
        // Others of the attempt notice a dead worker too, and as an error of their own: it is not the job's fault.
        let Some(run) = self.runs.get(&id) else { return };
        let complete =
            run.placement.workers.iter().all(|placed| self.sessions.of(&placed.worker, placed.incarnation).is_some());
        let kind = (complete && !failure.peer_lost).then_some(failure.kind);
        self.fail(context, id, attempt, kind, failure.report);
    }

    /// Takes an attempt as far as its workers have come.
    pub(super) fn advance(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(run) = self.runs.get_mut(&id) else { return };
        let attempt = run.attempt;
        if run.all(is_ready) {
            for (placed, part) in run.placement.workers.iter().zip(&mut run.parts) {
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
        let runs = run.all(is_running);
        let (ended, exhausted) = (run.all(is_ended), run.exhausted());
        if job.status == JobStatus::Deploying && runs {
            self.propose_step(context, Command::AttemptRunning { job: id, attempt, at: context.now.wall });
        }
        if job.status == JobStatus::Running {
            self.ensure_driver(context, id);
            if exhausted {
                self.drive(context, id, Event::SourcesExhausted);
            }
            if ended {
                self.drive(context, id, Event::Ended);
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
        self.propose_step(context, Command::AttemptFailed { job, attempt, kind, report, at });
    }

    pub(super) fn give_up_slow_deployments(&mut self, context: &mut Context<'_>) {
        let timeout = self.config.deploy_timeout;
        let slow: Vec<_> = self
            .runs
            .iter()
            .filter(|(id, run)| {
                let deploying = context.state.jobs.get(id).is_some_and(|job| job.status == JobStatus::Deploying);
                deploying && run.since + timeout <= context.now.elapsed
            })
            .map(|(id, run)| (*id, run.attempt, unready(run)))
            .collect();
        for (id, attempt, workers) in slow {
            if !self.is_in_flight(id, Step::Fail) {
                let report = format!("opening sources, sinks and state took longer than {timeout:?} on {workers}");
                self.fail(context, id, attempt, Some(ErrorKind::Environment), report);
            }
        }
    }

    /// Sends the markers that the workers of an attempt, or one of them, have not been given. What an earlier leader sent in
    /// between was a checkpoint of one kind or another, and all kinds capture alike.
    pub(super) fn send_markers(&mut self, context: &mut Context<'_>, id: JobId, only: Option<usize>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(last) = run.driver.as_ref().map(crate::driver::CheckpointDriver::last_marker) else { return };
        let attempt = run.attempt;
        for (position, (placed, part)) in run.placement.workers.iter().zip(&mut run.parts).enumerate() {
            let Some(session) = self.sessions.of(&placed.worker, placed.incarnation) else { continue };
            if only.is_some_and(|only| only != position) {
                continue;
            }
            while part.last_marker < last.epoch {
                let epoch = part.last_marker.next();
                let kind = if epoch == last.epoch { last.kind } else { MarkerKind::Checkpoint };
                context.send(session, ToWorker::Marker { job: id, attempt, epoch, kind });
                part.last_marker = epoch;
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
fn unready(run: &super::run::Run) -> String {
    let workers = run.placement.workers.iter().zip(&run.parts).filter(|(_, part)| !part.is(is_running));
    workers.map(|(placed, _)| placed.worker.to_string()).collect::<Vec<_>>().join(", ")
}

fn order_of(context: &Context<'_>, id: JobId, job: &Job, execution: &Execution) -> Deploy {
    let restore = execution.restored.and_then(|epoch| {
        let checkpoint = job.checkpoints.iter().find(|checkpoint| checkpoint.epoch == epoch)?;
        Some(CheckpointRef { epoch, manifest: checkpoint.manifest.clone() })
    });
    Deploy {
        job: id,
        attempt: job.attempt,
        name: format!("{}/{}", job.namespace, job.name),
        graph: job.spec.graph.clone(),
        placement: execution.placement.clone(),
        storage: context.place(id),
        restore,
        last_epoch: job.last_epoch,
        batch_rows: job.spec.settings.batch_rows,
    }
}
