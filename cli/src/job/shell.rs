//! The shell around the executor of a job's checkpoints: the executor decides, what it asks for is done here, by the subtasks
//! of this process and by tasks beside the loop. So markers go on while a checkpoint is written or committed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use weir_coordinator::Now;
use weir_coordinator::checkpoints::{AttemptConfig, CheckpointExecutor, Effect, Event, Patience};
use weir_coordinator::driver::{self, AttemptEnd, DriverConfig, StopKind, Takeover};
use weir_core::{Error, Result};
use weir_worker::{Clock, Command, Committer, JobHandle, WorkerEvent};

use super::checkpoints::CheckpointStore;
use super::{CheckpointProgress, JobEnd, Progress, Stop};
use crate::clock::processor_time;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);

const PATIENCE: Patience = Patience {
    commit_retry: Duration::from_millis(500),
    // Whoever reads results may take as long as he likes: nobody else could commit.
    commit_timeout: Duration::from_secs(u32::MAX as u64),
    load_retry: Duration::from_secs(1),
    merge_retry: Duration::from_secs(300),
};

/// The checkpoints of a job, and what is being done for them.
pub struct Checkpointing {
    executor: CheckpointExecutor,
    store: CheckpointStore,
    committer: Committer,
    clock: Arc<dyn Clock>,
    start: Instant,
    /// Work beside the loop, and what came of it.
    tasks: JoinSet<Option<Event>>,
    /// What the subtasks are to be told, in order.
    commands: VecDeque<Command>,
    end: Option<AttemptEnd>,
}

impl Checkpointing {
    /// The checkpoints in a store, of which some may have to be committed.
    pub fn new(store: CheckpointStore, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self {
            executor: CheckpointExecutor::new(PATIENCE),
            store,
            committer,
            clock,
            start: Instant::now(),
            tasks: JoinSet::new(),
            commands: VecDeque::new(),
            end: None,
        }
    }

    /// Where checkpoints are.
    pub fn store(&self) -> &CheckpointStore {
        &self.store
    }

    /// Makes visible what an earlier run has decided.
    ///
    /// # Errors
    /// If a sink could not; everything can be tried again.
    pub async fn finish_commits(&mut self) -> Result<()> {
        self.step(Event::Tick);
        while let Some(event) = self.done().await {
            match event {
                Event::Committed { result: Err(error), .. } | Event::Acknowledged { result: Err(error), .. } => {
                    return Err(error);
                }
                event => self.step(event),
            }
        }
        Ok(())
    }

    /// An attempt begins.
    pub fn begin(&mut self, attempt: AttemptConfig, config: DriverConfig) {
        self.start = Instant::now();
        let now = self.now();
        self.executor.begin(attempt, now);
        let mut effects = Vec::new();
        if !self.executor.is_base_known(&self.store.ledger(), &mut effects) {
            effects.drain(..).for_each(|effect| self.carry_out(effect));
            self.executor.is_base_known(&self.store.ledger(), &mut effects);
        }
        let takeover = Takeover { committed: true, ..Takeover::default() };
        self.executor.drive(config, takeover, now, &self.store.ledger(), &mut effects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
    }

    fn now(&self) -> Now {
        Now { elapsed: self.start.elapsed(), wall: self.clock.now() }
    }

    /// What the next task has come to; `None` if there is none.
    async fn done(&mut self) -> Option<Event> {
        loop {
            match self.tasks.join_next().await? {
                Ok(Some(event)) => return Some(event),
                Ok(None) => {}
                // A panic of a connector: the hook has told it, and whoever waits does so until his patience ends.
                Err(panic) => {
                    let error = Error::internal("a task of the job's checkpoints panicked").with_source(panic);
                    self.end.get_or_insert(AttemptEnd::Failed(error));
                }
            }
        }
    }

    /// One event, and what follows from it.
    fn step(&mut self, event: Event) {
        let (now, mut effects) = (self.now(), Vec::new());
        let mut written = None;
        match &event {
            Event::ManifestWritten { result: Ok(manifest), .. } => written = Some(manifest.clone()),
            Event::Acknowledged { epoch, result: Ok(()) } => self.store.committed(*epoch),
            _ => {}
        }
        self.executor.step(now, &self.store.ledger(), event, &mut effects);
        for effect in effects {
            match (effect, &written) {
                // What is written counts.
                (Effect::Complete(checkpoint), Some(manifest)) => {
                    let epoch = checkpoint.epoch;
                    self.store.complete(checkpoint, manifest.clone());
                    self.commands.push_back(Command::Completed(epoch));
                    self.step(Event::Completed(epoch));
                }
                (effect, _) => self.carry_out(effect),
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::SendMarker(marker) => self.commands.push_back(Command::Marker(marker)),
            Effect::LoadBase(_) => {
                if let Some(manifest) = self.store.latest().cloned() {
                    self.step(Event::BaseLoaded(Ok(manifest)));
                }
            }
            Effect::WriteManifest(order) => {
                let epoch = order.header.epoch;
                let written = self.store.write(order);
                self.tasks.spawn(async move { Some(Event::ManifestWritten { epoch, result: written.await }) });
            }
            // The manifest that counts is at hand where it was written: see `step`.
            Effect::Complete(_) => {}
            Effect::Commit(checkpoint) => {
                let epoch = checkpoint.epoch;
                let Some(manifest) = self.store.manifest(epoch) else { return };
                let (committer, storage) = (self.committer.clone(), self.store.storage().clone());
                self.tasks.spawn(async move {
                    let result = committer.commit(&storage, epoch, manifest.committables.clone()).await;
                    Some(Event::Committed { epoch, result })
                });
            }
            Effect::Acknowledge(epoch) => {
                let noted = self.store.note_commit(epoch);
                self.tasks.spawn(async move { Some(Event::Acknowledged { epoch, result: noted.await }) });
            }
            Effect::Merge(checkpoint) => {
                let epoch = checkpoint.epoch;
                let merged = self.store.merge(epoch);
                self.tasks.spawn(async move { Some(Event::Merged { epoch, result: merged.await }) });
            }
            Effect::Retire => {
                let retired = self.store.retire();
                self.tasks.spawn(async move {
                    retired.await;
                    None
                });
            }
            Effect::Report(error) => tracing::warn!(error = error.report(), "a checkpoint failed"),
            Effect::Finish(end) => {
                self.end.get_or_insert(end);
            }
        }
    }
}

/// A command on its way to the subtasks.
type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A job that runs.
pub struct Shell {
    /// Its subtasks.
    pub job: JobHandle,
    /// Its checkpoints.
    pub checkpoints: Checkpointing,
    /// Where progress is told.
    pub progress: watch::Sender<Progress>,
}

impl Shell {
    /// Runs it to its end.
    ///
    /// # Errors
    /// What made it fail.
    pub async fn run(mut self, mut stop: mpsc::Receiver<Stop>) -> Result<JobEnd> {
        let start = self.checkpoints.start;
        let processor_at_start = processor_time();
        let commands = self.job.commands();
        let mut sending: Option<Sending> = None;
        let mut next_progress = start;
        let mut running = true;
        loop {
            if sending.is_none()
                && let Some(command) = self.checkpoints.commands.pop_front()
            {
                let commands = commands.clone();
                sending = Some(Box::pin(async move { commands.send(command).await }));
            }
            self.drive(driver::Event::Backlog(self.checkpoints.commands.len()));
            let due = self.checkpoints.executor.next_tick().map(|due| start + due);
            if !running && due.is_none() && self.checkpoints.tasks.is_empty() {
                return Err(gone());
            }
            tokio::select! {
                event = self.job.event(), if running => match event {
                    Some(WorkerEvent::Failed(error) | WorkerEvent::PeerLost(error)) => {
                        self.settle().await;
                        return Err(error);
                    }
                    Some(event) => self.drive(driver_event(event)),
                    // All subtasks have ended; what is under way still comes to its end.
                    None if due.is_some() || !self.checkpoints.tasks.is_empty() => running = false,
                    None => return Err(gone()),
                },
                () = until_sent(&mut sending), if sending.is_some() => sending = None,
                Some(event) = self.checkpoints.done(), if !self.checkpoints.tasks.is_empty() => {
                    self.checkpoints.step(event);
                }
                Some(stop) = stop.recv() => match stop {
                    Stop::Savepoint => self.drive(driver::Event::Stop(StopKind::Savepoint)),
                    Stop::Cancel => return Ok(JobEnd::Cancelled),
                },
                () = sleep_until(due.unwrap_or(start)), if due.is_some() => self.checkpoints.step(Event::Tick),
                () = sleep_until(next_progress) => {
                    next_progress = Instant::now() + PROGRESS;
                    self.tell_progress(processor_at_start);
                }
            }
            if let Some(end) = self.checkpoints.end.take() {
                self.tell_progress(processor_at_start);
                return match end {
                    AttemptEnd::Finished => Ok(JobEnd::Finished),
                    AttemptEnd::Stopped(epoch) => Ok(JobEnd::Stopped { epoch }),
                    AttemptEnd::Failed(error) => Err(error),
                };
            }
        }
    }

    fn drive(&mut self, event: driver::Event) {
        self.checkpoints.step(Event::Driver(event));
    }

    /// The job has failed: results that are decided come out all the same.
    async fn settle(&mut self) {
        while let Some(event) = self.checkpoints.done().await {
            let failed = matches!(&event, Event::Committed { result: Err(_), .. });
            self.checkpoints.step(event);
            if failed {
                return;
            }
        }
    }

    fn tell_progress(&self, processor_at_start: Duration) {
        let Checkpointing { executor, clock, start, .. } = &self.checkpoints;
        let totals = self.job.metrics().totals();
        let stats = executor.stats();
        let age = start.elapsed().saturating_sub(stats.last_at);
        let at = clock.now() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.progress.send_replace(Progress {
            rows_in: totals.rows_in,
            rows_out: totals.rows_out,
            late_rows: totals.late_rows,
            rejected_rows: totals.rejected_rows,
            lag: (totals.lag_records, totals.lag),
            watermark: totals.watermark,
            checkpoints: stats.completed,
            last_checkpoint: stats.last.map(|(epoch, duration)| CheckpointProgress {
                epoch,
                duration,
                bytes: stats.last_bytes,
                at,
            }),
            state_bytes: totals.state_bytes,
            running: start.elapsed(),
            processor: processor_time().saturating_sub(processor_at_start),
        });
    }
}

fn gone() -> Error {
    Error::internal("the job's subtasks are gone without a word")
}

/// Waits until the subtasks have a command.
async fn until_sent(sending: &mut Option<Sending>) {
    if let Some(sending) = sending {
        sending.await;
    }
}

/// What the driver makes of it; a failure is none of its business.
fn driver_event(event: WorkerEvent) -> driver::Event {
    match event {
        WorkerEvent::SourcesExhausted => driver::Event::SourcesExhausted,
        WorkerEvent::MarkerWanted => driver::Event::MarkerWanted,
        WorkerEvent::Reported(content) => driver::Event::Reported { participant: 0, content },
        WorkerEvent::ReportFailed { epoch, error } => driver::Event::ReportFailed { epoch, error },
        WorkerEvent::Finished | WorkerEvent::Failed(_) | WorkerEvent::PeerLost(_) => driver::Event::Ended,
    }
}
