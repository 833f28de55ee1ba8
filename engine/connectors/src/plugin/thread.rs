//! Threads that run code of a plugin.
//!
//! That code may leave thread-local values behind, whose destructors are in the plugin's file and run when the thread ends. So the thread ends before the
//! plugin is let go: another one waits for it, and holds the plugin meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::oneshot;
use weir_core::plugin::Plugin;
use weir_core::{Error, Result};

/// Starts a thread. Whatever makes it end is the caller's to do, when the caller is dropped at the latest: nobody waits for it.
///
/// # Errors
/// If the system gives none. `failed` is called if that shows later; the body has been dropped then.
pub fn start(
    plugin: &Arc<dyn Plugin>,
    body: impl FnOnce(&dyn Plugin) + Send + 'static,
    failed: impl FnOnce(Error) + Send + 'static,
) -> Result<()> {
    let none = |error| Error::environment("a thread for a plugin's code cannot be started").with_source(error);
    let (held, plugin) = (plugin.clone(), plugin.clone());
    let named = || std::thread::Builder::new().name("weir-plugin".into());
    let started = named().spawn(move || {
        match named().spawn(move || body(&*plugin)) {
            // It has told what went wrong.
            Ok(thread) => drop(thread.join()),
            Err(error) => failed(none(error)),
        }
        drop(held);
    });
    started.map(drop).map_err(none)
}

/// Does something on a thread of its own, and returns what came of it. If the future is dropped, the thread goes on.
///
/// # Errors
/// That of the work, or that it panicked.
pub async fn run<T: Send + 'static>(
    plugin: &Arc<dyn Plugin>,
    what: &'static str,
    work: impl FnOnce(&dyn Plugin) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    let body = move |plugin: &dyn Plugin| {
        // Nobody waits for it any more.
        let _ = tell.send(guarded(what, || work(plugin)));
    };
    start(plugin, body, |error| tracing::error!(%error, "a plugin's code was not run"))?;
    told.await.unwrap_or_else(|_| Err(Error::environment("a thread for a plugin's code has ended early")))
}

/// Calls, and makes an error of a panic. (One in a file is caught in it, where more is known.)
///
/// # Errors
/// That of the call, or that it panicked.
pub fn guarded<T>(what: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic leaves behind is not used any more: the job fails.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        Err(Error::user(format!("the plugin panicked in {what}: {text}")))
    })
}
