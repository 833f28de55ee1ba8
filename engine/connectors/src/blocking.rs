//! Work that waits for a disk, beside the threads that run subtasks.

use weir_core::{Error, Result};

/// Does it, and brings back what came of it.
///
/// # Errors
/// That of the work, or that it panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| Error::internal("a connector panicked").with_source(panic))?
}
