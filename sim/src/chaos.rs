//! What chance decides at every single operation, as long as there is unrest.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::lock::lock;
use crate::network::Machine;
use weir_core::random::Random;

/// Decides how long things take and whether they fail.
#[derive(Debug)]
pub struct Chaos {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// Of a thousand operations.
    failing: u64,
    storage_out_until: Option<Instant>,
    storage_full_until: Option<Instant>,
    commits_out_until: Option<Instant>,
    /// Until when a machine writes slowly, and how slowly.
    slow: BTreeMap<Machine, (Instant, Duration)>,
    /// Until when a machine's engine stands still.
    frozen: BTreeMap<Machine, Instant>,
    skew: BTreeMap<Machine, i64>,
    injected: u64,
}

/// How an operation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// Nothing has happened.
    Before,
    /// It has happened, and the answer is lost.
    After,
}

impl Chaos {
    /// `failing` of a thousand operations fail.
    pub fn new(random: Random, failing: u64) -> Self {
        let state = State {
            random,
            failing,
            storage_out_until: None,
            storage_full_until: None,
            commits_out_until: None,
            slow: BTreeMap::new(),
            frozen: BTreeMap::new(),
            skew: BTreeMap::new(),
            injected: 0,
        };
        Self { state: Mutex::new(state) }
    }

    /// From here on everything works.
    pub fn calm(&self) {
        let mut state = lock(&self.state);
        state.failing = 0;
        state.storage_out_until = None;
        state.storage_full_until = None;
        state.commits_out_until = None;
        state.slow.clear();
        state.frozen.clear();
    }

    /// How many single operations went wrong.
    pub fn injected(&self) -> u64 {
        lock(&self.state).injected
    }

    /// The checkpoint storage does not answer until then.
    pub fn storage_out(&self, until: Instant) {
        lock(&self.state).storage_out_until = Some(until);
    }

    /// The checkpoint storage takes nothing until then.
    pub fn storage_full(&self, until: Instant) {
        lock(&self.state).storage_full_until = Some(until);
    }

    /// Nothing can be committed until then.
    pub fn commits_out(&self, until: Instant) {
        lock(&self.state).commits_out_until = Some(until);
    }

    /// What a machine writes takes so much longer until then.
    pub fn slow_uploads(&self, machine: Machine, until: Instant, delay: Duration) {
        lock(&self.state).slow.insert(machine, (until, delay));
    }

    /// A machine's engine stands still until then.
    pub fn freeze(&self, machine: Machine, until: Instant) {
        lock(&self.state).frozen.insert(machine, until);
    }

    /// Waits while a machine's engine stands still. Dropping the wait loses nothing.
    pub async fn thawed(&self, machine: Machine) {
        loop {
            let until = lock(&self.state).frozen.get(&machine).copied();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    /// A machine's clock is so many milliseconds off.
    pub fn set_skew(&self, machine: Machine, milliseconds: i64) {
        lock(&self.state).skew.insert(machine, milliseconds);
    }

    /// How far a machine's clock is off.
    pub fn skew(&self, machine: Machine) -> i64 {
        lock(&self.state).skew.get(&machine).copied().unwrap_or(0)
    }

    /// Whether reading or deleting an object fails.
    pub fn read_fails(&self) -> bool {
        let mut state = lock(&self.state);
        let out = state.storage_out_until;
        state.fails(out)
    }

    /// Whether writing an object fails, and how.
    pub fn write_fails(&self) -> Option<Failing> {
        let mut state = lock(&self.state);
        let out = state.storage_out_until.max(state.storage_full_until);
        if !state.fails(out) {
            return None;
        }
        let full = state.storage_full_until.is_some_and(|until| Instant::now() < until);
        Some(if !full && state.random.chance(500) { Failing::After } else { Failing::Before })
    }

    /// Whether a commit fails here.
    pub fn commit_fails(&self) -> bool {
        let mut state = lock(&self.state);
        let out = state.commits_out_until;
        state.fails(out)
    }

    /// Whether what says how far a sink has written is lost here.
    pub fn marker_is_lost(&self) -> bool {
        let mut state = lock(&self.state);
        let may_fail = state.failing > 0;
        may_fail && state.random.chance(15)
    }

    /// How long one side of a commit takes.
    pub fn commit_delay(&self) -> Duration {
        lock(&self.state).delay(10)
    }

    /// How long a sink takes to prepare.
    pub fn sink_delay(&self) -> Duration {
        lock(&self.state).delay(8)
    }

    /// How long blocking work on a machine waits before it begins, or before its end is known.
    pub fn blocking_delay(&self, machine: Machine) -> Duration {
        let mut state = lock(&self.state);
        let slow = state.slow.get(&machine).filter(|(until, _)| Instant::now() < *until).map(|(_, delay)| *delay);
        state.delay(6) + slow.unwrap_or_default()
    }

    /// How long a disk takes to sync.
    pub fn sync_delay(&self) -> Duration {
        lock(&self.state).delay(4)
    }

    /// Whether what was sent to the storage arrives there although its sender dies.
    pub fn outlives(&self) -> bool {
        lock(&self.state).random.chance(300)
    }

    /// A sequence of its own.
    pub fn fork(&self) -> Random {
        lock(&self.state).random.fork()
    }
}

impl State {
    fn fails(&mut self, out_until: Option<Instant>) -> bool {
        let out = out_until.is_some_and(|until| Instant::now() < until);
        let fails = out || (self.failing > 0 && self.random.chance(self.failing));
        self.injected += u64::from(fails);
        fails
    }

    /// Mostly short, at times long.
    fn delay(&mut self, usual: u64) -> Duration {
        let slow = self.failing > 0 && self.random.chance(20);
        self.random.milliseconds(0, if slow { usual * 40 } else { usual })
    }
}
