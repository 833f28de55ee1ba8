//! Carries out what the checkpoint driver of an attempt asks for.

use std::sync::Arc;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Error, ErrorKind, JobId, Marker, MarkerKind, Result, WorkerId};
use weir_proto::control::{CheckpointRef, Failure, Report, ToWorker};
use weir_state::{EpochContent, Manifest, ManifestHeader, MergedRuns, compaction, layout};

use super::run::{Base, Run, Writing, is_ended};
use super::{Context, Leader, Purpose, Step, StorageOperation};
use crate::cluster::{Checkpoint, Command, Desired, Job};
use crate::driver::{CheckpointDriver, DriverConfig, Effect, Event, Outcome, StopKind, Takeover};

impl Leader {
    /// Begins to drive the checkpoints of an attempt, once the manifest that the next one follows is known and every worker
    /// has said where it stands.
    pub(super) fn ensure_driver(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.driver.is_some() || run.parts.iter().any(|part| part.status.is_none()) {
            return;
        }
        let statuses = || run.parts.iter().filter_map(|part| part.status.as_ref());
        // An earlier leader has brought it to its end, all but to say so.
        if run.all(is_ended) && statuses().all(|status| status.last_epoch <= job.last_epoch) {
            if job.checkpoints.last().is_some_and(|checkpoint| checkpoint.committed) {
                let (attempt, at) = (run.attempt, context.now.wall);
                self.propose_step(context, Command::EndAttempt { job: id, attempt, at });
            }
            return;
        }
        match (&run.base, followed(job)) {
            (Base::Known(_), _) => {}
            (Base::Loading | Base::Due(_), _) => return,
            (Base::Unknown, None) => run.base = Base::Known(None),
            (Base::Unknown, Some(checkpoint)) => {
                let (place, path, attempt) = (context.place(id), checkpoint.manifest.clone(), run.attempt);
                run.base = Base::Loading;
                return self.store(context, Purpose::Base(id, attempt), StorageOperation::LoadManifest { place, path });
            }
        }
        let completed = job.last_epoch;
        let statuses = || run.parts.iter().filter_map(|part| part.status.as_ref());
        let last = statuses().filter(|status| status.last_epoch > completed).max_by_key(|status| status.last_epoch);
        // The marker that ends the attempt may have been completed already, with workers that have not come to their end yet.
        let ending = statuses().find(|status| {
            let of_this_attempt = job.checkpoints.last().is_some_and(|checkpoint| checkpoint.attempt == run.attempt);
            of_this_attempt && status.last_epoch == completed && status.last_kind.is_some_and(MarkerKind::ends)
        });
        let (reported, failed): (Vec<_>, Vec<_>) = std::mem::take(&mut run.reports)
            .into_iter()
            .filter(|(_, report)| report.epoch > completed)
            .partition(|(_, report)| report.outcome.is_ok());
        let takeover = Takeover {
            reported: reported.into_iter().filter_map(|(part, report)| Some((part, report.outcome.ok()?))).collect(),
            last_marker: last.and_then(|status| Some(Marker { epoch: status.last_epoch, kind: status.last_kind? })),
            completed_end: ending.and_then(|status| Some(Marker { epoch: completed, kind: status.last_kind? })),
            committed: job.checkpoints.last().is_none_or(|checkpoint| checkpoint.committed),
            exhausted: run.exhausted(),
            stop: stop_kind(job),
        };
        let settings = &job.spec.settings;
        let interval = Duration::from_millis(settings.checkpoint_interval_ms);
        let config = DriverConfig {
            interval: (!interval.is_zero()).then_some(interval),
            timeout: Duration::from_millis(settings.checkpoint_timeout_ms),
            tolerable_failures: settings.tolerable_failures,
            last_epoch: completed,
            first: (!job.checkpoints.is_empty()).then_some(self.config.first_checkpoint),
            participants: run.parts.len(),
        };
        let mut effects = Vec::new();
        run.driver = Some(CheckpointDriver::take_over(config, context.now.elapsed, takeover, &mut effects));
        self.carry_out(context, id, effects);
        for (position, report) in failed {
            self.take_report(context, id, position, report);
        }
        self.advance(context, id);
        self.ensure_commit(context, id);
    }

    /// One event for the driver of a job, and what follows from it.
    pub(super) fn drive(&mut self, context: &mut Context<'_>, id: JobId, event: Event) {
        let Some(driver) = self.runs.get_mut(&id).and_then(|run| run.driver.as_mut()) else { return };
        let mut effects = Vec::new();
        driver.step(context.now.elapsed, event, &mut effects);
        self.carry_out(context, id, effects);
    }

    pub(super) fn drive_what_is_due(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let due = |driver: &CheckpointDriver| driver.next_tick().is_some_and(|due| due <= now);
        let due: Vec<JobId> =
            self.runs.iter().filter(|(_, run)| run.driver.as_ref().is_some_and(due)).map(|(id, _)| *id).collect();
        due.into_iter().for_each(|id| self.drive(context, id, Event::Tick));
    }

    fn carry_out(&mut self, context: &mut Context<'_>, id: JobId, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::SendMarker(marker) => {
                    if marker.kind.ends() {
                        self.pauses.entry(id).or_default().since.get_or_insert(context.now.elapsed);
                    }
                    self.send_markers(context, id, None);
                }
                Effect::WriteManifest { contents, savepoint, finished } => {
                    self.write_manifest(context, id, contents, savepoint, finished);
                }
                Effect::Commit(_) => self.ensure_commit(context, id),
                Effect::Retire(_) => self.tidy(context, id),
                Effect::Report(error) => {
                    if let Some(run) = self.runs.get_mut(&id) {
                        run.checkpoint_failure = Some(error.report());
                    }
                }
                Effect::Finish(outcome) => self.finish(context, id, outcome),
            }
        }
    }

    fn finish(&mut self, context: &mut Context<'_>, id: JobId, outcome: Outcome) {
        let Some(attempt) = self.runs.get(&id).map(|run| run.attempt) else { return };
        match outcome {
            Outcome::Finished | Outcome::Stopped(_) => {
                let at = context.now.wall;
                self.propose_step(context, Command::EndAttempt { job: id, attempt, at });
            }
            Outcome::Failed(error) => self.fail(context, id, attempt, Some(error.kind()), error.report()),
        }
    }

    /// A worker has reported an epoch.
    pub(super) fn report(&mut self, context: &mut Context<'_>, worker: &WorkerId, report: Report) {
        let id = report.job;
        let any = bugs::is_on(Bug::StaleReport) || bugs::is_on(Bug::NoFencing);
        let Some(run) = self.runs.get_mut(&id).filter(|run| any || run.attempt == report.attempt) else { return };
        // Who takes reports of older attempts takes them also of workers that have no part in this one.
        let outsider = bugs::is_on(Bug::NoFencing).then_some(0);
        let Some(position) = run.placement.position(worker).or(outsider) else { return };
        // What a checkpoint holds that is complete is not taken into the next one.
        if context.state.jobs.get(&id).is_none_or(|job| report.epoch <= job.last_epoch) {
            return;
        }
        if run.driver.is_none() {
            run.reports.push((position, report));
            return;
        }
        self.take_report(context, id, position, report);
    }

    fn take_report(&mut self, context: &mut Context<'_>, id: JobId, position: usize, report: Report) {
        let event = match report.outcome {
            Ok(content) => Event::Reported { participant: position, content },
            Err(failure) => Event::ReportFailed { epoch: report.epoch, error: error_of(&failure) },
        };
        self.drive(context, id, event);
    }

    fn write_manifest(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        contents: Vec<EpochContent>,
        savepoint: bool,
        finished: bool,
    ) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let (place, term) = (context.place(id), self.term);
        let Some(run) = self.runs.get_mut(&id) else { return };
        let (Some(driver), Base::Known(base)) = (&run.driver, &run.base) else { return };
        let (attempt, epoch) = (run.attempt, driver.last_marker().epoch);
        let header = ManifestHeader {
            job: job.spec.fingerprint.clone(),
            epoch,
            attempt,
            savepoint,
            finished,
            parallelism: run.placement.slots.len(),
        };
        let contents = Arc::new(contents);
        let path = layout::manifest_of_term(epoch, attempt, term);
        let deadline = context.now.elapsed + Duration::from_millis(job.spec.settings.checkpoint_timeout_ms);
        run.writing = Some(Writing { epoch, path: path.clone(), deadline, contents: contents.clone(), manifest: None });
        let operation = StorageOperation::WriteManifest {
            place,
            path,
            base: base.clone(),
            header,
            contents,
            merged: std::mem::take(&mut run.merged),
        };
        self.store(context, Purpose::Manifest(id, attempt, epoch), operation);
    }

    /// The manifest is durable: what makes it count is the replicated state.
    pub(super) fn manifest_written(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        attempt: Attempt,
        epoch: Epoch,
        result: Result<Arc<Manifest>>,
    ) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.attempt == attempt) else { return };
        let Some(writing) = run.writing.as_mut().filter(|writing| writing.epoch == epoch) else { return };
        match result {
            Ok(manifest) => {
                let started = run.driver.as_ref().and_then(CheckpointDriver::under_way).map(|(_, started)| started);
                let took = started.map_or(Duration::ZERO, |started| context.now.elapsed.saturating_sub(started));
                let checkpoint = Checkpoint {
                    epoch,
                    attempt,
                    manifest: writing.path.clone(),
                    state_bytes: manifest.state_bytes(),
                    written_bytes: writing.contents.iter().map(|content| content.bytes).fold(0, u64::saturating_add),
                    completed_at: context.now.wall,
                    duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    savepoint: manifest.savepoint,
                    finished: manifest.finished,
                    parallelism: u32::try_from(run.placement.slots.len()).unwrap_or(u32::MAX),
                    committed: false,
                };
                writing.manifest = Some(manifest);
                if bugs::is_on(Bug::EarlyCommit)
                    && let Some((_, session)) = self.sessions.connected().next()
                {
                    let storage = context.place(id);
                    let checkpoint = CheckpointRef { epoch, manifest: checkpoint.manifest.clone() };
                    context.send(session, ToWorker::Commit { job: id, storage, checkpoint });
                }
                self.propose_step(context, Command::CompleteCheckpoint { job: id, checkpoint });
            }
            Err(error) => {
                let contents = writing.contents.to_vec();
                run.writing = None;
                let error = error.context(format!("checkpoint {epoch} failed"));
                self.drive(context, id, Event::ManifestFailed { epoch, contents, error });
            }
        }
    }

    pub(super) fn base_loaded(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        attempt: Attempt,
        result: Result<Arc<Manifest>>,
    ) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.attempt == attempt) else { return };
        match result {
            Ok(manifest) => {
                run.base = Base::Known(Some(manifest));
                self.ensure_driver(context, id);
            }
            // The attempt runs; that storage is away for a moment is no reason to end it.
            Err(error) if error.kind() == ErrorKind::Environment => {
                run.checkpoint_failure = Some(error.context("the last checkpoint's manifest cannot be read").report());
                run.base = Base::Due(context.now.elapsed + self.config.load_retry);
            }
            Err(error) => {
                let error = error.context("the last checkpoint's manifest cannot be read");
                self.fail(context, id, attempt, Some(error.kind()), error.report());
            }
        }
    }

    pub(super) fn load_again(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let due = |run: &mut Run| matches!(run.base, Base::Due(due) if due <= now);
        let due: Vec<JobId> = self.runs.iter_mut().filter_map(|(id, run)| due(run).then_some(*id)).collect();
        for id in due {
            if let Some(run) = self.runs.get_mut(&id) {
                run.base = Base::Unknown;
            }
            self.ensure_driver(context, id);
        }
    }

    /// A manifest that storage takes for ever to write is given up: what it should hold comes with the next one. If it is written
    /// after all, nobody looks at it, since the replicated state does not name it.
    pub(super) fn give_up_slow_manifests(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let late = |writing: &Writing| writing.manifest.is_none() && writing.deadline <= now;
        let late: Vec<_> = self
            .runs
            .iter()
            .filter_map(|(id, run)| {
                run.writing.as_ref().filter(|writing| late(writing)).map(|writing| (*id, run.attempt, writing.epoch))
            })
            .collect();
        for (id, attempt, epoch) in late {
            let error = Error::environment("the checkpoint storage did not take its manifest in time");
            self.manifest_written(context, id, attempt, epoch, Err(error));
        }
    }

    /// A checkpoint is in the replicated state: its results are decided.
    pub(super) fn completed(&mut self, context: &mut Context<'_>, id: JobId, epoch: Epoch) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(writing) = run.writing.take_if(|writing| writing.epoch == epoch) else { return };
        run.base = Base::Known(writing.manifest);
        run.checkpoint_failure = None;
        let attempt = run.attempt;
        for placed in &run.placement.workers {
            if let Some(session) = self.sessions.of(&placed.worker, placed.incarnation) {
                context.send(session, ToWorker::Completed { job: id, attempt, epoch });
            }
        }
        self.drive(context, id, Event::ManifestWritten(epoch));
    }

    /// Deletes what no retained checkpoint needs, and has runs merged where there are too many. A merge writes files that no
    /// manifest names yet, so nothing is deleted while one is under way.
    pub(super) fn tidy(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let place = context.place(id);
        let Some(run) = self.runs.get_mut(&id) else { return };
        if run.merging.is_some() || !run.merged.is_empty() {
            return;
        }
        let due = run.merge_due <= context.now.elapsed
            && matches!(&run.base, Base::Known(Some(manifest)) if compaction::is_due(manifest));
        if let (true, Some(checkpoint), Some(placed)) = (due, followed(job), run.placement.worker_of(0))
            && let Some(session) = self.sessions.of(&placed.worker, placed.incarnation)
        {
            let checkpoint = CheckpointRef { epoch: checkpoint.epoch, manifest: checkpoint.manifest.clone() };
            run.merging = Some(checkpoint.epoch);
            let attempt = run.attempt;
            context.send(session, ToWorker::Merge { job: id, attempt, storage: place, checkpoint });
            return;
        }
        self.retire(context, id);
    }

    /// Deletes what no retained checkpoint needs.
    pub(super) fn retire(&mut self, context: &mut Context<'_>, id: JobId) {
        let merging = |run: &super::run::Run| run.merging.is_some() || !run.merged.is_empty();
        let Some(job) = context.state.jobs.get(&id) else { return };
        if self.runs.get(&id).is_some_and(merging) {
            return;
        }
        let (place, manifests) =
            (context.place(id), job.checkpoints.iter().map(|checkpoint| checkpoint.manifest.clone()).collect());
        self.store(context, Purpose::Tidy, StorageOperation::Retire { place, manifests });
    }

    pub(super) fn merged(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        attempt: Attempt,
        epoch: Epoch,
        merged: Result<Vec<MergedRuns>, Failure>,
    ) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.attempt == attempt) else { return };
        // Whatever it answers, the worker merges no more. An answer to an earlier request is of no use: files that it names may
        // have been deleted since.
        let wanted = run.merging.take() == Some(epoch);
        match merged {
            Ok(merged) if wanted => run.merged.extend(merged),
            Ok(_) => {}
            Err(failure) => {
                tracing::warn!(job = id.0, epoch = epoch.0, error = failure.report, "runs could not be merged");
                run.merge_due = context.now.elapsed + self.config.merge_retry;
                self.retire(context, id);
            }
        }
    }

    /// A savepoint begins as soon as it can. Returns its epoch; `None` if the job does not run, or is ending.
    pub(crate) fn savepoint(&mut self, context: &mut Context<'_>, id: JobId) -> Option<Epoch> {
        let driver = |leader: &Self| leader.runs.get(&id)?.driver.as_ref().map(CheckpointDriver::last_marker);
        let driver_of = |leader: &Self| leader.runs.get(&id)?.driver.as_ref().map(CheckpointDriver::takes_savepoints);
        if !driver_of(self)? {
            return None;
        }
        let before = driver(self)?;
        self.drive(context, id, Event::Savepoint);
        let after = driver(self)?;
        Some(if after.epoch > before.epoch { after.epoch } else { before.epoch.next() })
    }

    /// Stops a job whose user wants it to stop, or to have another shape.
    pub(super) fn stop_if_wanted(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let stop = match stop_kind(job) {
            Some(stop) => stop,
            None if self.should_move(context, id) => StopKind::Checkpoint,
            None => {
                // It was to have another shape, and is not any more.
                self.waiting.remove(&id);
                return;
            }
        };
        // A job whose worker goes in any case had better be stopped in order.
        if stop == StopKind::Checkpoint && !self.is_deserted(id) && !self.fits_elsewhere(context, id) {
            return;
        }
        if !self.is_in_flight(id, Step::End) {
            self.drive(context, id, Event::Stop(stop));
        }
    }
}

/// How the job is to be stopped, as far as the replicated state says so.
fn stop_kind(job: &Job) -> Option<StopKind> {
    let slots = job.execution.as_ref().map(|execution| execution.placement.slots.len());
    match job.desired {
        Desired::Stopped => Some(StopKind::Savepoint),
        Desired::Drained => Some(StopKind::Drain),
        Desired::Running | Desired::Cancelled => {
            let rescaled = slots.is_some_and(|slots| usize::try_from(job.parallelism) != Ok(slots));
            rescaled.then_some(StopKind::Checkpoint)
        }
    }
}

/// The checkpoint that the next one follows: the newest of this attempt, or the one that it was restored from, which need not
/// be the newest of all.
fn followed(job: &Job) -> Option<&Checkpoint> {
    let restored = job.execution.as_ref().and_then(|execution| execution.restored);
    let newest = job.checkpoints.last().filter(|checkpoint| checkpoint.attempt == job.attempt);
    newest.or_else(|| job.checkpoints.iter().find(|checkpoint| Some(checkpoint.epoch) == restored))
}

fn error_of(failure: &Failure) -> Error {
    Error::new(failure.kind, failure.report.clone())
}
