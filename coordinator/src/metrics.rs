//! The metrics of a coordinator. Those with `cluster` in their names are told by the leader alone, so that each thing is told once, and
//! are there as long as it leads. But what is counted of lost workers and of checkpoints every coordinator tells, so that nothing is missed
//! while leadership moves; it counts from when its process began.

use weir_monitoring::{Kind, Metric, Unit};

const JOB: &[&str] = &["job_name"];

const fn counter(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit, help, labels }
}

const fn gauge(name: &'static str, unit: Unit, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, help, labels }
}

pub(crate) static TERM: Metric =
    gauge("weir_raft_term", Unit::None, &[], "Newest term that this coordinator has heard of");
pub(crate) static LEADS: Metric = gauge("weir_raft_leads", Unit::None, &[], "1 if this coordinator leads, else 0");
pub(crate) static LEADER: Metric = gauge(
    "weir_raft_leader",
    Unit::None,
    &[],
    "Number of the coordinator that leads, as far as this one knows; 0 if none does",
);
pub(crate) static LEADER_CHANGES: Metric = counter(
    "weir_raft_leader_changes_total",
    Unit::None,
    &[],
    "Times that this coordinator has come to know a new leader, or that the old one was elected anew",
);
pub(crate) static COMMIT: Metric = gauge(
    "weir_raft_commit_index",
    Unit::None,
    &[],
    "Last entry of the log that is decided, as far as this coordinator knows",
);
pub(crate) static APPLIED: Metric =
    gauge("weir_raft_applied_index", Unit::None, &[], "Last entry of the log that is in the state of this coordinator");
pub(crate) static MEMBERS: Metric =
    gauge("weir_raft_members", Unit::None, &["role"], "Coordinators that take part, by role (voter, learner)");
pub(crate) static PEER_SILENCE: Metric = gauge(
    "weir_raft_peer_silence_seconds",
    Unit::Seconds,
    &["peer"],
    "For how long the leader has heard nothing of another coordinator",
);
pub(crate) static PEER_LAG: Metric = gauge(
    "weir_raft_peer_lag_entries",
    Unit::None,
    &["peer"],
    "Decided entries that another coordinator is not known to have",
);
pub(crate) static LOG_BYTES: Metric =
    gauge("weir_raft_log_bytes", Unit::Bytes, &[], "Size of the file in which this coordinator keeps its log");
pub(crate) static STORAGE_REQUESTS: Metric = counter(
    "weir_coordinator_storage_requests_total",
    Unit::None,
    &["operation", "outcome"],
    "Calls of this coordinator to the checkpoint storage, by operation (put, get, list, delete) and outcome (ok, error)",
);
pub(crate) static STORAGE_BYTES: Metric = counter(
    "weir_coordinator_storage_bytes_total",
    Unit::Bytes,
    &["direction"],
    "Bytes that this coordinator has read from the checkpoint storage, and written to it",
);
pub(crate) static JOBS: Metric =
    gauge("weir_cluster_jobs", Unit::None, &["status"], "Jobs that there are, by status, ended ones included");
pub(crate) static WORKERS: Metric = gauge(
    "weir_cluster_workers",
    Unit::None,
    &["state"],
    "Workers, by state: connected, draining, missing (its connection is gone, and it may come back within its timeout)",
);
pub(crate) static SLOTS: Metric = gauge("weir_cluster_slots", Unit::None, &[], "Slots that the workers offer");
pub(crate) static SLOTS_USED: Metric =
    gauge("weir_cluster_slots_used", Unit::None, &[], "Slots that attempts of jobs have");
pub(crate) static WORKERS_LOST: Metric = counter(
    "weir_cluster_workers_lost_total",
    Unit::None,
    &[],
    "Workers that were given up since this coordinator's process began, those not counted that left in order",
);
pub(crate) static JOB_UP: Metric = gauge(
    "weir_cluster_job_up",
    Unit::None,
    JOB,
    "1 if the job runs, 0 if it should and does not; not there for jobs that were stopped, cancelled, or have finished",
);
pub(crate) static JOB_ATTEMPTS: Metric =
    counter("weir_cluster_job_attempts_total", Unit::None, JOB, "Attempts of the job since it was submitted");
pub(crate) static JOB_RESTARTS: Metric = counter(
    "weir_cluster_job_restarts_total",
    Unit::None,
    JOB,
    "Times that the job was started again after a failure, lost workers included, since it was submitted",
);
pub(crate) static JOB_MISSING_SLOTS: Metric =
    gauge("weir_cluster_job_missing_slots", Unit::None, JOB, "Slots that the job shall have and has not");
pub(crate) static JOB_SLOTS: Metric =
    gauge("weir_cluster_job_slots", Unit::None, JOB, "Slots that the job shall have: its parallelism");
pub(crate) static AUTOSCALER_SLOTS: Metric = gauge(
    "weir_autoscaler_job_wanted_slots",
    Unit::None,
    JOB,
    "Slots that would be right for a job on whose slots no person decides; more than it has where they are missing",
);
pub(crate) static AUTOSCALER_LOAD: Metric = gauge(
    "weir_autoscaler_job_load_ratio",
    Unit::None,
    JOB,
    "How busy the busiest part of a job whose load decides on its slots would be if it read all that comes, and what waits within the \
     time to catch up; 1 is all of its time",
);
pub(crate) static AUTOSCALER_RESCALES: Metric = counter(
    "weir_autoscaler_job_rescales_total",
    Unit::None,
    JOB,
    "Times that the job was given another number of slots without a person while this process ran",
);
pub(crate) static AUTOSCALER_WORKERS: Metric = gauge(
    "weir_autoscaler_wanted_workers",
    Unit::None,
    &[],
    "Workers that were last asked for; not there where nobody is asked",
);
pub(crate) static AUTOSCALER_REQUESTS: Metric = counter(
    "weir_autoscaler_requests_total",
    Unit::None,
    &["outcome"],
    "Times that this coordinator has asked for a number of workers, by outcome (ok, error)",
);
pub(crate) static JOB_PAUSE: Metric = gauge(
    "weir_cluster_job_last_pause_seconds",
    Unit::Seconds,
    JOB,
    "How long the job did not process when it was last restarted or rescaled under this leader",
);
pub(crate) static CHECKPOINTS: Metric = counter(
    "weir_cluster_checkpoints_completed_total",
    Unit::None,
    JOB,
    "Checkpoints of the job that were completed while this process ran",
);
pub(crate) static CHECKPOINTS_FAILED: Metric = counter(
    "weir_cluster_checkpoints_failed_total",
    Unit::None,
    JOB,
    "Checkpoints of the job that failed while this process led",
);
pub(crate) static CHECKPOINT_DURATION: Metric = Metric {
    name: "weir_cluster_checkpoint_duration_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    help: "From a checkpoint's marker until it is completed, of those that were while this process ran",
    labels: JOB,
};
pub(crate) static CHECKPOINT_WRITTEN: Metric = counter(
    "weir_cluster_checkpoint_written_bytes_total",
    Unit::Bytes,
    JOB,
    "Bytes that checkpoints have written that were completed while this process ran",
);
pub(crate) static CHECKPOINT_STATE: Metric =
    gauge("weir_cluster_checkpoint_state_bytes", Unit::Bytes, JOB, "State that the newest checkpoint of the job holds");
pub(crate) static CHECKPOINT_AGE: Metric = gauge(
    "weir_cluster_checkpoint_age_seconds",
    Unit::Seconds,
    JOB,
    "Time since the newest checkpoint of a running job was completed, or since it runs if it has none; not there if none are taken regularly",
);
pub(crate) static CHECKPOINT_INTERVAL: Metric = gauge(
    "weir_cluster_checkpoint_interval_seconds",
    Unit::Seconds,
    JOB,
    "Time from one checkpoint of the job to the next, as it is set; not there if none are taken regularly",
);
pub(crate) static CHECKPOINT_RUNNING: Metric = gauge(
    "weir_cluster_checkpoint_running_seconds",
    Unit::Seconds,
    JOB,
    "For how long the checkpoint that is being taken has been; 0 if none is",
);

/// All of them.
pub static METRICS: &[&Metric] = &[
    &TERM,
    &LEADS,
    &LEADER,
    &LEADER_CHANGES,
    &COMMIT,
    &APPLIED,
    &MEMBERS,
    &PEER_SILENCE,
    &PEER_LAG,
    &LOG_BYTES,
    &STORAGE_REQUESTS,
    &STORAGE_BYTES,
    &JOBS,
    &WORKERS,
    &SLOTS,
    &SLOTS_USED,
    &WORKERS_LOST,
    &JOB_UP,
    &JOB_ATTEMPTS,
    &JOB_RESTARTS,
    &JOB_MISSING_SLOTS,
    &JOB_SLOTS,
    &AUTOSCALER_SLOTS,
    &AUTOSCALER_LOAD,
    &AUTOSCALER_RESCALES,
    &AUTOSCALER_WORKERS,
    &AUTOSCALER_REQUESTS,
    &JOB_PAUSE,
    &CHECKPOINTS,
    &CHECKPOINTS_FAILED,
    &CHECKPOINT_DURATION,
    &CHECKPOINT_WRITTEN,
    &CHECKPOINT_STATE,
    &CHECKPOINT_AGE,
    &CHECKPOINT_INTERVAL,
    &CHECKPOINT_RUNNING,
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
