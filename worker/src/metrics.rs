//! Figures of a running job, per operator and subtask; counted per batch, read by whoever shows progress.

mod checkpoints;
mod collect;
mod declared;
mod jobs;
mod subtask;
mod traces;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use weir_core::connector::SplitLag;
use weir_core::{EventTime, JobGraph, OperatorSpec, OperatorUid};
use weir_proto::control::{Activity, Figures, Times, VertexFigures};

pub use self::checkpoints::CheckpointMetrics;
pub use self::declared::METRICS;
pub(crate) use self::declared::{
    CONNECTED, DISCONNECTED, EXCHANGE_RECEIVED, EXCHANGE_SENT, SLOTS, STORAGE_BYTES, STORAGE_REQUESTS,
};
pub use self::jobs::RunningJobs;
pub use self::subtask::{Passage, Spent, SubtaskMetrics};
pub use self::traces::AttemptTraces;

/// Counters of one operator in one subtask.
#[derive(Debug)]
pub struct OperatorMetrics {
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    late_rows: AtomicU64,
    rejected_rows: AtomicU64,
    state_bytes: AtomicU64,
    watermark: AtomicI64,
    /// The watermark stands and holds nobody back.
    idle: AtomicBool,
    lag_records: AtomicU64,
    lag_ms: AtomicU64,
    bytes: AtomicU64,
    splits: Mutex<Splits>,
}

/// Splits that a source reads, and how far they are apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Splits {
    /// How many.
    pub count: u32,
    /// Of them, those that have brought no event time yet.
    pub silent: u32,
    /// Those that wait because they are too far ahead of the others.
    pub held: u32,
    /// How far the last of the others is behind the first of them in event time.
    pub spread: Option<Duration>,
}

/// What a lag is that nobody knows.
const UNKNOWN: u64 = u64::MAX;

impl OperatorMetrics {
    fn new() -> Self {
        Self {
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            late_rows: AtomicU64::new(0),
            rejected_rows: AtomicU64::new(0),
            state_bytes: AtomicU64::new(0),
            watermark: AtomicI64::new(EventTime::MIN.0),
            idle: AtomicBool::new(false),
            lag_records: AtomicU64::new(UNKNOWN),
            lag_ms: AtomicU64::new(UNKNOWN),
            bytes: AtomicU64::new(0),
            splits: Mutex::default(),
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

    /// Rows of so many bytes came in from outside, or went out.
    pub fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
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
        self.idle.store(false, Relaxed);
    }

    /// Others do not wait for its event time until it has a watermark again.
    pub fn set_idle(&self) {
        self.idle.store(true, Relaxed);
    }

    /// It takes part in event time again, at the watermark that it had.
    pub fn set_active(&self) {
        self.idle.store(false, Relaxed);
    }

    /// How far the splits of a source are behind.
    pub fn set_lag(&self, splits: &[SplitLag]) {
        let sum = |sum: Option<u64>, records: u64| Some(sum.unwrap_or_default().saturating_add(records));
        let records = splits.iter().filter_map(|split| split.records).fold(None, sum);
        let longest = splits.iter().filter_map(|split| split.time).max();
        let longest = longest.map(|longest| u64::try_from(longest.as_millis()).unwrap_or(UNKNOWN));
        self.lag_records.store(records.unwrap_or(UNKNOWN), Relaxed);
        self.lag_ms.store(longest.unwrap_or(UNKNOWN), Relaxed);
    }

    /// The splits of a source.
    pub fn set_splits(&self, splits: Splits) {
        *self.splits.lock().unwrap_or_else(PoisonError::into_inner) = splits;
    }

    fn lag_records(&self) -> Option<u64> {
        Some(self.lag_records.load(Relaxed)).filter(|records| *records != UNKNOWN)
    }

    /// Splits that others wait for and that have brought no event time.
    fn silent_splits(&self) -> u32 {
        let silent = self.splits.lock().unwrap_or_else(PoisonError::into_inner).silent;
        if self.idle.load(Relaxed) { 0 } else { silent }
    }

    fn held_splits(&self) -> u32 {
        self.splits.lock().unwrap_or_else(PoisonError::into_inner).held
    }

    fn lag(&self) -> Option<Duration> {
        Some(self.lag_ms.load(Relaxed)).filter(|lag| *lag != UNKNOWN).map(Duration::from_millis)
    }
}

/// Figures of a job, registered while it is deployed.
#[derive(Debug, Default)]
pub struct JobMetrics {
    operators: Vec<Entry>,
    subtasks: Vec<SubtaskEntry>,
    checkpoints: Arc<CheckpointMetrics>,
}

/// Where an operator stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Name of its vertex, another one for each vertex of a job.
    pub vertex: String,
    /// Which of its subtasks.
    pub subtask: usize,
}

#[derive(Debug)]
struct Entry {
    position: Position,
    uid: OperatorUid,
    kind: Kind,
    metrics: Arc<OperatorMetrics>,
    subtask: Subtask,
}

/// The subtask that an operator is in.
#[derive(Debug, Clone, Default)]
pub struct Subtask {
    /// Its figures.
    pub metrics: Arc<SubtaskMetrics>,
    /// Whether the operator is the first of its chain.
    pub begins: bool,
}

#[derive(Debug)]
struct SubtaskEntry {
    /// The head of its chain.
    position: Position,
    metrics: Arc<SubtaskMetrics>,
}

/// A name for each vertex of a job, by its place in the graph: its own, with a number where several have the same.
pub(crate) fn vertex_names(graph: &JobGraph) -> Vec<String> {
    let names: Vec<&str> = graph.nodes().iter().map(|node| &*node.spec.name).collect();
    let number = |index: usize| names[..=index].iter().filter(|name| **name == names[index]).count();
    let is_unique = |name: &str| names.iter().filter(|other| **other == name).count() == 1;
    let name = |index: usize| match is_unique(names[index]) {
        true => names[index].to_owned(),
        false => format!("{} #{}", names[index], number(index)),
    };
    (0..names.len()).map(name).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Discovery,
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
            Kind::Between | Kind::Discovery => (rows_in, rows_out),
        };
        Figures {
            rows_in,
            rows_out,
            late_rows: late_rows.load(Relaxed),
            rejected_rows: rejected_rows.load(Relaxed),
            state_bytes: state_bytes.load(Relaxed),
            watermark: Some(EventTime(watermark.load(Relaxed))),
            activity: Some(self.activity(rows_in)),
        }
    }

    fn activity(&self, rows_in: u64) -> Activity {
        let Subtask { metrics: subtask, begins } = &self.subtask;
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let Spent { busy, idle, backpressured } = subtask.spent();
        let splits = *self.metrics.splits.lock().unwrap_or_else(PoisonError::into_inner);
        Activity {
            subtasks: 1,
            times: begins.then(|| Times {
                busy_ms: milliseconds(busy),
                idle_ms: milliseconds(idle),
                backpressured_ms: milliseconds(backpressured),
            }),
            most_rows_in: rows_in,
            marker: subtask.marker(),
            queued_bytes: subtask.gate().filter(|_| *begins).map_or(0, |gate| gate.flow().queued_bytes),
            lag_records: self.metrics.lag_records(),
            lag_ms: self.metrics.lag().map(milliseconds),
            splits: splits.count,
            silent_splits: splits.silent,
            held_splits: splits.held,
            spread_ms: splits.spread.map(milliseconds),
        }
    }
}

impl JobMetrics {
    /// Adds the figures of one subtask.
    pub(crate) fn register_subtask(&mut self, head: Position) -> Arc<SubtaskMetrics> {
        let metrics = Arc::new(SubtaskMetrics::default());
        metrics.place(head.clone());
        self.subtasks.push(SubtaskEntry { position: head, metrics: metrics.clone() });
        metrics
    }

    /// The figures of the job's checkpoints here.
    pub fn checkpoints(&self) -> &Arc<CheckpointMetrics> {
        &self.checkpoints
    }

    /// Adds the counters of one operator of one subtask.
    pub(crate) fn register(
        &mut self,
        position: Position,
        subtask: Subtask,
        uid: &OperatorUid,
        operator: &OperatorSpec,
    ) -> Arc<OperatorMetrics> {
        let kind = match operator {
            OperatorSpec::Discover(_) => Kind::Discovery,
            OperatorSpec::Source(_) => Kind::Source,
            OperatorSpec::Sink(_) => Kind::Sink,
            _ => Kind::Between,
        };
        let metrics = Arc::new(OperatorMetrics::new());
        self.operators.push(Entry { position, uid: uid.clone(), kind, metrics: metrics.clone(), subtask });
        metrics
    }

    /// The job as a whole.
    pub fn totals(&self) -> Totals {
        let of = |kind: Option<Kind>| {
            let entries = self.operators.iter().filter(move |entry| kind.is_none_or(|kind| kind == entry.kind));
            entries.map(|entry| &*entry.metrics)
        };
        let sum = |kind: Option<Kind>, counter: fn(&OperatorMetrics) -> &AtomicU64| {
            of(kind).map(|metrics| counter(metrics).load(Relaxed)).sum()
        };
        let watermarks = self.operators.iter().filter(|entry| entry.kind == Kind::Sink);
        Totals {
            rows_in: sum(Some(Kind::Source), |metrics| &metrics.rows_out),
            rows_out: sum(Some(Kind::Sink), |metrics| &metrics.rows_in),
            late_rows: sum(None, |metrics| &metrics.late_rows),
            rejected_rows: sum(None, |metrics| &metrics.rejected_rows),
            state_bytes: sum(None, |metrics| &metrics.state_bytes),
            lag_records: of(Some(Kind::Source)).filter_map(OperatorMetrics::lag_records).sum(),
            lag: of(Some(Kind::Source)).filter_map(OperatorMetrics::lag).max().unwrap_or_default(),
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
