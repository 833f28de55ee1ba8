//! A coordinator's process: the node that production runs, between a simulated network, disk and storage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use weir_coordinator::leader::{LeaderConfig, Now};
use weir_coordinator::node::{Effect, Event, Node, NodeConfig, RequestId};
use weir_coordinator::raft::{Raft, RaftConfig};
use weir_coordinator::server::storage::CheckpointStorages;
use weir_core::{CoordinatorId, Result};
use weir_proto::client::Caller;
use weir_proto::control::ToWorker;
use weir_worker::Blocking;

use crate::blocking::SimBlocking;
use crate::cluster::Cluster;
use crate::coordinators::log_of;
use crate::disk::Disk;
use crate::mailbox::Mailbox;
use crate::message::{Answer, Message};
use crate::network::Machine;
use crate::promises::Asked;
use crate::storage::{Storages, URL};

/// Name of the cluster, which every history founds anew.
pub const CLUSTER: &str = "sim-0001";
/// Time between two ticks.
const TICK: Duration = Duration::from_millis(20);
/// Messages that are made durable together at most.
const BATCH: usize = 64;

/// Who it is.
pub struct Identity {
    /// Its number.
    pub id: CoordinatorId,
    /// Which process of it, counted from 1.
    pub incarnation: u64,
    /// For its election timeouts.
    pub seed: u64,
}

/// Settings of consensus.
pub fn raft_config(cluster: &Cluster, id: CoordinatorId, seed: u64) -> RaftConfig {
    RaftConfig {
        id,
        log: log_of(id),
        election_ticks: 10,
        heartbeat_ticks: 2,
        max_message_bytes: 1 << 20,
        max_inflight: 16,
        snapshot_after_entries: cluster.shape.snapshot_after,
        seed,
    }
}

fn leader_config(cluster: &Cluster) -> LeaderConfig {
    LeaderConfig {
        heartbeat_interval: Duration::from_millis(100),
        // A worker that finds several coordinators gone waits longer between its tries.
        worker_timeout: Duration::from_millis(if cluster.shape.is_steady() { 3000 } else { 700 }),
        reconnect_grace: Duration::from_millis(100),
        deploy_timeout: Duration::from_secs(3),
        first_checkpoint: Duration::from_millis(80),
        flush_interval: cluster.shape.flush_interval.unwrap_or(Duration::from_millis(60)),
        flush_all_jobs: cluster.shape.flush_interval.is_some(),
        flush_pause: Duration::from_millis(10),
        commit_retry: Duration::from_millis(120),
        commit_timeout: Duration::from_secs(2),
        load_retry: Duration::from_millis(100),
        merge_retry: Duration::from_millis(300),
        workforce: None,
        // What looks on must do no harm.
        traces: true,
        copy_pause: Duration::from_millis(200),
    }
}

/// Runs until its disk fails.
///
/// # Errors
/// That of the disk.
pub async fn run(cluster: Arc<Cluster>, identity: Identity, disk: Disk, inbox: Mailbox<Message>) -> Result<()> {
    let Identity { id, incarnation, seed } = identity;
    cluster.oracle.restarted(id, &disk);
    let raft = Raft::open(raft_config(&cluster, id, seed), disk.clone())?;
    let leader = leader_config(&cluster);
    let config = NodeConfig { leader, cluster: CLUSTER.into(), storage: URL.into(), incarnation };
    let process = Process {
        node: Node::new(config, raft),
        machine: Machine::Coordinator(id.0),
        disk,
        inbox,
        began: Instant::now(),
        replies: BTreeMap::new(),
        requests: 0,
        storages: CheckpointStorages::new(Arc::new(Storages(cluster.clone()))),
        storage: JoinSet::new(),
        cluster,
    };
    process.run().await
}

struct Process {
    cluster: Arc<Cluster>,
    machine: Machine,
    node: Node<Disk>,
    disk: Disk,
    inbox: Mailbox<Message>,
    began: Instant,
    replies: BTreeMap<RequestId, (Mailbox<Answer>, Asked)>,
    requests: u64,
    storages: CheckpointStorages,
    storage: JoinSet<Option<Event>>,
}

impl Process {
    async fn run(mut self) -> Result<()> {
        let mut next_tick = Instant::now();
        loop {
            let mut inputs = Vec::new();
            tokio::select! {
                biased;
                () = sleep_until(next_tick) => {
                    next_tick = Instant::now() + TICK;
                    inputs.push(Event::Tick);
                }
                Some(Ok(Some(input))) = self.storage.join_next() => inputs.push(input),
                message = self.inbox.receive() => {
                    inputs.push(self.input(message));
                    while let Some(message) = self.inbox.arrived().filter(|_| inputs.len() < BATCH) {
                        inputs.push(self.input(message));
                    }
                }
            }
            if let Some(until) = self.cluster.network.paused(self.machine) {
                sleep_until(until).await;
            }
            self.step(inputs).await?;
        }
    }

    async fn step(&mut self, inputs: Vec<Event>) -> Result<()> {
        let at = Instant::now();
        let now = Now { elapsed: at - self.began, wall: self.cluster.wall(self.machine) };
        let mut effects = Vec::new();
        let node = &mut self.node;
        inputs.into_iter().try_for_each(|input| node.take(now, input, &mut effects))?;
        node.settle(now, &mut effects)?;
        if self.disk.is_dirty() {
            let delay = self.cluster.chaos.sync_delay();
            sleep(delay).await;
            self.disk.sync();
        }
        let Cluster { oracle, world, broker, objects, .. } = &*self.cluster;
        oracle.stepped(&self.node, at, world, broker, objects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        Ok(())
    }

    fn input(&mut self, message: Message) -> Event {
        match message {
            Message::Peer(from, message) => Event::Peer(from, message),
            Message::PeerUnreachable(peer) => Event::PeerUnreachable(peer),
            Message::PeerGone(peer) => Event::PeerGone(peer),
            Message::Client(request, reply) => {
                self.requests += 1;
                let id = RequestId(self.requests);
                let asked = self.cluster.oracle.promises.asked(&request, self.node.applied());
                self.replies.insert(id, (reply, asked));
                Event::Client(id, Caller::trusted(), request)
            }
            Message::Connected(session, hello) => Event::WorkerConnected(session, hello),
            Message::Worker(session, message) => Event::Worker(session, message),
            Message::Disconnected(session) => Event::WorkerDisconnected(session),
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let Cluster { network, trace, oracle, .. } = &*self.cluster;
        match effect {
            // Who asks is of no importance where everybody may do everything.
            Effect::Known(..) => {}
            Effect::SendPeer(to, message) => network.send_peer(self.machine, to, message),
            Effect::SendWorker(session, message) => {
                if let ToWorker::Welcome(welcome) = &message {
                    oracle.welcomed(self.node.status().id, welcome.term);
                }
                trace.say(self.machine, format_args!("to session {}: {}", session.0, crate::worker::word(&message)));
                network.send_down(session, message);
            }
            Effect::CloseWorker(session) => network.close_down(session),
            Effect::Reply(request, answer) => {
                if let Some((reply, asked)) = self.replies.remove(&request) {
                    let promised = oracle.promises.answered(asked, self.node.applied(), &answer);
                    promised.unwrap_or_else(|broken| oracle.violation(broken));
                    reply.post(answer);
                }
            }
            Effect::Store(operation, what) => {
                trace.say(self.machine, format_args!("storage {}: {}", operation.0, kind(&what)));
                let storages = self.storages.clone();
                self.store(move || Some(Event::Stored(operation, storages.execute(what))));
            }
            // Nobody collects them here.
            Effect::Traced(_) => {}
            // Nobody starts workers here.
            Effect::AskForWorkers(_) => {}
            Effect::CopyState(copy) => {
                let storages = self.storages.clone();
                self.store(move || storages.copy_state(&copy).is_err().then_some(Event::CopyFailed));
            }
            Effect::View(status) => {
                let leader = status.leader.map_or(0, |leader| leader.0);
                trace.say(self.machine, format_args!("{:?} in term {}, leader c{leader}", status.role, status.term));
            }
        }
    }

    fn store(&mut self, work: impl FnOnce() -> Option<Event> + Send + 'static) {
        let blocking = SimBlocking(self.cluster.clone(), self.machine);
        let (sender, outcome) = tokio::sync::oneshot::channel();
        let done = blocking.run(Box::new(move || drop(sender.send(work()))));
        self.storage.spawn(async move {
            done.await.ok()?;
            outcome.await.ok()?
        });
    }
}

fn kind(operation: &weir_coordinator::leader::StorageOperation) -> String {
    use weir_coordinator::leader::StorageOperation as Operation;
    match operation {
        Operation::LoadManifest { path, .. } => format!("read {path}"),
        Operation::WriteManifest { order, .. } => format!("write {}", order.path),
        Operation::Retire { manifests, .. } => format!("delete what is not in {manifests:?}"),
        Operation::ExpectResults { place } => format!("expect {place:?}"),
        Operation::ForgetResults { place } => format!("forget {place:?}"),
        Operation::ReadResults { after, offset, .. } => format!("read results behind {after:?}, from {offset} on"),
        Operation::PutArtifact { piece, .. } => format!("put {} of plugin {}", piece.offset, piece.hash.short()),
        Operation::Collect { needed, .. } => format!("delete plugins that are not in {needed:?}"),
        Operation::Delete { .. } => "delete all".to_owned(),
    }
}
