//! Calls that wait for a disk, or for whoever reads stdout, beside the threads that do everything else.

use weir_core::{Error, Result};

/// Makes the call, and brings back what came of it.
///
/// # Errors
/// That of the call, or that it panicked.
pub async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    #[expect(clippy::disallowed_methods, reason = "the one place of this crate")]
    let done = tokio::task::spawn_blocking(call).await;
    done.map_err(|panic| Error::internal("a call panicked").with_source(panic))?
}
