//! Work that blocks its thread, injected, so that a simulation can do it in order.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use weir_core::{Error, Result};

/// Work that blocks.
pub type Work = Box<dyn FnOnce() + Send>;

/// Where blocking work is done: reading state, storing checkpoints.
pub trait Blocking: Send + Sync {
    /// Does the work; ready when it is done.
    ///
    /// # Errors
    /// If it panicked.
    fn run(&self, work: Work) -> BoxFuture<'static, Result<()>>;
}

/// The threads that tokio keeps for this.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockingThreads;

impl Blocking for BlockingThreads {
    fn run(&self, work: Work) -> BoxFuture<'static, Result<()>> {
        #[expect(clippy::disallowed_methods, reason = "the one place of this crate")]
        let done = tokio::task::spawn_blocking(work);
        Box::pin(async move { done.await.map_err(|panic| Error::internal("a thread panicked").with_source(panic)) })
    }
}

/// The caller's own thread, at once: for a simulation on one thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockingInline;

impl Blocking for BlockingInline {
    fn run(&self, work: Work) -> BoxFuture<'static, Result<()>> {
        work();
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Does `work` on `threads` and brings back what came of it.
///
/// # Errors
/// That of the work, or that it panicked.
pub(crate) async fn run<T: Send + 'static>(
    threads: &Arc<dyn Blocking>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    threads.run(Box::new(move || drop(sender.send(work())))).await?;
    receiver.await.unwrap_or_else(|gone| Err(Error::internal("blocking work was given up").with_source(gone)))
}
