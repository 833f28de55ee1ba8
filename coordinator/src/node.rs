//! One coordinator, without I/O: consensus, the replicated state, and, while it leads, the leader's duties.
//!
//! ```text
//!   peers ──┐                ┌──────── raft ────────┐ committed  ┌──────────────┐
//!   clients ┼─▶ Node::step ──┤ propose     persist  ├───────────▶│ ClusterState │
//!   workers ┤                └──────────▲───────────┘   apply    └──────┬───────┘
//!   storage ┤                           │ Propose                       ▼
//!   ticks ──┘                           └─────────────── Leader (only in its own term)
//! ```
//!
//! What a step sends out is durable here before it leaves: [`Raft::drive`] persists before it hands anything over. If that
//! fails the node is done for: its process must end, and recovery is the way it starts again.

mod copying;
mod figures;
mod held;
mod journal;
mod majority;
mod requests;
#[cfg(test)]
mod tests;
mod versions;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{CoordinatorId, Error, ErrorKind, Result};
use weir_monitoring::Span;
use weir_proto::client::{Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use weir_proto::control::{FromWorker, Hello, ToWorker};
use weir_proto::peer::{MessageKind, PeerMessage};

use crate::access::Principal;
use crate::cluster::{Applied, ClusterState, Command, Refusal};
use crate::copies::StateCopy;
use crate::leader::{
    self, AuditId, ComparisonId, Leader, LeaderConfig, Now, OperationId, SessionId, StorageOperation, StorageOutcome,
};
use crate::raft::{Committed, LogStore, Membership, MembershipChange, Output, Raft, Refused, Role, Status};
use crate::workforce::Workforce;

use self::copying::Copying;
use self::figures::Tallies;
use self::held::Held;
use self::majority::{Majority, Told};
use self::versions::Version;

/// Number of a client's request, given by whoever brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What a node is told.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// How a leader goes about its duties.
    pub leader: LeaderConfig,
    /// Name of the cluster and a random part, for the case that this node founds it.
    pub cluster: String,
    /// URL of where checkpoints are, for the same case.
    pub storage: String,
    /// A number that no process of this node has had before, so that its proposals are told from those of an earlier one.
    pub incarnation: u64,
}

/// What has happened.
#[derive(Debug)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A peer has sent something.
    Peer(CoordinatorId, PeerMessage),
    /// Nothing gets through to a peer.
    PeerUnreachable(CoordinatorId),
    /// A peer's process has ended, or looks like it.
    PeerGone(CoordinatorId),
    /// A peer says that this coordinator was removed.
    RemovedBy(CoordinatorId),
    /// A client wants something.
    Client(RequestId, Caller, ClientRequest),
    /// A worker has connected.
    WorkerConnected(SessionId, Hello),
    /// A worker has said something.
    Worker(SessionId, FromWorker),
    /// A worker's connection is gone.
    WorkerDisconnected(SessionId),
    /// Storage has done what it was asked.
    Stored(OperationId, StorageOutcome),
    /// A copy of the replicated state could not be written.
    CopyFailed,
    /// The process is about to end: somebody else shall lead.
    Leaving,
}

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// Send to a peer. May be lost.
    SendPeer(CoordinatorId, PeerMessage),
    /// Send to a worker.
    SendWorker(SessionId, ToWorker),
    /// Close a worker's connection, behind what was sent.
    CloseWorker(SessionId),
    /// Answer a client.
    Reply(RequestId, Result<ClientResponse, ClientError>),
    /// It is known who asks. Comes before the answer.
    Known(RequestId, String),
    /// So many workers should be here.
    AskForWorkers(Workforce),
    /// Tell a part of a trace.
    Traced(Box<Span>),
    /// Ask storage.
    Store(OperationId, StorageOperation),
    /// Keep a copy of the replicated state beside the checkpoints.
    CopyState(Box<StateCopy>),
    /// Another coordinator leads, or none does, or the members are others.
    View(Box<Status>),
}

/// One coordinator.
pub struct Node<S: LogStore> {
    config: NodeConfig,
    raft: Raft<S>,
    state: ClusterState,
    /// Index and term of the last entry that `state` holds.
    applied: (u64, u64),
    leader: Option<Leader>,
    copying: Copying,
    status: Status,
    requests: Requests,
    /// What consensus would not take just now.
    unproposed: VecDeque<Vec<u8>>,
    /// Who says that this coordinator was removed.
    removed_by: BTreeSet<CoordinatorId>,
    /// Whether this coordinator was removed as far as its own log says.
    is_removed: bool,
    /// When a peer last said anything.
    heard: BTreeMap<CoordinatorId, Duration>,
    /// Since the start.
    ticks: u64,
    /// Up to this entry no snapshot is tried: the last one was refused.
    no_snapshot_before: u64,
    majority: Majority,
    tallies: Tallies,
}

/// Ticks between two questions of one that may have been removed.
const ASK_EVERY_TICKS: u64 = 25;

/// After so many entries a snapshot that was refused is tried again.
const RETRY_SNAPSHOT_AFTER: u64 = 1000;

/// Clients that wait for an answer.
#[derive(Debug, Default)]
struct Requests {
    next: u64,
    /// Until a proposal is applied.
    proposed: BTreeMap<u64, Waiting>,
    /// Until it is known that this coordinator still leads.
    reading: BTreeMap<u64, (RequestId, Principal, ClientRequest)>,
    /// Until a worker has asked the systems that a job writes.
    auditing: BTreeMap<AuditId, RequestId>,
    /// Until storage has answered.
    served: BTreeMap<OperationId, RequestId>,
    /// Until a worker has looked whether a version of a job can go on with its state.
    comparing: BTreeMap<ComparisonId, Vec<Version>>,
    /// Until files are deleted that nothing needed.
    held: Held,
}

/// A client that waits until what it wants is applied.
#[derive(Debug)]
struct Waiting {
    request: RequestId,
    /// Why nobody has looked whether a version of a job can go on with its state.
    unchecked: Option<String>,
}

impl From<RequestId> for Waiting {
    fn from(request: RequestId) -> Self {
        Self { request, unchecked: None }
    }
}

impl<S: LogStore> Node<S> {
    /// A node on the log that it has written, if any.
    pub fn new(config: NodeConfig, raft: Raft<S>) -> Self {
        let status = raft.status();
        let requests = Requests { next: config.incarnation << 24, ..Requests::default() };
        Self {
            config,
            raft,
            state: ClusterState::default(),
            applied: (0, 0),
            leader: None,
            copying: Copying::default(),
            status,
            requests,
            unproposed: VecDeque::new(),
            removed_by: BTreeSet::new(),
            is_removed: false,
            heard: BTreeMap::new(),
            ticks: 0,
            no_snapshot_before: 0,
            majority: Majority::default(),
            tallies: Tallies::default(),
        }
    }

    /// How this node sees things.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The replicated state, as far as it is known here.
    pub fn state(&self) -> &ClusterState {
        &self.state
    }

    /// Index of the last entry that the state holds.
    pub fn applied(&self) -> u64 {
        self.applied.0
    }

    /// Proposals that consensus has not taken yet; none unless this node leads.
    pub fn waiting_proposals(&self) -> usize {
        self.unproposed.len()
    }

    /// Whether this node has the duties of a leader.
    pub fn leads(&self) -> bool {
        self.leader.is_some()
    }

    /// Takes in what has happened and says what is to be done, in order.
    ///
    /// # Errors
    /// If the log could not be made durable, or what was decided cannot be read. The node must not be used any more.
    pub fn step(&mut self, now: Now, input: Event, effects: &mut Vec<Effect>) -> Result<()> {
        self.take(now, input, effects)?;
        self.settle(now, effects)
    }

    /// The first half of a step. Several inputs may be taken in before they are [settled](Self::settle) together, so that they
    /// are made durable together.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn take(&mut self, now: Now, input: Event, effects: &mut Vec<Effect>) -> Result<()> {
        self.tallies.begin(now.wall);
        match input {
            Event::Tick => {
                self.raft.tick();
                self.promote_learners();
                self.ask_whether_removed(effects);
                self.tell_of_majority(now);
                let overdue = self.requests.held.overdue(now.elapsed).into_iter();
                effects.extend(overdue.map(|request| Effect::Reply(request, Err(storage_hangs()))));
                self.lead(now, leader::Event::Tick, effects)?;
            }
            Event::Peer(from, message) => {
                self.heard.insert(from, now.elapsed);
                // A message that makes no sense is a peer's fault and changes nothing here.
                if let Err(error) = self.raft.receive(from, message) {
                    tracing::debug!(peer = from.0, error = error.report(), "a peer's message was refused");
                }
            }
            Event::PeerUnreachable(peer) => self.raft.report_unreachable(peer),
            Event::PeerGone(peer) => self.raft.report_gone(peer),
            Event::RemovedBy(peer) => self.removed_by(peer)?,
            Event::Client(id, caller, request) => self.request(now, id, &caller, request, effects),
            Event::WorkerConnected(session, _) if self.leader.is_none() => {
                let leader = self.status.leader.filter(|leader| *leader != self.status.id);
                let leader = leader.and_then(|leader| self.status.membership.address(leader)).map(str::to_owned);
                effects.push(Effect::SendWorker(session, ToWorker::Redirect { leader }));
                effects.push(Effect::CloseWorker(session));
            }
            Event::WorkerConnected(session, hello) => {
                self.lead(now, leader::Event::Connected(session, hello), effects)?
            }
            Event::Worker(session, message) => self.lead(now, leader::Event::Worker(session, message), effects)?,
            Event::WorkerDisconnected(session) => self.lead(now, leader::Event::Disconnected(session), effects)?,
            Event::Stored(operation, outcome) => {
                let answers = self.requests.held.done(operation);
                effects.extend(answers.into_iter().map(|(request, answer)| Effect::Reply(request, answer)));
                self.lead(now, leader::Event::Stored(operation, outcome), effects)?;
            }
            Event::CopyFailed => self.copying.want(),
            Event::Leaving => self.raft.transfer_leadership(None),
        }
        Ok(())
    }

    /// The second half of a step: runs consensus until it has nothing more to do.
    ///
    /// # Errors
    /// As for [`step`](Self::step).
    pub fn settle(&mut self, now: Now, effects: &mut Vec<Effect>) -> Result<()> {
        loop {
            let mut output = Output::default();
            self.propose_what_waits(effects);
            self.raft.drive(&mut output)?;
            let idle = output.messages.is_empty()
                && output.committed.is_empty()
                && output.restored.is_none()
                && output.reads.is_empty()
                && output.role_changed.is_none();
            if idle {
                break;
            }
            effects.extend(output.messages.into_iter().map(|(to, message)| Effect::SendPeer(to, message)));
            if let Some(restored) = output.restored {
                self.state = match restored.state.as_ref() {
                    [] => ClusterState::default(),
                    state => ClusterState::from_bytes(state, "in a snapshot of the log")?,
                };
                self.applied = (restored.index, restored.term);
                self.status = self.raft.status();
                effects.push(Effect::View(Box::new(self.status.clone())));
            }
            if let Some(status) = output.role_changed {
                self.role_changed(status, effects);
            }
            for committed in output.committed {
                self.commit(now, committed, effects)?;
            }
            for (read, _) in output.reads {
                self.answer_read(now, read, effects);
            }
        }
        if self.raft.wants_snapshot() && self.applied.0 >= self.no_snapshot_before {
            let last = self.applied.0 - u64::from(bugs::is_on(Bug::SnapshotAhead));
            match self.raft.compact(last, self.state.to_bytes()) {
                Ok(()) => self.copying.want(),
                // A person has to make the state smaller, and cannot if the process ends.
                Err(error) if error.kind() == ErrorKind::User => {
                    tracing::error!(error = error.report(), "the log of the coordinators cannot be cut and grows");
                    self.no_snapshot_before = self.applied.0 + RETRY_SNAPSHOT_AFTER;
                }
                Err(error) => return Err(error),
            }
        }
        self.copy_if_due(now, effects);
        Ok(())
    }

    fn copy_if_due(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.leader.is_some()
            && !self.state.cluster.is_empty()
            && self.copying.is_due(now.elapsed, self.config.leader.copy_pause)
        {
            let (index, term) = self.applied;
            effects.push(Effect::CopyState(Box::new(StateCopy {
                term,
                index,
                at: now.wall,
                state: self.state.clone(),
            })));
        }
    }

    fn role_changed(&mut self, status: Status, effects: &mut Vec<Effect>) {
        let leads = status.role == Role::Leader || bugs::is_on(Bug::DeposedLeaderActs);
        let stays = self
            .leader
            .as_ref()
            .is_some_and(|leader| leads && (leader.term() == status.term || bugs::is_on(Bug::DeposedLeaderActs)));
        if !stays && let Some(leader) = self.leader.take() {
            self.step_down(&leader, effects);
        }
        if let Some(leader) = status.leader.filter(|leader| Some(*leader) != self.status.leader) {
            self.tallies.led(leader, status.term);
            tracing::info!(%leader, term = status.term, here = leader == status.id, "a coordinator leads");
        }
        self.status = status;
        effects.push(Effect::View(Box::new(self.status.clone())));
    }

    fn tell_of_majority(&mut self, now: Now) {
        let told = self.majority.tick(now.elapsed, self.status.leader.is_some());
        match told {
            None => {}
            Some(Told::Missing(time)) if self.status.membership.voters.is_empty() => {
                tracing::debug!(seconds = time.as_secs(), "this coordinator is in no cluster yet");
            }
            Some(Told::Missing(time)) => {
                let standing = self.standing(now);
                tracing::warn!(seconds = time.as_secs(), standing, "no coordinator leads");
            }
            Some(Told::Back(time)) => tracing::info!(seconds = time.as_secs(), "a coordinator leads again"),
        }
    }

    /// Whether those that this coordinator hears of are a majority, for people.
    pub fn standing(&self, now: Now) -> String {
        let voters = &self.status.membership.voters;
        let is_heard = |id: &CoordinatorId| {
            let heard = self.heard.get(id).is_some_and(|heard| now.elapsed.saturating_sub(*heard) < majority::SILENCE);
            *id == self.status.id || heard
        };
        majority::standing(voters.keys().filter(|id| is_heard(id)).count(), voters.len())
    }

    /// Whoever waits here waits in vain: what was proposed may yet be decided, by another leader.
    fn step_down(&mut self, leader: &Leader, effects: &mut Vec<Effect>) {
        for session in leader.sessions() {
            effects.push(Effect::SendWorker(session, ToWorker::Redirect { leader: None }));
            effects.push(Effect::CloseWorker(session));
        }
        if !bugs::is_on(Bug::ProposalsSurvive) {
            self.unproposed.clear();
        }
        let unknown = ClientError::new(
            ClientErrorKind::Unknown,
            "the leader changed while the request was under way: it is not known whether it was carried out",
        );
        let proposed = std::mem::take(&mut self.requests.proposed).into_values().map(|waiting| waiting.request);
        // The files of those that are held may be deleted yet: whoever asks again puts them there again.
        let proposed = proposed.chain(self.requests.held.take());
        effects.extend(proposed.map(|request| Effect::Reply(request, Err(unknown.clone()))));
        let reading = std::mem::take(&mut self.requests.reading);
        effects.extend(reading.into_values().map(|(request, ..)| Effect::Reply(request, Err(unavailable()))));
        let auditing = std::mem::take(&mut self.requests.auditing).into_values();
        let comparing = std::mem::take(&mut self.requests.comparing).into_values().flatten().map(Version::request);
        let served = std::mem::take(&mut self.requests.served).into_values();
        let given_up = auditing.chain(comparing).chain(served);
        effects.extend(given_up.map(|request| Effect::Reply(request, Err(unavailable()))));
    }

    fn commit(&mut self, now: Now, committed: Committed, effects: &mut Vec<Effect>) -> Result<()> {
        self.applied = (committed.index(), committed.term());
        match committed {
            Committed::Empty { term, .. } => {
                // Everything that was decided before is in the state now: only from here on may a leader act.
                let is_own = self.status.term == term || bugs::is_on(Bug::LeadsTooEarly);
                if self.status.role == Role::Leader && is_own && self.leader.is_none() {
                    let mut leader = Leader::new(term, self.config.leader.clone(), now, &self.state);
                    leader.set_coordinators(addresses(&self.status.membership));
                    self.leader = Some(leader);
                    self.copying.want();
                    if self.state.cluster.is_empty() {
                        let (cluster, storage) = (self.config.cluster.clone(), self.config.storage.clone());
                        self.propose(&Command::Found { cluster, storage }, None)?;
                    }
                    self.lead(now, leader::Event::Elected, effects)?;
                }
            }
            Committed::Membership { change, membership, context, .. } => {
                self.is_removed |= change == MembershipChange::Remove(self.status.id);
                self.status.membership = membership;
                effects.push(Effect::View(Box::new(self.raft.status())));
                self.tell_workers(effects);
                self.reply_to_proposal(&context, Ok(ClientResponse::Accepted), effects);
            }
            Committed::Payload { bytes, .. } => {
                let (id, command) = decode(&bytes)?;
                let status = |state: &ClusterState| Some(state.jobs.get(&journal::job_of(&command)?)?.status);
                let before = status(&self.state);
                let outcome = self.state.apply(command.clone());
                self.log(&command, &outcome);
                self.tallies.applied(&command, &outcome);
                if self.leader.is_some() {
                    journal::tell(&self.state, before, &command, &outcome);
                }
                if command.would_be_missed() && outcome.as_ref().is_ok_and(|applied| *applied != Applied::Unchanged) {
                    self.copying.want();
                }
                if let Some(Waiting { request, unchecked }) = self.requests.proposed.remove(&id) {
                    let answer = requests::answer(&outcome, unchecked);
                    match self.leader.as_ref().map(|leader| leader.collections(&command)).unwrap_or_default() {
                        behind if behind.is_empty() => effects.push(Effect::Reply(request, answer)),
                        behind => self.requests.held.hold(now.elapsed, behind, request, answer),
                    }
                }
                if let Some(mut leader) = self.leader.take() {
                    let mut wanted = Vec::new();
                    leader.applied(now, &self.state, command.deed(), &outcome, &mut wanted);
                    self.leader = Some(leader);
                    self.carry_out(wanted, effects)?;
                }
            }
        }
        Ok(())
    }

    /// Workers have to know whom to try when this coordinator is lost: they come again, and are told.
    fn tell_workers(&mut self, effects: &mut Vec<Effect>) {
        let Some(leader) = &mut self.leader else { return };
        leader.set_coordinators(addresses(&self.status.membership));
        let here = self.status.membership.address(self.status.id).map(str::to_owned);
        for session in leader.sessions() {
            effects.push(Effect::SendWorker(session, ToWorker::Redirect { leader: here.clone() }));
            effects.push(Effect::CloseWorker(session));
        }
    }

    /// A coordinator that has removed itself, by its own log, goes on until the others know: they may need its vote, and what it
    /// holds, to come to the same decision. Who knows refuses to hear it, so it says something without a meaning now and then.
    fn ask_whether_removed(&mut self, effects: &mut Vec<Effect>) {
        self.ticks += 1;
        if self.is_removed && self.ticks.is_multiple_of(ASK_EVERY_TICKS) {
            let Status { id, term, membership, .. } = &self.status;
            effects.extend(membership.voters.keys().map(|to| {
                let kind = MessageKind::HeartbeatResponse.into();
                let message = PeerMessage { kind, from: id.0, to: to.0, term: *term, ..PeerMessage::default() };
                Effect::SendPeer(*to, message)
            }));
        }
    }

    /// A coordinator that is removed hears nothing more of the log, mostly not even of its removal. Several say so: one alone may
    /// be of another cluster with the same name.
    fn removed_by(&mut self, peer: CoordinatorId) -> Result<()> {
        let others = self.status.membership.voters.keys().filter(|id| **id != self.status.id);
        let others: BTreeSet<CoordinatorId> = others.copied().collect();
        if !others.contains(&peer) || !self.removed_by.insert(peer) {
            return Ok(());
        }
        if self.removed_by.len() > others.len() / 2 { Err(self.removed()) } else { Ok(()) }
    }

    fn removed(&self) -> Error {
        let id = self.status.id;
        Error::user(format!("coordinator {id} was removed from the cluster, so it ends"))
            .with_help("to come back it needs another number and an empty folder: `weir cluster add --help`")
    }

    fn log(&self, command: &Command, outcome: &Result<Applied, Refusal>) {
        match outcome {
            Ok(_) => tracing::debug!(?command, "applied"),
            Err(refusal) => tracing::debug!(?command, %refusal, "refused"),
        }
    }

    /// Lets the leader act, if this node is the leader.
    fn lead(&mut self, now: Now, event: leader::Event, effects: &mut Vec<Effect>) -> Result<()> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let mut wanted = Vec::new();
        leader.step(now, &self.state, event, &mut wanted);
        self.carry_out(wanted, effects)
    }

    fn carry_out(&mut self, wanted: Vec<leader::Effect>, effects: &mut Vec<Effect>) -> Result<()> {
        for effect in wanted {
            match effect {
                leader::Effect::Propose(command) => self.propose(&command, None)?,
                leader::Effect::Send(session, message) => effects.push(Effect::SendWorker(session, message)),
                leader::Effect::Close(session) => effects.push(Effect::CloseWorker(session)),
                leader::Effect::Store(id, operation) => effects.push(Effect::Store(id, operation)),
                leader::Effect::Served(id, outcome) => {
                    effects.extend(self.requests.served.remove(&id).map(|request| Effect::Reply(request, outcome)));
                }
                leader::Effect::Audited(id, outcome) => {
                    if let Some(request) = self.requests.auditing.remove(&id) {
                        effects.push(Effect::Reply(request, outcome.map(ClientResponse::SinksAudited)));
                    }
                }
                leader::Effect::StateCompared(id, outcome) => self.state_compared(id, outcome, effects)?,
                leader::Effect::AskForWorkers(workforce) => effects.push(Effect::AskForWorkers(workforce)),
                leader::Effect::CheckpointFailed(job, _) => self.tallies.checkpoint_failed(job),
                leader::Effect::Traced(span) => effects.push(Effect::Traced(Box::new(span))),
            }
        }
        Ok(())
    }

    /// Puts a command on its way into the log. The leader that does so stays the leader until it is there, or is none any more.
    fn propose(&mut self, command: &Command, waiting: Option<Waiting>) -> Result<()> {
        let bytes = command.to_bytes();
        self.requests.next += 1;
        let id = self.requests.next;
        if let Some(waiting) = waiting {
            self.requests.proposed.insert(id, waiting);
        }
        let mut payload = id.to_be_bytes().to_vec();
        payload.extend_from_slice(&bytes);
        self.unproposed.push_back(payload);
        Ok(())
    }

    fn propose_what_waits(&mut self, effects: &mut Vec<Effect>) {
        while let Some(payload) = self.unproposed.front() {
            match self.raft.propose(payload.clone()) {
                Ok(()) => {
                    self.unproposed.pop_front();
                }
                // It would never be taken, and all others would wait behind it.
                Err(Refused::Invalid(why)) => {
                    tracing::warn!(why, "a command is too large to be agreed upon");
                    let id = payload.get(..8).unwrap_or_default().to_vec();
                    self.unproposed.pop_front();
                    self.reply_to_proposal(&id, Err(ClientError::new(ClientErrorKind::Invalid, why)), effects);
                }
                Err(refused) => {
                    tracing::debug!(%refused, "a proposal has to wait");
                    return;
                }
            }
        }
    }

    fn reply_to_proposal(
        &mut self,
        context: &[u8],
        answer: Result<ClientResponse, ClientError>,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(id) = context.try_into().map(u64::from_be_bytes) else { return };
        if let Some(waiting) = self.requests.proposed.remove(&id) {
            effects.push(Effect::Reply(waiting.request, answer));
        }
    }

    /// A new coordinator gets its vote when it has the log.
    fn promote_learners(&mut self) {
        if self.leader.is_none() || self.status.membership.learners.is_empty() {
            return;
        }
        let learners: Vec<CoordinatorId> = self.status.membership.learners.keys().copied().collect();
        for id in learners {
            if let Err(refused) = self.raft.change_membership(&MembershipChange::Promote(id), Vec::new()) {
                tracing::debug!(%refused, "a coordinator has to wait for its vote");
            }
        }
    }
}

fn decode(payload: &[u8]) -> Result<(u64, Command)> {
    let (id, command) = payload
        .split_first_chunk::<8>()
        .ok_or_else(|| Error::data("an entry of the coordinators' log is too short to hold a command"))?;
    Ok((u64::from_be_bytes(*id), Command::from_bytes(command)?))
}

fn addresses(membership: &Membership) -> Vec<String> {
    membership.members().map(|(_, member)| member.address.clone()).collect()
}

/// What was asked for is in the log. Files may yet be deleted that it needs, which whoever asks again puts there again.
fn storage_hangs() -> ClientError {
    ClientError::new(
        ClientErrorKind::Unknown,
        "the checkpoint storage does not answer: files of plugins cannot be looked after",
    )
    .with_help("send the request again when the storage is well")
}

fn unavailable() -> ClientError {
    ClientError::new(ClientErrorKind::Unavailable, "the coordinators have no leader at the moment")
}
