//! How machines reach each other.
//!
//! Coordinators send each other messages that may be lost, doubled and overtaken. A worker's session with a coordinator is a
//! stream: in order, until it breaks. A break may be heard of at once or late, and on one side before the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use weir_coordinator::leader::SessionId;
use weir_core::{CoordinatorId, Error, Result};
use weir_proto::control::{FromWorker, Hello, ToWorker};
use weir_proto::peer::PeerMessage;
use weir_worker::network::Link;

use crate::lock::lock;
use crate::mailbox::Mailbox;
use crate::message::Message;
use weir_core::random::Random;

/// A machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Machine {
    /// Of a coordinator.
    Coordinator(u64),
    /// Of a worker.
    Worker(u64),
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Machine::Coordinator(number) => write!(f, "c{number}"),
            Machine::Worker(number) => write!(f, "w{number}"),
        }
    }
}

impl Machine {
    /// The machine at an address, which is its name.
    pub fn at(address: &str) -> Option<Self> {
        let (kind, number) = address.split_at_checked(1)?;
        let number = number.parse().ok()?;
        match kind {
            "c" => Some(Machine::Coordinator(number)),
            "w" => Some(Machine::Worker(number)),
            _ => None,
        }
    }
}

/// What a worker hears of a coordinator.
#[derive(Debug)]
pub enum Heard {
    /// A message.
    Message(ToWorker),
    /// The coordinator has ended the session.
    Closed,
    /// The session broke.
    Broken,
}

struct Session {
    worker: Machine,
    coordinator: Machine,
    inbox: Mailbox<Message>,
    to_worker: Mailbox<Heard>,
    /// When what was sent last arrives, each way.
    last_up: Instant,
    last_down: Instant,
}

/// All wires.
pub struct Network {
    state: Mutex<State>,
}

struct State {
    random: Random,
    /// Who does not reach whom.
    cut: BTreeSet<(Machine, Machine)>,
    /// Messages between coordinators that are lost or doubled, of a thousand.
    failing: u64,
    /// Milliseconds that a message takes at most.
    delay: u64,
    paused: BTreeMap<Machine, Instant>,
    coordinators: BTreeMap<Machine, Mailbox<Message>>,
    listeners: BTreeMap<Machine, Mailbox<Link>>,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u64,
    lost: u64,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

/// Milliseconds that a message usually takes at most.
const USUAL_DELAY: u64 = 3;

impl Network {
    /// Whole wires; `failing` of a thousand messages between coordinators get lost or doubled.
    pub fn new(random: Random, failing: u64) -> Self {
        let state = State {
            random,
            cut: BTreeSet::new(),
            failing,
            delay: USUAL_DELAY,
            paused: BTreeMap::new(),
            coordinators: BTreeMap::new(),
            listeners: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
            lost: 0,
        };
        Self { state: Mutex::new(state) }
    }

    /// Everything is as it should be from here on.
    pub fn heal(&self) {
        let mut state = lock(&self.state);
        state.cut.clear();
        state.failing = 0;
        state.delay = USUAL_DELAY;
    }

    /// Messages that were lost or doubled, and sessions that broke.
    pub fn lost(&self) -> u64 {
        lock(&self.state).lost
    }

    /// What one machine sends to the other does not arrive.
    pub fn cut(&self, from: Machine, to: Machine) {
        lock(&self.state).cut.insert((from, to));
    }

    /// It does again.
    pub fn mend(&self, from: Machine, to: Machine) {
        lock(&self.state).cut.remove(&(from, to));
    }

    /// How many milliseconds a message takes at most; `None`: the usual.
    pub fn set_delay(&self, milliseconds: Option<u64>) {
        lock(&self.state).delay = milliseconds.unwrap_or(USUAL_DELAY);
    }

    /// A machine stands still until then.
    pub fn pause(&self, machine: Machine, until: Instant) {
        lock(&self.state).paused.insert(machine, until);
    }

    /// Until when a machine stands still, if it does.
    pub fn paused(&self, machine: Machine) -> Option<Instant> {
        lock(&self.state).paused.get(&machine).copied().filter(|until| *until > Instant::now())
    }

    /// When a message from one machine arrives at another; `None` if it does not.
    pub fn arrival(&self, from: Machine, to: Machine) -> Option<Instant> {
        lock(&self.state).arrival(from, to)
    }

    /// A coordinator listens.
    pub fn coordinator_up(&self, machine: Machine, inbox: Mailbox<Message>) {
        lock(&self.state).coordinators.insert(machine, inbox);
    }

    /// A coordinator is gone: its sessions break.
    pub fn coordinator_down(&self, machine: Machine) {
        let mut state = lock(&self.state);
        let inbox = state.coordinators.remove(&machine);
        let ids: Vec<SessionId> =
            state.sessions.iter().filter(|(_, session)| session.coordinator == machine).map(|(id, _)| *id).collect();
        for id in ids {
            state.break_session(id);
        }
        // Connections between coordinators break too, which mostly is noticed, and in time.
        if let Machine::Coordinator(number) = machine {
            let others: Vec<Machine> = state.coordinators.keys().copied().collect();
            for other in others {
                let (heard, notice) = (state.random.chance(700), state.random.milliseconds(0, 100));
                if let Some(inbox) = state.coordinators.get(&other).filter(|_| heard) {
                    inbox.deliver(Instant::now() + notice, Message::PeerGone(CoordinatorId(number)));
                }
            }
        }
        drop(state);
        if let Some(inbox) = inbox {
            inbox.close();
        }
    }

    /// The sessions of a worker break, and both sides hear of it at once.
    pub fn break_sessions(&self, worker: Machine) {
        let mut state = lock(&self.state);
        let theirs = state.sessions.extract_if(.., |_, session| session.worker == worker).collect::<Vec<_>>();
        for (id, session) in theirs {
            state.lost += 1;
            let now = Instant::now();
            session.inbox.deliver(session.last_up.max(now), Message::Disconnected(id));
            session.to_worker.deliver(session.last_down.max(now), Heard::Broken);
        }
    }

    /// Where a coordinator gets its messages, if it is there.
    pub fn coordinator(&self, machine: Machine) -> Option<Mailbox<Message>> {
        lock(&self.state).coordinators.get(&machine).cloned()
    }

    /// A worker listens for others.
    pub fn worker_up(&self, machine: Machine, inbox: Mailbox<Link>) {
        lock(&self.state).listeners.insert(machine, inbox);
    }

    /// A worker is gone.
    pub fn worker_down(&self, machine: Machine) {
        // A link that nobody has accepted is dropped with the inbox, and tells its other end so, over this network.
        let inbox = lock(&self.state).listeners.remove(&machine);
        if let Some(inbox) = inbox {
            inbox.close();
        }
    }

    /// Where a worker gets links, if it is there.
    pub fn listener(&self, machine: Machine) -> Option<Mailbox<Link>> {
        lock(&self.state).listeners.get(&machine).cloned()
    }

    /// A message from coordinator to coordinator.
    pub fn send_peer(&self, from: Machine, to: CoordinatorId, message: PeerMessage) {
        let mut state = lock(&self.state);
        let target = Machine::Coordinator(to.0);
        let Some(inbox) = state.coordinators.get(&target).cloned() else { return };
        let sender = match from {
            Machine::Coordinator(number) | Machine::Worker(number) => CoordinatorId(number),
        };
        let failing = state.failing;
        let lost = state.random.chance(failing);
        let Some(at) = state.arrival(from, target).filter(|_| !lost) else {
            state.lost += 1;
            if state.random.chance(300)
                && let Some(back) = state.coordinators.get(&from).cloned()
            {
                let notice = state.random.milliseconds(1, 200);
                back.deliver(Instant::now() + notice, Message::PeerUnreachable(to));
            }
            return;
        };
        if state.random.chance(failing) {
            state.lost += 1;
            let again = state.random.milliseconds(0, 300);
            inbox.deliver(at + again, Message::Peer(sender, message.clone()));
        }
        inbox.deliver(at, Message::Peer(sender, message));
    }

    /// A worker makes a session with a coordinator and says hello.
    pub fn attach(&self, worker: Machine, coordinator: Machine, hello: Hello) -> Result<(SessionId, Mailbox<Heard>)> {
        let mut state = lock(&self.state);
        let nobody = || Error::environment(format!("{coordinator} cannot be reached"));
        let inbox = state.coordinators.get(&coordinator).cloned().ok_or_else(nobody)?;
        let up = state.arrival(worker, coordinator).ok_or_else(nobody)?;
        let down = state.arrival(coordinator, worker).ok_or_else(nobody)?;
        state.next_session += 1;
        let id = SessionId(state.next_session);
        let to_worker = Mailbox::default();
        inbox.deliver(up, Message::Connected(id, hello));
        let session =
            Session { worker, coordinator, inbox, to_worker: to_worker.clone(), last_up: up, last_down: down };
        state.sessions.insert(id, session);
        Ok((id, to_worker))
    }

    /// A worker says something in its session.
    pub fn send_up(&self, id: SessionId, message: FromWorker) {
        lock(&self.state).up(id, Message::Worker(id, message));
    }

    /// A coordinator says something in a session.
    pub fn send_down(&self, id: SessionId, message: ToWorker) {
        lock(&self.state).down(id, Heard::Message(message));
    }

    /// A coordinator ends a session.
    pub fn close_down(&self, id: SessionId) {
        let mut state = lock(&self.state);
        state.down(id, Heard::Closed);
        state.sessions.remove(&id);
    }

    /// A worker has left a session, or died. Whether the coordinator hears of it is a matter of luck: it may have to notice.
    pub fn close_up(&self, id: SessionId) {
        let mut state = lock(&self.state);
        if state.random.chance(800) {
            state.up(id, Message::Disconnected(id));
        }
        state.sessions.remove(&id);
    }
}

impl State {
    fn arrival(&mut self, from: Machine, to: Machine) -> Option<Instant> {
        if self.cut.contains(&(from, to)) {
            return None;
        }
        let (least, most) = (self.delay / 10, self.delay);
        let delay = Duration::from_micros(self.random.between(least * 1000, most * 1000));
        let at = Instant::now() + delay;
        Some(self.paused.get(&to).map_or(at, |until| at.max(*until)))
    }

    fn up(&mut self, id: SessionId, message: Message) {
        let Some((from, to)) = self.sessions.get(&id).map(|session| (session.worker, session.coordinator)) else {
            return;
        };
        let at = self.arrival(from, to);
        match (at, self.sessions.get_mut(&id)) {
            (Some(at), Some(session)) => {
                session.last_up = session.last_up.max(at);
                session.inbox.deliver(session.last_up, message);
            }
            _ => self.break_session(id),
        }
    }

    fn down(&mut self, id: SessionId, heard: Heard) {
        let Some((from, to)) = self.sessions.get(&id).map(|session| (session.coordinator, session.worker)) else {
            return;
        };
        let at = self.arrival(from, to);
        match (at, self.sessions.get_mut(&id)) {
            (Some(at), Some(session)) => {
                session.last_down = session.last_down.max(at);
                session.to_worker.deliver(session.last_down, heard);
            }
            _ => self.break_session(id),
        }
    }

    /// Nothing is carried any more. Both sides hear of it, sooner or later.
    fn break_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else { return };
        self.lost += 1;
        let now = Instant::now();
        let late = if self.random.chance(500) { 20 } else { 2000 };
        let up = now + self.random.milliseconds(1, late);
        let down = now + self.random.milliseconds(1, late);
        session.inbox.deliver(session.last_up.max(up), Message::Disconnected(id));
        session.to_worker.deliver(session.last_down.max(down), Heard::Broken);
    }
}
