//! A job: what was submitted, what is wanted of it, and how far it is.
//!
//! ```text
//!                    ┌────────────────────────── restart ───────────────────────────┐
//!                    ▼                                                              │
//!   submit ──▶ Scheduling ──start──▶ Deploying ──running──▶ Running ──ended──▶ Finished, Stopped,
//!                 ▲  │                   │ failed             │ failed         Failed, Cancelled
//!      pause over │  │                   ▼                    ▼                      ▲
//!                 └──┼─────────────── Restarting ◀────────────┤                      │
//!                    │                   │                    │ failed for good      │
//!                    │ cancelled, stopped, committed          │ or cancelled         │
//!                    └───────────────────┴────────────────────┴──────────────────────┘
//! ```
//!
//! A finished job stays finished; the other ends can be restarted from.
//!
//! Stopping. While an attempt is deployed or runs, [`Desired::Stopped`] is a wish: the leader sends a stop marker, and the job
//! is stopped when its subtasks have ended behind it. While nothing runs there is nothing to take a savepoint of: the job is
//! stopped at its newest checkpoint, at once if that is committed, and otherwise as soon as it is. So an attempt that fails
//! while it is being stopped stops the job all the same, and one that fails again and again can be stopped. To be drained a
//! job has to run, so [`Desired::Drained`] has it started again; unless it never was.
//!
//! Finishing. Once a checkpoint with the end of the input is completed, no failure counts any more: what is left is to commit
//! it, and that needs no attempt.
//!
//! Going back. With [`Job::start_from`] the job goes on from a checkpoint that is not the newest, until it has completed one
//! of its own from there: savepoints that lie behind it belong to another history, and are never taken for the newest by
//! mistake.
//!
//! The transition table is in [`JobStatus::may_become`]; nothing sets a status without asking it, but for a
//! [recovery](super::recovered()) of a lost cluster.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weir_core::{Attempt, Epoch, ErrorKind, JobGraph, JobId, OperatorSpec, Placement};
use weir_proto::client::{Scaling, ScalingBy, ScalingDecision};

use super::{Action, Checkpoint, Refusal};

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its namespace.
    pub namespace: String,
    /// Its name, of which there is one per namespace.
    pub name: String,
    /// What was submitted.
    pub spec: Arc<JobSpec>,
    /// The same with other settings, which counts from the next attempt on: the one that runs keeps what it was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Arc<JobSpec>>,
    /// How many slots it shall have.
    pub parallelism: u32,
    /// Who decides how many they are; `None`: a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// What was last decided about them without a person, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaling_decisions: Vec<ScalingDecision>,
    /// What the user wants of it.
    pub desired: Desired,
    /// How far it is.
    pub status: JobStatus,
    /// The last attempt; 0 before the first.
    pub attempt: Attempt,
    /// Where the last attempt runs; `None` when none runs.
    pub execution: Option<Execution>,
    /// The last epoch that was completed, also if its checkpoint was forgotten since. Epochs count on from here.
    pub last_epoch: Epoch,
    /// The checkpoint to go on from, if not the newest; until one is completed from there.
    pub start_from: Option<Epoch>,
    /// Completed checkpoints that are kept, oldest first. Those that are not committed yet are the last.
    pub checkpoints: Vec<Checkpoint>,
    /// Failures in a row, without [`RestartPolicy::stable_ms`] of peace in between.
    pub failures: u32,
    /// How often it was started again after a failure, a lost worker included; not what users or rescaling have restarted.
    /// Absent in states of earlier versions, which did not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u64,
    /// Attempts in a row that the cluster lost before they had run for long. Absent in states of earlier versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub losses: u64,
    /// The last failure.
    pub last_failure: Option<JobFailure>,
    /// When it was submitted, in milliseconds since 1970.
    pub submitted_at: i64,
    /// When its status last changed, in milliseconds since 1970.
    pub changed_at: i64,
    /// Who submitted it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,
    /// What a person has last done to it, where it is known who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_action: Option<Action>,
}

impl Job {
    /// The newest checkpoint that is kept, committed or not.
    pub fn newest(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }

    /// A checkpoint that is kept.
    pub fn checkpoint(&self, epoch: Epoch) -> Option<&Checkpoint> {
        self.checkpoints.iter().find(|checkpoint| checkpoint.epoch == epoch)
    }

    /// The checkpoint that the next attempt goes on from; `None`: from the beginning.
    pub fn restore_point(&self) -> Option<&Checkpoint> {
        self.start_from.map_or_else(|| self.newest(), |epoch| self.checkpoint(epoch))
    }

    /// The newest checkpoint whose results are decided and not known to be visible. To commit it is the next thing to do.
    pub fn uncommitted(&self) -> Option<&Checkpoint> {
        self.newest().filter(|checkpoint| !checkpoint.committed)
    }

    /// Whether the end of the input is in a checkpoint, so that nothing is left to be run.
    pub fn input_has_ended(&self) -> bool {
        self.restore_point().is_some_and(|checkpoint| checkpoint.finished)
    }

    /// Whether it has never run, nor is about to, and has no state: it may be given that of another job.
    pub fn awaits_state(&self) -> bool {
        self.status == JobStatus::Stopped && self.attempt == Attempt::default() && self.checkpoints.is_empty()
    }

    /// What the next attempt runs.
    pub fn wanted(&self) -> &Arc<JobSpec> {
        self.update.as_ref().unwrap_or(&self.spec)
    }

    /// Whether this is the job with other settings, or another parallelism, so that it may take the place of what was submitted
    /// before.
    pub fn is_updated_by(&self, spec: &JobSpec, parallelism: u32) -> bool {
        spec.computes_like(self.wanted()) && !(self.is_run_like(spec) && self.parallelism == parallelism)
    }

    /// Whether what is to be run is the same in every way.
    pub(super) fn is_run_like(&self, spec: &JobSpec) -> bool {
        let there = self.wanted();
        there.settings == spec.settings && there.graph.runs_like(&spec.graph)
    }

    /// How its slots are decided on, if that changes them without a person.
    pub fn elastic(&self) -> Option<&Scaling> {
        self.scaling.as_ref().filter(|scaling| scaling.acts())
    }

    /// The most slots that it would take now, if it takes what there is: by load, those that the load was last found to need.
    pub fn most_slots(&self, scaling: &Scaling) -> u32 {
        let wanted = match scaling.by {
            // A person may have said another number since.
            ScalingBy::Load => {
                let last = self.scaling_decisions.last().filter(|last| last.done && last.to == self.parallelism);
                last.map_or(self.parallelism, |last| last.wanted)
            }
            ScalingBy::Hand | ScalingBy::Slots => scaling.max_slots,
        };
        wanted.clamp(scaling.min_slots, scaling.max_slots)
    }

    /// Slots that others are to provide for it: its own, those that its load needs, or the least of one that takes what there is.
    pub fn wanted_slots(&self) -> u32 {
        match self.elastic() {
            None => self.parallelism,
            Some(scaling) if scaling.by == ScalingBy::Slots => scaling.min_slots,
            Some(scaling) => self.most_slots(scaling),
        }
    }

    /// Slots of its namespace's limit that it takes: its own, or the least that it may have, if that is more.
    pub(super) fn counted_slots(&self) -> u32 {
        self.elastic().map_or(self.parallelism, |scaling| self.parallelism.max(scaling.min_slots))
    }

    /// Whether this attempt is deployed or runs.
    pub fn is_current(&self, attempt: Attempt) -> bool {
        self.attempt == attempt && self.execution.is_some()
    }

    /// Nothing runs any more that was started with other settings.
    pub(super) fn take_update(&mut self) {
        if let Some(spec) = self.update.take() {
            self.spec = spec;
        }
    }

    /// Sets the status, if it may be the next one. Nothing else sets it.
    pub(super) fn enter(&mut self, id: JobId, status: JobStatus, at: i64) -> Result<(), Refusal> {
        if !self.status.may_become(status) {
            return Err(Refusal::NoTransition { job: id, from: self.status, to: status });
        }
        self.status = status;
        self.changed_at = at;
        if let Some(failure) = self.last_failure.as_mut().filter(|_| status != JobStatus::Restarting) {
            failure.retry_at = None;
        }
        Ok(())
    }

    /// Ends the job if nothing of it runs and nothing is left to be done. See the head of this file.
    pub(super) fn settle(&mut self, id: JobId, at: i64) -> Result<(), Refusal> {
        let waits = matches!(self.status, JobStatus::Scheduling | JobStatus::Restarting);
        if !waits || self.uncommitted().is_some() {
            return Ok(());
        }
        let never_started = self.attempt == Attempt::default();
        let end = match self.desired {
            _ if self.input_has_ended() => JobStatus::Finished,
            Desired::Stopped => JobStatus::Stopped,
            Desired::Drained if never_started => JobStatus::Stopped,
            Desired::Running | Desired::Drained | Desired::Cancelled => return Ok(()),
        };
        self.enter(id, end, at)
    }
}

/// As serde asks for it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What was submitted. Never changes. Equal if it computes the same, is run the same way, and reads the same.
#[derive(Debug, Serialize, Deserialize)]
pub struct JobSpec {
    /// The dataflow.
    pub graph: Arc<JobGraph>,
    /// Identity of the dataflow: equal specifications compute the same.
    pub fingerprint: String,
    /// The text that it was planned from, for people.
    pub sql: String,
    /// How it is run.
    pub settings: JobSettings,
}

impl JobSpec {
    /// Whether its expressions call functions of plugins, or its tables are theirs.
    pub(super) fn calls_plugins(&self) -> bool {
        !self.graph.functions().is_empty() || self.has_tables_of_plugins()
    }

    /// Whether its plugins run in processes of their own.
    pub fn isolates_plugins(&self) -> bool {
        !self.graph.isolation().is_none()
    }

    /// Whether it reads or writes tables by code of plugins.
    pub(super) fn has_tables_of_plugins(&self) -> bool {
        self.graph.nodes().iter().any(|node| node.spec.operator.plugin_table().is_some())
    }

    /// Whether its operators are those of `before`, and so keep what they kept, as far as that shows without making them.
    pub fn keeps_like(&self, before: &JobSpec) -> bool {
        let keeps_itself = |operator: &OperatorSpec| {
            matches!(operator, OperatorSpec::Discover(_) | OperatorSpec::Source(_) | OperatorSpec::Sink(_))
        };
        let (now, before) = (&self.graph, &before.graph);
        let mut pairs = now.nodes().iter().zip(before.nodes());
        now.functions() == before.functions()
            && now.nodes().len() == before.nodes().len()
            && pairs.all(|(now, before)| {
                let (operator, other) = (&now.spec.operator, &before.spec.operator);
                now.uid == before.uid && (operator == other || (keeps_itself(operator) && keeps_itself(other)))
            })
    }

    /// Whether it goes on with the state of `before`.
    pub fn computes_like(&self, before: &JobSpec) -> bool {
        self.fingerprint == before.fingerprint || self.graph.computes(&before.fingerprint)
    }
}

impl PartialEq for JobSpec {
    /// The fingerprint stands for the graph.
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.settings == other.settings && self.sql == other.sql
    }
}

impl Eq for JobSpec {}

/// How a job is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSettings {
    /// Rows that sources put into a batch.
    pub batch_rows: u32,
    /// Bytes that the state of one slot may take in memory; `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_budget: Option<u64>,
    /// Pause between the starts of checkpoints; 0: only the last one is taken.
    pub checkpoint_interval_ms: u64,
    /// When a checkpoint is given up.
    pub checkpoint_timeout_ms: u64,
    /// Checkpoints that may fail in a row before the attempt does.
    pub tolerable_failures: u32,
    /// How many completed checkpoints are kept, savepoints not counted; at least 1.
    pub retained_checkpoints: u32,
    /// What happens after a failure.
    pub restart: RestartPolicy,
}

impl JobSettings {
    /// From the start of one checkpoint to that of the next; `None`: they do not come at intervals.
    pub fn checkpoint_interval(&self) -> Option<Duration> {
        (self.checkpoint_interval_ms > 0).then(|| Duration::from_millis(self.checkpoint_interval_ms))
    }
}

/// What happens after a failure: pauses that double, and an end to patience. Lost workers are not the job's fault: they
/// restart it at once and do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// How many failures in a row are followed by a restart; one more, and the job is failed. `None`: there is no such limit.
    pub attempts: Option<u32>,
    /// Pause after the first failure.
    pub initial_delay_ms: u64,
    /// The longest pause.
    pub maximum_delay_ms: u64,
    /// A job that ran for so long without a failure starts counting anew.
    pub stable_ms: u64,
}

/// What the user wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Desired {
    /// That it runs.
    Running,
    /// That it stops with a savepoint.
    Stopped,
    /// That its windows fire, then it stops with a savepoint: its input counts as ended.
    Drained,
    /// That it ends at once.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobStatus {
    /// Waits for slots.
    Scheduling,
    /// Workers restore state and open sources and sinks.
    Deploying,
    /// Runs.
    Running,
    /// Was running and is to run again; waits for its pause to be over.
    Restarting,
    /// Stopped with a savepoint; can be resumed.
    Stopped,
    /// Its input has ended, and all results are out.
    Finished,
    /// Cannot go on without a person; can be resumed.
    Failed,
    /// Ended at once, by a user; can be resumed from its last checkpoint.
    Cancelled,
}

impl fmt::Display for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Desired::Running => "running",
            Desired::Stopped => "stopped",
            Desired::Drained => "drained",
            Desired::Cancelled => "cancelled",
        })
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JobStatus::Scheduling => "scheduling",
            JobStatus::Deploying => "deploying",
            JobStatus::Running => "running",
            JobStatus::Restarting => "restarting",
            JobStatus::Stopped => "stopped",
            JobStatus::Finished => "finished",
            JobStatus::Failed => "failed",
            JobStatus::Cancelled => "cancelled",
        })
    }
}

impl JobStatus {
    /// All of them.
    pub const ALL: [JobStatus; 8] = [
        JobStatus::Scheduling,
        JobStatus::Deploying,
        JobStatus::Running,
        JobStatus::Restarting,
        JobStatus::Stopped,
        JobStatus::Finished,
        JobStatus::Failed,
        JobStatus::Cancelled,
    ];

    /// The transition table.
    pub fn may_become(self, next: JobStatus) -> bool {
        use JobStatus::{Cancelled, Deploying, Failed, Finished, Restarting, Running, Scheduling, Stopped};
        match self {
            // Stopping, and finishing, can be the completion of a commit that an earlier attempt left undone.
            Scheduling => matches!(next, Deploying | Cancelled | Stopped | Finished),
            // Back to scheduling: a person wants it restarted, from another checkpoint perhaps.
            Deploying => matches!(next, Running | Restarting | Scheduling | Failed | Cancelled),
            Running => matches!(next, Restarting | Scheduling | Stopped | Finished | Failed | Cancelled),
            Restarting => matches!(next, Scheduling | Cancelled | Stopped | Finished),
            Stopped | Failed | Cancelled => next == Scheduling,
            Finished => false,
        }
    }

    /// Whether it uses, or waits for, slots.
    pub fn is_active(self) -> bool {
        matches!(self, JobStatus::Scheduling | JobStatus::Deploying | JobStatus::Running | JobStatus::Restarting)
    }
}

/// Where an attempt runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Its workers and their slots.
    pub placement: Placement,
    /// The checkpoint that it started from.
    pub restored: Option<Epoch>,
    /// When it started to run, in milliseconds since 1970.
    pub running_since: Option<i64>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFailure {
    /// Which attempt.
    pub attempt: Attempt,
    /// Who must act; `None` if the cluster itself lost something (a worker, a connection), and nobody has to.
    pub kind: Option<ErrorKind>,
    /// The whole chain of errors.
    pub report: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// When the next attempt may start, in milliseconds since 1970; `None` if the job does not wait for that.
    pub retry_at: Option<i64>,
}
