//! Producers between two commits of one process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::options::SinkOptions;
use super::transaction::Writer;

/// One that has not been used for so long is closed: its job may have ended, or be committed elsewhere.
const IDLE: Duration = Duration::from_secs(600);

/// Producers that wait for the next epoch, by transactional id. Whoever uses one has taken it out, so that a call that is given up, or
/// fails, leaves none behind whose state is not known.
#[derive(Default)]
pub(crate) struct Writers(Mutex<HashMap<String, (Instant, Writer)>>);

impl Writers {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, (Instant, Writer)>> {
        // Each change is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sink's producer, unless it is to be reached otherwise by now.
    pub(crate) fn take(&self, id: &str, options: &SinkOptions) -> Option<Writer> {
        let (_, mut writer) = self.waiting().remove(id)?;
        let is_alike = writer.options.client.is_alike(&options.client) && writer.options.commits == options.commits;
        writer.options = options.clone();
        is_alike.then_some(writer)
    }

    /// Keeps it for the next time.
    pub(crate) fn keep(&self, writer: Writer) {
        let now = Instant::now();
        let mut waiting = self.waiting();
        waiting.retain(|_, (since, _)| since.elapsed() < IDLE);
        waiting.insert(writer.id.clone(), (now, writer));
    }
}

impl std::fmt::Debug for Writers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.waiting().keys()).finish()
    }
}
