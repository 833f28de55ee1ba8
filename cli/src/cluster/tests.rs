//! What the cluster tells, as people read it; and what commands wait for.
#![allow(clippy::unwrap_used)]

mod goals;
mod output;

use weir_core::{Attempt, Epoch, EventTime, Incarnation, JobId, OperatorUid, PlacedWorker, Placement, WorkerId};
use weir_proto::client::{CheckpointInfo, JobDetail, JobFailureInfo, JobSettingsInfo, JobSummary, Scaling, VertexInfo};
use weir_proto::control::Figures;

/// 2026-01-01 00:00:00 UTC.
const NOW: i64 = 1_767_225_600_000;

fn savepoint() -> CheckpointInfo {
    CheckpointInfo {
        epoch: Epoch(12),
        attempt: Attempt(3),
        completed_at: NOW - 61_500,
        duration_ms: 35,
        state_bytes: 1_500_000,
        written_bytes: 230,
        savepoint: true,
        finished: false,
        committed: true,
        parallelism: 3,
        manifest: "manifests/12".into(),
    }
}

fn detail() -> JobDetail {
    let worker = |name: &str| PlacedWorker {
        worker: WorkerId(name.into()),
        incarnation: Incarnation(1),
        address: format!("{name}:7421"),
    };
    let summary = JobSummary {
        job: JobId(7),
        namespace: "default".into(),
        name: "delays".into(),
        status: "running".into(),
        desired: "running".into(),
        parallelism: 3,
        slots: Some(3),
        attempt: Attempt(3),
        restarts: 2,
        submitted_at: NOW - 3_600_000,
        changed_at: NOW - 184_200,
        figures: Some(Figures {
            rows_in: 12_345,
            rows_out: 7,
            late_rows: 1,
            rejected_rows: 0,
            state_bytes: 1_500_000,
            watermark: Some(EventTime(NOW - 2500)),
            activity: None,
        }),
        last_checkpoint: Some(savepoint()),
        last_failure: Some(JobFailureInfo {
            attempt: Attempt(2),
            kind: None,
            report: "worker w3 was lost\n  because: it was silent".into(),
            at: NOW - 200_000,
            retry_at: None,
        }),
        waiting_for: None,
    };
    JobDetail {
        summary,
        submitted_by: None,
        last_action: None,
        sql: "INSERT INTO …".into(),
        settings: JobSettingsInfo {
            batch_rows: 8192,
            memory_budget: None,
            checkpoint_interval_ms: 10_000,
            checkpoint_timeout_ms: 600_000,
            tolerable_failures: 3,
            retained_checkpoints: 2,
            restart_attempts: None,
            restart_initial_delay_ms: 1000,
            restart_maximum_delay_ms: 60_000,
            restart_stable_ms: 600_000,
        },
        fingerprint: "0123".into(),
        placement: Some(Placement { workers: vec![worker("w1"), worker("w2")], slots: vec![0, 1, 0] }),
        vertices: vec![
            VertexInfo {
                name: "Source(flights)".into(),
                uid: OperatorUid("source-1".into()),
                figures: Some(Figures { rows_in: 1234, rows_out: 1234, rejected_rows: 2, ..Figures::default() }),
            },
            VertexInfo { name: "Sink(delays)".into(), uid: OperatorUid("sink-2".into()), figures: None },
        ],
        checkpoints: vec![savepoint()],
        checkpoint_in_progress: None,
        last_pause_ms: Some(900),
        scaling: Scaling::default(),
        scaling_decisions: Vec::new(),
        load: None,
        graph: None,
    }
}
