//! Work that waits for a disk or a network, beside the threads that run subtasks.

use tokio::task::JoinHandle;
use weir_core::{Error, Result};

/// Begins it, for whoever holds the handle.
#[expect(clippy::disallowed_methods, reason = "the one place of the connectors")]
pub fn begin<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}

/// Does it, and brings back what came of it.
///
/// # Errors
/// That of the work, or that it panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    begin(work).await.map_err(|panic| Error::internal("a connector panicked").with_source(panic))?
}

/// Drops what waits for a network or a thread when it is dropped.
pub fn release<T: Send + 'static>(value: T) {
    // Outside of a runtime nobody is held up.
    if tokio::runtime::Handle::try_current().is_ok() {
        drop(begin(move || drop(value)));
    }
}
