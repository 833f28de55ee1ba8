//! What must hold of every history, whatever was done to it. Stands outside of the coordinators and sees all of them.

use std::collections::BTreeMap;

use weir_core::CoordinatorId;
use weir_proto::peer::{MessageKind, PeerMessage};

use super::super::{Committed, Role, Status};

#[derive(Debug, Default)]
pub(super) struct Oracle {
    leaders: BTreeMap<u64, CoordinatorId>,
    votes: BTreeMap<(u64, CoordinatorId), CoordinatorId>,
    decided: BTreeMap<u64, Committed>,
    /// By coordinator and request: what was decided when the read was asked for.
    reads: BTreeMap<(CoordinatorId, u64), u64>,
}

impl Oracle {
    /// The last entry that anybody has seen decided.
    pub(super) fn newest(&self) -> u64 {
        self.decided.keys().next_back().copied().unwrap_or(1)
    }

    pub(super) fn leaders(&self) -> usize {
        self.leaders.len()
    }

    pub(super) fn status(&mut self, status: &Status) {
        if status.role == Role::Leader {
            let first = *self.leaders.entry(status.term).or_insert(status.id);
            assert_eq!(first, status.id, "two leaders in term {}", status.term);
        }
        assert!(status.applied <= status.commit, "{status:?}");
    }

    pub(super) fn sent(&mut self, message: &PeerMessage) {
        if message.kind() == MessageKind::RequestVoteResponse && !message.reject {
            let (voter, candidate) = (CoordinatorId(message.from), CoordinatorId(message.to));
            let first = *self.votes.entry((message.term, voter)).or_insert(candidate);
            assert_eq!(first, candidate, "coordinator {voter} votes twice in term {}", message.term);
        }
    }

    pub(super) fn committed(&mut self, at: CoordinatorId, entry: &Committed) {
        let known = self.decided.entry(entry.index()).or_insert_with(|| entry.clone());
        assert_eq!(known, entry, "coordinator {at} sees something else decided at {}", entry.index());
    }

    pub(super) fn read_asked(&mut self, at: CoordinatorId, request: u64) {
        self.reads.insert((at, request), self.newest());
    }

    pub(super) fn read_answered(&mut self, at: CoordinatorId, request: u64, index: u64) {
        let floor = self.reads.remove(&(at, request)).expect("an answer to a read that was not asked for");
        assert!(index >= floor, "a read at coordinator {at} may miss entry {floor}, decided before it: {index}");
    }

    /// The payloads decided up to here, as the state machine of the tests keeps them.
    pub(super) fn state_at(&self, index: u64) -> Vec<u8> {
        let payload = |entry: &Committed| match entry {
            Committed::Payload { bytes, .. } => bytes.to_vec(),
            _ => Vec::new(),
        };
        self.decided.range(..=index).flat_map(|(_, entry)| payload(entry)).collect()
    }
}
