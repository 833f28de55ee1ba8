//! Between the library's messages and our own, field by field. The library's protobuf decoder is an old one with a known
//! way to crash it (RUSTSEC-2024-0437); here it never sees bytes that this process has not just encoded itself. Membership
//! changes, which the library would carry as encoded messages of its own, travel as ours in the context of their entry.

use prost::Message as _;
use raft::eraftpb;
use weir_core::{Error, Result};
use weir_proto::peer as wire;
use wire::entry::Content;

use super::{Membership, MembershipChange};

/// An entry, to be sent or stored.
pub(super) fn entry_to_wire(entry: &eraftpb::Entry) -> Result<wire::Entry> {
    let content = match entry.get_entry_type() {
        eraftpb::EntryType::EntryNormal if entry.data.is_empty() => Content::Nothing(wire::Nothing {}),
        eraftpb::EntryType::EntryNormal => Content::Payload(entry.data.clone()),
        eraftpb::EntryType::EntryConfChange => Content::Membership(change_of(entry)?),
        eraftpb::EntryType::EntryConfChangeV2 => {
            return Err(Error::internal("an entry that changes several members at once"));
        }
    };
    Ok(wire::Entry { index: entry.index, term: entry.term, content: Some(content) })
}

/// The membership change in an entry: it travels in the context, in our encoding.
pub(super) fn change_of(entry: &eraftpb::Entry) -> Result<wire::MembershipChange> {
    wire::MembershipChange::decode(entry.context.clone())
        .map_err(|error| Error::internal("a membership change without its content").with_source(error))
}

/// An entry that was received or read.
pub(super) fn entry_from_wire(entry: wire::Entry) -> Result<eraftpb::Entry> {
    let mut into = eraftpb::Entry { index: entry.index, term: entry.term, ..Default::default() };
    match entry.content {
        Some(Content::Nothing(_)) => {}
        Some(Content::Payload(payload)) if payload.is_empty() => {
            return Err(Error::data(format!("entry {} has an empty payload", entry.index)));
        }
        Some(Content::Payload(payload)) => into.data = payload,
        Some(Content::Membership(change)) => {
            MembershipChange::from_wire(&change)?;
            into.set_entry_type(eraftpb::EntryType::EntryConfChange);
            into.context = change.encode_to_vec().into();
        }
        None => return Err(Error::data(format!("entry {} is of a kind that is not known here", entry.index))),
    }
    Ok(into)
}

/// The change in the library's words.
pub(super) fn library_change(change: &MembershipChange) -> eraftpb::ConfChange {
    let mut into = eraftpb::ConfChange::default();
    let (kind, id) = match change {
        MembershipChange::AddLearner(id, _) => (eraftpb::ConfChangeType::AddLearnerNode, id),
        MembershipChange::Promote(id) => (eraftpb::ConfChangeType::AddNode, id),
        MembershipChange::Remove(id) => (eraftpb::ConfChangeType::RemoveNode, id),
    };
    into.set_change_type(kind);
    into.node_id = id.0;
    into
}

/// The membership in the library's words.
pub(super) fn library_membership(membership: &Membership) -> eraftpb::ConfState {
    eraftpb::ConfState {
        voters: membership.voters.keys().map(|id| id.0).collect(),
        learners: membership.learners.keys().map(|id| id.0).collect(),
        ..Default::default()
    }
}

/// A snapshot that was received or read. Its membership stands beside its state in our encoding; the library gets to
/// see the ids.
pub(super) fn snapshot_from_wire(snapshot: wire::Snapshot) -> Result<eraftpb::Snapshot> {
    let membership = Membership::from_wire(&snapshot.membership.clone().unwrap_or_default())?;
    if snapshot.index == 0 || snapshot.term == 0 {
        return Err(Error::data("a snapshot of no place in the log"));
    }
    let mut into = eraftpb::Snapshot::default();
    let metadata = into.mut_metadata();
    metadata.index = snapshot.index;
    metadata.term = snapshot.term;
    metadata.set_conf_state(library_membership(&membership));
    into.data = snapshot.encode_to_vec().into();
    Ok(into)
}

/// A snapshot, to be sent or stored.
pub(super) fn snapshot_to_wire(snapshot: &eraftpb::Snapshot) -> Result<wire::Snapshot> {
    wire::Snapshot::decode(snapshot.data.clone())
        .map_err(|error| Error::internal("a snapshot without its content").with_source(error))
}

/// A message to be sent, without the logs of its ends; `None` for kinds that stay in this process.
pub(super) fn message_to_wire(message: eraftpb::Message) -> Result<Option<wire::PeerMessage>> {
    let Some(kind) = kind_to_wire(message.get_msg_type()) else { return Ok(None) };
    let snapshot = match kind {
        wire::MessageKind::Snapshot => Some(snapshot_to_wire(message.get_snapshot())?),
        _ => None,
    };
    Ok(Some(wire::PeerMessage {
        kind: kind.into(),
        from: message.from,
        to: message.to,
        term: message.term,
        index: message.index,
        log_term: message.log_term,
        entries: message.entries.iter().map(entry_to_wire).collect::<Result<_>>()?,
        commit: message.commit,
        commit_term: message.commit_term,
        snapshot,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context,
        priority: message.priority,
        from_log: 0,
        to_log: 0,
    }))
}

/// A message that was received.
pub(super) fn message_from_wire(message: wire::PeerMessage) -> Result<eraftpb::Message> {
    let Some(kind) = kind_from_wire(message.kind()) else {
        return Err(Error::data(format!("a message of kind {}, which is not known here", message.kind)));
    };
    let mut into = eraftpb::Message {
        from: message.from,
        to: message.to,
        term: message.term,
        index: message.index,
        log_term: message.log_term,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        context: message.context,
        priority: message.priority,
        ..Default::default()
    };
    into.set_msg_type(kind);
    into.set_entries(message.entries.into_iter().map(entry_from_wire).collect::<Result<Vec<_>>>()?.into());
    match (kind, message.snapshot) {
        (eraftpb::MessageType::MsgSnapshot, Some(snapshot)) => into.set_snapshot(snapshot_from_wire(snapshot)?),
        (eraftpb::MessageType::MsgSnapshot, None) => return Err(Error::data("a snapshot message without a snapshot")),
        _ => {}
    }
    Ok(into)
}

fn kind_to_wire(kind: eraftpb::MessageType) -> Option<wire::MessageKind> {
    use eraftpb::MessageType as Library;
    use wire::MessageKind as Wire;
    Some(match kind {
        Library::MsgAppend => Wire::Append,
        Library::MsgAppendResponse => Wire::AppendResponse,
        Library::MsgHeartbeat => Wire::Heartbeat,
        Library::MsgHeartbeatResponse => Wire::HeartbeatResponse,
        Library::MsgRequestVote => Wire::RequestVote,
        Library::MsgRequestVoteResponse => Wire::RequestVoteResponse,
        Library::MsgRequestPreVote => Wire::RequestPreVote,
        Library::MsgRequestPreVoteResponse => Wire::RequestPreVoteResponse,
        Library::MsgSnapshot => Wire::Snapshot,
        Library::MsgTimeoutNow => Wire::TimeoutNow,
        // Proposals and reads are not passed on to the leader: the caller knows whom to ask. The rest are signals
        // within one process.
        Library::MsgPropose
        | Library::MsgReadIndex
        | Library::MsgReadIndexResp
        | Library::MsgTransferLeader
        | Library::MsgHup
        | Library::MsgBeat
        | Library::MsgUnreachable
        | Library::MsgSnapStatus
        | Library::MsgCheckQuorum => return None,
    })
}

fn kind_from_wire(kind: wire::MessageKind) -> Option<eraftpb::MessageType> {
    use eraftpb::MessageType as Library;
    use wire::MessageKind as Wire;
    Some(match kind {
        Wire::Append => Library::MsgAppend,
        Wire::AppendResponse => Library::MsgAppendResponse,
        Wire::Heartbeat => Library::MsgHeartbeat,
        Wire::HeartbeatResponse => Library::MsgHeartbeatResponse,
        Wire::RequestVote => Library::MsgRequestVote,
        Wire::RequestVoteResponse => Library::MsgRequestVoteResponse,
        Wire::RequestPreVote => Library::MsgRequestPreVote,
        Wire::RequestPreVoteResponse => Library::MsgRequestPreVoteResponse,
        Wire::Snapshot => Library::MsgSnapshot,
        Wire::TimeoutNow => Library::MsgTimeoutNow,
        Wire::Unspecified => return None,
    })
}
