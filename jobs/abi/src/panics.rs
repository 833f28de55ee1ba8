//! Panics, caught where they happen. The message and the backtrace are kept by a panic hook, which prints neither: the error that becomes of
//! them is told once, at the edge.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use weir_core::{Error, Result};

thread_local! {
    /// Where the last panic of this thread came from.
    static TRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From here on panics of this copy of the standard library are kept, and not printed. A guest has a copy of its own: its hook is not the
/// host's.
pub fn keep() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let trace = readable(&Backtrace::force_capture().to_string());
        TRACE.with(|kept| *kept.borrow_mut() = Some(format!("{place}\n{trace}")));
    }));
}

/// The hook that was there before.
pub fn forget() {
    drop(std::panic::take_hook());
}

/// The lines of a backtrace between what catches panics and what raises them.
fn readable(trace: &str) -> String {
    let mut frames: Vec<Vec<&str>> = Vec::new();
    for line in trace.lines() {
        let is_frame = line.trim_start().split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        match frames.last_mut() {
            Some(frame) if !is_frame => frame.push(line),
            _ => frames.push(vec![line]),
        }
    }
    let is = |frame: &[&str], names: &[&str]| names.iter().any(|name| frame[0].contains(name));
    let raising = ["begin_panic_handler", "rust_begin_unwind", "core::panicking::", "std::panicking::", "backtrace"];
    let catching = ["weir_plugin_abi::guest", "weir_plugin_abi::errors", "weir_plugin_abi::panics"];
    let first = frames.iter().rposition(|frame| is(frame, &raising[..3])).map_or(0, |last| last + 1);
    let frames = frames.split_off(first.min(frames.len()));
    let until = frames.iter().position(|frame| is(frame, &catching)).unwrap_or(frames.len());
    frames[..until].iter().flatten().copied().collect::<Vec<_>>().join("\n")
}

/// Calls, and makes an error of a panic, with its message and where it came from. For code of a plugin that the engine does not call: on threads
/// of its own.
///
/// # Errors
/// What the call says, and if it panics.
pub fn caught<T>(what: &str, call: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic leaves behind is not used any more: the job fails.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        let trace = TRACE.with(|kept| kept.borrow_mut().take()).unwrap_or_default();
        Err(Error::user(format!("the plugin panicked in {what}: {}{}", message(&*payload), trace.trim_end())))
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
