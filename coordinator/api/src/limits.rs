//! How much is done at a time, whoever asks: the process has more important things to do.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Problem;

/// Scripts that are planned at a time; others wait. Planning takes a core.
const PLANNED: usize = 2;
/// Queries whose rows are sent at a time; others are refused.
const QUERIES: usize = 64;
/// Files of plugins that are received at a time; others are refused. Of each, a piece is in memory.
const UPLOADS: usize = 8;

/// What is left of it.
pub(crate) struct Limits {
    planned: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { planned: places(PLANNED), queries: places(QUERIES), uploads: places(UPLOADS) }
    }
}

impl Limits {
    /// Waits until a script may be planned; it may be until the value is dropped.
    pub(crate) async fn planning(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.planned.clone().acquire_owned().await.ok()
    }

    /// A query may run until the value is dropped.
    ///
    /// # Errors
    /// If so many run that there is no place for one more.
    pub(crate) fn query(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.queries.clone().try_acquire_owned().map_err(|_| {
            Problem::unavailable(format!("{QUERIES} queries are being answered here already"))
                .with_help("ask again later, or another coordinator; or write the rows into a table with INSERT INTO")
        })
    }

    /// A file may be received until the value is dropped.
    ///
    /// # Errors
    /// If so many are that there is no place for one more.
    pub(crate) fn upload(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.uploads.clone().try_acquire_owned().map_err(|_| {
            Problem::unavailable(format!("{UPLOADS} files are being received here already"))
                .with_help("ask again later, or another coordinator")
        })
    }
}
