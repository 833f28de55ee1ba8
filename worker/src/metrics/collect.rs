//! The figures of a job as samples.

use std::sync::atomic::Ordering::Relaxed;

use weir_core::{Attempt, EventTime};
use weir_monitoring::Samples;

use super::declared::{
    ALIGNMENT, ATTEMPT, CAPTURE, FLUSH, HELD_SPLITS, LAG_RECORDS, LAG_SECONDS, LATE, QUEUED_BYTES, READ_BYTES,
    RECEIVED_BYTES, REJECTED, ROWS_IN, ROWS_OUT, SENT_BYTES, SILENT_SPLITS, STATE_BYTES, TIME, TRANSIT, UPLOAD,
    UPLOAD_FAILURES, UPLOADED_BYTES, WATERMARK, WATERMARK_LAG, WRITTEN_BYTES,
};
use super::{Entry, JobMetrics, Kind, Position, Spent, SubtaskEntry};

impl JobMetrics {
    /// Adds all that is known of the job; `now` is in milliseconds since 1970.
    pub(crate) fn collect(&self, job: &str, attempt: Attempt, now: i64, samples: &mut Samples) {
        samples.count(&ATTEMPT, &[job], attempt.0);
        self.operators.iter().for_each(|entry| operator(job, entry, now, samples));
        self.subtasks.iter().for_each(|entry| subtask(job, entry, samples));
        let checkpoints = &*self.checkpoints;
        samples.histogram(&TRANSIT, &[job], &checkpoints.transit);
        samples.histogram(&ALIGNMENT, &[job], &checkpoints.alignment);
        samples.histogram(&FLUSH, &[job], &checkpoints.flush);
        samples.histogram(&CAPTURE, &[job], &checkpoints.capture);
        samples.histogram(&UPLOAD, &[job], &checkpoints.upload);
        samples.count(&UPLOADED_BYTES, &[job], checkpoints.uploaded_bytes());
        samples.count(&UPLOAD_FAILURES, &[job], checkpoints.failures());
    }
}

fn operator(job: &str, entry: &Entry, now: i64, samples: &mut Samples) {
    let Entry { position: Position { vertex, subtask }, kind, metrics, .. } = entry;
    let subtask = subtask.to_string();
    let labels = [job, vertex, &subtask];
    // How many a discovery has found is of no use to anybody.
    if *kind == Kind::Discovery {
        return;
    }
    let figures = entry.figures();
    samples.count(&ROWS_IN, &labels, figures.rows_in);
    samples.count(&ROWS_OUT, &labels, figures.rows_out);
    if let Some(EventTime(time)) = figures.watermark
        && !metrics.idle.load(Relaxed)
        && ![EventTime::MIN, EventTime::MAX].contains(&EventTime(time))
    {
        samples.add(&WATERMARK, &labels, time as f64 / 1000.0);
        samples.add(&WATERMARK_LAG, &labels, now.saturating_sub(time) as f64 / 1000.0);
    }
    match kind {
        Kind::Source => {
            samples.count(&REJECTED, &labels, figures.rejected_rows);
            samples.count(&SILENT_SPLITS, &labels, metrics.silent_splits().into());
            samples.count(&HELD_SPLITS, &labels, metrics.held_splits().into());
            samples.count(&READ_BYTES, &labels, metrics.bytes.load(Relaxed));
            if let Some(records) = metrics.lag_records() {
                samples.count(&LAG_RECORDS, &labels, records);
            }
            if let Some(lag) = metrics.lag() {
                samples.add(&LAG_SECONDS, &labels, lag.as_secs_f64());
            }
        }
        Kind::Sink => samples.count(&WRITTEN_BYTES, &labels, metrics.bytes.load(Relaxed)),
        Kind::Between => {
            samples.count(&LATE, &labels, figures.late_rows);
            samples.count(&STATE_BYTES, &labels, figures.state_bytes);
        }
        Kind::Discovery => {}
    }
}

fn subtask(job: &str, entry: &SubtaskEntry, samples: &mut Samples) {
    let SubtaskEntry { position: Position { vertex, subtask }, metrics } = entry;
    let subtask = subtask.to_string();
    let Spent { busy, idle, backpressured } = metrics.spent();
    for (state, time) in [("busy", busy), ("idle", idle), ("backpressured", backpressured)] {
        samples.add(&TIME, &[job, vertex, &subtask, state], time.as_secs_f64());
    }
    let labels = [job, vertex, &subtask];
    samples.count(&SENT_BYTES, &labels, metrics.sent_bytes());
    if let Some(gate) = metrics.gate() {
        let flow = gate.flow();
        samples.count(&RECEIVED_BYTES, &labels, flow.taken_bytes);
        samples.count(&QUEUED_BYTES, &labels, flow.queued_bytes);
    }
}
