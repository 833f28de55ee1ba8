//! The loop around the agent: what happens goes in, what is to be done is done.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use weir_core::{Attempt, Epoch, Error, JobId, Marker, Result};
use weir_proto::control::{AttemptFigures, Deploy, FromWorker, Heartbeat, Hello, ToWorker};

use super::Surroundings;
use super::attempt::{AttemptCommand, AttemptTask, Happened};
use super::engine::{FiguresSource, OrderedMarkers};
use super::errands::Errands;
use crate::agent::{Agent, AgentConfig, Effect, Ending, EngineEvent, Event, SessionId, failure};
use crate::blocking;

/// Messages from a coordinator and from attempts that wait for the loop.
const EVENT_QUEUE: usize = 64;
/// Messages to a coordinator that wait for the network. A connection that does not take them is given up: what counts is
/// said again on the next.
const SESSION_QUEUE: usize = 1024;
/// Commands that wait for an attempt: a start, the marker of a checkpoint, and flush markers, of which the leader sends only a few
/// to a worker of which it has heard nothing since.
const COMMAND_QUEUE: usize = 64;

/// Runs the agent until it ends.
pub async fn drive(config: AgentConfig, surroundings: Surroundings, mut shutdown: mpsc::Receiver<()>) -> Ending {
    let (events, mut happened) = mpsc::channel(EVENT_QUEUE);
    let mut agent_loop = AgentLoop {
        agent: Agent::new(config),
        surroundings,
        began: Instant::now(),
        session: None,
        attempts: BTreeMap::new(),
        tasks: JoinSet::new(),
        commits: BTreeMap::new(),
        events,
    };
    if let Some(cluster) = agent_loop.agent.cluster() {
        agent_loop.surroundings.engine.joined(cluster);
    }
    loop {
        let due = agent_loop.began + agent_loop.agent.next_tick().unwrap_or_default();
        agent_loop.surroundings.pulse.beat(due.max(Instant::now()));
        let input = tokio::select! {
            biased;
            // Heartbeats come first, however much else there is.
            () = tokio::time::sleep_until(due) => Event::Tick,
            Some(()) = shutdown.recv() => Event::Drain,
            Some(event) = happened.recv() => match event {
                Happened::Event(input) => input,
                Happened::Started { job, attempt, figures, orders } => {
                    agent_loop.started(job, attempt, Running { figures, orders });
                    continue;
                }
            },
            Some(_) = agent_loop.tasks.join_next() => continue,
        };
        if let Some(ending) = agent_loop.step(input) {
            return ending;
        }
    }
}

struct AgentLoop {
    agent: Agent,
    surroundings: Surroundings,
    began: Instant,
    session: Option<OpenSession>,
    attempts: BTreeMap<JobId, OpenAttempt>,
    /// Everything that runs beside the loop.
    tasks: JoinSet<()>,
    /// The last commit of each job.
    commits: BTreeMap<JobId, AbortHandle>,
    events: mpsc::Sender<Happened>,
}

struct OpenSession {
    id: SessionId,
    outgoing: mpsc::Sender<FromWorker>,
    task: AbortHandle,
}

struct OpenAttempt {
    attempt: Attempt,
    commands: mpsc::Sender<AttemptCommand>,
    running: Option<Running>,
    /// The last marker of a checkpoint that has come.
    ordered: Option<Marker>,
    task: AbortHandle,
}

/// Ways to a part that runs, past whatever waits in front of it.
struct Running {
    figures: FiguresSource,
    orders: OrderedMarkers,
}

impl OpenAttempt {
    /// A marker is on its way. Where sinks hold the job up until they hear of it, it would not get through to them.
    fn order(&mut self, marker: Marker) {
        if marker.kind.captures() {
            self.ordered = Some(marker);
        }
        if let Some(running) = &self.running {
            (running.orders)(marker);
        }
    }
}

impl AgentLoop {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets the agent take in what has happened, and does what it says.
    fn step(&mut self, input: Event) -> Option<Ending> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            debug!(?input, "worker");
            let mut effects = Vec::new();
            self.agent.step(self.now(), input, &mut effects);
            for effect in effects {
                debug!(?effect, "worker");
                match self.perform(effect) {
                    Performed::Done => {}
                    Performed::Answered(answer) => inputs.push(answer),
                    Performed::Over(ending) => return Some(ending),
                }
            }
        }
        None
    }

    fn perform(&mut self, effect: Effect) -> Performed {
        match effect {
            Effect::Connect { session, address, hello } => self.connect(session, address, hello),
            Effect::Disconnect(session) => self.disconnect(session),
            Effect::Send(session, message) => return self.send(session, message),
            Effect::Heartbeat(session, attempts) => {
                let figures = attempts.into_iter().map(|(job, attempt)| self.figures(job, attempt)).collect();
                return self.send(session, FromWorker::Heartbeat(Heartbeat { figures }));
            }
            Effect::RememberCluster(cluster) => self.joined(cluster),
            Effect::Open(deploy) => self.open(deploy),
            Effect::Start { job, attempt } => return self.command(job, attempt, AttemptCommand::Start),
            Effect::Marker { job, attempt, marker } => {
                return self.command(job, attempt, AttemptCommand::Marker(marker));
            }
            Effect::Completed { job, attempt, epoch } => self.completed(job, attempt, epoch),
            Effect::Close { job, attempt } => self.close(job, attempt),
            Effect::Commit { job, order } => {
                let epoch = order.checkpoint.epoch;
                let committed = self.errands().commit(order);
                let commit = self.errand(committed, move |result| {
                    if let Err(error) = &result {
                        warn!(%job, %epoch, "a checkpoint could not be committed: {}", error.report());
                    }
                    Event::Committed { job, epoch, result: result.map_err(|error| failure(&error)) }
                });
                // One that has ended has said so.
                if let Some(before) = self.commits.insert(job, commit).filter(|before| !before.is_finished()) {
                    warn!(%job, %epoch, "a commit has not ended since it was asked for, and begins anew: its plugin's process is ended");
                    before.abort();
                }
            }
            Effect::Merge { job, attempt, storage, checkpoint } => {
                let epoch = checkpoint.epoch;
                let merged = self.errands().merge(storage, checkpoint, attempt);
                self.errand(merged, move |merged| {
                    if let Err(error) = &merged {
                        warn!(%job, %attempt, %epoch, "runs could not be merged: {}", error.report());
                    }
                    let merged = merged.map_err(|error| failure(&error));
                    Event::Merged { job, attempt, epoch, merged }
                });
            }
            Effect::Discard(leftovers) => {
                let job = leftovers.identity;
                let discarded = self.errands().discard(leftovers);
                let discard = async move {
                    if let Err(error) = discarded.await {
                        warn!(%job, "what a job has left could not be removed: {}", error.report());
                    }
                };
                self.tasks.spawn_on(discard, &self.surroundings.io);
            }
            Effect::Audit { id, order } => {
                let audited = self.errands().audit(order);
                self.errand(audited, move |findings| {
                    let findings = findings.map_err(|error| failure(&error));
                    Event::Audited { id, findings }
                });
            }
            Effect::CompareState { id, order } => {
                let compared = self.errands().compare_state(order);
                self.errand(compared, move |misfits| {
                    let misfits = misfits.map_err(|error| failure(&error));
                    Event::StateCompared { id, misfits }
                });
            }
            Effect::Exit(ending) => return Performed::Over(ending),
        }
        Performed::Done
    }

    fn connect(&mut self, session: SessionId, address: String, hello: Hello) {
        let (outgoing, messages) = mpsc::channel(SESSION_QUEUE);
        let coordinators = self.surroundings.coordinators.clone();
        let events = self.events.clone();
        let isolation = self.surroundings.isolation.clone();
        let task = async move {
            let carried: Result<()> = async {
                let mut connection = coordinators.attach(&address, hello, messages).await?;
                while let Some(message) = connection.next().await? {
                    if let ToWorker::Welcome(welcome) = &message {
                        match isolation.accepted(session) {
                            true => warn!(%address, term = welcome.term, "a coordinator has taken this worker again"),
                            false => info!(%address, term = welcome.term, cluster = welcome.cluster, "connected to the leader"),
                        }
                    }
                    if let ToWorker::NameTaken { address: other } = &message {
                        let taken = format!("another process, at {other}, is connected under this worker's name");
                        return Err(
                            Error::environment(taken).with_help("end it, or start this one with another --name")
                        );
                    }
                    let _ = events.send(Happened::Event(Event::Received(session, message))).await;
                }
                Ok(())
            }
            .await;
            let was_leader = isolation.lost(session);
            let reason = match &carried {
                Err(error) => error.report(),
                Ok(()) => "it closed the connection".to_owned(),
            };
            if was_leader {
                info!(%address, reason, "the connection to the leader is gone");
            } else {
                // Most of those that are asked do not lead, and say so.
                debug!(%address, reason, "a coordinator has not taken this worker");
            }
            if let Some(alone) = isolation.reminder() {
                warn!(%address, seconds = alone.as_secs(), reason, "no coordinator has taken this worker for a while");
            }
            let _ = events.send(Happened::Event(Event::Disconnected(session))).await;
        };
        self.session = Some(OpenSession { id: session, outgoing, task: self.tasks.spawn(task) });
    }

    fn disconnect(&mut self, session: SessionId) {
        if let Some(open) = self.session.take_if(|open| open.id == session) {
            open.task.abort();
            if self.surroundings.isolation.lost(session) {
                info!("the connection to the leader is given up");
            }
        }
    }

    fn send(&mut self, session: SessionId, message: FromWorker) -> Performed {
        let Some(open) = self.session.as_ref().filter(|open| open.id == session) else { return Performed::Done };
        if open.outgoing.try_send(message).is_ok() {
            return Performed::Done;
        }
        self.disconnect(session);
        Performed::Answered(Event::Disconnected(session))
    }

    fn joined(&mut self, cluster: String) {
        info!(cluster, "joined the cluster");
        self.surroundings.engine.joined(&cluster);
        let Surroundings { data_dir: Some(data_dir), blocking, io, .. } = &self.surroundings else { return };
        let (data_dir, blocking) = (data_dir.clone(), blocking.clone());
        let note = async move {
            if let Err(error) = blocking::run(&blocking, move || data_dir.remember_cluster(&cluster)).await {
                warn!("the worker's cluster could not be written down: {}", error.report());
            }
        };
        self.tasks.spawn_on(note, io);
    }

    fn open(&mut self, deploy: Arc<Deploy>) {
        let Deploy { job, attempt, .. } = *deploy;
        info!(%job, %attempt, name = deploy.name, "opening an attempt");
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let engine = self.surroundings.engine.clone();
        let task = AttemptTask { deploy, engine, commands: receiver, events: self.events.clone() };
        let task = self.tasks.spawn_on(task.run(), &self.surroundings.io);
        let replaced = self.attempts.insert(job, OpenAttempt { attempt, commands, running: None, ordered: None, task });
        debug_assert!(replaced.is_none(), "the agent closes an attempt before it opens the next");
    }

    fn command(&mut self, job: JobId, attempt: Attempt, command: AttemptCommand) -> Performed {
        let Some(open) = self.attempts.get_mut(&job).filter(|open| open.attempt == attempt) else {
            return Performed::Done;
        };
        if let AttemptCommand::Marker(marker) = &command {
            open.order(*marker);
        }
        if open.commands.try_send(command).is_ok() {
            return Performed::Done;
        }
        let error = Error::environment("the sources have taken no marker for too long")
            .with_help("look for the sink or operator that holds up the job in `weir jobs describe`");
        Performed::Answered(Event::Engine { job, attempt, event: EngineEvent::Failed(failure(&error)) })
    }

    /// An attempt that is busy hears of the next checkpoint.
    fn completed(&mut self, job: JobId, attempt: Attempt, epoch: Epoch) {
        if let Some(open) = self.attempts.get(&job).filter(|open| open.attempt == attempt) {
            let _ = open.commands.try_send(AttemptCommand::Completed(epoch));
        }
    }

    fn started(&mut self, job: JobId, attempt: Attempt, running: Running) {
        if let Some(open) = self.attempts.get_mut(&job).filter(|open| open.attempt == attempt) {
            info!(%job, %attempt, "an attempt runs");
            open.running = Some(running);
            if let Some(marker) = open.ordered {
                open.order(marker);
            }
        }
    }

    fn close(&mut self, job: JobId, attempt: Attempt) {
        if self.attempts.get(&job).is_some_and(|open| open.attempt == attempt) {
            info!(%job, %attempt, "closing an attempt");
            if let Some(open) = self.attempts.remove(&job) {
                open.task.abort();
            }
        }
    }

    fn figures(&self, job: JobId, attempt: Attempt) -> AttemptFigures {
        let open = self.attempts.get(&job).filter(|open| open.attempt == attempt);
        let source = open.and_then(|open| open.running.as_ref()).map(|running| &running.figures);
        let waiting = open.map_or(0, |open| open.commands.max_capacity() - open.commands.capacity());
        AttemptFigures {
            job,
            attempt,
            vertices: source.map_or_else(Vec::new, |source| source()),
            waiting_markers: u32::try_from(waiting).unwrap_or(u32::MAX),
        }
    }

    fn errands(&self) -> Errands {
        let Surroundings { storages, connectors, plugins, functions, blocking, .. } = &self.surroundings;
        Errands {
            storages: storages.clone(),
            connectors: connectors.clone(),
            plugins: plugins.clone(),
            functions: functions.clone(),
            blocking: blocking.clone(),
        }
    }

    /// Does something beside the loop, and tells the agent what came of it, also if it panicked.
    fn errand<T: Send + 'static>(
        &mut self,
        errand: impl Future<Output = Result<T>> + Send + 'static,
        answer: impl FnOnce(Result<T>) -> Event + Send + 'static,
    ) -> AbortHandle {
        let events = self.events.clone();
        let task = async move {
            let result = AssertUnwindSafe(errand).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(Error::internal("the worker panicked")));
            let _ = events.send(Happened::Event(answer(result))).await;
        };
        self.tasks.spawn_on(task, &self.surroundings.io)
    }
}

enum Performed {
    Done,
    /// It is known at once what came of it.
    Answered(Event),
    /// Nothing more is to be done.
    Over(Ending),
}
