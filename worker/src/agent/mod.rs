//! What a worker does, as a state machine without I/O: it finds the leader, runs what the leader deploys, and sees to it that
//! nothing that the leader has to know is lost between them.
//!
//! ```text
//!            ┌────────────────────────────── Agent ──────────────────────────────┐
//!   session  │  Connection   whom to talk to, and whether to believe them        │  Connect, Send, Disconnect
//!   ───────▶ │  Attempts     what runs, and the reports not yet confirmed        │  Open, Start, Marker, Close   ───▶ edge
//!   engine   │  Requests     commits and merges, which belong to no attempt      │  Commit, Merge
//!   ───────▶ └───────────────────────────────────────────────────────────────────┘  RememberCluster, Exit
//! ```
//!
//! # What holds
//!
//! 1. Of a job at most one attempt is open. A higher attempt closes the lower one first.
//! 2. The markers that an attempt is given are consecutive.
//! 3. A report is kept, and repeated on every new connection, until the leader says that its checkpoint is decided, or that
//!    the attempt is cancelled. It is what a leader that has just been elected learns of the checkpoint under way.
//! 4. Once an attempt is cancelled, or replaced, nothing of it is sent.
//! 5. Whom the worker believes never goes back: a leader of a lower term than the highest seen is left at once, and what is
//!    still on the way from a former session is not listened to.
//!
//! # Without a leader
//!
//! A worker that nobody leads goes on with what it runs, for as long as it takes: its sources are read, its sinks written, and
//! nothing of that becomes visible without a checkpoint, which needs a leader. So a worker that was cut off and replaced does no
//! harm when it comes back: its attempt is an old one by then, whose files and reports nobody takes, and it is told to end it.

mod attempts;
mod connection;
mod random;
mod requests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Error, Incarnation, JobId, Marker, WorkerId};
use weir_proto::control::{
    AuditFindings, AuditOrder, CheckpointRef, Deploy, Failure, FromWorker, Hello, Leftovers, Misfits, StateComparison,
    StoragePlace, ToWorker, Welcome,
};
use weir_state::{EpochContent, MergedRuns};

use self::attempts::Attempts;
pub(crate) use self::connection::PATIENCE;
use self::connection::{Connection, Standing};
use self::requests::CheckpointRequests;
pub use self::requests::CommitOrder;

/// Who the worker is and whom it knows.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Its name, the same across restarts.
    pub worker: WorkerId,
    /// This process.
    pub incarnation: Incarnation,
    /// How many slots it offers.
    pub slots: u32,
    /// Where other workers reach it, `host:port`.
    pub address: String,
    /// Weir's version, for people.
    pub version: String,
    /// The cluster that it belonged to when it last ran.
    pub cluster: Option<String>,
    /// Addresses of coordinators, at least one; the others follow from their redirects.
    pub coordinators: Vec<String>,
    /// How long it waits for its work to be moved away before it goes anyway.
    pub drain_timeout: Duration,
    /// Spreads the pauses between tries to connect.
    pub seed: u64,
}

/// A try to talk to a coordinator, and the connection that comes of it. What carries another number than the current one is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What has happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A connection could not be made, or broke.
    Disconnected(SessionId),
    /// A coordinator said something.
    Received(SessionId, ToWorker),
    /// An attempt has something to say.
    Engine {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// What.
        event: EngineEvent,
    },
    /// What came of an [`Effect::Commit`].
    Committed {
        /// Which job.
        job: JobId,
        /// Which checkpoint.
        epoch: Epoch,
        /// Whether its results are visible.
        result: Result<(), Failure>,
    },
    /// What came of an [`Effect::Merge`].
    Merged {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// The checkpoint whose runs were looked at.
        epoch: Epoch,
        /// Runs that became one.
        merged: Result<Vec<MergedRuns>, Failure>,
    },
    /// What came of an [`Effect::Audit`].
    Audited {
        /// The number of the question.
        id: u64,
        /// What was found.
        findings: Result<AuditFindings, Failure>,
    },
    /// What came of an [`Effect::CompareState`].
    StateCompared {
        /// The number of the question.
        id: u64,
        /// What does not fit.
        misfits: Result<Misfits, Failure>,
    },
    /// The process is to end. The second time it means: now.
    Drain,
}

/// What an attempt has to say.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineEvent {
    /// Its state is restored, its sources and sinks are open.
    Opened,
    /// All sources of this worker have come to their end.
    SourcesExhausted,
    /// A subtask cannot go on before the next marker.
    MarkerWanted,
    /// What this worker adds to a checkpoint is durable.
    Reported(EpochContent),
    /// It is not, and comes with the next epoch.
    ReportFailed(Epoch, Failure),
    /// All subtasks have ended in order. Comes behind the last report.
    Finished,
    /// It could not be opened, or cannot go on.
    Failed(Failure),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Connect to a coordinator and say hello.
    Connect {
        /// The number of the try.
        session: SessionId,
        /// `host:port`.
        address: String,
        /// The first message.
        hello: Hello,
    },
    /// Give up a connection, or the try to make one. Nothing is said of it any more.
    Disconnect(SessionId),
    /// Send a message.
    Send(SessionId, FromWorker),
    /// Send a heartbeat, with the figures of these attempts.
    Heartbeat(SessionId, Vec<(JobId, Attempt)>),
    /// Write down which cluster the worker belongs to.
    RememberCluster(String),
    /// Open a part of an attempt; answered with [`EngineEvent::Opened`] or [`EngineEvent::Failed`].
    Open(Arc<Deploy>),
    /// Let it run.
    Start {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Send this marker into the dataflow.
    Marker {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// The marker.
        marker: Marker,
    },
    /// Tell the sources of an attempt that a checkpoint is complete.
    Completed {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// Whose checkpoint.
        epoch: Epoch,
    },
    /// Drop an attempt, whether it is open, being opened, or at its end.
    Close {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
    },
    /// Let the sinks make visible what a checkpoint holds; answered with [`Event::Committed`]. There is one at a time per job, and one that is under
    /// way is given up for it.
    Commit {
        /// Which job.
        job: JobId,
        /// What of it, and how.
        order: CommitOrder,
    },
    /// Merge runs; answered with [`Event::Merged`]. There is one at a time per job.
    Merge {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// Where its checkpoints are.
        storage: StoragePlace,
        /// The checkpoint whose runs to look at.
        checkpoint: CheckpointRef,
    },
    /// Remove what a job has left that has ended; not answered.
    Discard(Arc<Leftovers>),
    /// Ask the systems that a job writes how far its sinks have come; answered with [`Event::Audited`].
    Audit {
        /// The number of the question.
        id: u64,
        /// What to find out.
        order: Arc<AuditOrder>,
    },
    /// Look whether a version of a job could go on with the state that is there; answered with [`Event::StateCompared`].
    CompareState {
        /// The number of the question.
        id: u64,
        /// What to compare.
        order: Arc<StateComparison>,
    },
    /// End the process. Nothing is done after it.
    Exit(Ending),
}

/// Why a worker goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Its work was moved away before.
    Released,
    /// It was told to go twice.
    Forced,
    /// It was told to go, and its work was not moved away in time.
    Late,
    /// The cluster does not take it.
    Refused {
        /// Why.
        reason: String,
    },
    /// The coordinators are of another cluster than the one it belongs to.
    OtherCluster {
        /// The one it belongs to.
        own: String,
        /// Theirs.
        theirs: String,
    },
}

/// A worker. One per process.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    connection: Connection,
    attempts: Attempts,
    requests: CheckpointRequests,
    /// Until when it waits for its work to be moved away, once it wants to go.
    leaving: Option<Duration>,
    /// Whether the last hello said so.
    said_leaving: bool,
    over: bool,
}

impl Agent {
    /// A worker that runs nothing yet. Its first [`Event::Tick`] makes it connect.
    pub fn new(config: AgentConfig) -> Self {
        Self {
            connection: Connection::new(config.coordinators.clone(), config.seed),
            attempts: Attempts::new(config.worker.clone(), config.incarnation),
            requests: CheckpointRequests::default(),
            leaving: None,
            said_leaving: false,
            over: false,
            config,
        }
    }

    /// When the agent next wants an [`Event::Tick`]; `None` once it has ended.
    pub fn next_tick(&self) -> Option<Duration> {
        if self.over {
            return None;
        }
        let connection = self.connection.next_tick();
        Some(self.leaving.map_or(connection, |deadline| connection.min(deadline)))
    }

    /// The cluster that the worker belongs to, once it is known.
    pub fn cluster(&self) -> Option<&str> {
        self.config.cluster.as_deref()
    }

    /// Takes in what has happened at `now` and says what is to be done, in order.
    pub fn step(&mut self, now: Duration, input: Event, effects: &mut Vec<Effect>) {
        if self.over {
            return;
        }
        match input {
            Event::Tick => self.tick(now, effects),
            Event::Disconnected(session) => self.connection.lost(now, session),
            Event::Received(session, message) => match self.connection.standing(session) {
                Standing::Unknown => {}
                Standing::Greeting => self.greeted(now, session, message, effects),
                Standing::Welcomed => self.told(now, session, message, effects),
            },
            Event::Engine { job, attempt, event } => {
                let news = self.attempts.happened(job, attempt, event, effects);
                self.send(news, effects);
            }
            Event::Committed { job, epoch, result } => {
                let news = self.requests.committed(job, epoch, result, effects);
                self.send_outcome(news, effects);
            }
            Event::Merged { job, attempt, epoch, merged } => {
                let wanted = !self.attempts.is_cancelled(job, attempt);
                let news = self.requests.merged(job, attempt, epoch, merged);
                self.send_outcome(news.filter(|_| wanted), effects);
            }
            // A leader that is none any more waits for nothing, and another one has not asked.
            Event::Audited { id, findings } => self.send([FromWorker::Audited { id, findings }], effects),
            Event::StateCompared { id, misfits } => self.send([FromWorker::StateCompared { id, misfits }], effects),
            Event::Drain => self.drain(now, effects),
        }
    }

    fn hello(&mut self) -> Hello {
        let attempts = self.attempts.introduce();
        self.said_leaving = self.leaving.is_some();
        let AgentConfig { worker, incarnation, slots, address, version, cluster, .. } = &self.config;
        Hello {
            cluster: cluster.clone(),
            worker: worker.clone(),
            incarnation: *incarnation,
            slots: *slots,
            address: address.clone(),
            version: version.clone(),
            attempts,
            leaving: self.leaving.is_some(),
            protocol: weir_proto::PROTOCOL,
            audits: true,
            compares_state: true,
        }
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.leaving.is_some_and(|deadline| now >= deadline) {
            return self.exit(Ending::Late, effects);
        }
        if let Some(session) = self.connection.expired(now) {
            effects.push(Effect::Disconnect(session));
        }
        if let Some((session, address)) = self.connection.begin(now) {
            effects.push(Effect::Connect { session, address, hello: self.hello() });
        }
        if let Some(session) = self.connection.heartbeat(now) {
            effects.push(Effect::Heartbeat(session, self.attempts.running().collect()));
        }
    }

    /// An answer to the hello.
    fn greeted(&mut self, now: Duration, session: SessionId, message: ToWorker, effects: &mut Vec<Effect>) {
        match message {
            ToWorker::Welcome(welcome) => self.welcomed(now, session, welcome, effects),
            ToWorker::Redirect { leader } => self.redirected(now, session, leader, effects),
            ToWorker::Refused { reason } => self.exit(Ending::Refused { reason }, effects),
            // NameTaken: it tries again. Any other message comes after a welcome only.
            _ => self.leave(now, session, effects),
        }
    }

    fn welcomed(&mut self, now: Duration, session: SessionId, welcome: Welcome, effects: &mut Vec<Effect>) {
        if let Some(cluster) = self.config.cluster.as_ref().filter(|cluster| **cluster != welcome.cluster) {
            let ending = Ending::OtherCluster { own: cluster.clone(), theirs: welcome.cluster };
            return self.exit(ending, effects);
        }
        if !self.connection.welcomed(now, &welcome) {
            return self.leave(now, session, effects);
        }
        if self.config.cluster.is_none() {
            self.config.cluster = Some(welcome.cluster.clone());
            effects.push(Effect::RememberCluster(welcome.cluster));
        }
        self.attempts.forget_cancelled();
        // What has happened since the hello, and what may have been lost before it.
        let leaving = (self.leaving.is_some() && !self.said_leaving).then_some(FromWorker::Leaving);
        let reports = self.attempts.reports().filter(|_| !bugs::is_on(Bug::UnrepeatedReports));
        let attempts = self.attempts.changed().chain(reports);
        let news: Vec<FromWorker> = leaving.into_iter().chain(attempts).chain(self.requests.repeat()).collect();
        self.send(news, effects);
    }

    /// A word of the leader.
    fn told(&mut self, now: Duration, session: SessionId, message: ToWorker, effects: &mut Vec<Effect>) {
        let news = match message {
            ToWorker::Welcome(welcome) if self.connection.is_of(welcome.term) => Vec::new(),
            ToWorker::Welcome(_) => return self.leave(now, session, effects),
            ToWorker::Redirect { leader } => return self.redirected(now, session, leader, effects),
            ToWorker::Refused { reason } => return self.exit(Ending::Refused { reason }, effects),
            ToWorker::NameTaken { .. } => return self.leave(now, session, effects),
            ToWorker::Deploy(deploy) => {
                self.requests.cancel(deploy.job, Attempt(deploy.attempt.0.saturating_sub(1)));
                self.attempts.deploy(deploy, effects)
            }
            ToWorker::Start { job, attempt } => self.attempts.start(job, attempt, effects),
            ToWorker::Marker { job, attempt, epoch, kind } => {
                self.attempts.marker(job, attempt, Marker { epoch, kind }, effects)
            }
            ToWorker::Completed { job, attempt, epoch } => {
                self.attempts.completed(job, attempt, epoch, effects);
                Vec::new()
            }
            ToWorker::Cancel { job, attempt } => {
                self.attempts.cancel(job, attempt, effects);
                self.requests.cancel(job, attempt);
                Vec::new()
            }
            ToWorker::Commit { job, storage, checkpoint, isolation } => {
                let order = CommitOrder { storage, checkpoint, isolation };
                let known = self.requests.commit(job, order, effects);
                known.into_iter().collect()
            }
            ToWorker::Merge { job, attempt, storage, checkpoint } => {
                if self.attempts.is_cancelled(job, attempt) {
                    return;
                }
                let busy = self.requests.merge(requests::Merge { job, attempt, storage, checkpoint }, effects);
                return self.send_outcome(busy, effects);
            }
            ToWorker::Discard(leftovers) => {
                effects.push(Effect::Discard(leftovers));
                Vec::new()
            }
            ToWorker::Audit { id, order } => {
                effects.push(Effect::Audit { id, order });
                Vec::new()
            }
            ToWorker::CompareState { id, order } => {
                effects.push(Effect::CompareState { id, order });
                Vec::new()
            }
            // A worker that nobody told to go stays, also with nothing to do.
            ToWorker::Farewell if self.leaving.is_none() => Vec::new(),
            ToWorker::Farewell => return self.exit(Ending::Released, effects),
        };
        self.send(news, effects);
    }

    fn redirected(&mut self, now: Duration, session: SessionId, leader: Option<String>, effects: &mut Vec<Effect>) {
        effects.push(Effect::Disconnect(session));
        self.connection.redirected(now, leader);
        self.tick(now, effects);
    }

    fn leave(&mut self, now: Duration, session: SessionId, effects: &mut Vec<Effect>) {
        effects.push(Effect::Disconnect(session));
        self.connection.lost(now, session);
    }

    fn drain(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.leaving.is_some() {
            return self.exit(Ending::Forced, effects);
        }
        if !self.connection.was_welcomed() {
            // No cluster knows of it.
            return self.exit(Ending::Released, effects);
        }
        self.leaving = Some(now + self.config.drain_timeout);
        self.send(vec![FromWorker::Leaving], effects);
    }

    /// Sends to the leader. Without one nothing is lost: the next hello says it, or it is kept until it is confirmed.
    fn send(&self, news: impl IntoIterator<Item = FromWorker>, effects: &mut Vec<Effect>) {
        if let Some(session) = self.connection.leader() {
            effects.extend(news.into_iter().map(|message| Effect::Send(session, message)));
        }
    }

    /// Sends what came of a request, and keeps it for the next connection.
    fn send_outcome(&mut self, news: Option<FromWorker>, effects: &mut Vec<Effect>) {
        if let Some(message) = news {
            self.requests.keep(message.clone(), self.connection.leader().is_some());
            self.send([message], effects);
        }
    }

    fn exit(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        self.over = true;
        effects.push(Effect::Exit(ending));
    }
}

/// An error as other processes are told of it.
pub fn failure(error: &Error) -> Failure {
    Failure { kind: error.kind(), report: error.report(), peer_lost: false }
}
