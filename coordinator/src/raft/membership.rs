//! Who takes part in consensus, and the single steps by which that changes.

use std::collections::BTreeMap;

use weir_core::{CoordinatorId, Error, Result};
use weir_proto::peer as wire;

/// Who takes part, and where each is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Have a vote.
    pub voters: BTreeMap<CoordinatorId, String>,
    /// Follow the log without a vote.
    pub learners: BTreeMap<CoordinatorId, String>,
}

/// One step from one membership to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipChange {
    /// A new coordinator follows the log, so that its vote will be worth something.
    AddLearner(CoordinatorId, String),
    /// A learner that has caught up gets its vote.
    Promote(CoordinatorId),
    /// A coordinator leaves. Its id is not used again.
    Remove(CoordinatorId),
}

impl Membership {
    /// Whether the coordinator takes part in any way.
    pub fn contains(&self, id: CoordinatorId) -> bool {
        self.voters.contains_key(&id) || self.learners.contains_key(&id)
    }

    /// Where the coordinator is reached.
    pub fn address(&self, id: CoordinatorId) -> Option<&str> {
        self.voters.get(&id).or_else(|| self.learners.get(&id)).map(String::as_str)
    }

    /// The membership after the change, or why there is no such step. Every coordinator comes to the same answer.
    pub fn after(&self, change: &MembershipChange) -> Result<Self, String> {
        let mut next = self.clone();
        match change {
            MembershipChange::AddLearner(CoordinatorId(0), _) => return Err("0 is no id of a coordinator".into()),
            MembershipChange::AddLearner(id, _) if self.contains(*id) => {
                return Err(format!("coordinator {id} is a member already"));
            }
            MembershipChange::AddLearner(id, address) => {
                next.learners.insert(*id, address.clone());
            }
            MembershipChange::Promote(id) => {
                let address = next.learners.remove(id).ok_or_else(|| format!("coordinator {id} is not a learner"))?;
                next.voters.insert(*id, address);
            }
            MembershipChange::Remove(id) => {
                if next.learners.remove(id).is_none() && next.voters.remove(id).is_none() {
                    return Err(format!("coordinator {id} is not a member"));
                }
                if next.voters.is_empty() {
                    return Err(format!("coordinator {id} is the last one with a vote"));
                }
            }
        }
        Ok(next)
    }

    /// The membership as it travels and is stored.
    pub fn to_wire(&self) -> wire::Membership {
        let members = |of: &BTreeMap<CoordinatorId, String>| {
            of.iter().map(|(id, address)| wire::Member { id: id.0, address: address.clone() }).collect()
        };
        wire::Membership { voters: members(&self.voters), learners: members(&self.learners) }
    }

    /// Checks what came from a disk or a peer.
    pub fn from_wire(message: &wire::Membership) -> Result<Self> {
        let mut membership = Self::default();
        for (members, into) in
            [(&message.voters, &mut membership.voters), (&message.learners, &mut membership.learners)]
        {
            for member in members {
                let id = CoordinatorId(member.id);
                if id.0 == 0 || into.insert(id, member.address.clone()).is_some() {
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
        let (kind, id, address) = match self {
            Self::AddLearner(id, address) => (Kind::AddLearner, id, address.clone()),
            Self::Promote(id) => (Kind::Promote, id, String::new()),
            Self::Remove(id) => (Kind::Remove, id, String::new()),
        };
        wire::MembershipChange { kind: kind.into(), id: id.0, address, context: context.into() }
    }

    /// Checks what came from a disk or a peer.
    pub(super) fn from_wire(message: &wire::MembershipChange) -> Result<Self> {
        use wire::membership_change::Kind;
        let id = CoordinatorId(message.id);
        match message.kind() {
            _ if id.0 == 0 => Err(Error::data("a membership change of coordinator 0")),
            Kind::AddLearner => Ok(Self::AddLearner(id, message.address.clone())),
            Kind::Promote => Ok(Self::Promote(id)),
            Kind::Remove => Ok(Self::Remove(id)),
            Kind::Unspecified => Err(Error::data(format!("a membership change of unknown kind {}", message.kind))),
        }
    }
}
