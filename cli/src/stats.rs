//! Figures about a run, for programs: what `weir run --stats FILE` writes.

use std::path::Path;

use serde::Serialize;
use weir_core::{Error, Result};

use crate::job::Progress;

/// The file's content.
#[derive(Debug, Serialize)]
struct Stats {
    /// Rows read by sources.
    rows_in: u64,
    /// Rows taken by sinks.
    rows_out: u64,
    /// Rows that came too late.
    late_rows: u64,
    /// Records that could not be decoded.
    rejected_rows: u64,
    /// From the moment that all sources and sinks were open.
    seconds: f64,
    /// Processor time in `seconds`, over all threads.
    cpu_seconds: f64,
    /// The most memory that the process has had, from its beginning.
    peak_memory_bytes: u64,
    /// Checkpoints completed.
    checkpoints: u64,
    /// For how long the capture of a subtask's state has stopped it at most.
    longest_capture_seconds: f64,
    /// State in memory at the last checkpoint.
    state_bytes: u64,
}

/// Writes the figures to `path`.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, progress: &Progress) -> Result<()> {
    let stats = Stats {
        rows_in: progress.rows_in,
        rows_out: progress.rows_out,
        late_rows: progress.late_rows,
        rejected_rows: progress.rejected_rows,
        seconds: progress.running.as_secs_f64(),
        cpu_seconds: progress.processor.as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
        checkpoints: progress.checkpoints,
        longest_capture_seconds: progress.longest_capture.as_secs_f64(),
        state_bytes: progress.state_bytes,
    };
    let failed = |error: std::io::Error| {
        Error::environment(format!("{} could not be written", path.display())).with_source(error)
    };
    let json = serde_json::to_vec_pretty(&stats)
        .map_err(|error| Error::internal("figures cannot be written as JSON").with_source(error))?;
    std::fs::write(path, json).map_err(failed)
}

/// The kernel's high-water mark of resident memory; 0 where it does not tell.
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}
