//! How several coordinators found a cluster: they introduce themselves to each other first.
//!
//! ```text
//!   1 ── which log do you write? ──▶ 2, 3      nobody has voted yet
//!   1 ◀────────── log, membership ── 2, 3
//!   1: all have answered, none is a member of anything: the founding membership names the logs of all
//! ```
//!
//! A coordinator that has lost its disk has forgotten whom it voted for and what it acknowledged. If it founded the cluster a
//! second time, it could vote a second time, and what was decided could be lost. So the membership names the log of each member,
//! by a number that is drawn when the log is made, and a coordinator is a member only with that log.
//!
//! Who finds others founded, and its own log named by them, founds with their membership. Its log is still empty: it has not voted
//! and acknowledged nothing. To wait until a leader sends the log would not do, since two who wait give one who has founded no
//! majority.
//!
//! Why that is enough. Nobody founds before it has heard the log of all others, so whoever has founded knows them all. What was
//! decided was decided by a majority of those who have founded. If one of them has lost its log, then either it was alone in having
//! founded, and nothing was decided, since those who have not founded do not vote; or another one has founded too, and that one
//! says, when it is asked, that it knows the one that asks with another log. And it is asked, because all are.

use std::collections::BTreeMap;

use weir_core::{CoordinatorId, Error, Result};

use crate::raft::{LogId, Member, Membership};

/// What a coordinator says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Who it is.
    pub id: CoordinatorId,
    /// The log that it writes.
    pub log: LogId,
    /// Who takes part, as far as it knows; `None` if it was not taken into a cluster yet.
    pub membership: Option<Membership>,
}

/// What a founding member is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ask these, again.
    Ask(Vec<CoordinatorId>),
    /// Found the cluster with these members; or join those who have, with what they have founded it with.
    Found(BTreeMap<CoordinatorId, Member>),
    /// The cluster has had other members since: its leader sends the log.
    Follow,
}

/// A founding member that knows no cluster yet.
#[derive(Debug)]
pub struct Founding {
    id: CoordinatorId,
    log: LogId,
    members: BTreeMap<CoordinatorId, String>,
    heard: BTreeMap<CoordinatorId, Introduction>,
}

impl Founding {
    /// The member `id`, whose log is empty, among all members and their addresses.
    ///
    /// # Errors
    /// A user error if it is none of them.
    pub fn new(id: CoordinatorId, log: LogId, members: BTreeMap<CoordinatorId, String>) -> Result<Self> {
        if !members.contains_key(&id) {
            return Err(Error::user(format!("coordinator {id} is not among the founding members"))
                .with_help("list every founding member with its address, this one too"));
        }
        Ok(Self { id, log, members, heard: BTreeMap::new() })
    }

    /// Where a member is reached.
    pub fn address(&self, id: CoordinatorId) -> Option<&str> {
        self.members.get(&id).map(String::as_str)
    }

    /// A member has answered.
    ///
    /// # Errors
    /// A user error if this coordinator must not start.
    pub fn hear(&mut self, asked: CoordinatorId, answer: Introduction) -> Result<()> {
        let address = self.address(asked).unwrap_or_default();
        if answer.id != asked {
            return Err(Error::user(format!(
                "coordinator {asked} should be at {address}, but coordinator {} is there",
                answer.id
            ))
            .with_help("give all founding members the same --members"));
        }
        if let Some(membership) = &answer.membership {
            let member = membership.member(self.id);
            if member.is_none_or(|member| member.log != self.log) {
                let what = match member {
                    Some(_) => "knows this coordinator with another log: its data directory was emptied or replaced",
                    None => "does not know this coordinator as a member",
                };
                let id = self.id;
                return Err(Error::user(format!("the cluster is founded, and coordinator {asked} at {address} {what}"))
                    .with_help(format!(
                        "a coordinator without its log could vote twice. Replace it: `weir cluster remove {id}`, then start one \
                         under a new number with `weir coordinator --join` and `weir cluster add` it"
                    )));
            }
        }
        self.heard.insert(asked, answer);
        Ok(())
    }

    /// What is to be done.
    pub fn verdict(&self) -> Verdict {
        if let Some(founded) = self.heard.values().find_map(|answer| answer.membership.as_ref()) {
            // As long as nobody came or went, it is the one that they have founded with.
            let founding = founded.removed.is_empty() && founded.learners.is_empty();
            let unchanged = founding && founded.voters.keys().eq(self.members.keys());
            return if unchanged { Verdict::Found(founded.voters.clone()) } else { Verdict::Follow };
        }
        let others = self.members.keys().filter(|id| **id != self.id);
        let silent: Vec<_> = others.filter(|id| !self.heard.contains_key(id)).copied().collect();
        if !silent.is_empty() {
            return Verdict::Ask(silent);
        }
        let log = |id: &CoordinatorId| self.heard.get(id).map_or(self.log, |answer| answer.log);
        let member =
            |(id, address): (&CoordinatorId, &String)| (*id, Member { address: address.clone(), log: log(id) });
        Verdict::Found(self.members.iter().map(member).collect())
    }
}

#[cfg(test)]
mod tests;
