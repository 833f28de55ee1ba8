//! The shell around the executor of a job's checkpoints: the executor decides, what it asks for is done here, by the subtasks
//! of this process and by tasks beside the loop. So markers go on while a checkpoint is written or committed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use weir_coordinator::Now;
use weir_coordinator::checkpoints::{AttemptConfig, CheckpointExecutor, Effect, Event, Timeouts};
use weir_coordinator::driver::{self, AttemptEnd, DriverConfig, StopKind, Takeover};
use weir_core::{Error, Result};
use weir_worker::{Clock, Command, Committer, JobHandle, SourceCommands, WorkerEvent};

use super::checkpoints::CheckpointStore;
use super::{CheckpointProgress, JobEnd, Order, Progress};
use crate::clock::processor_time;

/// How long the end of a job waits for what its last checkpoint has made superfluous to be deleted: the next run can do it.
const RETIREMENT: Duration = Duration::from_secs(1);

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);

const TIMEOUTS: Timeouts = Timeouts {
    commit_retry: Duration::from_millis(500),
    // A reader of results may take as long as it likes: no other process could commit.
    commit_timeout: None,
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
    /// Work beside the loop that a job that has failed does without, and what came of it.
    tasks: JoinSet<Event>,
    /// Results that are decided are made visible, which is noted.
    commits: JoinSet<Event>,
    /// Nobody asks what came of these.
    retirements: JoinSet<()>,
    /// How long a job that has failed waits for its commits.
    settling: Duration,
    /// What the subtasks are to be told, in order.
    commands: VecDeque<Command>,
    end: Option<AttemptEnd>,
}

impl Checkpointing {
    /// The checkpoints in a store, of which some may have to be committed.
    pub fn new(store: CheckpointStore, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self {
            executor: CheckpointExecutor::new(TIMEOUTS),
            store,
            committer,
            clock,
            start: Instant::now(),
            tasks: JoinSet::new(),
            commits: JoinSet::new(),
            retirements: JoinSet::new(),
            settling: Duration::ZERO,
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
        if let Some(AttemptEnd::Failed(error)) = self.end.take() {
            return Err(error);
        }
        if let Some(left) = self.store.ledger().oldest_uncommitted() {
            return Err(Error::internal(format!("checkpoint {} is still not committed", left.epoch)));
        }
        self.retired().await;
        Ok(())
    }

    /// An attempt begins.
    pub fn begin(&mut self, attempt: AttemptConfig, config: DriverConfig) {
        self.start = Instant::now();
        self.settling = config.timeout;
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

    /// Whether nothing is done beside the loop whose outcome matters.
    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.commits.is_empty()
    }

    /// What the next task has come to; `None` if there is none.
    async fn done(&mut self) -> Option<Event> {
        loop {
            let joined = tokio::select! {
                Some(joined) = self.commits.join_next() => joined,
                Some(joined) = self.tasks.join_next() => joined,
                else => return None,
            };
            match joined {
                Ok(event) => return Some(event),
                // A panic of a connector: the panic hook has logged it.
                Err(panic) => {
                    let error = Error::internal("a task of the job's checkpoints panicked").with_source(panic);
                    self.end.get_or_insert(AttemptEnd::Failed(error));
                }
            }
        }
    }

    /// Waits until nothing is being merged or deleted any more, or until that takes too long.
    async fn retired(&mut self) {
        let all = async {
            while self.tasks.join_next().await.is_some() {}
            while self.retirements.join_next().await.is_some() {}
        };
        if timeout(RETIREMENT, all).await.is_err() {
            tracing::debug!("old checkpoints are left to the next run");
        }
    }

    /// The job has failed: results that are decided come out all the same, if they do soon.
    async fn settle(&mut self) {
        let limit = self.settling;
        let commits = async {
            // Of one that panicked nothing more can be said here.
            while let Some(Ok(event)) = self.commits.join_next().await {
                let failed = matches!(&event, Event::Committed { result: Err(_), .. });
                self.step(event);
                if failed {
                    return;
                }
            }
        };
        if timeout(limit, commits).await.is_err() {
            tracing::warn!("results that are decided are not visible yet: the next run commits them");
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

    /// Tells sinks of the markers that wait to be sent: sources may have no room for them before the sinks know.
    fn announce(&self, commands: &SourceCommands) {
        for command in &self.commands {
            if let Command::Marker(marker) = command {
                commands.ordered(*marker);
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
                self.tasks.spawn(async move { Event::ManifestWritten { epoch, result: written.await } });
            }
            // The manifest that counts is at hand where it was written: see `step`.
            Effect::Complete(_) => {}
            Effect::Commit(checkpoint) => {
                let epoch = checkpoint.epoch;
                let Some(manifest) = self.store.manifest(epoch) else { return };
                let (committer, storage) = (self.committer.clone(), self.store.storage().clone());
                self.commits.spawn(async move {
                    let result = committer.commit(&storage, &manifest).await;
                    Event::Committed { epoch, result }
                });
            }
            Effect::Acknowledge(epoch) => {
                let noted = self.store.note_commit(epoch);
                self.commits.spawn(async move { Event::Acknowledged { epoch, result: noted.await } });
            }
            Effect::Merge(checkpoint) => {
                let epoch = checkpoint.epoch;
                let merged = self.store.merge(epoch);
                self.tasks.spawn(async move { Event::Merged { epoch, result: merged.await } });
            }
            Effect::Retire => {
                while self.retirements.try_join_next().is_some() {}
                self.retirements.spawn(self.store.retire());
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
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<JobEnd> {
        let start = self.checkpoints.start;
        let processor_at_start = processor_time();
        let commands = self.job.commands();
        let mut sending: Option<Sending> = None;
        let mut wanted = Wanted::default();
        let mut next_progress = start;
        let mut running = true;
        loop {
            self.checkpoints.announce(&commands);
            if sending.is_none()
                && let Some(command) = self.checkpoints.commands.pop_front()
            {
                let commands = commands.clone();
                sending = Some(Box::pin(async move { commands.send(command).await }));
            }
            self.drive(driver::Event::Backlog(self.checkpoints.commands.len()));
            let due = self.checkpoints.executor.next_tick().map(|due| start + due);
            if !running && due.is_none() && self.checkpoints.is_idle() {
                return Err(gone());
            }
            tokio::select! {
                event = self.job.event(), if running => match event {
                    Some(WorkerEvent::Failed(error) | WorkerEvent::PeerLost(error)) => {
                        if !self.checkpoints.commits.is_empty() {
                            tracing::error!(error = error.report(), "the job has failed; decided results still come out");
                            tokio::select! {
                                () = self.checkpoints.settle() => {}
                                Some(_) = orders.recv() => {}
                            }
                        }
                        return Err(error);
                    }
                    Some(event) => self.drive(driver_event(event)),
                    // All subtasks have ended; what is under way still comes to its end.
                    None if due.is_some() || !self.checkpoints.is_idle() => running = false,
                    None => return Err(gone()),
                },
                () = until_sent(&mut sending), if sending.is_some() => sending = None,
                Some(event) = self.checkpoints.done(), if !self.checkpoints.is_idle() => {
                    self.checkpoints.step(event);
                }
                Some(order) = orders.recv() => match order {
                    Order::Checkpoint(answer) => {
                        wanted.add(&self.checkpoints.executor, answer);
                        self.drive(driver::Event::Checkpoint);
                    }
                    Order::Savepoint => self.drive(driver::Event::Stop(StopKind::Savepoint)),
                    Order::Cancel => {
                        // What still works on the state holds its lock, and the next run is not to find it.
                        self.checkpoints.retired().await;
                        return Ok(JobEnd::Cancelled);
                    }
                },
                () = sleep_until(due.unwrap_or(start)), if due.is_some() => self.checkpoints.step(Event::Tick),
                () = sleep_until(next_progress) => {
                    next_progress = Instant::now() + PROGRESS;
                    self.tell_progress(processor_at_start);
                }
            }
            wanted.answer(&self.checkpoints.executor);
            if let Some(end) = self.checkpoints.end.take() {
                self.tell_progress(processor_at_start);
                if !matches!(end, AttemptEnd::Failed(_)) {
                    self.checkpoints.retired().await;
                }
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
            longest_capture: self.job.metrics().checkpoints().capture.longest(),
            state_bytes: totals.state_bytes,
            running: start.elapsed(),
            processor: processor_time().saturating_sub(processor_at_start),
        });
    }
}

fn gone() -> Error {
    Error::internal("the job's subtasks ended without saying why")
}

/// Checkpoints that were asked for, each with the number of those that are out when it is.
#[derive(Default)]
struct Wanted(Vec<(u64, oneshot::Sender<()>)>);

impl Wanted {
    fn add(&mut self, executor: &CheckpointExecutor, answer: oneshot::Sender<()>) {
        let under_way = u64::from(executor.under_way().is_some());
        self.0.push((executor.stats().completed + under_way + 1, answer));
    }

    fn answer(&mut self, executor: &CheckpointExecutor) {
        let completed = executor.stats().completed;
        for (_, answer) in self.0.extract_if(.., |(number, _)| *number <= completed) {
            // Whoever has asked need not wait.
            let _ = answer.send(());
        }
    }
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

#[cfg(test)]
mod tests;
