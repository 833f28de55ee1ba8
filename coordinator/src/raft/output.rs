//! What consensus hands to its caller: what to send, what is decided, and how things stand.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use weir_core::{CoordinatorId, Error};
use weir_proto::peer::PeerMessage;

use super::{Membership, MembershipChange};

/// What [`drive`](super::Raft::drive) found to do. Everything that must be durable before these are acted upon is.
#[derive(Debug, Default)]
pub struct Output {
    /// To be sent, in order for each receiver. May be lost on the way.
    pub messages: Vec<(CoordinatorId, PeerMessage)>,
    /// Replaces the whole state. Comes before `committed`.
    pub restored: Option<RestoredSnapshot>,
    /// Decided, in order of the log, without gaps.
    pub committed: Vec<Committed>,
    /// Reads that may be answered from any state that holds the entry at this index: `(request, index)`.
    pub reads: Vec<(u64, u64)>,
    /// Present when the role, the leader or the term is another one than before.
    pub role_changed: Option<Status>,
}

/// An entry of the log that is decided: every coordinator gets the same one at the same index, sooner or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// What somebody [proposed](super::Raft::propose).
    Payload {
        /// Place in the log.
        index: u64,
        /// Term in which it was proposed.
        term: u64,
        /// As proposed.
        bytes: Bytes,
    },
    /// The membership has changed.
    Membership {
        /// Place in the log.
        index: u64,
        /// Term in which it was proposed.
        term: u64,
        /// The step.
        change: MembershipChange,
        /// As proposed.
        context: Bytes,
        /// Who takes part from here on.
        membership: Membership,
    },
    /// The first entry of a new leader. When a leader meets the one of its own term, it has met all that was decided
    /// before it.
    Empty {
        /// Place in the log.
        index: u64,
        /// Term of the leader.
        term: u64,
    },
}

impl Committed {
    /// Place in the log.
    pub fn index(&self) -> u64 {
        match self {
            Self::Payload { index, .. } | Self::Membership { index, .. } | Self::Empty { index, .. } => *index,
        }
    }

    /// Term in which a leader put it there.
    pub fn term(&self) -> u64 {
        match self {
            Self::Payload { term, .. } | Self::Membership { term, .. } | Self::Empty { term, .. } => *term,
        }
    }
}

/// The state after the entry at `index`, in place of all entries up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredSnapshot {
    /// Place in the log.
    pub index: u64,
    /// Term of the entry there.
    pub term: u64,
    /// Who takes part.
    pub membership: Membership,
    /// What was handed to [`compact`](super::Raft::compact). Empty in the snapshot that
    /// [`bootstrap`](super::Raft::bootstrap) wrote: the initial state.
    pub state: Bytes,
}

/// What a coordinator is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Decides what goes into the log.
    Leader,
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks the others to make it the leader.
    Candidate,
    /// Has no vote: still catching up, not a member yet, or not any more.
    Learner,
}

/// How one coordinator sees things. Only the log is agreed upon; this is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Who says so.
    pub id: CoordinatorId,
    /// What it is.
    pub role: Role,
    /// The newest term that it has heard of.
    pub term: u64,
    /// The leader of that term, if known.
    pub leader: Option<CoordinatorId>,
    /// Entries up to here are decided.
    pub commit: u64,
    /// Entries up to here were handed out.
    pub applied: u64,
    /// Who takes part, as of `applied`.
    pub membership: Membership,
    /// How far the log of each member is known to reach. Empty unless this is the leader.
    pub matched: BTreeMap<CoordinatorId, u64>,
}

impl Status {
    /// That of a coordinator that knows no cluster yet.
    pub fn unknown(id: CoordinatorId) -> Self {
        Self {
            id,
            role: Role::Learner,
            term: 0,
            leader: None,
            commit: 0,
            applied: 0,
            membership: Membership::default(),
            matched: BTreeMap::new(),
        }
    }
}

/// Why a request was not taken. Nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Another coordinator leads, or none does.
    NotLeader {
        /// Whom to ask instead, if known.
        leader: Option<CoordinatorId>,
    },
    /// Too much is under way, or leadership is just being handed over. Worth trying again.
    Busy(&'static str),
    /// Makes no sense as it stands, and will not later.
    Invalid(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader: Some(leader) } => write!(f, "coordinator {leader} is the leader"),
            Self::NotLeader { leader: None } => f.write_str("the coordinators have no leader at the moment"),
            Self::Busy(why) => f.write_str(why),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(why) => Error::user(why),
            refused => Error::environment(refused.to_string()),
        }
    }
}
