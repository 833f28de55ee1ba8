//! The task that owns the node: takes messages in, carries effects out.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use weir_core::{Error, Result};
use weir_monitoring::Spans;
use weir_proto::client::{ClientError, ClientResponse};
use weir_proto::control::ToWorker;

use super::audit::{Asked, Audit};
use super::handle::Message;
use super::peers::Peers;
use super::storage::CheckpointStorages;
use crate::leader::{Now, OperationId, SessionId, StorageOperation, StorageOutcome};
use crate::node::{Effect, Event, Node, RequestId};
use crate::raft::{LogStore, Status};
use crate::workforce::Workforce;

/// Messages that are made durable together at most.
const BATCH: usize = 256;

/// What the loop needs besides the node.
pub struct Surroundings {
    /// Where messages come from.
    pub inbox: mpsc::Receiver<Message>,
    /// Where it is told how the node sees the others.
    pub view: watch::Sender<Status>,
    /// The other coordinators.
    pub peers: Peers,
    /// Checkpoint storage.
    pub storages: CheckpointStorages,
    /// Time between two ticks.
    pub tick: Duration,
    /// Milliseconds since 1970.
    pub wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Where it is written who has done what.
    pub audit: Audit,
    /// Where parts of traces go.
    pub spans: Spans,
    /// Where it is told how many workers there should be.
    pub workforce: watch::Sender<Option<Workforce>>,
}

/// The node and all that hangs on it.
pub struct NodeLoop<S: LogStore> {
    node: Node<S>,
    surroundings: Surroundings,
    started: Instant,
    replies: BTreeMap<RequestId, oneshot::Sender<Result<ClientResponse, ClientError>>>,
    workers: BTreeMap<SessionId, mpsc::Sender<ToWorker>>,
    storage: JoinSet<Option<Event>>,
    /// Requests that wait for their answer, as the audit tells them.
    asked: BTreeMap<RequestId, Asked>,
}

impl<S: LogStore> NodeLoop<S> {
    /// A loop around a node.
    pub fn new(node: Node<S>, surroundings: Surroundings) -> Self {
        Self {
            node,
            surroundings,
            started: Instant::now(),
            replies: BTreeMap::new(),
            workers: BTreeMap::new(),
            storage: JoinSet::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Runs until nobody has a handle any more.
    ///
    /// # Errors
    /// If the log could not be made durable: the process must end.
    pub async fn run(mut self) -> Result<()> {
        let mut ticks = tokio::time::interval(self.surroundings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut messages = Vec::new();
            tokio::select! {
                biased;
                _ = ticks.tick() => self.step(Some(Event::Tick), messages)?,
                stored = self.storage.join_next(), if !self.storage.is_empty() => {
                    self.step(stored.and_then(Result::ok).flatten(), messages)?;
                }
                received = self.surroundings.inbox.recv_many(&mut messages, BATCH) => {
                    if received == 0 {
                        return Ok(());
                    }
                    self.step(None, messages)?;
                }
            }
        }
    }

    fn now(&self) -> Now {
        Now { elapsed: self.started.elapsed(), wall: (self.surroundings.wall_clock)() }
    }

    /// Takes all of it in, makes it durable once, and carries out what follows.
    fn step(&mut self, input: Option<Event>, messages: Vec<Message>) -> Result<()> {
        let now = self.now();
        let inputs: Vec<Event> =
            input.into_iter().chain(messages.into_iter().filter_map(|message| self.input(message))).collect();
        let node = &mut self.node;
        // Writing the log blocks, and must not keep other tasks of this thread waiting.
        let effects = tokio::task::block_in_place(|| {
            let mut effects = Vec::new();
            inputs.into_iter().try_for_each(|input| node.take(now, input, &mut effects))?;
            node.settle(now, &mut effects)?;
            Ok::<_, weir_core::Error>(effects)
        })?;
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        Ok(())
    }

    /// What the node is told; nothing if who asks is answered without it.
    fn input(&mut self, message: Message) -> Option<Event> {
        Some(match message {
            Message::Client(id, caller, request, reply) => {
                self.replies.insert(id, reply);
                let (what, on) = request.told();
                let (from, changes) = (caller.from.clone(), request.is_noted());
                self.asked.insert(id, Asked { who: None, from, what, on, changes });
                Event::Client(id, caller, request)
            }
            Message::Peer(from, message, address) => {
                self.surroundings.peers.heard_of(from, address);
                Event::Peer(from, message)
            }
            Message::PeerUnreachable(peer) => Event::PeerUnreachable(peer),
            Message::PeerGone(peer) => Event::PeerGone(peer),
            Message::RemovedBy(peer) => Event::RemovedBy(peer),
            Message::Connected(session, hello, sender) => {
                self.workers.insert(session, sender);
                Event::WorkerConnected(session, hello)
            }
            Message::Worker(session, message) => Event::Worker(session, message),
            Message::Disconnected(session) => {
                self.workers.remove(&session);
                Event::WorkerDisconnected(session)
            }
            Message::Stored(operation, outcome) => Event::Stored(operation, outcome),
            Message::Figures(reply) => {
                let _ = reply.send(self.node.figures(self.now()));
                return None;
            }
            Message::Standing(reply) => {
                let _ = reply.send(self.node.standing(self.now()));
                return None;
            }
            Message::Leaving => Event::Leaving,
        })
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::SendPeer(to, message) => self.surroundings.peers.send(to, message),
            Effect::SendWorker(session, message) => {
                let sent = self.workers.get(&session).map(|sender| sender.try_send(message));
                // A worker that does not take its messages is as good as gone; the closed connection tells the leader.
                if matches!(sent, Some(Err(_))) {
                    self.workers.remove(&session);
                }
            }
            Effect::CloseWorker(session) => {
                self.workers.remove(&session);
            }
            Effect::Known(request, who) => {
                if let Some(asked) = self.asked.get_mut(&request) {
                    asked.who = Some(who);
                }
            }
            Effect::Reply(request, answer) => {
                if let Some(asked) = self.asked.remove(&request) {
                    self.surroundings.audit.answered((self.surroundings.wall_clock)(), &asked, &answer);
                }
                if let Some(reply) = self.replies.remove(&request) {
                    // Whoever asked may not want to know any more.
                    let _ = reply.send(answer);
                }
            }
            Effect::AskForWorkers(workforce) => drop(self.surroundings.workforce.send_replace(Some(workforce))),
            Effect::Traced(span) => self.surroundings.spans.record(*span),
            Effect::Store(operation, what) => self.store(operation, what),
            Effect::CopyState(copy) => {
                let storages = self.surroundings.storages.clone();
                self.storage.spawn_blocking(move || {
                    let error = storages.copy_state(&copy).err()?;
                    tracing::warn!(
                        error = error.report(),
                        "the state of the cluster could not be copied to the storage"
                    );
                    Some(Event::CopyFailed)
                });
            }
            Effect::View(status) => {
                self.surroundings.peers.members(&status);
                self.surroundings.view.send_replace(*status);
            }
        }
    }

    fn store(&mut self, operation: OperationId, what: StorageOperation) {
        let storages = self.surroundings.storages.clone();
        self.storage.spawn_blocking(move || {
            // Somebody waits for what comes of it, also if that is a defect.
            let outcome = catch_unwind(AssertUnwindSafe(|| storages.execute(what)));
            let outcome = outcome.unwrap_or_else(|_| {
                StorageOutcome::Manifest(Err(Error::internal("a thread that reads or writes checkpoints panicked")))
            });
            Some(Event::Stored(operation, outcome))
        });
    }
}
