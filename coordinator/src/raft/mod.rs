//! Agreement of the coordinators on one log, by Raft (Ongaro 2014): what is in the log at one of them is, at the same
//! place, in the log of all others, whoever crashes and whatever the network does, as long as a majority lives.
//!
//! ```text
//!                   propose, change_membership, read_index, compact
//!                                      │
//!                tick ──▶ ┌───────────────────────────┐ ──▶ messages to peers
//!                         │  Raft                     │
//!   messages of peers ──▶ │    raft crate, log in     │ ──▶ committed entries, restored state,
//!             receive     │    memory, membership     │     reads, role        (drive)
//!                         └────────────┬──────────────┘
//!                                      │ write, durable on return
//!                                      ▼
//!                                  LogStore
//! ```
//!
//! Nothing in here waits, spawns, reads a clock or draws a random number: ticks and the seed come from the caller. It
//!
//! 1. calls [`tick`](Raft::tick) at a steady pace, and [`receive`](Raft::receive) for what peers have sent;
//! 2. then [`drive`](Raft::drive), which writes to the store what must be durable and fills an [`Output`];
//! 3. sends `messages`, takes `restored` as its state, applies `committed` to it in order, answers `reads`;
//! 4. when [`wants_snapshot`](Raft::wants_snapshot) says so, hands its serialized state to [`compact`](Raft::compact).
//!
//! The applied state itself is in the store only as snapshots: after a restart the first `drive` restores the newest one
//! and hands out again what was committed behind it.
//!
//! Only this module names the raft crate, and only `store/redb.rs` the database. How the crate is kept from foreign
//! bytes, and why the log is in redb: `docs/adr/0004`.

mod config;
mod convert;
mod drive;
mod guard;
mod log;
mod membership;
mod output;
mod store;
#[cfg(test)]
mod tests;
mod timeout;

use std::collections::BTreeMap;

use raft::{RawNode, StateRole};
use weir_core::{CoordinatorId, Error, Result};
use weir_proto::peer::{PeerMessage, Snapshot};

pub use self::config::RaftConfig;
use self::log::Log;
pub use self::membership::{LogId, Member, Membership, MembershipChange};
pub use self::output::{Committed, Output, Refused, RestoredSnapshot, Role, Status};
#[cfg(any(test, feature = "simulation"))]
pub use self::store::SimulatedDisk;
pub use self::store::{Batch, Compaction, HardState, Identity, LogStore, MemoryStore, RedbStore, Stored};
use self::timeout::ElectionTimeout;

/// Bytes of state in a snapshot: it is sent as one message and held in memory.
pub const MAX_SNAPSHOT_BYTES: usize = 64 << 20;

/// How far a learner may be behind when it gets its vote: a vote of one that is far behind is needed for a majority
/// and cannot be had.
const PROMOTION_LAG: u64 = 64;

/// How often an election is tried in a hurry; after that the usual timeout counts.
const HURRIED_ELECTIONS: u32 = 5;

/// An election that does not wait for the usual timeout, since the leader is known to be gone.
#[derive(Debug)]
struct Hurry {
    /// Ticks until it is held.
    ticks: usize,
    /// How often it is still tried.
    tries: u32,
}

/// What a log begins with that is not the first of its cluster.
#[derive(Debug)]
pub struct RebuildFrom {
    /// Higher than any term that the cluster has had: then nobody who knows an earlier log is taken for newer than this one.
    pub term: u64,
    /// The state stands for all entries up to here.
    pub index: u64,
    /// As in a snapshot.
    pub state: Vec<u8>,
}

/// One coordinator's part in consensus.
pub struct Raft<S> {
    config: RaftConfig,
    node: RawNode<Log>,
    store: S,
    timeout: ElectionTimeout,
    hurry: Option<Hurry>,
    /// Membership by the index that brought it, from the snapshot on. The last one holds.
    memberships: BTreeMap<u64, Membership>,
    /// The last entry that was handed out.
    applied: u64,
    /// Restored when the coordinator started, not handed out yet.
    restored: Option<RestoredSnapshot>,
    /// Reads that the leader of a new term cannot confirm before the first entry of its term is committed.
    early_reads: Vec<u64>,
    /// Ticks since the start.
    ticks: u64,
    /// When a peer was last heard, in ticks.
    heard: BTreeMap<CoordinatorId, u64>,
    /// Makes reads distinct: answers to an earlier read must not confirm a later one of the same name.
    read_count: u64,
    /// Snapshots under way, and for how many more ticks they are waited for.
    snapshots_under_way: BTreeMap<CoordinatorId, usize>,
    /// What the caller was told last.
    told: (Role, u64, Option<CoordinatorId>),
    /// The store has failed. Nothing goes on.
    failed: bool,
}

impl<S: LogStore> Raft<S> {
    /// Goes on from what the store holds. An empty store is that of a coordinator that is to be added to a cluster.
    ///
    /// # Errors
    /// A data error if the store is damaged, a user error if the settings make no sense.
    pub fn open(config: RaftConfig, store: S) -> Result<Self> {
        let stored = store.load()?;
        stored.check()?;
        let mut memberships = BTreeMap::from([(0, Membership::default())]);
        let restored = match &stored.snapshot {
            Some(snapshot) => {
                let restored = restored_snapshot(snapshot)?;
                memberships = BTreeMap::from([(restored.index, restored.membership.clone())]);
                Some(restored)
            }
            None => None,
        };
        let applied = restored.as_ref().map_or(0, |snapshot| snapshot.index);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config.library(applied)?, Log::new(stored)?, &logger)
            .map_err(|error| Error::internal("consensus does not start from its store").with_source(error))?;
        let timeout = ElectionTimeout::new(config.seed, config.id.0, config.election_ticks);
        let mut raft = Self {
            node,
            store,
            timeout,
            hurry: None,
            memberships,
            applied,
            restored,
            early_reads: Vec::new(),
            ticks: 0,
            heard: BTreeMap::new(),
            read_count: 0,
            snapshots_under_way: BTreeMap::new(),
            told: (Role::Learner, 0, None),
            failed: false,
            config,
        };
        raft.stepped();
        Ok(raft)
    }

    /// Makes an empty store that of a founding member of a cluster. Every founding member is given the same members, who have
    /// [introduced](crate::founding) themselves to each other: one that has lost its disk must not be bootstrapped again, since
    /// it would vote a second time.
    ///
    /// # Errors
    /// A user error if the store is not empty or the list is.
    pub fn bootstrap(store: &mut S, members: &BTreeMap<CoordinatorId, Member>) -> Result<()> {
        if !store.load()?.is_empty() {
            return Err(Error::user("this coordinator is a member of a cluster already")
                .with_help("start it without founding a cluster"));
        }
        let membership = Membership::founding(members.clone()).to_wire();
        Membership::from_wire(&membership)
            .map_err(|error| Error::user("a cluster cannot be founded").with_source(error))?;
        let hard_state = HardState { term: 1, vote: None, commit: 1 };
        let snapshot = Snapshot { index: 1, term: 1, membership: Some(membership), state: bytes::Bytes::new() };
        store.write(&Batch { hard_state: Some(hard_state), installed: Some(snapshot), ..Batch::default() })
    }

    /// Makes an empty store that of the only member of a cluster that goes on from `state`, as if it were what the log had come
    /// to at this term and index. A cluster that is lost is rebuilt so; whoever is added follows this log.
    ///
    /// # Errors
    /// A user error if the store is not empty or the member cannot be one.
    pub fn rebuild(store: &mut S, members: &BTreeMap<CoordinatorId, Member>, from: RebuildFrom) -> Result<()> {
        if !store.load()?.is_empty() {
            return Err(Error::user("this coordinator has a log already"));
        }
        let RebuildFrom { term, index, state } = from;
        let membership = Membership::founding(members.clone()).to_wire();
        Membership::from_wire(&membership)
            .map_err(|error| Error::user("a cluster cannot be rebuilt").with_source(error))?;
        let hard_state = HardState { term, vote: None, commit: index };
        let snapshot = Snapshot { index, term, membership: Some(membership), state: state.into() };
        store.write(&Batch { hard_state: Some(hard_state), installed: Some(snapshot), ..Batch::default() })
    }

    /// A tick of time has passed.
    pub fn tick(&mut self) {
        self.ticks += 1;
        self.node.tick();
        self.stepped();
        let mut lost = Vec::new();
        self.snapshots_under_way.retain(|id, ticks| {
            *ticks -= 1;
            if *ticks == 0 {
                lost.push(*id);
            }
            *ticks > 0
        });
        for id in lost {
            self.report_snapshot(id, false);
        }
        self.hurry_on();
    }

    /// Takes a message of a peer.
    ///
    /// # Errors
    /// A data error if no correct peer sends such a message to this coordinator. It is dropped, nothing has changed.
    pub fn receive(&mut self, from: CoordinatorId, message: PeerMessage) -> Result<()> {
        guard::check_logs(self.config.log, self.membership(), from, &message)?;
        let mut message = convert::message_from_wire(message)
            .map_err(|error| error.context(format!("message of coordinator {from} refused")))?;
        guard::check(&self.node, from, &message)?;
        if guard::stale_probe(&self.node, &message) {
            return Ok(());
        }
        guard::floor_probe(&self.node, &mut message);
        self.heard.insert(from, self.ticks);
        match self.node.step(message) {
            // An answer of one that is no member any more.
            Ok(()) | Err(raft::Error::StepPeerNotFound) => {}
            Err(error) => return Err(Error::data(format!("message of coordinator {from} refused")).with_source(error)),
        }
        self.stepped();
        Ok(())
    }

    /// Asks for the payload to be put into the log. It comes back as [`Committed::Payload`], here and everywhere, or
    /// never if leadership is lost: whether it did is not known then, so put into it what makes it recognizable.
    pub fn propose(&mut self, payload: Vec<u8>) -> Result<(), Refused> {
        self.lead()?;
        if payload.is_empty() || payload.len() as u64 > self.config.max_message_bytes {
            let (bytes, limit) = (payload.len(), self.config.max_message_bytes);
            return Err(Refused::Invalid(format!("a proposal of {bytes} bytes: 1 to {limit} can be agreed upon")));
        }
        let proposed = self.node.propose(Vec::new(), payload);
        self.stepped();
        proposed.map_err(|_| Refused::Busy("too much waits to be agreed upon, or leadership is being handed over"))
    }

    /// Asks for one step of the membership, of which one at a time can be under way. `context` comes back in
    /// [`Committed::Membership`]. A leader does not remove itself: it hands leadership over first.
    pub fn change_membership(&mut self, change: &MembershipChange, context: Vec<u8>) -> Result<(), Refused> {
        self.lead()?;
        self.membership().after(change).map_err(Refused::Invalid)?;
        match change {
            MembershipChange::Remove(id) if *id == self.config.id => {
                return Err(Refused::Invalid(format!("coordinator {id} is the leader: hand leadership over first")));
            }
            MembershipChange::Remove(id) if !self.majority_lives_without(*id) => {
                return Err(Refused::Busy(
                    "of the coordinators that would remain a majority cannot be reached, so nothing could be decided any more",
                ));
            }
            MembershipChange::Promote(id) => {
                let matched = self.node.raft.prs().get(id.0).map_or(0, |progress| progress.matched);
                if matched == 0 || matched + PROMOTION_LAG < self.node.raft.raft_log.committed {
                    return Err(Refused::Busy("the new coordinator has not caught up yet"));
                }
            }
            _ => {}
        }
        // The first entry of the term has to be decided before the membership may change (Ongaro, raft-dev 2015).
        if self.node.raft.has_pending_conf() || !self.node.raft.commit_to_current_term() {
            return Err(Refused::Busy("another change of the membership, or of the leader, is under way"));
        }
        use prost::Message as _;
        let content = change.to_wire(context).encode_to_vec();
        let proposed = self.node.propose_conf_change(content, convert::library_change(change));
        self.stepped();
        proposed.map_err(|_| Refused::Busy("too much waits to be agreed upon, or leadership is being handed over"))
    }

    /// Asks from where on the applied state may answer a read that starts now: linearizable, without a log entry. The
    /// answer is in [`Output::reads`]. It never comes if leadership is lost first, which [`Output::role_changed`] tells.
    pub fn read_index(&mut self, request: u64) -> Result<(), Refused> {
        self.lead()?;
        self.early_reads.push(request);
        self.ask_early_reads();
        Ok(())
    }

    /// Hands leadership over, to the named member or the one whose log reaches farthest. Without effect unless this is
    /// the leader; given up after an election timeout.
    pub fn transfer_leadership(&mut self, to: Option<CoordinatorId>) {
        if self.node.raft.state != StateRole::Leader {
            return;
        }
        let (me, progress) = (self.config.id, self.node.raft.prs());
        let farthest = || {
            let others = self.membership().voters.keys().copied().filter(|id| *id != me);
            others.max_by_key(|id| progress.get(id.0).map(|progress| (progress.recent_active, progress.matched)))
        };
        if let Some(to) = to.or_else(farthest) {
            self.node.transfer_leader(to.0);
            self.stepped();
        }
    }

    /// Messages to this peer do not arrive.
    pub fn report_unreachable(&mut self, id: CoordinatorId) {
        self.node.report_unreachable(id.0);
        self.stepped();
    }

    /// The process of this peer has ended, or looks like it. If it was the leader, the others need not wait until it has been
    /// silent for long. A guess that is wrong does no harm: whoever still hears the leader refuses the pre-vote.
    pub fn report_gone(&mut self, id: CoordinatorId) {
        self.node.report_unreachable(id.0);
        let raft = &mut self.node.raft;
        if raft.state == StateRole::Follower && raft.leader_id == id.0 {
            let term = raft.term;
            raft.become_follower(term, raft::INVALID_ID);
            self.hurry = Some(Hurry { ticks: self.timeout.hurried(), tries: HURRIED_ELECTIONS });
        }
        self.stepped();
    }

    /// A tick has passed: stands for election if it is time to.
    fn hurry_on(&mut self) {
        let Some(mut hurry) = self.hurry.take() else { return };
        let has_leader = self.node.raft.leader_id != raft::INVALID_ID;
        if has_leader || hurry.tries == 0 || !self.membership().voters.contains_key(&self.config.id) {
            return;
        }
        hurry.ticks -= 1;
        if hurry.ticks == 0 {
            // Refused only while an earlier change of the membership waits to be applied: then the next try will do.
            let _ = self.node.campaign();
            self.stepped();
            hurry = Hurry { ticks: self.timeout.hurried(), tries: hurry.tries - 1 };
        }
        self.hurry = Some(hurry);
    }

    /// A message with a snapshot has arrived at this peer, or is lost. If nobody says so it counts as lost after a while.
    pub fn report_snapshot(&mut self, id: CoordinatorId, arrived: bool) {
        self.snapshots_under_way.remove(&id);
        let status = if arrived { raft::SnapshotStatus::Finish } else { raft::SnapshotStatus::Failure };
        self.node.report_snapshot(id.0, status);
        self.stepped();
    }

    /// Whether the log has become long, or a peer needs a newer snapshot than there is.
    pub fn wants_snapshot(&self) -> bool {
        let log = self.node.raft.store();
        let grown = self.applied - log.snapshot_index().min(self.applied);
        grown >= self.config.snapshot_after_entries || (grown > 0 && log.snapshot_wanted())
    }

    /// How this coordinator sees things.
    pub fn status(&self) -> Status {
        let raft = &self.node.raft;
        let matched = match raft.state {
            StateRole::Leader => {
                raft.prs().iter().map(|(id, progress)| (CoordinatorId(*id), progress.matched)).collect()
            }
            _ => BTreeMap::new(),
        };
        let (role, term, leader) = self.standing();
        Status {
            id: self.config.id,
            role,
            term,
            leader,
            commit: raft.raft_log.committed,
            applied: self.applied,
            membership: self.membership().clone(),
            matched,
        }
    }

    /// Ends this coordinator's part and gives its store back.
    pub fn into_store(self) -> S {
        self.store
    }

    /// Whether most of those who would have a vote then were heard of late.
    fn majority_lives_without(&self, removed: CoordinatorId) -> bool {
        let patience = 2 * self.config.election_ticks as u64;
        let lives = |id: &CoordinatorId| {
            *id == self.config.id || self.heard.get(id).is_some_and(|heard| heard + patience >= self.ticks)
        };
        let remaining: Vec<_> = self.membership().voters.keys().copied().filter(|id| *id != removed).collect();
        remaining.iter().filter(|id| lives(id)).count() > remaining.len() / 2
    }

    fn membership(&self) -> &Membership {
        self.memberships.values().next_back().expect("there is one from the start on")
    }

    fn standing(&self) -> (Role, u64, Option<CoordinatorId>) {
        let raft = &self.node.raft;
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if self.membership().voters.contains_key(&self.config.id) => Role::Follower,
            StateRole::Follower => Role::Learner,
        };
        (role, raft.term, Some(CoordinatorId(raft.leader_id)).filter(|id| id.0 != raft::INVALID_ID))
    }

    fn lead(&self) -> Result<(), Refused> {
        match self.standing() {
            (Role::Leader, _, _) if !self.failed => Ok(()),
            (_, _, leader) => Err(Refused::NotLeader { leader: leader.filter(|id| *id != self.config.id) }),
        }
    }

    /// To be called whenever the library may have taken a step.
    fn stepped(&mut self) {
        let ticks = self.timeout.ticks(self.node.raft.term, self.node.raft.state);
        self.node.raft.set_randomized_election_timeout(ticks);
        if self.node.raft.state != StateRole::Leader {
            self.early_reads.clear();
            self.snapshots_under_way.clear();
        }
    }

    fn ask_early_reads(&mut self) {
        if self.node.raft.state == StateRole::Leader && self.node.raft.commit_to_current_term() {
            for request in std::mem::take(&mut self.early_reads) {
                self.read_count += 1;
                self.node.read_index([self.read_count.to_le_bytes(), request.to_le_bytes()].concat());
            }
            self.stepped();
        }
    }
}

/// Checks a snapshot from a disk or a peer.
fn restored_snapshot(snapshot: &Snapshot) -> Result<RestoredSnapshot> {
    Ok(RestoredSnapshot {
        index: snapshot.index,
        term: snapshot.term,
        membership: Membership::from_wire(&snapshot.membership.clone().unwrap_or_default())?,
        state: snapshot.state.clone(),
    })
}
