//! The one place of the command line that reads a clock. Everything that shows times gets them as arguments, so that it
//! can be tested.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When the program began, for what is shown as elapsed.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[allow(clippy::disallowed_methods, reason = "this is where the command line's clock is")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Wall clock time in milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "this is where the command line's clock is")]
pub fn wall_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
