//! How much may wait between subtasks, and for how long; and how much sinks stage.

use std::time::Duration;

use weir_state::STAGED_RUN_BYTES;

/// Bounds of the exchange, and of what sinks stage. What a job computes does not depend on them; simulations shrink them.
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
    /// Bytes of rows that a sink stages in one file.
    pub staged_run_bytes: usize,
    /// Bytes that a sink's subtask stages in an epoch before it keeps pace with the commits.
    pub staged_ahead_bytes: u64,
}

impl Default for ExchangeLimits {
    fn default() -> Self {
        Self {
            credit_bytes: 1024 * 1024,
            piece_rows: 4096,
            linger: Duration::from_millis(10),
            control_messages: 16,
            staged_run_bytes: STAGED_RUN_BYTES,
            staged_ahead_bytes: 8 * STAGED_RUN_BYTES as u64,
        }
    }
}
