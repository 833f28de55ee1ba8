//! How much may wait between subtasks, and for how long.

use std::time::Duration;

/// Bounds of the exchange. What a job computes does not depend on them; simulations shrink them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeLimits {
    /// Bytes that may wait in one channel before its sender has to. A batch is let in whole once there is any credit, so a
    /// queue holds less than this and one batch.
    pub credit_bytes: usize,
    /// Rows per destination worth sending at once.
    pub piece_rows: usize,
    /// How long a row can wait for company when input is slow.
    pub linger: Duration,
    /// Messages that may wait between a part's subtasks and what drives them: each sends a handful per epoch.
    pub control_messages: usize,
}

impl Default for ExchangeLimits {
    fn default() -> Self {
        Self { credit_bytes: 1024 * 1024, piece_rows: 4096, linger: Duration::from_millis(10), control_messages: 16 }
    }
}
