//! Producers between two commits of one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Target, Writer};

/// One that has not been used for so long is closed: its job may have ended, or be committed elsewhere.
const IDLE: Duration = Duration::from_secs(600);

/// Producers that wait for the next epoch, by the ids of their transactions. Whoever uses one has taken it out, so that a call that is given
/// up, or fails, leaves none behind whose state is not known.
pub struct Writers<T: Target>(Mutex<HashMap<String, (Instant, Writer<T>)>>);

impl<T: Target> Writers<T> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, (Instant, Writer<T>)>> {
        // Each change is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sink's producer, unless the system is to be reached otherwise by now.
    pub(super) fn take(&self, target: &T) -> Option<Writer<T>> {
        let (_, mut writer) = self.waiting().remove(target.id())?;
        let is_alike = target.shares_producers(&writer.target);
        writer.target = target.clone();
        is_alike.then_some(writer)
    }

    /// Keeps it for the next time.
    pub(super) fn keep(&self, writer: Writer<T>) {
        let now = Instant::now();
        let mut waiting = self.waiting();
        waiting.retain(|_, (since, _)| since.elapsed() < IDLE);
        waiting.insert(writer.target.id().to_owned(), (now, writer));
    }
}

impl<T: Target> Default for Writers<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Target> std::fmt::Debug for Writers<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.waiting().keys()).finish()
    }
}
