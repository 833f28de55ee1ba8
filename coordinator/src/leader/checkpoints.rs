//! Carries out what the checkpoint driver of an attempt asks for.

use std::sync::Arc;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Error, ErrorKind, JobId, Marker, MarkerKind, Result, WorkerId};
use weir_proto::control::{CheckpointRef, Failure, Report, ToWorker};
use weir_state::{EpochContent, Manifest, ManifestHeader, MergedRuns, compaction, layout};

use super::attempt::{Base, LiveAttempt, Writing, is_ended};
use super::duties::JobDuties;
use super::{Context, Leader, Proposal, Purpose, StorageOperation};
use crate::cluster::{Checkpoint, Command, Desired, Job};
use crate::driver::{self, AttemptEnd, CheckpointDriver, DriverConfig, FlushConfig, StopKind, Takeover};

/// So many markers one worker of an attempt can have missed that another one was given: they are said one by one.
const MARKERS_MISSED: u64 = 10_000;

impl Leader {
    /// Begins to drive the checkpoints of an attempt, once the manifest that the next one follows is known and every worker
    /// has said where it stands.
    pub(super) fn ensure_driver(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let Some(live) = self.jobs.attempt_mut(id) else { return };
        if live.driver.is_some() || live.parts.iter().any(|part| part.status.is_none()) {
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
        match (&live.base, followed(job)) {
            (Base::Known(_), _) => {}
            (Base::Loading | Base::Due(_), _) => return,
            (Base::Unknown, None) => live.base = Base::Known(None),
            (Base::Unknown, Some(checkpoint)) => {
                let (place, path, attempt) = (context.place(id), checkpoint.manifest.clone(), live.number);
                live.base = Base::Loading;
                return self.store(context, Purpose::Base(id, attempt), StorageOperation::LoadManifest { place, path });
            }
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
        let marker_wanted = statuses().any(|status| status.wants_marker);
        // The marker that ends the attempt may have been completed already, with workers that have not come to their end yet.
        let ending = statuses().find(|status| {
            let of_this_attempt = job.checkpoints.last().is_some_and(|checkpoint| checkpoint.attempt == live.number);
            of_this_attempt && status.last_epoch == completed && status.last_kind.is_some_and(MarkerKind::ends)
        });
        let (reported, failed): (Vec<_>, Vec<_>) = std::mem::take(&mut live.reports)
            .into_iter()
            .filter(|(_, report)| report.epoch > completed)
            .partition(|(_, report)| report.outcome.is_ok());
        let takeover = Takeover {
            reported: reported.into_iter().filter_map(|(part, report)| Some((part, report.outcome.ok()?))).collect(),
            last_marker,
            last_capture: live.captures.last().copied(),
            completed_end: ending.and_then(|status| Some(Marker { epoch: completed, kind: status.last_kind? })),
            committed: job.checkpoints.last().is_none_or(|checkpoint| checkpoint.committed),
            exhausted: live.exhausted(),
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
            participants: live.parts.len(),
            flush: FlushConfig {
                interval: job.spec.graph.has_pending_updates().then_some(self.config.flush_interval),
                pause: self.config.flush_pause,
            },
        };
        let mut effects = Vec::new();
        live.driver = Some(CheckpointDriver::take_over(config, context.now.elapsed, takeover, &mut effects));
        self.carry_out(context, id, effects);
        for (position, report) in failed {
            self.take_report(context, id, position, report);
        }
        if marker_wanted {
            self.drive(context, id, driver::Event::MarkerWanted);
        }
        self.advance(context, id);
        self.ensure_commit(context, id);
    }

    /// One event for the driver of a job, and what follows from it.
    pub(super) fn drive(&mut self, context: &mut Context<'_>, id: JobId, event: driver::Event) {
        let Some(driver) = self.jobs.attempt_mut(id).and_then(|live| live.driver.as_mut()) else { return };
        let mut effects = Vec::new();
        driver.step(context.now.elapsed, event, &mut effects);
        self.carry_out(context, id, effects);
    }

    pub(super) fn drive_what_is_due(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let due = |driver: &CheckpointDriver| driver.next_tick().is_some_and(|due| due <= now);
        let driver =
            |duties: &JobDuties| duties.attempt.as_ref().and_then(|live| live.driver.as_ref()).is_some_and(due);
        self.jobs.which(driver).into_iter().for_each(|id| self.drive(context, id, driver::Event::Tick));
    }

    fn carry_out(&mut self, context: &mut Context<'_>, id: JobId, effects: Vec<driver::Effect>) {
        for effect in effects {
            match effect {
                driver::Effect::SendMarker(marker) => {
                    if let Some(live) = self.jobs.attempt_mut(id) {
                        live.sent(marker);
                    }
                    if marker.kind.ends() {
                        self.jobs.of(id).pause.begin(context.now.elapsed);
                    }
                    self.send_markers(context, id, None);
                }
                driver::Effect::WriteManifest { epoch, contents, savepoint, finished } => {
                    self.write_manifest(context, id, epoch, contents, savepoint, finished);
                }
                driver::Effect::Commit(_) => self.ensure_commit(context, id),
                driver::Effect::Retire(_) => self.tidy(context, id),
                driver::Effect::Report(error) => {
                    if let Some(live) = self.jobs.attempt_mut(id) {
                        live.checkpoint_failure = Some(error.report());
                    }
                }
                driver::Effect::Finish(end) => self.finish(context, id, end),
            }
        }
    }

    fn finish(&mut self, context: &mut Context<'_>, id: JobId, end: AttemptEnd) {
        let Some(attempt) = self.jobs.attempt(id).map(|live| live.number) else { return };
        match end {
            AttemptEnd::Finished | AttemptEnd::Stopped(_) => {
                let at = context.now.wall;
                self.propose_once(context, Command::EndAttempt { job: id, attempt, at });
            }
            AttemptEnd::Failed(error) => self.fail(context, id, attempt, Some(error.kind()), error.report()),
        }
    }

    /// A worker has reported an epoch.
    pub(super) fn report(&mut self, context: &mut Context<'_>, worker: &WorkerId, report: Report) {
        let id = report.job;
        let any = bugs::is_on(Bug::StaleReport) || bugs::is_on(Bug::NoFencing);
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| any || live.number == report.attempt) else { return };
        // Who takes reports of older attempts takes them also of workers that have no part in this one.
        let outsider = bugs::is_on(Bug::NoFencing).then_some(0);
        let Some(position) = live.placement.position(worker).or(outsider) else { return };
        // What a checkpoint holds that is complete is not taken into the next one.
        if context.state.jobs.get(&id).is_none_or(|job| report.epoch <= job.last_epoch) {
            return;
        }
        if live.driver.is_none() {
            live.reports.push((position, report));
            return;
        }
        self.take_report(context, id, position, report);
    }

    fn take_report(&mut self, context: &mut Context<'_>, id: JobId, position: usize, report: Report) {
        let event = match report.outcome {
            Ok(content) => driver::Event::Reported { participant: position, content },
            Err(failure) => driver::Event::ReportFailed { epoch: report.epoch, error: error_of(&failure) },
        };
        self.drive(context, id, event);
    }

    fn write_manifest(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        epoch: Epoch,
        contents: Vec<EpochContent>,
        savepoint: bool,
        finished: bool,
    ) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let (place, term) = (context.place(id), self.term);
        let Some(live) = self.jobs.attempt_mut(id) else { return };
        let Base::Known(base) = &live.base else { return };
        let attempt = live.number;
        let header = ManifestHeader {
            job: job.spec.fingerprint.clone(),
            epoch,
            attempt,
            savepoint,
            finished,
            parallelism: live.placement.slots.len(),
            places: job.spec.graph.places(),
        };
        let contents = Arc::new(contents);
        let path = layout::manifest_of_term(epoch, attempt, term);
        let deadline = context.now.elapsed + Duration::from_millis(job.spec.settings.checkpoint_timeout_ms);
        live.writing =
            Some(Writing { epoch, path: path.clone(), deadline, contents: contents.clone(), manifest: None });
        let operation = StorageOperation::WriteManifest {
            place,
            path,
            base: base.clone(),
            header,
            contents,
            merged: std::mem::take(&mut live.merged),
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
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| live.number == attempt) else { return };
        let Some(writing) = live.writing.as_mut().filter(|writing| writing.epoch == epoch) else { return };
        match result {
            Ok(manifest) => {
                let started = live.driver.as_ref().and_then(CheckpointDriver::under_way).map(|(_, started)| started);
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
                    parallelism: u32::try_from(live.placement.slots.len()).unwrap_or(u32::MAX),
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
                self.propose_once(context, Command::CompleteCheckpoint { job: id, checkpoint });
            }
            Err(error) => {
                let contents = writing.contents.to_vec();
                live.writing = None;
                let error = error.context(format!("checkpoint {epoch} failed"));
                self.drive(context, id, driver::Event::ManifestFailed { epoch, contents, error });
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
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| live.number == attempt) else { return };
        match result {
            Ok(manifest) => {
                live.base = Base::Known(Some(manifest));
                self.ensure_driver(context, id);
            }
            // The attempt runs; that storage is away for a moment is no reason to end it.
            Err(error) if error.kind() == ErrorKind::Environment => {
                live.checkpoint_failure = Some(error.context("the last checkpoint's manifest cannot be read").report());
                live.base = Base::Due(context.now.elapsed + self.config.load_retry);
            }
            Err(error) => {
                let error = error.context("the last checkpoint's manifest cannot be read");
                self.fail(context, id, attempt, Some(error.kind()), error.report());
            }
        }
    }

    pub(super) fn load_again(&mut self, context: &mut Context<'_>) {
        let now = context.now.elapsed;
        let due = |live: &LiveAttempt| matches!(live.base, Base::Due(due) if due <= now);
        for id in self.jobs.which(|duties| duties.attempt.as_ref().is_some_and(due)) {
            if let Some(live) = self.jobs.attempt_mut(id) {
                live.base = Base::Unknown;
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
            .jobs
            .attempts()
            .filter_map(|(id, live)| {
                live.writing.as_ref().filter(|writing| late(writing)).map(|writing| (id, live.number, writing.epoch))
            })
            .collect();
        for (id, attempt, epoch) in late {
            let error = Error::environment("the checkpoint storage did not take its manifest in time");
            self.manifest_written(context, id, attempt, epoch, Err(error));
        }
    }

    /// A checkpoint is in the replicated state: its results are decided.
    pub(super) fn completed(&mut self, context: &mut Context<'_>, id: JobId, epoch: Epoch) {
        let Some(live) = self.jobs.attempt_mut(id) else { return };
        let Some(writing) = live.writing.take_if(|writing| writing.epoch == epoch) else { return };
        live.base = Base::Known(writing.manifest);
        live.captures.retain(|marker| marker.epoch > epoch);
        live.checkpoint_failure = None;
        let attempt = live.number;
        for placed in &live.placement.workers {
            if let Some(session) = self.sessions.of(&placed.worker, placed.incarnation) {
                context.send(session, ToWorker::Completed { job: id, attempt, epoch });
            }
        }
        self.drive(context, id, driver::Event::ManifestWritten(epoch));
    }

    /// Deletes what no retained checkpoint needs, and has runs merged where there are too many. A merge writes files that no
    /// manifest names yet, so nothing is deleted while one is under way.
    pub(super) fn tidy(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id) else { return };
        let place = context.place(id);
        let Some(live) = self.jobs.attempt_mut(id) else { return };
        if live.merging.is_some() || !live.merged.is_empty() {
            return;
        }
        let due = live.merge_due <= context.now.elapsed
            && matches!(&live.base, Base::Known(Some(manifest)) if compaction::is_due(manifest));
        if let (true, Some(checkpoint), Some(placed)) = (due, followed(job), live.placement.worker_of(0))
            && let Some(session) = self.sessions.of(&placed.worker, placed.incarnation)
        {
            let checkpoint = CheckpointRef { epoch: checkpoint.epoch, manifest: checkpoint.manifest.clone() };
            live.merging = Some(checkpoint.epoch);
            let attempt = live.number;
            context.send(session, ToWorker::Merge { job: id, attempt, storage: place, checkpoint });
            return;
        }
        self.retire(context, id);
    }

    /// Deletes what no retained checkpoint needs.
    pub(super) fn retire(&mut self, context: &mut Context<'_>, id: JobId) {
        let merging = |live: &LiveAttempt| live.merging.is_some() || !live.merged.is_empty();
        let Some(job) = context.state.jobs.get(&id) else { return };
        if self.jobs.attempt(id).is_some_and(merging) {
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
        let Some(live) = self.jobs.attempt_mut(id).filter(|live| live.number == attempt) else { return };
        // Whatever it answers, the worker merges no more. An answer to an earlier request is of no use: files that it names may
        // have been deleted since.
        let wanted = live.merging.take() == Some(epoch);
        match merged {
            Ok(merged) if wanted => live.merged.extend(merged),
            Ok(_) => {}
            Err(failure) => {
                tracing::warn!(job = id.0, epoch = epoch.0, error = failure.report, "runs could not be merged");
                live.merge_due = context.now.elapsed + self.config.merge_retry;
                self.retire(context, id);
            }
        }
    }

    /// A savepoint begins as soon as it can: the first one behind the epoch that is returned, which is the last one so far.
    /// `None` if the job does not run, or is ending.
    pub(crate) fn savepoint(&mut self, context: &mut Context<'_>, id: JobId) -> Option<Epoch> {
        let driver = self.jobs.attempt(id)?.driver.as_ref().filter(|driver| driver.takes_savepoints())?;
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
        if stop == StopKind::Checkpoint && !self.is_deserted(id) && !self.fits_elsewhere(context, id) {
            return;
        }
        if !self.is_proposed(id, Proposal::End) {
            self.drive(context, id, driver::Event::Stop(stop));
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
