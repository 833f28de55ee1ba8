//! Whom the worker talks to, and whether it believes them.
//!
//! ```text
//!            pause over             Welcome of a term not lower
//!   Pausing ───────────▶ Greeting ───────────────────────────────▶ Welcomed
//!      ▲                     │                                         │
//!      └─ lost, Redirect, ───┴────────── lost, Redirect ───────────────┘
//!         too late, lower term
//! ```
//!
//! Coordinators are tried in turn, with pauses between the beginnings of two tries that double from 50 ms to 1 s. A redirect is followed at once, but not for ever:
//! while coordinators elect a leader they may send the worker in a circle.
//!
//! The one whose connection was just lost is tried last, also if others point to it. Its machine may be gone, so that every try
//! takes until patience ends, and the others need not have noticed; the worker has to come to a new leader before that one
//! gives its work to somebody else.

use std::time::Duration;

use weir_proto::control::Welcome;

use super::SessionId;
use super::random::Random;

/// Pause after the first failed try.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a coordinator has to take the connection, and as long again to answer the hello. One that hangs is no leader, and a
/// new leader waits for the worker only for a few seconds.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Redirects that are followed without a pause.
const PROMPT_REDIRECTS: u32 = 3;
/// The shortest pause between heartbeats, whatever the leader wishes.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// The one connection of a worker.
#[derive(Debug)]
pub struct Connection {
    /// Those that the worker was started with.
    given: Vec<String>,
    /// All that are known: first those that a leader has named, since the others may be gone.
    coordinators: Vec<String>,
    /// Position of the coordinator to try next.
    next: usize,
    /// Where the last redirect pointed to, to be tried before the others.
    redirect: Option<String>,
    /// Whom the current session is with.
    address: String,
    lost: Option<Lost>,
    state: State,
    sessions: u64,
    /// Tries in a row that led to nothing.
    failures: u32,
    /// Redirects in a row.
    redirects: u32,
    /// The highest term of which a welcome was seen.
    term: Option<u64>,
    random: Random,
}

/// A coordinator whose connection was lost.
#[derive(Debug)]
struct Lost {
    address: String,
    /// Tries that go to others first.
    others: usize,
}

#[derive(Debug)]
enum State {
    Pausing { until: Duration },
    Greeting { session: SessionId, begun: Duration },
    Welcomed { session: SessionId, interval: Duration, next_heartbeat: Duration },
}

/// What the current session is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is none of ours, or not any more.
    Unknown,
    /// It was, or is being, greeted.
    Greeting,
    /// The other side leads.
    Welcomed,
}

impl Connection {
    /// No connection yet.
    pub fn new(coordinators: Vec<String>, seed: u64) -> Self {
        Self {
            given: coordinators.clone(),
            coordinators,
            next: 0,
            redirect: None,
            address: String::new(),
            lost: None,
            state: State::Pausing { until: Duration::ZERO },
            sessions: 0,
            failures: 0,
            redirects: 0,
            term: None,
            random: Random::new(seed),
        }
    }

    /// When something has to be done.
    pub fn next_tick(&self) -> Duration {
        match &self.state {
            State::Pausing { until } => *until,
            State::Greeting { begun, .. } => *begun + PATIENCE * 2,
            State::Welcomed { next_heartbeat, .. } => *next_heartbeat,
        }
    }

    fn session(&self) -> Option<SessionId> {
        match &self.state {
            State::Pausing { .. } => None,
            State::Greeting { session, .. } | State::Welcomed { session, .. } => Some(*session),
        }
    }

    /// What a message of this session is to be taken for.
    pub fn standing(&self, session: SessionId) -> Standing {
        match &self.state {
            State::Greeting { session: current, .. } if *current == session => Standing::Greeting,
            State::Welcomed { session: current, .. } if *current == session => Standing::Welcomed,
            _ => Standing::Unknown,
        }
    }

    /// The session with the leader.
    pub fn leader(&self) -> Option<SessionId> {
        match &self.state {
            State::Welcomed { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// Whether a leader ever welcomed this process.
    pub fn was_welcomed(&self) -> bool {
        self.term.is_some()
    }

    /// Whether the current leader is of this term.
    pub fn is_of(&self, term: u64) -> bool {
        self.term == Some(term)
    }

    /// Whom to connect to now.
    pub fn begin(&mut self, now: Duration) -> Option<(SessionId, String)> {
        let State::Pausing { until } = &self.state else { return None };
        if now < *until {
            return None;
        }
        let address = self.address()?;
        self.address.clone_from(&address);
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.state = State::Greeting { session, begun: now };
        Some((session, address))
    }

    /// Whom to try now.
    fn address(&mut self) -> Option<String> {
        let avoided = self.avoided();
        let is_avoided = |address: &String| avoided.as_ref() == Some(address);
        if let Some(redirect) = self.redirect.take().filter(|address| !is_avoided(address)) {
            return Some(redirect);
        }
        let count = self.coordinators.len();
        let mut turns = (0..count).map(|step| (self.next + step) % count);
        let turn = turns.find(|turn| !is_avoided(&self.coordinators[*turn]))?;
        self.next = (turn + 1) % count;
        Some(self.coordinators[turn].clone())
    }

    /// The coordinator whose turn has not come yet. While there is one, there are others.
    fn avoided(&mut self) -> Option<String> {
        let lost = self.lost.as_mut()?;
        match lost.others.checked_sub(1) {
            Some(others) => {
                lost.others = others;
                Some(lost.address.clone())
            }
            None => {
                self.lost = None;
                None
            }
        }
    }

    /// The session that is given up because it came to nothing in time.
    pub fn expired(&mut self, now: Duration) -> Option<SessionId> {
        match &self.state {
            State::Greeting { session, begun } if now >= *begun + PATIENCE * 2 => {
                let session = *session;
                self.lost(now, session);
                Some(session)
            }
            _ => None,
        }
    }

    /// The other side says that it leads. Whether that is to be believed.
    pub fn welcomed(&mut self, now: Duration, welcome: &Welcome) -> bool {
        let State::Greeting { session, .. } = &self.state else { return false };
        if Some(welcome.term) < self.term {
            return false;
        }
        self.term = Some(welcome.term);
        self.redirects = 0;
        self.lost = None;
        if !welcome.coordinators.is_empty() {
            let others = self.given.iter().filter(|given| !welcome.coordinators.contains(given));
            self.coordinators = welcome.coordinators.iter().chain(others).cloned().collect();
            self.next %= self.coordinators.len();
        }
        let interval = welcome.heartbeat_interval.max(SHORTEST_INTERVAL);
        self.state = State::Welcomed { session: *session, interval, next_heartbeat: now + interval };
        true
    }

    /// The session on which a heartbeat is due.
    pub fn heartbeat(&mut self, now: Duration) -> Option<SessionId> {
        let State::Welcomed { session, interval, next_heartbeat } = &mut self.state else { return None };
        if now < *next_heartbeat {
            return None;
        }
        // After a time in which nothing was possible one heartbeat is enough.
        *next_heartbeat = now + *interval;
        // Only a connection that lasted shows that all is well: one that breaks as soon as it is there must not be tried
        // in a tight loop.
        self.failures = 0;
        Some(*session)
    }

    /// A session is over. Others have been before.
    pub fn lost(&mut self, now: Duration, session: SessionId) {
        if self.session() == Some(session) {
            let address = std::mem::take(&mut self.address);
            let others = self.coordinators.iter().filter(|other| **other != address).count();
            self.lost = Some(Lost { address, others });
            self.pause(now);
        }
    }

    /// The other side does not lead.
    pub fn redirected(&mut self, now: Duration, leader: Option<String>) {
        self.redirects += 1;
        let prompt = leader.is_some() && self.redirects <= PROMPT_REDIRECTS;
        self.redirect = leader;
        if prompt {
            self.state = State::Pausing { until: now };
        } else {
            self.redirects = 0;
            self.pause(now);
        }
    }

    /// Waits until the next try. The time that the last one took counts: one that hung until patience ended was pause enough, and a new
    /// leader waits only so long.
    fn pause(&mut self, now: Duration) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE);
        self.failures += 1;
        let since = match &self.state {
            State::Greeting { begun, .. } => *begun,
            State::Pausing { .. } | State::Welcomed { .. } => now,
        };
        self.state = State::Pausing { until: now.max(since + self.random.jitter(pause)) };
    }
}
