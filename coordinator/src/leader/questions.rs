//! Questions to workers that are answered once. Whoever waits is told, too, if the worker is gone or takes too long, and may ask anew.

use std::collections::BTreeMap;
use std::time::Duration;

use super::SessionId;

/// Questions of one kind that are under way. `T`: what each is about.
#[derive(Debug)]
pub struct Questions<T> {
    last: u64,
    asked: BTreeMap<u64, Asked<T>>,
}

#[derive(Debug)]
struct Asked<T> {
    session: SessionId,
    deadline: Duration,
    subject: T,
}

impl<T> Questions<T> {
    /// Those of the leader of a term. Their numbers begin with it, so that what another one has asked is no answer.
    pub fn new(term: u64) -> Self {
        Self { last: term << 32, asked: BTreeMap::new() }
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.asked.len()
    }

    /// What they are about.
    pub fn subjects(&self) -> impl Iterator<Item = &T> {
        self.asked.values().map(|asked| &asked.subject)
    }

    /// The number of the first one about something like this.
    pub fn find(&self, is_meant: impl Fn(&T) -> bool) -> Option<u64> {
        self.asked.iter().find(|(_, asked)| is_meant(&asked.subject)).map(|(id, _)| *id)
    }

    /// Notes a question, and returns its number.
    pub fn ask(&mut self, session: SessionId, deadline: Duration, subject: T) -> u64 {
        self.last += 1;
        self.asked.insert(self.last, Asked { session, deadline, subject });
        self.last
    }

    /// What the answer is to; `None` if nobody waits for it, or another worker was asked.
    pub fn answered(&mut self, session: SessionId, id: u64) -> Option<T> {
        self.asked.get(&id).filter(|asked| asked.session == session)?;
        self.asked.remove(&id).map(|asked| asked.subject)
    }

    /// Takes those that a worker was asked which is gone.
    pub fn lost(&mut self, session: SessionId) -> Vec<u64> {
        self.asked.extract_if(.., |_, asked| asked.session == session).map(|(id, _)| id).collect()
    }

    /// Takes those that were not answered in time.
    pub fn overdue(&mut self, now: Duration) -> Vec<u64> {
        self.asked.extract_if(.., |_, asked| asked.deadline <= now).map(|(id, _)| id).collect()
    }
}
