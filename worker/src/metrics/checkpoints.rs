//! What a job's checkpoints take on this worker, by phase, and how long its markers are on their way.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::time::Instant;
use weir_core::{Epoch, Error, Marker};
use weir_monitoring::Histogram;

use super::AttemptTraces;

/// Markers that may be on their way at a time; of more, the oldest are not measured.
const UNDER_WAY: usize = 256;

/// Figures of the checkpoints of one job.
#[derive(Debug, Default)]
pub struct CheckpointMetrics {
    /// From a marker's coming on the first channel of a subtask to its coming on the last, of checkpoints alone.
    pub alignment: Histogram,
    /// From there until operators have emitted what they owe at the end of an epoch, and it has been taken.
    pub flush: Histogram,
    /// From there until state is captured and the sink has prepared.
    pub capture: Histogram,
    /// From the last subtask's capture until all is stored.
    pub upload: Histogram,
    uploaded_bytes: AtomicU64,
    failures: AtomicU64,
    /// From when this worker was given a marker until it has passed a subtask that ends in a sink.
    pub transit: Histogram,
    given: Mutex<BTreeMap<Epoch, Instant>>,
    traces: OnceLock<AttemptTraces>,
}

impl CheckpointMetrics {
    /// Its checkpoints are told as traces, too.
    pub fn trace(&self, traces: AttemptTraces) {
        let _ = self.traces.set(traces);
    }

    pub(super) fn traces(&self) -> Option<&AttemptTraces> {
        self.traces.get()
    }

    /// An epoch is stored, which began then.
    pub fn stored(&self, epoch: Epoch, began: Instant, bytes: u64) {
        self.upload.observe(began.elapsed());
        self.uploaded_bytes.fetch_add(bytes, Relaxed);
        if let Some(traces) = self.traces() {
            traces.upload(epoch, began, Ok(bytes));
        }
    }

    /// An epoch could not be stored.
    pub fn failed(&self, epoch: Epoch, began: Instant, error: &Error) {
        self.failures.fetch_add(1, Relaxed);
        if let Some(traces) = self.traces() {
            traces.upload(epoch, began, Err(error.report()));
        }
    }

    /// Bytes that were stored.
    pub fn uploaded_bytes(&self) -> u64 {
        self.uploaded_bytes.load(Relaxed)
    }

    /// How often an epoch could not be stored.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// This worker is told to send a marker, or hears that others are.
    pub fn given(&self, marker: Marker) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(marker.epoch, Instant::now());
        while given.len() > UNDER_WAY {
            given.pop_first();
        }
    }

    /// A marker has come out at a sink.
    pub fn arrived(&self, marker: Marker) {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).get(&marker.epoch).copied();
        if let Some(given) = given {
            self.transit.observe(given.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use weir_core::MarkerKind;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_marker_is_timed_from_where_it_was_given_to_each_sink() {
        let metrics = CheckpointMetrics::default();
        let marker = |epoch| Marker { epoch: Epoch(epoch), kind: MarkerKind::Flush };
        metrics.given(marker(1));
        tokio::time::advance(Duration::from_secs(2)).await;
        metrics.arrived(marker(1));
        metrics.arrived(marker(1));
        metrics.arrived(marker(7));
        assert_eq!(metrics.transit.totals(), (2, Duration::from_secs(4)), "one was never given");
    }
}
