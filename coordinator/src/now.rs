//! What time it is, as whoever takes a step is told.

use std::time::Duration;

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since this process started, never going back: decisions are made by it.
    pub elapsed: Duration,
    /// Milliseconds since 1970: for people.
    pub wall: i64,
}
