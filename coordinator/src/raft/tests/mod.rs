//! Consensus under test: each store against the contract, one coordinator alone, whole clusters on a simulated network,
//! and the file under loss of power, damage and kills.

mod alone;
mod cluster;
mod disk;
mod kill;
mod messages;
mod network;
mod oracle;
mod random;
mod scenarios;
mod simulation;
mod store;
mod torture;

use std::collections::BTreeMap;

use weir_core::CoordinatorId;
use weir_proto::peer::{self, entry::Content};

use super::{Identity, LogId, Member, RaftConfig};

fn config(id: u64, seed: u64) -> RaftConfig {
    RaftConfig {
        id: CoordinatorId(id),
        log: log_of(id),
        election_ticks: 10,
        heartbeat_ticks: 2,
        max_message_bytes: 1 << 10,
        max_inflight: 8,
        snapshot_after_entries: 20,
        seed,
    }
}

fn identity() -> Identity {
    Identity { cluster: "test".into(), coordinator: CoordinatorId(1), fresh: log_of(1) }
}

fn log_of(id: u64) -> LogId {
    LogId(1000 + id)
}

fn member(id: u64) -> Member {
    Member { address: format!("host{id}:7000"), log: log_of(id) }
}

fn members(ids: impl IntoIterator<Item = u64>) -> BTreeMap<CoordinatorId, Member> {
    ids.into_iter().map(|id| (CoordinatorId(id), member(id))).collect()
}

fn entry(index: u64, term: u64, payload: impl Into<Vec<u8>>) -> peer::Entry {
    peer::Entry { index, term, content: Some(Content::Payload(payload.into().into())) }
}

fn snapshot(index: u64, term: u64, state: impl Into<Vec<u8>>) -> peer::Snapshot {
    let membership = super::Membership::founding(members(1..=3));
    peer::Snapshot { index, term, membership: Some(membership.to_wire()), state: state.into().into() }
}
