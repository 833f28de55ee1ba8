//! Counters of a running job, per operator and subtask; counted per batch, read by whoever shows progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use weir_core::connector::SplitLag;
use weir_core::{EventTime, OperatorSpec, OperatorUid};
use weir_proto::control::{Figures, VertexFigures};

/// Counters of one operator in one subtask.
#[derive(Debug)]
pub struct OperatorMetrics {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    late_rows: AtomicU64,
    rejected_rows: AtomicU64,
    state_bytes: AtomicU64,
    watermark: AtomicI64,
    lag_records: AtomicU64,
    lag_ms: AtomicU64,
}

impl OperatorMetrics {
    fn new() -> Self {
        Self {
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            late_rows: AtomicU64::new(0),
            rejected_rows: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            watermark: AtomicI64::new(EventTime::MIN.0),
            lag_records: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
        }
    }

    /// Rows came in.
    pub fn count_in(&self, rows: usize) {
        self.rows_in.fetch_add(rows as u64, Relaxed);
    }

    /// Rows went out on the main output.
    pub fn count_out(&self, rows: usize) {
        self.rows_out.fetch_add(rows as u64, Relaxed);
    }

    /// Rows were too late.
    pub fn count_late(&self, rows: u64) {
        self.late_rows.fetch_add(rows, Relaxed);
    }

    /// Records could not be decoded, or had no event time.
    pub fn count_rejected(&self, records: usize) {
        self.rejected_rows.fetch_add(records as u64, Relaxed);
    }

    /// Size of the state at the last capture.
    pub fn set_state_bytes(&self, bytes: usize) {
        self.state_bytes.store(bytes as u64, Relaxed);
    }

    /// Event time has come to `time`.
    pub fn set_watermark(&self, time: EventTime) {
        self.watermark.store(time.0, Relaxed);
    }

    /// How far the splits of a source are behind.
    pub fn set_lag(&self, splits: &[SplitLag]) {
        let records = splits.iter().filter_map(|split| split.records).sum();
        let longest = splits.iter().filter_map(|split| split.time).max().unwrap_or_default();
        self.lag_records.store(records, Relaxed);
        self.lag_ms.store(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// Counters of a job, registered while it is deployed.
#[derive(Debug, Default)]
pub struct JobMetrics {
    operators: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    uid: OperatorUid,
    kind: Kind,
    metrics: Arc<OperatorMetrics>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Source,
    Sink,
    Between,
}

/// What a job has done since it was deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Rows read by sources.
    pub rows_in: u64,
    /// Rows taken by sinks.
    pub rows_out: u64,
    /// Rows that came too late, over all operators.
    pub late_rows: u64,
    /// Records that could not be decoded.
    pub rejected_rows: u64,
    /// Bytes of state in memory at the last capture, roughly.
    pub state_bytes: u64,
    /// The watermark that all sinks have seen.
    pub watermark: EventTime,
    /// Records that are there for sources and have not been read, as far as sources know.
    pub lag_records: u64,
    /// For how long the oldest of them has been there, as far as sources know.
    pub lag: Duration,
}

impl Entry {
    fn figures(&self) -> Figures {
        let OperatorMetrics { rows_in, rows_out, late_rows, rejected_rows, state_bytes, watermark, .. } =
            &*self.metrics;
        let (rows_in, rows_out) = (rows_in.load(Relaxed), rows_out.load(Relaxed));
        let (rows_in, rows_out) = match self.kind {
            // What is outside counts neither way.
            Kind::Source => (rows_out, rows_out),
            Kind::Sink => (rows_in, rows_in),
            Kind::Between => (rows_in, rows_out),
        };
        Figures {
            rows_in,
            rows_out,
            late_rows: late_rows.load(Relaxed),
            rejected_rows: rejected_rows.load(Relaxed),
            state_bytes: state_bytes.load(Relaxed),
            watermark: Some(EventTime(watermark.load(Relaxed))),
        }
    }
}

impl JobMetrics {
    /// Adds the counters of one operator of one subtask.
    pub(crate) fn register(&mut self, uid: &OperatorUid, operator: &OperatorSpec) -> Arc<OperatorMetrics> {
        let kind = match operator {
            OperatorSpec::Source(_) => Kind::Source,
            OperatorSpec::Sink(_) => Kind::Sink,
            _ => Kind::Between,
        };
        let metrics = Arc::new(OperatorMetrics::new());
        self.operators.push(Entry { uid: uid.clone(), kind, metrics: metrics.clone() });
        metrics
    }

    /// The job as a whole.
    pub fn totals(&self) -> Totals {
        let sum = |kind: Option<Kind>, counter: fn(&OperatorMetrics) -> &AtomicU64| {
            self.operators
                .iter()
                .filter(|entry| kind.is_none_or(|kind| kind == entry.kind))
                .map(|entry| counter(&entry.metrics).load(Relaxed))
                .sum()
        };
        let watermarks = self.operators.iter().filter(|entry| entry.kind == Kind::Sink);
        Totals {
            rows_in: sum(Some(Kind::Source), |metrics| &metrics.rows_out),
            rows_out: sum(Some(Kind::Sink), |metrics| &metrics.rows_in),
            late_rows: sum(None, |metrics| &metrics.late_rows),
            rejected_rows: sum(None, |metrics| &metrics.rejected_rows),
            state_bytes: sum(None, |metrics| &metrics.state_bytes),
            lag_records: sum(Some(Kind::Source), |metrics| &metrics.lag_records),
            lag: Duration::from_millis(
                self.operators.iter().map(|entry| entry.metrics.lag_ms.load(Relaxed)).max().unwrap_or_default(),
            ),
            watermark: watermarks
                .map(|entry| EventTime(entry.metrics.watermark.load(Relaxed)))
                .min()
                .unwrap_or(EventTime::MIN),
        }
    }

    /// How each vertex does, over its subtasks here.
    pub fn vertices(&self) -> Vec<VertexFigures> {
        let mut vertices: Vec<VertexFigures> = Vec::new();
        for entry in &self.operators {
            let figures = entry.figures();
            match vertices.iter_mut().find(|vertex| vertex.uid == entry.uid) {
                Some(vertex) => vertex.figures.add(&figures),
                None => vertices.push(VertexFigures { uid: entry.uid.clone(), figures }),
            }
        }
        vertices
    }

    /// Rows that came too late, per operator that refused any.
    pub fn late_rows(&self) -> Vec<(OperatorUid, u64)> {
        let mut late: Vec<(OperatorUid, u64)> = Vec::new();
        for entry in &self.operators {
            let rows = entry.metrics.late_rows.load(Relaxed);
            match late.iter_mut().find(|(uid, _)| *uid == entry.uid) {
                Some((_, sum)) => *sum += rows,
                None if rows > 0 => late.push((entry.uid.clone(), rows)),
                None => {}
            }
        }
        late
    }
}
