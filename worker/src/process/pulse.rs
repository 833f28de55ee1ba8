//! Whether the agent's loop goes on: each time around it says when it will be there again at the latest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A loop that is later than this hangs, or its thread does.
const PATIENCE: Duration = Duration::from_secs(3);

/// When the loop was to be there again.
#[derive(Debug, Default)]
pub struct Pulse {
    /// `None` before its first time around.
    due: Mutex<Option<Instant>>,
}

impl Pulse {
    /// The loop is there, and will be again by then.
    pub fn beat(&self, due: Instant) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = Some(due);
    }

    /// How late the loop is, if that is more than load explains.
    pub fn late(&self) -> Option<Duration> {
        let due = *self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.map(|due| due.elapsed()).filter(|late| *late > PATIENCE)
    }
}
