//! When to log that no coordinator accepts this worker: not at once, since leaders change, and then every half a minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A change of leader takes no longer.
const USUAL: Duration = Duration::from_secs(3);
/// Time between two reminders.
const AGAIN: Duration = Duration::from_secs(30);

/// How long a worker has had no coordinator.
#[derive(Debug)]
pub struct Isolation {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    since: Instant,
    logged: Option<Instant>,
}

impl Isolation {
    /// It has none from now on.
    pub fn begin() -> Self {
        Self { state: Mutex::new(State { since: Instant::now(), logged: None }) }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A coordinator has accepted the worker. Returns whether it was logged that none does.
    pub fn end(&self) -> bool {
        self.change(|state| {
            state.since = Instant::now();
            state.logged.take().is_some()
        })
    }

    /// Another try has failed. Returns how long the worker has been isolated, if it is time to log that.
    pub fn reminder(&self) -> Option<Duration> {
        self.change(|state| {
            let isolated = state.since.elapsed();
            let due = isolated >= USUAL && state.logged.is_none_or(|logged| logged.elapsed() >= AGAIN);
            due.then(|| {
                state.logged = Some(Instant::now());
                isolated
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_logged_after_a_while_and_then_repeated() {
        let isolation = Isolation::begin();
        let mut logged = 0;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            logged += u32::from(isolation.reminder().is_some());
        }
        assert_eq!(logged, 4, "after 3, 33, 63 and 93 seconds");
        assert!(isolation.end());
        assert!(!isolation.end());
        assert_eq!(isolation.reminder(), None);
    }
}
