#![allow(clippy::unwrap_used)]

mod accepted;
mod random_text;
mod refused;

/// Runs a test on a stack like the main thread's: a test's own thread has a quarter of that, and the parser's frames are
/// large in debug builds.
fn on_a_main_threads_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(8 << 20).spawn(test).unwrap().join().unwrap();
}
