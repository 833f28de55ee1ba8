//! Room for deep trees: statements are parsed and planned recursively, and what calls this may stand on a small stack.

use std::cell::Cell;

use weir_core::{Error, Result};

/// Bytes. The longest expression that is not refused takes a quarter of it without optimisation.
const ROOM: usize = 64 << 20;

thread_local! {
    static HAS_ROOM: Cell<bool> = const { Cell::new(false) };
}

/// Does it on a stack that is deep enough.
///
/// # Errors
/// Those of `work`, or if there can be no such stack.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if HAS_ROOM.get() {
        return work();
    }
    std::thread::scope(|scope| {
        let on_it = || {
            HAS_ROOM.set(true);
            work()
        };
        let thread = std::thread::Builder::new().name("planner".to_owned()).stack_size(ROOM).spawn_scoped(scope, on_it);
        let thread =
            thread.map_err(|error| Error::environment("no thread can be started to plan").with_source(error))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
