//! Work that waits for a disk, beside the threads that run subtasks.

use tokio::task::JoinHandle;
use weir_core::{Error, Result};

/// Begins it, for whoever holds the handle.
#[expect(clippy::disallowed_methods, reason = "the one place of this crate")]
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Does it, and brings back what came of it.
///
/// # Errors
/// That of the work, or that it panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    begin(work).await.map_err(|panic| Error::internal("a connector panicked").with_source(panic))?
}
