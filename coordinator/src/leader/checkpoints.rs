//! The checkpoints of jobs in a cluster: what their [executors](CheckpointExecutor) are told, and what of their effects goes to
//! workers, to the storage, and into the replicated state, which makes a manifest count.

use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Epoch, Error, ErrorKind, JobId, Marker, MarkerKind, WorkerId};
use weir_proto::control::{Report, ToWorker};

use super::attempt::is_ended;
use super::commits::error_of;
use super::{Context, Leader, Operation, Proposal, StorageOperation};
use crate::checkpoints::{CheckpointExecutor, CheckpointName, Effect, Event, Ledger};
use crate::cluster::{Checkpoint, Command, Desired, Job};
use crate::driver::{self, AttemptEnd, CheckpointDriver, DriverConfig, FlushConfig, StopKind, Takeover};

/// So many markers one worker of an attempt can have missed that another one was given: they are said one by one.
const MARKERS_MISSED: u64 = 10_000;

impl Leader {
    /// One event for the checkpoints of a job, and what follows from it.
    pub(super) fn checkpoints(&mut self, context: &mut Context<'_>, id: JobId, event: Event) {
        let (Some(job), Some(duties)) = (context.state.jobs.get(&id), self.jobs.get_mut(id)) else { return };
        let mut effects = Vec::new();
        duties.checkpoints.step(context.now, &ledger_of(job), event, &mut effects);
        self.carry_out(context, id, effects);
    }

    /// One event for the driver of a job, and what follows from it.
    pub(super) fn drive(&mut self, context: &mut Context<'_>, id: JobId, event: driver::Event) {
        self.checkpoints(context, id, Event::Driver(event));
    }

    pub(super) fn checkpoints_that_are_due(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        for id in self.jobs.which(|duties| duties.checkpoints.next_tick().is_some_and(|due| due <= now)) {
            self.checkpoints(context, id, Event::Tick);
            self.ensure_driver(context, id);
        }
    }

    /// Begins to drive the checkpoints of an attempt, once the manifest that the next one follows is known and every worker
    /// has said where it stands.
    pub(super) fn ensure_driver(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(duties) = self.jobs.get_mut(id) else { return };
        let Some(live) = &mut duties.attempt else { return };
        if duties.checkpoints.is_driven() || live.parts.iter().any(|part| part.status.is_none()) {
            return;
        }
        let statuses = || live.parts.iter().filter_map(|part| part.status.as_ref());
        // An earlier leader has brought it to its end, all but to say so.
        if live.all(is_ended) && statuses().all(|status| status.last_epoch <= job.last_epoch) {
            if job.checkpoints.last().is_some_and(|checkpoint| checkpoint.committed) {
                let (attempt, at) = (live.number, context.now.wall);
                self.propose_once(context, Command::EndAttempt { job: id, attempt, at });
            }
            return;
        }
        let mut effects = Vec::new();
        if !duties.checkpoints.is_base_known(&ledger_of(job), &mut effects) {
            return self.carry_out(context, id, effects);
        }
        let completed = job.last_epoch;
        let last_marker = live.learn_markers(completed);
        let statuses = || live.parts.iter().filter_map(|part| part.status.as_ref());
        // Nobody sends that many.
        let behind = statuses().map(|status| status.last_epoch).min().unwrap_or_default();
        if last_marker.is_some_and(|last| last.epoch.0 > behind.0.saturating_add(MARKERS_MISSED)) {
            let report = format!("one worker has come to epoch {behind}, and another one to {last_marker:?}");
            let attempt = live.number;
            return self.fail(context, id, attempt, Some(ErrorKind::Internal), report);
        }
        let marker_wanted = live.wants_marker();
        // The marker that ends the attempt may have been completed already, with workers that have not come to their end yet.
        let ending = statuses().find(|status| {
            let of_this_attempt = job.checkpoints.last().is_some_and(|checkpoint| checkpoint.attempt == live.number);
            of_this_attempt && status.last_epoch == completed && status.last_kind.is_some_and(MarkerKind::ends)
        });
        let completed_end = ending.and_then(|status| Some(Marker { epoch: completed, kind: status.last_kind? }));
        let (reported, failed): (Vec<_>, Vec<_>) = std::mem::take(&mut live.reports)
            .into_iter()
            .filter(|(_, report)| report.epoch > completed)
            .partition(|(_, report)| report.outcome.is_ok());
        let takeover = Takeover {
            reported: reported.into_iter().filter_map(|(part, report)| Some((part, report.outcome.ok()?))).collect(),
            last_marker,
            last_capture: live.captures.last().copied(),
            completed_end,
            committed: job.checkpoints.last().is_none_or(|checkpoint| checkpoint.committed),
            exhausted: live.exhausted(),
            // Whether it is worth to be stopped for another shape is looked at below.
            stop: stop_kind(job).filter(|stop| *stop != StopKind::Checkpoint),
        };
        let settings = &job.spec.settings;
        let flushed = job.spec.graph.has_pending_updates() || self.config.flush_all_jobs;
        let config = DriverConfig {
            interval: settings.checkpoint_interval(),
            timeout: Duration::from_millis(settings.checkpoint_timeout_ms),
            tolerable_failures: settings.tolerable_failures,
            last_epoch: completed,
            first: (!job.checkpoints.is_empty()).then_some(self.config.first_checkpoint),
            participants: live.parts.len(),
            flush: FlushConfig {
                interval: flushed.then_some(self.config.flush_interval),
                pause: self.config.flush_pause,
            },
        };
        duties.checkpoints.drive(config, takeover, context.now, &ledger_of(job), &mut effects);
        self.carry_out(context, id, effects);
        self.stop_if_wanted(context, id);
        for (position, report) in failed {
            self.take_report(context, id, position, report);
        }
        if marker_wanted {
            self.drive(context, id, driver::Event::MarkerWanted);
        }
        self.advance(context, id);
    }

    fn carry_out(&mut self, context: &mut Context<'_>, id: JobId, effects: Vec<Effect>) {
        let Some(attempt) = context.state.jobs.get(&id).map(|job| job.attempt) else { return };
        let place = context.place(id);
        for effect in effects {
            match effect {
                Effect::SendMarker(marker) => {
                    if marker.kind.ends() {
                        self.jobs.of(id).pause.begin(context.now.elapsed);
                    }
                    if let Some(live) = self.jobs.attempt_mut(id) {
                        live.sent(marker);
                    }
                    self.send_markers(context, id, marker.epoch, None);
                }
                Effect::LoadBase(CheckpointName { manifest: path, .. }) => {
                    let load = StorageOperation::LoadManifest { place: place.clone(), path };
                    self.store(context, Operation::Base(id, attempt), load);
                }
                Effect::WriteManifest(order) => {
                    let purpose = Operation::Manifest(id, attempt, order.header.epoch);
                    self.store(context, purpose, StorageOperation::WriteManifest { place: place.clone(), order });
                }
                Effect::Complete(checkpoint) => {
                    self.propose_once(context, Command::CompleteCheckpoint { job: id, checkpoint });
                }
                Effect::Commit(checkpoint) => self.ask_to_commit(context, id, checkpoint),
                Effect::Acknowledge(epoch) => {
                    self.propose_once(context, Command::CommitCheckpoint { job: id, epoch, at: context.now.wall });
                }
                Effect::Merge(checkpoint) => self.ask_to_merge(context, id, checkpoint),
                Effect::Retire => {
                    let job = context.state.jobs.get(&id);
                    let kept = job.into_iter().flat_map(|job| &job.checkpoints);
                    let manifests = kept.map(|checkpoint| checkpoint.manifest.clone()).collect();
                    let retire = StorageOperation::Retire { place: place.clone(), manifests };
                    self.store(context, Operation::Tidy, retire);
                }
                Effect::Report(error) => {
                    let report = error.report();
                    tracing::warn!(job = %id, %attempt, error = report, "a checkpoint failed");
                    context.effects.push(super::Effect::CheckpointFailed(id, report));
                }
                Effect::Finish(AttemptEnd::Finished | AttemptEnd::Stopped(_)) => {
                    let at = context.now.wall;
                    self.propose_once(context, Command::EndAttempt { job: id, attempt, at });
                }
                Effect::Finish(AttemptEnd::Failed(error)) => {
                    self.fail(context, id, attempt, Some(error.kind()), error.report());
                }
            }
        }
    }

    /// A worker has reported an epoch.
    pub(super) fn report(&mut self, context: &mut Context<'_>, worker: &WorkerId, report: Report) {
        let id = report.job;
        let any = bugs::is_on(Bug::StaleReport) || bugs::is_on(Bug::NoFencing);
        let Some(duties) = self.jobs.get_mut(id) else { return };
        let driven = duties.checkpoints.is_driven();
        let Some(live) = duties.attempt.as_mut().filter(|live| any || live.number == report.attempt) else { return };
        // Who takes reports of older attempts takes them also of workers that have no part in this one.
        let outsider = bugs::is_on(Bug::NoFencing).then_some(0);
        let Some(position) = live.placement.position(worker).or(outsider) else { return };
        // What a checkpoint holds that is complete is not taken into the next one.
        if context.state.jobs.get(&id).is_none_or(|job| report.epoch <= job.last_epoch) {
            return;
        }
        if !driven {
            live.reports.push((position, report));
            return;
        }
        self.take_report(context, id, position, report);
    }

    fn take_report(&mut self, context: &mut Context<'_>, id: JobId, position: usize, report: Report) {
        let event = match report.outcome {
            Ok(content) => driver::Event::Reported { participant: position, content },
            Err(failure) => driver::Event::ReportFailed { epoch: report.epoch, error: error_of(failure) },
        };
        self.drive(context, id, event);
    }

    /// A checkpoint is in the replicated state: its results are decided.
    pub(super) fn completed(&mut self, context: &mut Context<'_>, id: JobId, epoch: Epoch) {
        if let Some(live) = self.jobs.attempt_mut(id) {
            live.captures.retain(|marker| marker.epoch > epoch);
            let attempt = live.number;
            for placed in &live.placement.workers {
                if let Some(session) = self.sessions.of(&placed.worker, placed.incarnation) {
                    context.send(session, ToWorker::Completed { job: id, attempt, epoch });
                }
            }
        }
        self.checkpoints(context, id, Event::Completed(epoch));
    }

    /// The worker with the first part merges.
    fn ask_to_merge(&mut self, context: &mut Context<'_>, id: JobId, checkpoint: CheckpointName) {
        let first = self.jobs.attempt(id).and_then(|live| Some((live.number, live.placement.worker_of(0)?)));
        let session =
            first.and_then(|(attempt, placed)| Some((attempt, self.sessions.of(&placed.worker, placed.incarnation)?)));
        match session {
            Some((attempt, session)) => {
                let storage = context.place(id);
                context.send(session, ToWorker::Merge { job: id, attempt, storage, checkpoint });
            }
            None => {
                let nobody = Error::environment("the worker that was to merge is not connected");
                let merged = Event::Merged { epoch: checkpoint.epoch, result: Err(nobody) };
                self.checkpoints(context, id, merged);
            }
        }
    }

    /// A savepoint begins as soon as it can: the first one behind the epoch that is returned, which is the last one so far.
    /// `None` if the job does not run, or is ending.
    pub(crate) fn savepoint(&mut self, context: &mut Context<'_>, id: JobId) -> Option<Epoch> {
        let driver = self.jobs.get(id)?.checkpoints.driver().filter(|driver| driver.takes_savepoints())?;
        let before = driver.last_marker().epoch;
        self.drive(context, id, driver::Event::Savepoint);
        Some(before)
    }

    /// Stops a job whose user wants it to stop, or to have another shape.
    pub(super) fn stop_if_wanted(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let stop = match stop_kind(job) {
            Some(stop) => stop,
            None if self.should_move(context, id) => StopKind::Checkpoint,
            None => {
                // It was to have another shape, and is not any more.
                self.jobs.of(id).waiting_for = None;
                return;
            }
        };
        // A job whose worker goes in any case had better be stopped in order.
        if stop == StopKind::Checkpoint && !self.is_deserted(id) && !self.is_worth_stopping(context, id) {
            return;
        }
        if !self.is_proposed(id, Proposal::End) {
            self.drive(context, id, driver::Event::Stop(stop));
        }
    }
}

/// The last marker that was sent in the current attempt, once somebody decides about markers.
pub(super) fn last_marker(checkpoints: &CheckpointExecutor) -> Option<Marker> {
    checkpoints.driver().map(CheckpointDriver::last_marker)
}

/// How the job is to be stopped, as far as the replicated state says so.
fn stop_kind(job: &Job) -> Option<StopKind> {
    let slots = job.execution.as_ref().map(|execution| execution.placement.slots.len());
    match job.desired {
        Desired::Stopped => Some(StopKind::Savepoint),
        Desired::Drained => Some(StopKind::Drain),
        Desired::Running | Desired::Cancelled => {
            let rescaled = slots.is_some_and(|slots| usize::try_from(job.parallelism) != Ok(slots));
            (rescaled || job.update.is_some()).then_some(StopKind::Checkpoint)
        }
    }
}

/// The checkpoints of a job. The next one follows the newest of this attempt, or the one that it was restored from, which need not
/// be the newest of all.
fn ledger_of(job: &Job) -> Ledger<'_> {
    let restored = job.execution.as_ref().and_then(|execution| execution.restored);
    let any = bugs::is_on(Bug::BaseOfNewest);
    let newest = job.checkpoints.last().filter(|checkpoint| any || checkpoint.attempt == job.attempt);
    let is_restored = |checkpoint: &&Checkpoint| Some(checkpoint.epoch) == restored;
    let followed = newest.or_else(|| job.checkpoints.iter().find(is_restored));
    Ledger { checkpoints: &job.checkpoints, followed }
}
