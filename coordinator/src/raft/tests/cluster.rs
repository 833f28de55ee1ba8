//! Coordinators in one process on simulated time: ticks, a network, disks, and an oracle that watches.
//!
//! The replicated state is the sequence of all payloads, eight bytes each, so that a lost, doubled or reordered one
//! shows.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::CoordinatorId;

use super::super::{
    Committed, LogId, Membership, MembershipChange, MemoryStore, Output, Raft, RaftConfig, Refused, Role, Status,
};
use super::disk::Disk;
use super::network::Network;
use super::oracle::Oracle;
use super::random::Random;
use super::{config, members};

/// One coordinator, running or not.
pub(super) struct Node {
    pub(super) raft: Option<Raft<Disk>>,
    off: Option<Disk>,
    state: Vec<u8>,
    pub(super) applied: u64,
}

/// What has happened in a history, to know that the interesting things did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) committed: u64,
    pub(super) reads: u64,
    pub(super) crashes: u64,
    pub(super) failed_writes: u64,
    pub(super) compactions: u64,
    pub(super) installed: u64,
    pub(super) memberships: u64,
}

pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<CoordinatorId, Node>,
    pub(super) network: Network,
    pub(super) oracle: Oracle,
    pub(super) random: Random,
    pub(super) counts: Counts,
    /// Hash over everything that left a coordinator.
    pub(super) trace: crc32fast::Hasher,
    pub(super) now: u64,
    pub(super) lazy: u64,
    pub(super) compacts: bool,
    /// Who has begun anew with an empty log, and what was refused since.
    lost: BTreeSet<CoordinatorId>,
    pub(super) refused: Vec<String>,
    seed: u64,
    next_request: u64,
}

impl Cluster {
    pub(super) fn new(size: u64, seed: u64) -> Self {
        Self::with_lazy_disks(size, seed, 0)
    }

    pub(super) fn with_lazy_disks(size: u64, seed: u64, lazy: u64) -> Self {
        let mut cluster = Self {
            nodes: BTreeMap::new(),
            network: Network::default(),
            oracle: Oracle::default(),
            random: Random(seed),
            counts: Counts::default(),
            trace: crc32fast::Hasher::new(),
            now: 0,
            lazy,
            compacts: true,
            lost: BTreeSet::new(),
            refused: Vec::new(),
            seed,
            next_request: 0,
        };
        for id in 1..=size {
            let mut store = MemoryStore::default();
            Raft::bootstrap(&mut store, &members(1..=size)).unwrap();
            cluster.add(CoordinatorId(id), Disk::new(store, lazy));
        }
        cluster
    }

    fn add(&mut self, id: CoordinatorId, disk: Disk) {
        self.nodes.insert(id, Node { raft: None, off: Some(disk), state: Vec::new(), applied: 0 });
        self.start(id);
    }

    /// A coordinator that knows nothing yet.
    pub(super) fn add_blank(&mut self, id: CoordinatorId) {
        self.add(id, Disk::new(MemoryStore::default(), self.lazy));
    }

    fn settings(&self, id: CoordinatorId) -> RaftConfig {
        let settings = config(id.0, self.seed);
        let log = if self.lost.contains(&id) { LogId(2000 + id.0) } else { settings.log };
        RaftConfig { log, ..settings }
    }

    /// A founding member's folder is emptied, and it is started as a founding member again.
    pub(super) fn lose_log(&mut self, id: CoordinatorId, founders: u64) {
        self.crash(id);
        let mut store = MemoryStore::default();
        Raft::bootstrap(&mut store, &members(1..=founders)).unwrap();
        self.lost.insert(id);
        self.add(id, Disk::new(store, self.lazy));
    }

    pub(super) fn start(&mut self, id: CoordinatorId) {
        let settings = self.settings(id);
        let node = self.nodes.get_mut(&id).expect("exists");
        if let Some(disk) = node.off.take() {
            (node.state, node.applied) = (Vec::new(), 0);
            node.raft = Some(Raft::open(settings, disk).expect("opens"));
        }
    }

    pub(super) fn crash(&mut self, id: CoordinatorId) {
        let node = self.nodes.get_mut(&id).expect("exists");
        if let Some(raft) = node.raft.take() {
            node.off = Some(raft.into_store().after_power_loss());
            self.counts.crashes += 1;
        }
    }

    /// The next write of this coordinator but `after` fails.
    pub(super) fn fail_write(&mut self, id: CoordinatorId, after: u64, on_disk: bool) {
        if let Some(raft) = self.raft(id) {
            raft.store.fails = Some((after, on_disk));
        }
    }

    pub(super) fn raft(&mut self, id: CoordinatorId) -> Option<&mut Raft<Disk>> {
        self.nodes.get_mut(&id)?.raft.as_mut()
    }

    pub(super) fn status(&self, id: CoordinatorId) -> Option<Status> {
        self.nodes[&id].raft.as_ref().map(Raft::status)
    }

    pub(super) fn ids(&self) -> Vec<CoordinatorId> {
        self.nodes.keys().copied().collect()
    }

    /// Whoever leads in the newest term.
    pub(super) fn leader(&self) -> Option<CoordinatorId> {
        let running = self.nodes.values().filter_map(|node| Some(node.raft.as_ref()?.status()));
        running.filter(|status| status.role == Role::Leader).max_by_key(|status| status.term).map(|status| status.id)
    }

    pub(super) fn propose(&mut self, to: CoordinatorId) -> Option<Result<u64, Refused>> {
        self.next_request += 1;
        let number = self.next_request;
        let proposed = self.raft(to)?.propose(number.to_be_bytes().to_vec());
        Some(proposed.map(|()| number))
    }

    pub(super) fn read(&mut self, at: CoordinatorId) {
        self.next_request += 1;
        let request = self.next_request;
        if self.raft(at).is_some_and(|raft| raft.read_index(request).is_ok()) {
            self.oracle.read_asked(at, request);
        }
    }

    pub(super) fn change(&mut self, at: CoordinatorId, change: &MembershipChange) -> Result<(), Refused> {
        let context = format!("{change:?}").into_bytes();
        self.raft(at).expect("runs").change_membership(change, context)
    }

    /// One tick of time for everybody.
    pub(super) fn step(&mut self) {
        self.now += 1;
        for (from, to, message) in self.network.arrivals(self.now, &mut self.random) {
            let received = self.raft(to).map(|raft| raft.receive(from, message));
            if let Some(Err(error)) = received {
                let strange = self.lost.contains(&from) || self.lost.contains(&to);
                assert!(strange, "{}", error.report());
                self.refused.push(error.report());
            }
        }
        for id in self.ids() {
            if let Some(raft) = self.raft(id) {
                raft.tick();
            }
            self.drive(id);
        }
    }

    pub(super) fn drive(&mut self, id: CoordinatorId) {
        let mut out = Output::default();
        let Some(raft) = self.raft(id) else { return };
        if raft.drive(&mut out).is_err() {
            self.counts.failed_writes += 1;
            self.crash(id);
            return;
        }
        let status = raft.status();
        self.oracle.status(&status);
        for (to, message) in &out.messages {
            use prost::Message as _;
            self.trace.update(&message.encode_to_vec());
            self.oracle.sent(message);
            assert_ne!(*to, id);
            self.network.send((id, *to), message, self.now, &mut self.random);
        }
        self.take(id, &out);
        self.compact(id);
    }

    fn take(&mut self, id: CoordinatorId, out: &Output) {
        let node = self.nodes.get_mut(&id).expect("exists");
        if let Some(restored) = &out.restored {
            if node.applied > 0 {
                self.counts.installed += 1;
            }
            assert!(restored.index >= node.applied, "the state goes back");
            (node.state, node.applied) = (restored.state.to_vec(), restored.index);
            assert!(node.state == self.oracle.state_at(node.applied), "a snapshot of something that was not decided");
        }
        for entry in &out.committed {
            self.oracle.committed(id, entry);
            assert_eq!(entry.index(), node.applied + 1, "a gap in what is handed out");
            node.applied = entry.index();
            match entry {
                Committed::Payload { bytes, .. } => node.state.extend_from_slice(bytes),
                Committed::Membership { change, context, .. } => {
                    assert_eq!(&context[..], format!("{change:?}").as_bytes());
                    self.counts.memberships += 1;
                }
                Committed::Empty { .. } => {}
            }
            self.counts.committed += 1;
        }
        for (request, index) in &out.reads {
            self.oracle.read_answered(id, *request, *index);
            self.counts.reads += 1;
        }
    }

    fn compact(&mut self, id: CoordinatorId) {
        let node = self.nodes.get_mut(&id).expect("exists");
        let Some(raft) = node.raft.as_mut().filter(|raft| self.compacts && raft.wants_snapshot()) else { return };
        if raft.compact(node.applied, node.state.clone()).is_err() {
            self.counts.failed_writes += 1;
            self.crash(id);
        } else {
            self.counts.compactions += 1;
        }
    }

    pub(super) fn steps(&mut self, count: u64) {
        (0..count).for_each(|_| self.step());
    }

    /// Goes on until it is so; fails if it never gets so.
    pub(super) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..2000 {
            if done(self) {
                return;
            }
            self.step();
        }
        let statuses: Vec<_> = self.ids().into_iter().map(|id| self.status(id)).collect();
        panic!("never {what}: {statuses:#?}");
    }

    /// Waits for a leader and returns it.
    pub(super) fn elect(&mut self) -> CoordinatorId {
        self.until("a leader that has decided something", |cluster| {
            cluster.leader().is_some_and(|id| cluster.nodes[&id].applied > 1)
        });
        self.leader().expect("just seen")
    }

    /// Proposes until it is decided. Needs a network that lets a leader be found.
    pub(super) fn decide_one(&mut self) -> u64 {
        let index = self.oracle.newest();
        for _ in 0..50 {
            let leader = self.elect();
            let _ = self.propose(leader);
            self.steps(10);
            if self.oracle.newest() > index {
                return self.oracle.newest();
            }
        }
        panic!("nothing is decided any more");
    }

    pub(super) fn membership(&self) -> Membership {
        let leader = self.leader().expect("there is a leader");
        self.status(leader).expect("it runs").membership
    }

    /// Everybody who belongs to the cluster has the same state, which is what was decided.
    pub(super) fn converge(&mut self) {
        let index = self.decide_one();
        let members: Vec<_> = {
            let membership = self.membership();
            membership.voters.into_keys().chain(membership.learners.into_keys()).collect()
        };
        self.until("all members have caught up", |cluster| members.iter().all(|id| cluster.nodes[id].applied >= index));
        for id in members {
            let node = &self.nodes[&id];
            assert!(
                node.state == self.oracle.state_at(node.applied),
                "coordinator {id} has another state than decided"
            );
        }
    }
}
