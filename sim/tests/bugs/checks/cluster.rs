//! Coordinators as production runs them. Their wires, storage and clock are in the hands of the check, which also plays workers and
//! clients: nothing happens that it does not want to happen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use weir_coordinator::leader::{LeaderConfig, Now, OperationId, SessionId, StorageOperation};
use weir_coordinator::node::{Effect, Event, Node, NodeConfig, RequestId};
use weir_coordinator::raft::{Batch, LogId, LogStore, Member, MemoryStore, Raft, RaftConfig, Role, Stored};
use weir_coordinator::server::storage::CheckpointStorages;
use weir_core::{CoordinatorId, Incarnation, Result, WorkerId};
use weir_proto::client::{Caller, ClientError, ClientRequest, ClientResponse};
use weir_proto::control::{AttemptStatus, Hello, ToWorker};
use weir_proto::peer::PeerMessage;
use weir_state::{MemoryStorage, Storage, Storages};

const TICK: Duration = Duration::from_millis(20);
/// Ticks after which nothing is waited for any more.
const PATIENCE: usize = 5000;

/// A log that outlives the process that writes it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<MemoryStore>>);

impl LogStore for Log {
    fn load(&self) -> Result<Stored> {
        self.0.lock().unwrap().load()
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.0.lock().unwrap().write(batch)
    }
}

/// One storage for all.
struct Everywhere(MemoryStorage);

impl Storages for Everywhere {
    fn open(&self, _url: &str) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// Some coordinators, and all that they have said to others.
pub struct Cluster {
    nodes: BTreeMap<CoordinatorId, Node<Log>>,
    logs: BTreeMap<CoordinatorId, Log>,
    /// Messages between coordinators, in the order in which they were sent.
    wire: VecDeque<(CoordinatorId, CoordinatorId, PeerMessage)>,
    /// Coordinators that stand still: no time passes there, and whatever is sent to them or by them is lost.
    away: BTreeSet<CoordinatorId>,
    now: Duration,
    processes: u64,
    /// To workers.
    pub said: Vec<(SessionId, ToWorker)>,
    /// To clients.
    pub answers: Vec<Result<ClientResponse, ClientError>>,
    /// What checkpoints are in.
    pub storage: MemoryStorage,
    storages: CheckpointStorages,
    /// What the storage was asked and has not done.
    asked: VecDeque<(CoordinatorId, OperationId, StorageOperation)>,
    /// The storage does nothing unless it is told to.
    pub storage_waits: bool,
}

impl Cluster {
    /// So many coordinators, which have not elected a leader yet.
    pub fn new(count: u64) -> Self {
        let member = |id: u64| Member { address: format!("c{id}:1"), log: LogId(id) };
        let members: BTreeMap<_, _> = (1..=count).map(|id| (CoordinatorId(id), member(id))).collect();
        let storage = MemoryStorage::default();
        let mut cluster = Self {
            nodes: BTreeMap::new(),
            logs: BTreeMap::new(),
            wire: VecDeque::new(),
            away: BTreeSet::new(),
            now: Duration::ZERO,
            processes: 0,
            said: Vec::new(),
            answers: Vec::new(),
            storages: CheckpointStorages::new(Arc::new(Everywhere(storage.clone()))),
            storage,
            asked: VecDeque::new(),
            storage_waits: false,
        };
        for id in members.keys() {
            let mut log = Log::default();
            Raft::bootstrap(&mut log, &members).unwrap();
            cluster.logs.insert(*id, log);
            cluster.restart(*id);
        }
        cluster
    }

    /// Another process goes on from the log of a coordinator.
    pub fn restart(&mut self, id: CoordinatorId) {
        self.processes += 1;
        let raft = RaftConfig {
            id,
            log: LogId(id.0),
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_message_bytes: 1 << 20,
            max_inflight: 8,
            snapshot_after_entries: 1000,
            seed: id.0,
        };
        let config = NodeConfig {
            leader: LeaderConfig::default(),
            cluster: "checked-1".to_owned(),
            storage: "file:///checkpoints".to_owned(),
            incarnation: self.processes,
        };
        let node = Node::new(config, Raft::open(raft, self.logs[&id].clone()).unwrap());
        self.nodes.insert(id, node);
    }

    /// From here on a coordinator stands still.
    pub fn stand_still(&mut self, id: CoordinatorId) {
        self.away.insert(id);
    }

    /// It goes on.
    pub fn go_on(&mut self, id: CoordinatorId) {
        self.away.remove(&id);
    }

    /// All coordinators that do not stand still.
    pub fn present(&self) -> Vec<CoordinatorId> {
        self.nodes.keys().copied().filter(|id| !self.away.contains(id)).collect()
    }

    /// A coordinator.
    pub fn node(&self, id: CoordinatorId) -> &Node<impl LogStore> {
        &self.nodes[&id]
    }

    /// The one that is elected, of those that do not stand still.
    pub fn elected(&self) -> Option<CoordinatorId> {
        self.present().into_iter().find(|id| self.node(*id).status().role == Role::Leader)
    }

    /// The one that has the duties of the leader.
    pub fn leader(&self) -> Option<CoordinatorId> {
        self.elected().filter(|id| self.node(*id).leads())
    }

    /// Waits for a leader whose cluster is founded.
    pub fn until_led(&mut self) -> CoordinatorId {
        let founded = |at: &Self| at.leader().filter(|id| !at.node(*id).state().cluster.is_empty());
        self.pass_until(|cluster| founded(cluster).is_some());
        self.settle();
        founded(self).unwrap()
    }

    /// Something happens at a coordinator.
    pub fn step(&mut self, at: CoordinatorId, event: Event) {
        let now = Now { elapsed: self.now, wall: i64::try_from(self.now.as_millis()).unwrap() };
        let mut effects = Vec::new();
        self.nodes.get_mut(&at).unwrap().step(now, event, &mut effects).unwrap();
        for effect in effects {
            match effect {
                Effect::SendPeer(to, message) => self.wire.push_back((at, to, message)),
                Effect::SendWorker(session, message) => self.said.push((session, message)),
                Effect::Reply(_, answer) => self.answers.push(answer),
                Effect::Store(id, operation) => self.asked.push_back((at, id, operation)),
                Effect::CloseWorker(_)
                | Effect::AskForWorkers(_)
                | Effect::CopyState(_)
                | Effect::Known(..)
                | Effect::Traced(_)
                | Effect::View(_) => {}
            }
        }
    }

    /// A client asks a coordinator.
    pub fn ask(&mut self, at: CoordinatorId, request: ClientRequest) {
        self.step(at, Event::Client(RequestId(0), Caller::trusted(), request));
    }

    /// A worker makes a session with a coordinator, and says what it runs.
    pub fn connect(&mut self, at: CoordinatorId, session: SessionId, attempts: Vec<AttemptStatus>) {
        let hello = Hello {
            protocol: weir_proto::PROTOCOL,
            audits: true,
            compares_state: true,
            cluster: None,
            worker: WorkerId("worker".to_owned()),
            incarnation: Incarnation(1),
            slots: 1,
            address: "worker:1".to_owned(),
            version: "played".to_owned(),
            attempts,
            leaving: false,
        };
        self.step(at, Event::WorkerConnected(session, hello));
        self.settle();
    }

    /// The storage does the first thing that it was asked to do and has not done.
    pub fn storage_answers(&mut self) {
        let (at, id, operation) = self.asked.pop_front().unwrap();
        let outcome = self.storages.execute(operation);
        self.step(at, Event::Stored(id, outcome));
    }

    /// What the storage has not done.
    pub fn unanswered(&self) -> usize {
        self.asked.len()
    }

    /// One thing that is under way arrives. Returns whether there was any.
    pub fn arrive(&mut self) -> bool {
        if let Some((from, to, message)) = self.wire.pop_front() {
            if !self.away.contains(&from) && !self.away.contains(&to) {
                self.step(to, Event::Peer(from, message));
            }
            return true;
        }
        let stores = !self.storage_waits && !self.asked.is_empty();
        if stores {
            self.storage_answers();
        }
        stores
    }

    /// All that is under way arrives, without any time.
    pub fn settle(&mut self) {
        while self.arrive() {}
    }

    /// Time passes at these coordinators, as soon as nothing is under way, until something holds.
    pub fn pass_at(&mut self, at: &[CoordinatorId], holds: impl Fn(&Self) -> bool) {
        for _ in 0..PATIENCE {
            loop {
                if holds(self) {
                    return;
                }
                if !self.arrive() {
                    break;
                }
            }
            self.now += TICK;
            at.iter().for_each(|id| self.step(*id, Event::Tick));
        }
        panic!("it never comes");
    }

    /// Time passes everywhere until something holds.
    pub fn pass_until(&mut self, holds: impl Fn(&Self) -> bool) {
        self.pass_at(&self.present(), holds);
    }
}
