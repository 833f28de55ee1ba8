//! Messages from peers, looked at before the library sees them. It trusts its peers: a position beyond the end of the
//! log makes it panic, and so could a peer with a defect, or with a disk that has lost what it acknowledged, take others
//! down with it. What no correct peer sends is refused here, by name.
//!
//! The published version of the library also takes refused probes that were under way for long at face value, and goes
//! back to before what the follower is known to hold (its #555, mended but not published). [`stale_probe`] and
//! [`floor_probe`] keep the invariant `matched < next`.

use raft::eraftpb::{Message, MessageType};
use raft::{ProgressState, RawNode, StateRole};
use weir_core::{CoordinatorId, Error, Result};
use weir_proto::peer::PeerMessage;

use super::log::Log;
use super::{LogId, Membership};

/// Terms and positions count up from 1 in steps of one; nobody gets here. Adding to them stays far from overflowing.
const LIMIT: u64 = 1 << 62;

/// Whether both ends of the message write the logs that they are known to write.
pub(super) fn check_logs(own: LogId, known: &Membership, from: CoordinatorId, message: &PeerMessage) -> Result<()> {
    if !known.log(from).may_be(LogId(message.from_log)) {
        return Err(Error::data(format!(
            "message of coordinator {from} refused: it is a member of this cluster with another log, and has lost that"
        )));
    }
    if !own.may_be(LogId(message.to_log)) {
        return Err(Error::data(format!("message of coordinator {from} refused: it is for one with another log")));
    }
    Ok(())
}

/// Whether the library can be given the message.
pub(super) fn check(node: &RawNode<Log>, from: CoordinatorId, message: &Message) -> Result<()> {
    let refuse = |why: String| Err(Error::data(format!("message of coordinator {from} refused: {why}")));
    if message.from != from.0 || from.0 == 0 || message.from == node.raft.id {
        return refuse(format!("it says that it comes from coordinator {}", message.from));
    }
    if message.to != node.raft.id {
        return refuse(format!("it is for coordinator {}, and this is coordinator {}", message.to, node.raft.id));
    }
    if message.term == 0 {
        return refuse("it is of no term".into());
    }
    let snapshot = message.get_snapshot().get_metadata();
    let numbers = [
        message.term,
        message.index,
        message.log_term,
        message.commit,
        message.commit_term,
        message.reject_hint,
        snapshot.index,
        snapshot.term,
    ];
    if numbers.iter().any(|number| *number >= LIMIT) {
        return refuse("a position or term in it is out of range".into());
    }
    let kind = message.get_msg_type();
    if kind != MessageType::MsgAppend && !message.entries.is_empty() {
        return refuse("it has entries where none belong".into());
    }
    if message.term < node.raft.term {
        // Answered or ignored without being looked at further.
        return Ok(());
    }
    let last = node.raft.raft_log.last_index();
    match kind {
        MessageType::MsgAppend => {
            // The library takes term 0 for that of every position beyond the end of its log.
            if message.log_term == 0 && message.index > 0 {
                return refuse(format!("entry {} is of no term", message.index));
            }
            let mut previous = (message.index, message.log_term);
            for entry in message.entries.iter() {
                if entry.index != previous.0 + 1 || entry.term < previous.1 || entry.term == 0 {
                    return refuse(format!("entry {} does not follow entry {}", entry.index, previous.0));
                }
                previous = (entry.index, entry.term);
            }
            if previous.1 > message.term {
                return refuse("its entries are of a later term than itself".into());
            }
        }
        MessageType::MsgHeartbeat if message.commit > last => {
            return Err(Error::data(format!(
                "coordinator {from} knows this coordinator to hold the log up to {}, but it ends at {last}: \
                 what was stored here is lost",
                message.commit
            ))
            .with_help(
                "remove this coordinator from the cluster and add it again under another id, with an empty folder",
            ));
        }
        MessageType::MsgAppendResponse
            if !message.reject
                && node.raft.state == StateRole::Leader
                && message.term == node.raft.term
                && message.index > last =>
        {
            return refuse(format!("it confirms entry {}, and the log ends at {last}", message.index));
        }
        MessageType::MsgSnapshot if snapshot.term > message.term => {
            return refuse("its snapshot is of a later term than itself".into());
        }
        // A coordinator without a log has been told nothing, or has forgotten what it was told: its vote may have been
        // given to another one already.
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote if node.raft.store().is_blank() => {
            return refuse("this coordinator has not been taken into a cluster yet and has no vote".into());
        }
        _ => {}
    }
    Ok(())
}

/// Whether the message refuses an entry that its sender is known to hold: an answer to a question of long ago.
pub(super) fn stale_probe(node: &RawNode<Log>, message: &Message) -> bool {
    refused_probe(node, message).is_some_and(|matched| message.index <= matched)
}

/// Raises the hint of a refused probe to what its sender is known to hold.
pub(super) fn floor_probe(node: &RawNode<Log>, message: &mut Message) {
    let Some(matched) = refused_probe(node, message) else { return };
    let hint = match message.log_term {
        0 => message.reject_hint,
        term => node.raft.raft_log.find_conflict_by_term(message.reject_hint, term).0,
    };
    if hint < matched {
        message.reject_hint = matched;
        // No search by terms, which would lower the hint again.
        message.log_term = 0;
    }
}

/// What the sender is known to hold, if the message refuses entries of this leader that were a probe.
fn refused_probe(node: &RawNode<Log>, message: &Message) -> Option<u64> {
    let ours = message.get_msg_type() == MessageType::MsgAppendResponse
        && message.reject
        && message.term == node.raft.term
        && node.raft.state == StateRole::Leader;
    let progress = node.raft.prs().get(message.from).filter(|_| ours)?;
    (progress.state == ProgressState::Probe).then_some(progress.matched)
}
