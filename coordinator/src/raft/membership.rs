//! Who takes part in consensus, and the single steps by which that changes.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{CoordinatorId, Error, Result};
use weir_proto::peer as wire;

/// Which log a coordinator writes: a number that is drawn when the file is made. A coordinator that comes back with an
/// emptied folder has another one, and is told by it from the one that has voted and acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogId(pub u64);

impl LogId {
    /// Whether both may be the same log. 0 is that of a coordinator of which it is not known.
    pub fn may_be(self, other: LogId) -> bool {
        self == other || self.0 == 0 || other.0 == 0
    }
}

/// One who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Member {
    /// Where it is reached.
    pub address: String,
    /// The log that it writes.
    pub log: LogId,
}

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Have a vote.
    pub voters: BTreeMap<CoordinatorId, Member>,
    /// Follow the log without a vote.
    pub learners: BTreeMap<CoordinatorId, Member>,
    /// Took part once. Their ids are not used again: somebody who lags behind would take the new one for the old one.
    pub removed: BTreeSet<CoordinatorId>,
}

/// One step from one membership to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipChange {
    /// A new coordinator follows the log, so that its vote will be worth something.
    AddLearner(CoordinatorId, Member),
    /// A learner that has caught up gets its vote.
    Promote(CoordinatorId),
    /// A coordinator leaves. Its id is not used again.
    Remove(CoordinatorId),
}

impl Membership {
    /// The founding membership: all have a vote.
    pub fn founding(members: BTreeMap<CoordinatorId, Member>) -> Self {
        Self { voters: members, ..Self::default() }
    }

    /// Whether the coordinator takes part in any way.
    pub fn contains(&self, id: CoordinatorId) -> bool {
        self.member(id).is_some()
    }

    /// The coordinator, if it takes part.
    pub fn member(&self, id: CoordinatorId) -> Option<&Member> {
        self.voters.get(&id).or_else(|| self.learners.get(&id))
    }

    /// All who take part.
    pub fn members(&self) -> impl Iterator<Item = (CoordinatorId, &Member)> {
        self.voters.iter().chain(&self.learners).map(|(id, member)| (*id, member))
    }

    /// Where the coordinator is reached.
    pub fn address(&self, id: CoordinatorId) -> Option<&str> {
        self.member(id).map(|member| member.address.as_str())
    }

    /// The log that the coordinator writes, as far as it is known.
    pub fn log(&self, id: CoordinatorId) -> LogId {
        self.member(id).map_or(LogId(0), |member| member.log)
    }

    /// The membership after the change, or why there is no such step. Every coordinator comes to the same answer.
    pub fn after(&self, change: &MembershipChange) -> Result<Self, String> {
        let mut next = self.clone();
        match change {
            MembershipChange::AddLearner(CoordinatorId(0), _) => return Err("0 is no id of a coordinator".into()),
            MembershipChange::AddLearner(id, _) if self.contains(*id) => {
                return Err(format!("coordinator {id} is a member already"));
            }
            MembershipChange::AddLearner(id, _) if self.removed.contains(id) => {
                return Err(format!("coordinator {id} was removed, and its number is not used again"));
            }
            MembershipChange::AddLearner(id, member) => {
                next.learners.insert(*id, member.clone());
            }
            MembershipChange::Promote(id) => {
                let member = next.learners.remove(id).ok_or_else(|| format!("coordinator {id} is not a learner"))?;
                next.voters.insert(*id, member);
            }
            MembershipChange::Remove(id) => {
                if next.learners.remove(id).is_none() && next.voters.remove(id).is_none() {
                    return Err(format!("coordinator {id} is not a member"));
                }
                if next.voters.is_empty() {
                    return Err(format!("coordinator {id} is the last one with a vote"));
                }
                next.removed.insert(*id);
            }
        }
        Ok(next)
    }

    /// The membership as it travels and is stored.
    pub fn to_wire(&self) -> wire::Membership {
        let members = |of: &BTreeMap<CoordinatorId, Member>| {
            let wire = |(id, member): (&CoordinatorId, &Member)| wire::Member {
                id: id.0,
                address: member.address.clone(),
                log: member.log.0,
            };
            of.iter().map(wire).collect()
        };
        wire::Membership {
            voters: members(&self.voters),
            learners: members(&self.learners),
            removed: self.removed.iter().map(|id| id.0).collect(),
        }
    }

    /// Checks what came from a disk or a peer.
    pub fn from_wire(message: &wire::Membership) -> Result<Self> {
        let removed = message.removed.iter().copied().map(CoordinatorId).collect();
        let mut membership = Self { removed, ..Self::default() };
        for (members, into) in
            [(&message.voters, &mut membership.voters), (&message.learners, &mut membership.learners)]
        {
            for member in members {
                let id = CoordinatorId(member.id);
                let known = Member { address: member.address.clone(), log: LogId(member.log) };
                if id.0 == 0 || into.insert(id, known).is_some() {
                    return Err(Error::data(format!("a membership that names coordinator {id} twice, or 0")));
                }
            }
        }
        if let Some(id) = membership.voters.keys().find(|id| membership.learners.contains_key(id)) {
            return Err(Error::data(format!("a membership in which coordinator {id} is both voter and learner")));
        }
        if membership.voters.is_empty() {
            return Err(Error::data("a membership in which nobody has a vote"));
        }
        Ok(membership)
    }
}

impl MembershipChange {
    /// The change as it travels and is stored, with what its proposer wants to get back.
    pub(super) fn to_wire(&self, context: Vec<u8>) -> wire::MembershipChange {
        use wire::membership_change::Kind;
        let (kind, id, member) = match self {
            Self::AddLearner(id, member) => (Kind::AddLearner, id, member.clone()),
            Self::Promote(id) => (Kind::Promote, id, Member::default()),
            Self::Remove(id) => (Kind::Remove, id, Member::default()),
        };
        let Member { address, log } = member;
        wire::MembershipChange { kind: kind.into(), id: id.0, address, context: context.into(), log: log.0 }
    }

    /// Checks what came from a disk or a peer.
    pub(super) fn from_wire(message: &wire::MembershipChange) -> Result<Self> {
        use wire::membership_change::Kind;
        let id = CoordinatorId(message.id);
        match message.kind() {
            _ if id.0 == 0 => Err(Error::data("a membership change of coordinator 0")),
            Kind::AddLearner => {
                let member = Member { address: message.address.clone(), log: LogId(message.log) };
                Ok(Self::AddLearner(id, member))
            }
            Kind::Promote => Ok(Self::Promote(id)),
            Kind::Remove => Ok(Self::Remove(id)),
            Kind::Unspecified => Err(Error::data(format!("a membership change of unknown kind {}", message.kind))),
        }
    }
}
