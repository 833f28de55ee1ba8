//! Connections of workers, and who is missed.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Incarnation, JobId, WorkerId};
use weir_proto::control::Hello;

use super::SessionId;

/// All connections of this term.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    /// The connection of each worker that has been welcomed.
    by_worker: BTreeMap<WorkerId, SessionId>,
    missing: BTreeMap<WorkerId, Missing>,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    /// What its first message said.
    pub hello: Hello,
    /// Whether the worker is registered, and may be told to do things.
    pub welcome: bool,
    /// When it last said anything.
    pub heard: Duration,
    /// Whether it wants to go.
    pub leaving: bool,
    /// Whether it was told that it may.
    pub dismissed: bool,
    /// Attempts that the worker knows, as far as we know.
    pub attempts: BTreeMap<JobId, Attempt>,
}

/// A worker that is registered and has no connection.
#[derive(Debug)]
pub struct Missing {
    /// Its process.
    pub incarnation: Incarnation,
    /// When it is given up.
    pub deadline: Duration,
    /// Why, then.
    pub reason: String,
}

impl Sessions {
    /// A worker has connected; it is not welcome yet.
    pub fn open(&mut self, id: SessionId, hello: Hello, now: Duration) {
        let leaving = hello.leaving;
        let attempts = hello.attempts.iter().map(|status| (status.job, status.attempt)).collect();
        self.by_id.insert(id, Session { hello, welcome: false, heard: now, leaving, dismissed: false, attempts });
    }

    /// The worker is registered. Returns the connection that it had before, if any.
    pub fn welcome(&mut self, id: SessionId) -> Option<SessionId> {
        let session = self.by_id.get_mut(&id)?;
        session.welcome = true;
        let worker = session.hello.worker.clone();
        self.missing.remove(&worker);
        self.by_worker.insert(worker, id).filter(|old| *old != id)
    }

    /// Connections of this very process that wait to be welcomed, newest last.
    pub fn waiting(&self, worker: &WorkerId, incarnation: Incarnation) -> Vec<SessionId> {
        let of = |session: &Session| session.hello.worker == *worker && session.hello.incarnation == incarnation;
        self.by_id.iter().filter(|(_, session)| !session.welcome && of(session)).map(|(id, _)| *id).collect()
    }

    /// The connection of another process under this name, welcome or not.
    pub fn other_process(&self, worker: &WorkerId, incarnation: Incarnation) -> Option<&Session> {
        self.by_id.values().find(|open| open.hello.worker == *worker && open.hello.incarnation != incarnation)
    }

    /// A connection is gone. Returns it if it was the one of its worker.
    pub fn close(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        (self.by_worker.get(&session.hello.worker) == Some(&id)).then(|| {
            self.by_worker.remove(&session.hello.worker);
            session
        })
    }

    /// The worker will be given up unless it connects until the deadline.
    pub fn miss(&mut self, worker: WorkerId, incarnation: Incarnation, deadline: Duration, reason: &str) {
        self.missing.insert(worker, Missing { incarnation, deadline, reason: reason.to_owned() });
    }

    /// Workers that are given up now. They are missed no more.
    pub fn overdue(&mut self, now: Duration) -> Vec<(WorkerId, Missing)> {
        self.missing.extract_if(.., |_, missing| missing.deadline <= now).collect()
    }

    /// Connections that said nothing for too long.
    pub fn silent(&self, now: Duration, timeout: Duration) -> Vec<SessionId> {
        self.by_id.iter().filter(|(_, session)| session.heard + timeout <= now).map(|(id, _)| *id).collect()
    }

    /// One connection.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    /// One connection.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    /// The connection of a worker's process.
    pub fn of(&self, worker: &WorkerId, incarnation: Incarnation) -> Option<SessionId> {
        let id = *self.by_worker.get(worker)?;
        let same = self.by_id.get(&id)?.hello.incarnation == incarnation || bugs::is_on(Bug::IncarnationIgnored);
        same.then_some(id)
    }

    /// All connections.
    pub fn all(&self) -> impl Iterator<Item = SessionId> {
        self.by_id.keys().copied()
    }

    /// Connections of all workers that are welcome.
    pub fn connected(&self) -> impl Iterator<Item = (&WorkerId, SessionId)> {
        self.by_worker.iter().map(|(worker, id)| (worker, *id))
    }

    /// All connections.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Session)> {
        self.by_id.iter_mut().map(|(id, session)| (*id, session))
    }
}
