//! When people are told that no coordinator takes this worker: not at once, since leaders change, and not again and again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For so long it is nothing unusual.
const USUAL: Duration = Duration::from_secs(3);
/// Pause between two reminders.
const AGAIN: Duration = Duration::from_secs(30);

/// Since when a worker is alone.
#[derive(Debug)]
pub struct Solitude {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    since: Instant,
    told: Option<Instant>,
}

impl Solitude {
    /// From now on.
    pub fn begin() -> Self {
        Self { state: Mutex::new(State { since: Instant::now(), told: None }) }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A coordinator has taken the worker. Returns whether people were told that none does.
    pub fn end(&self) -> bool {
        self.change(|state| {
            state.since = Instant::now();
            state.told.take().is_some()
        })
    }

    /// Another try has come to nothing. Returns for how long that has been so, if it is time to say so.
    pub fn goes_on(&self) -> Option<Duration> {
        self.change(|state| {
            let alone = state.since.elapsed();
            let due = alone >= USUAL && state.told.is_none_or(|told| told.elapsed() >= AGAIN);
            due.then(|| {
                state.told = Some(Instant::now());
                alone
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_after_a_while_and_now_and_then() {
        let solitude = Solitude::begin();
        let mut told = 0;
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            told += u32::from(solitude.goes_on().is_some());
        }
        assert_eq!(told, 4, "after 3, 33, 63 and 93 seconds");
        assert!(solitude.end());
        assert!(!solitude.end());
        assert_eq!(solitude.goes_on(), None);
    }
}
