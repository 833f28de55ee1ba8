//! What can happen to the replicated state.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_core::plugin::ArtifactHash;
use weir_core::{Attempt, Epoch, ErrorKind, Incarnation, JobId, WorkerId};
use weir_proto::client::{NewToken, Scaling, ScalingDecision};

use super::{Checkpoint, Execution, JobSpec, Quota};

/// A change, proposed by the leader and applied by all. Times are the leader's clock and data only: nothing is decided by
/// comparing them to another clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The cluster's first command. Later ones of the kind change nothing.
    Found {
        /// The cluster's name and a random part.
        cluster: String,
        /// Where checkpoints are, a URL.
        storage: String,
    },
    /// A worker is here. Another incarnation under the same name replaces it.
    RegisterWorker {
        /// Its name.
        worker: WorkerId,
        /// Its process.
        incarnation: Incarnation,
        /// Where other workers reach it.
        address: String,
        /// Slots that it offers.
        slots: u32,
        /// Weir's version there.
        version: String,
        /// The leader's clock, in milliseconds since 1970.
        at: i64,
    },
    /// A worker is gone. Attempts that used it have failed with it.
    LoseWorker {
        /// Its name.
        worker: WorkerId,
        /// Its process: another one is not meant.
        incarnation: Incarnation,
        /// Why, for people.
        reason: String,
        /// The leader's clock.
        at: i64,
    },
    /// A worker gets no new work, or gets work again.
    DrainWorker {
        /// Its name.
        worker: WorkerId,
        /// Whether it is to be emptied.
        draining: bool,
    },
    /// A new job; or the same once more, which changes nothing.
    SubmitJob {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What it is.
        spec: Arc<JobSpec>,
        /// How many slots it shall have.
        parallelism: u32,
        /// Whether it is there and stopped, until it is given the state of another job.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        awaits_state: bool,
        /// Who decides how many they are from then on; `None`: a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scaling: Option<Scaling>,
        /// The leader's clock.
        at: i64,
    },
    /// A job that has never run is given the state of a job elsewhere, and starts from there.
    AdoptState {
        /// Which job.
        job: JobId,
        /// That state. Its files are in the storage of the job, and all that it has written is committed.
        checkpoint: Checkpoint,
        /// The leader's clock.
        at: i64,
    },
    /// A job is to be run another way: it computes the same, and keeps its state.
    UpdateJob {
        /// Which job.
        job: JobId,
        /// What it is from the next attempt on.
        spec: Arc<JobSpec>,
        /// How many slots it shall have.
        parallelism: u32,
        /// Who decides how many they are from then on; `None`: as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scaling: Option<Scaling>,
        /// The leader's clock.
        at: i64,
    },
    /// A job has got its slots. The attempt is the one after the last.
    StartAttempt {
        /// Which job.
        job: JobId,
        /// The new attempt.
        attempt: Attempt,
        /// Where it runs. Workers that are not here any more make this refused.
        execution: Execution,
        /// Whether it has the slots of the attempt before, which are fewer than the job shall have: those are not there.
        /// Absent in commands of earlier versions, whose jobs wait for them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        as_before: bool,
        /// The leader's clock.
        at: i64,
    },
    /// All workers of an attempt run.
    AttemptRunning {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// The leader's clock.
        at: i64,
    },
    /// An attempt is over, and not in order.
    AttemptFailed {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// Who must act; `None` if the cluster lost something and nobody has to.
        kind: Option<ErrorKind>,
        /// The whole chain of errors.
        report: String,
        /// The leader's clock.
        at: i64,
    },
    /// The pause after a failure is over.
    RetryJob {
        /// Which job.
        job: JobId,
        /// The attempt that failed.
        attempt: Attempt,
        /// The leader's clock.
        at: i64,
    },
    /// A checkpoint's files and manifest are durable. Its results are decided by this.
    CompleteCheckpoint {
        /// Which job.
        job: JobId,
        /// The checkpoint; its attempt must be the current one, its epoch greater than all before, and it is not committed.
        checkpoint: Checkpoint,
    },
    /// All sinks have made a checkpoint's results visible; so they have those of all before it. What is no longer to be kept
    /// is forgotten. May come at any time, also after the job has ended: what is completed is decided.
    CommitCheckpoint {
        /// Which job.
        job: JobId,
        /// Which checkpoint.
        epoch: Epoch,
        /// The leader's clock: a job that only waited for this ends with it.
        at: i64,
    },
    /// A savepoint is not needed any more, or a checkpoint is given up.
    ForgetCheckpoint {
        /// Which job.
        job: JobId,
        /// Which one.
        epoch: Epoch,
    },
    /// All subtasks of an attempt have ended behind a stop marker, and its last checkpoint is committed. The job is finished
    /// if its input has ended, stopped if that is desired, and otherwise scheduled again: it was stopped for another
    /// parallelism, or to leave a worker.
    EndAttempt {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: Attempt,
        /// The leader's clock.
        at: i64,
    },
    /// The user wants a job to stop with a savepoint. If nothing of it runs, it stops at its newest checkpoint.
    StopJob {
        /// Which job.
        job: JobId,
        /// Whether its windows shall fire before.
        drain: bool,
        /// The leader's clock.
        at: i64,
    },
    /// The user wants a job to end at once.
    CancelJob {
        /// Which job.
        job: JobId,
        /// The leader's clock.
        at: i64,
    },
    /// The user wants a job that has ended, or failed, to run again; or a running one to go back to a checkpoint.
    RestartJob {
        /// Which job.
        job: JobId,
        /// From which checkpoint, if not where it would go on by itself. Later ones are forgotten once the job is started
        /// from it, savepoints excepted.
        from: Option<Epoch>,
        /// The leader's clock.
        at: i64,
    },
    /// The user wants another parallelism.
    RescaleJob {
        /// Which job.
        job: JobId,
        /// How many slots.
        parallelism: u32,
        /// The leader's clock.
        at: i64,
    },
    /// The user says who decides how many slots a job has.
    SetScaling {
        /// Which job.
        job: JobId,
        /// How it is decided from now on.
        scaling: Scaling,
        /// The leader's clock.
        at: i64,
    },
    /// The leader has decided how many slots a job is to have, or would have if it were not for a dry run.
    ScaleJob {
        /// Which job.
        job: JobId,
        /// What was decided, of the parallelism that the job has.
        decision: ScalingDecision,
    },
    /// Forgets a job that has ended.
    DeleteJob {
        /// Which job.
        job: JobId,
        /// Whether results that are decided and not committed are given up with it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        discard: bool,
    },
    /// Creates a namespace or changes its limits.
    SetNamespace {
        /// Its name.
        namespace: String,
        /// Its limits.
        quota: Quota,
    },
    /// Removes a namespace that has no jobs.
    DropNamespace {
        /// Its name.
        namespace: String,
    },
    /// Replaces what the scripts of a namespace share.
    ReplaceCatalog {
        /// The namespace.
        namespace: String,
        /// The version that is replaced.
        version: u64,
        /// `CREATE` statements, in their order.
        statements: Vec<String>,
    },
    /// What somebody wants. Only commands of people are, where it is known who asks.
    By {
        /// Who: the name of a token, a certificate, or a person whom an issuer knows.
        actor: String,
        /// What.
        command: Box<Command>,
    },
    /// A new token; or the same once more, which changes nothing.
    CreateToken {
        /// The token.
        token: NewToken,
        /// The leader's clock.
        at: i64,
    },
    /// A token is good for nothing any more.
    RevokeToken {
        /// Its name.
        name: String,
    },
}

impl Command {
    /// What is to be done, whoever wants it.
    pub fn deed(&self) -> &Command {
        match self {
            Command::By { command, .. } => command.deed(),
            command => command,
        }
    }

    /// Whether files of plugins are needed from here on.
    pub fn needs_plugins(&self) -> bool {
        match self.deed() {
            Command::SubmitJob { spec, .. } | Command::UpdateJob { spec, .. } => !spec.graph.artifacts().is_empty(),
            Command::ReplaceCatalog { statements, .. } => names_plugins(statements),
            _ => false,
        }
    }

    /// Whether SQL calls functions of plugins, or reads and writes tables of theirs, from here on.
    pub(super) fn calls_plugins(&self) -> bool {
        match self.deed() {
            Command::SubmitJob { spec, .. } | Command::UpdateJob { spec, .. } => spec.calls_plugins(),
            Command::ReplaceCatalog { statements, .. } => names_plugins(statements),
            _ => false,
        }
    }

    /// Whether a job's plugins run in processes of their own from here on.
    pub(super) fn isolates_plugins(&self) -> bool {
        match self.deed() {
            Command::SubmitJob { spec, .. } | Command::UpdateJob { spec, .. } => spec.isolates_plugins(),
            _ => false,
        }
    }

    /// Whether it is of no use without the other, to earlier versions: a job that waits for state, and that state.
    pub(super) fn is_about_adopted_state(&self) -> bool {
        matches!(self.deed(), Command::SubmitJob { awaits_state: true, .. } | Command::AdoptState { .. })
    }

    /// Whether it is about jobs whose slots no person decides on, of which earlier versions know nothing.
    pub(super) fn is_about_scaling(&self) -> bool {
        matches!(
            self.deed(),
            Command::SubmitJob { scaling: Some(_), .. }
                | Command::UpdateJob { scaling: Some(_), .. }
                | Command::SetScaling { .. }
                | Command::ScaleJob { .. }
        )
    }

    /// Whether it gives rights to a group, which earlier versions would take for a token of which the hash is missing.
    pub(super) fn is_about_groups(&self) -> bool {
        matches!(self.deed(), Command::CreateToken { token, .. } if token.bearer.group().is_some())
    }

    /// Whether a copy of the state should have it soon, for the case that all coordinators are lost: what a person wanted, which
    /// nothing else tells, and which attempts there were, which tells what of the checkpoint storage counts. Checkpoints are
    /// found in the storage, and workers come anew.
    pub fn would_be_missed(&self) -> bool {
        match self {
            Command::Found { .. }
            | Command::SubmitJob { .. }
            | Command::AdoptState { .. }
            | Command::UpdateJob { .. }
            | Command::StartAttempt { .. }
            | Command::EndAttempt { .. }
            | Command::ForgetCheckpoint { .. }
            | Command::StopJob { .. }
            | Command::CancelJob { .. }
            | Command::RestartJob { .. }
            | Command::RescaleJob { .. }
            | Command::SetScaling { .. }
            | Command::DeleteJob { .. }
            | Command::SetNamespace { .. }
            | Command::DropNamespace { .. }
            | Command::ReplaceCatalog { .. }
            | Command::CreateToken { .. }
            | Command::RevokeToken { .. } => true,
            Command::By { command, .. } => command.would_be_missed(),
            Command::AttemptFailed { kind, .. } => kind.is_some(),
            // A savepoint is kept until a person deletes it, so it has to be known that it is one.
            Command::CompleteCheckpoint { checkpoint, .. } => checkpoint.savepoint || checkpoint.finished,
            Command::RegisterWorker { .. }
            | Command::LoseWorker { .. }
            | Command::DrainWorker { .. }
            | Command::AttemptRunning { .. }
            | Command::RetryJob { .. }
            | Command::ScaleJob { .. }
            | Command::CommitCheckpoint { .. } => false,
        }
    }
}

/// Whether statements of a catalog keep files of plugins.
pub(super) fn names_plugins(statements: &[String]) -> bool {
    statements.iter().any(|statement| plugins_of(statement).next().is_some())
}

/// The files of plugins that a statement of a catalog keeps. Only `CREATE FUNCTION … USING ARTIFACT` keeps one: what looks like a hash elsewhere, such as a
/// checksum among the options of a table, is none. Coordinators do not read SQL, so more may be found here than there are, and never fewer.
pub(crate) fn plugins_of(statement: &str) -> impl Iterator<Item = ArtifactHash> {
    let has =
        |word: &str| statement.as_bytes().windows(word.len()).any(|here| here.eq_ignore_ascii_case(word.as_bytes()));
    let declares = has("FUNCTION") && has("ARTIFACT");
    ArtifactHash::all_in(statement).filter(move |_| declares)
}
