//! The metrics of a worker. Those of a job are there while an attempt of it runs here, and begin at 0 with each.

use weir_monitoring::{Kind, Metric, Unit};

const OPERATOR: &[&str] = &["job_name", "vertex", "subtask"];
const JOB: &[&str] = &["job_name"];

const fn counter(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit, help, labels }
}

const fn gauge(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, unit: Unit::Seconds, help, labels }
}

pub static ATTEMPT: Metric = gauge(
    "weir_job_attempt",
    Unit::None,
    JOB,
    "Number of the attempt of the job that runs here; counters of the job begin anew with each",
);
pub static ROWS_IN: Metric = counter(
    "weir_operator_rows_in_total",
    Unit::None,
    OPERATOR,
    "Rows that came into the operator; at a source, rows that were read",
);
pub static ROWS_OUT: Metric = counter(
    "weir_operator_rows_out_total",
    Unit::None,
    OPERATOR,
    "Rows that went out of the operator; at a sink, rows that it has taken to be written",
);
pub static LATE: Metric = counter(
    "weir_operator_late_rows_total",
    Unit::None,
    OPERATOR,
    "Rows that the operator left out because they came behind the watermark",
);
pub static REJECTED: Metric = counter(
    "weir_source_rejected_rows_total",
    Unit::None,
    OPERATOR,
    "Records that could not be decoded, or had no event time",
);
pub static SILENT_SPLITS: Metric = gauge(
    "weir_source_silent_splits",
    Unit::None,
    OPERATOR,
    "Splits that have brought no event time yet; 0 while the source is idle, and nobody waits for it",
);
pub static HELD_SPLITS: Metric = gauge(
    "weir_source_held_splits",
    Unit::None,
    OPERATOR,
    "Splits that wait because they are further ahead of the slowest than 'scan.watermark.alignment.max-drift' lets them",
);
pub static READ_BYTES: Metric = counter(
    "weir_source_read_bytes_total",
    Unit::Bytes,
    OPERATOR,
    "Bytes of the rows that were read, as they lie in memory once they are decoded",
);
pub static WRITTEN_BYTES: Metric = counter(
    "weir_sink_written_bytes_total",
    Unit::Bytes,
    OPERATOR,
    "Bytes of the rows that the sink has taken, as they lie in memory before they are encoded",
);
pub static LAG_RECORDS: Metric = gauge(
    "weir_source_lag_records",
    Unit::None,
    OPERATOR,
    "Records that are there to be read and were not yet, where the source knows",
);
pub static LAG_SECONDS: Metric = gauge(
    "weir_source_lag_seconds",
    Unit::Seconds,
    OPERATOR,
    "Age of the oldest record that is there to be read and was not yet, where the source knows",
);
pub static WATERMARK: Metric = gauge(
    "weir_operator_watermark_seconds",
    Unit::Seconds,
    OPERATOR,
    "The watermark of the operator, since 1970; not there before the first, while it is idle, and behind the end of the input",
);
pub static WATERMARK_LAG: Metric = gauge(
    "weir_operator_watermark_lag_seconds",
    Unit::Seconds,
    OPERATOR,
    "How far the watermark of the operator is behind the clock of this machine; negative if it is ahead",
);
pub static STATE_BYTES: Metric = gauge(
    "weir_operator_state_bytes",
    Unit::Bytes,
    OPERATOR,
    "State of the operator in memory when it was last captured, roughly",
);
pub static TIME: Metric = counter(
    "weir_subtask_time_seconds_total",
    Unit::Seconds,
    &["job_name", "vertex", "subtask", "state"],
    "Time of the subtask whose first operator is the vertex, by state: busy, idle (waiting for input), backpressured (waiting for room \
     behind it, also in front of the system that its sink writes to)",
);
pub static RECEIVED_BYTES: Metric = counter(
    "weir_subtask_received_bytes_total",
    Unit::Bytes,
    OPERATOR,
    "Bytes of rows that the subtask has taken from other subtasks",
);
pub static SENT_BYTES: Metric = counter(
    "weir_subtask_sent_bytes_total",
    Unit::Bytes,
    OPERATOR,
    "Bytes of rows that the subtask has sent to other subtasks",
);
pub static QUEUED_BYTES: Metric =
    gauge("weir_subtask_queued_bytes", Unit::Bytes, OPERATOR, "Bytes of rows that wait in front of the subtask");
pub static TRANSIT: Metric = histogram(
    "weir_marker_transit_seconds",
    JOB,
    "From when this worker was given a marker until it has passed a subtask that ends in a sink: what a row takes from a source to a \
     sink, queues and alignment included, without the time in windows",
);
pub static ALIGNMENT: Metric = histogram(
    "weir_checkpoint_alignment_seconds",
    JOB,
    "From a checkpoint's marker on the first channel of a subtask to that on the last",
);
pub static FLUSH: Metric = histogram(
    "weir_checkpoint_flush_seconds",
    JOB,
    "From the end of the alignment of a subtask until its operators have emitted what they owe at the end of an epoch, and it is taken",
);
pub static CAPTURE: Metric = histogram(
    "weir_checkpoint_capture_seconds",
    JOB,
    "From there until the state of a subtask is captured and its sink has prepared",
);
pub static UPLOAD: Metric = histogram(
    "weir_checkpoint_upload_seconds",
    JOB,
    "Storing what the subtasks of this worker have captured for a checkpoint",
);
pub static UPLOADED_BYTES: Metric = counter(
    "weir_checkpoint_uploaded_bytes_total",
    Unit::Bytes,
    JOB,
    "Bytes that this worker has stored for checkpoints",
);
pub static UPLOAD_FAILURES: Metric = counter(
    "weir_checkpoint_upload_failures_total",
    Unit::None,
    JOB,
    "Times that this worker could not store what was captured; it goes into the next checkpoint",
);
pub static SLOTS: Metric = gauge("weir_worker_slots", Unit::None, &[], "Slots that this worker offers");
pub static CONNECTED: Metric =
    gauge("weir_worker_connected", Unit::None, &[], "1 if a leading coordinator has taken this worker, else 0");
pub static DISCONNECTED: Metric = gauge(
    "weir_worker_disconnected_seconds",
    Unit::Seconds,
    &[],
    "For how long no coordinator has taken this worker; 0 if one has",
);
pub static EXCHANGE_SENT: Metric =
    counter("weir_exchange_sent_bytes_total", Unit::Bytes, &[], "Bytes of rows that went to other workers");
pub static EXCHANGE_RECEIVED: Metric =
    counter("weir_exchange_received_bytes_total", Unit::Bytes, &[], "Bytes of rows that came from other workers");
pub static STORAGE_REQUESTS: Metric = counter(
    "weir_worker_storage_requests_total",
    Unit::None,
    &["operation", "outcome"],
    "Calls of this worker to the checkpoint storage, by operation (put, get, list, delete) and outcome (ok, error)",
);
pub static STORAGE_BYTES: Metric = counter(
    "weir_worker_storage_bytes_total",
    Unit::Bytes,
    &["direction"],
    "Bytes that this worker has read from the checkpoint storage, and written to it",
);

/// All of them.
pub static METRICS: &[&Metric] = &[
    &ATTEMPT,
    &ROWS_IN,
    &ROWS_OUT,
    &LATE,
    &REJECTED,
    &SILENT_SPLITS,
    &HELD_SPLITS,
    &READ_BYTES,
    &WRITTEN_BYTES,
    &LAG_RECORDS,
    &LAG_SECONDS,
    &WATERMARK,
    &WATERMARK_LAG,
    &STATE_BYTES,
    &TIME,
    &RECEIVED_BYTES,
    &SENT_BYTES,
    &QUEUED_BYTES,
    &TRANSIT,
    &ALIGNMENT,
    &FLUSH,
    &CAPTURE,
    &UPLOAD,
    &UPLOADED_BYTES,
    &UPLOAD_FAILURES,
    &SLOTS,
    &CONNECTED,
    &DISCONNECTED,
    &EXCHANGE_SENT,
    &EXCHANGE_RECEIVED,
    &STORAGE_REQUESTS,
    &STORAGE_BYTES,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_in_order() {
        for metric in METRICS {
            metric.check().unwrap();
            assert_eq!(METRICS.iter().filter(|other| other.name == metric.name).count(), 1, "{}", metric.name);
        }
    }
}
