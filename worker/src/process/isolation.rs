//! For how long no coordinator has taken this worker, and when to log that: not at once, since leaders change, and then every half a
//! minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::agent::SessionId;

/// A change of leader takes no longer.
const USUAL: Duration = Duration::from_secs(3);
/// Time between two reminders.
const AGAIN: Duration = Duration::from_secs(30);

/// Whether a coordinator has taken the worker.
#[derive(Debug)]
pub struct Isolation {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// One has, in this session.
    Accepted(SessionId),
    /// None has since then; `logged`: when that was last logged.
    Alone { since: Instant, logged: Option<Instant> },
}

impl Isolation {
    /// It has none from now on.
    pub fn begin() -> Self {
        Self { state: Mutex::new(State::alone()) }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A coordinator has accepted the worker. Returns whether it was logged that none does.
    pub fn accepted(&self, session: SessionId) -> bool {
        self.change(|state| {
            let before = std::mem::replace(state, State::Accepted(session));
            matches!(before, State::Alone { logged: Some(_), .. })
        })
    }

    /// A session is over. Returns whether it was with a coordinator that had accepted the worker.
    pub fn lost(&self, session: SessionId) -> bool {
        self.change(|state| {
            let was_accepted = matches!(state, State::Accepted(accepted) if *accepted == session);
            if was_accepted {
                *state = State::alone();
            }
            was_accepted
        })
    }

    /// Another try has failed. Returns how long the worker has been isolated, if it is time to log that.
    pub fn reminder(&self) -> Option<Duration> {
        self.change(|state| {
            let State::Alone { since, logged } = state else { return None };
            let isolated = since.elapsed();
            let due = isolated >= USUAL && logged.is_none_or(|logged| logged.elapsed() >= AGAIN);
            due.then(|| {
                *logged = Some(Instant::now());
                isolated
            })
        })
    }

    /// For how long it has had none; `None` if it has one.
    pub fn alone_for(&self) -> Option<Duration> {
        self.change(|state| match state {
            State::Accepted(_) => None,
            State::Alone { since, .. } => Some(since.elapsed()),
        })
    }
}

impl Default for Isolation {
    fn default() -> Self {
        Self::begin()
    }
}

impl State {
    fn alone() -> Self {
        State::Alone { since: Instant::now(), logged: None }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_logged_after_a_while_and_then_repeated() {
        let isolation = Isolation::begin();
        let mut logged = 0;
        for _ in 0..1000 {
            advance(Duration::from_millis(100)).await;
            logged += u32::from(isolation.reminder().is_some());
        }
        assert_eq!(logged, 4, "after 3, 33, 63 and 93 seconds");
        assert!(isolation.accepted(SessionId(1)));
        assert!(!isolation.accepted(SessionId(1)));
        assert_eq!(isolation.reminder(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn time_with_a_coordinator_is_not_time_without_one() {
        let isolation = Isolation::begin();
        isolation.accepted(SessionId(1));
        advance(Duration::from_secs(411)).await;
        assert_eq!(isolation.alone_for(), None);
        assert!(isolation.lost(SessionId(1)));
        assert_eq!(isolation.reminder(), None, "it has been alone for no time yet");
        advance(Duration::from_secs(4)).await;
        assert_eq!(isolation.reminder(), Some(Duration::from_secs(4)));
        // A session that was given up before does not end the one that came after it.
        isolation.accepted(SessionId(3));
        assert!(!isolation.lost(SessionId(2)));
        assert_eq!(isolation.alone_for(), None);
    }
}
