//! When the leader copies the state to the checkpoint storage: soon after every change that a person would miss, but not more
//! often than every few seconds, whatever happens; and again if it went wrong.
//!
//! A new leader begins with a copy: the one before may have died with a change that it had not copied.

use std::time::Duration;

/// Whether a copy is due.
#[derive(Debug, Default)]
pub struct Copying {
    /// There is something that the last copy does not have.
    wanted: bool,
    /// When the last one was taken.
    last: Option<Duration>,
}

impl Copying {
    /// A copy has to be taken, as soon as may be.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether one is to be taken `now`, so long behind the last one at least; then it counts as taken.
    pub fn is_due(&mut self, now: Duration, pause: Duration) -> bool {
        let due = self.wanted && self.last.is_none_or(|last| now >= last + pause);
        if due {
            self.wanted = false;
            self.last = Some(now);
        }
        due
    }
}
