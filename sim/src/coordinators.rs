//! Which coordinators there are: those that have founded the cluster, and those that came later.

use std::collections::BTreeSet;
use std::sync::Mutex;

use weir_coordinator::raft::LogId;
use weir_core::CoordinatorId;

use crate::lock::lock;
use crate::network::Machine;

/// The log that a coordinator writes.
pub fn log_of(id: CoordinatorId) -> LogId {
    LogId(1000 + id.0)
}

/// The numbers of all coordinators' machines.
#[derive(Debug)]
pub struct Coordinators {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    there: BTreeSet<u64>,
    /// Numbers that were given. None is given twice.
    given: u64,
    most: u64,
}

impl Coordinators {
    /// So many founders, and room for so many who come later.
    pub fn new(founders: u64, newcomers: u64) -> Self {
        let state = State { there: (1..=founders).collect(), given: founders, most: founders + newcomers };
        Self { state: Mutex::new(state) }
    }

    /// Those that there are, in order.
    pub fn all(&self) -> Vec<u64> {
        lock(&self.state).there.iter().copied().collect()
    }

    /// Where coordinators are, were, or may be one day: what a worker is told when it starts.
    pub fn addresses(&self) -> Vec<String> {
        (1..=lock(&self.state).most).map(|number| Machine::Coordinator(number).to_string()).collect()
    }

    /// A machine for a new coordinator, if there is one left.
    pub fn add(&self) -> Option<u64> {
        let mut state = lock(&self.state);
        let number = state.given + 1;
        if number > state.most {
            return None;
        }
        state.given = number;
        state.there.insert(number);
        Some(number)
    }

    /// A machine is thrown away.
    pub fn remove(&self, number: u64) {
        lock(&self.state).there.remove(&number);
    }
}
