//! What a leader has to do for one job: all that it knows of the job beside the replicated state. Nothing of it outlives
//! the term; the next leader learns it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weir_core::{Attempt, JobId, Placement};

use super::attempt::LiveAttempt;
use super::commits::CommitAssignment;
use super::scaling::Gain;
use crate::autoscaler::Autoscaler;
use crate::checkpoints::{CheckpointExecutor, Timeouts};
use crate::cluster::Command;

/// The duties for one job.
#[derive(Debug)]
pub struct JobDuties {
    /// The attempt that is deployed or runs.
    pub attempt: Option<LiveAttempt>,
    /// The job's checkpoints.
    pub checkpoints: CheckpointExecutor,
    /// Who was asked to commit.
    pub committer: CommitAssignment,
    /// The attempt that failed, and when the next one may start.
    pub retry: Option<(Attempt, Duration)>,
    /// Why the job does not run, or not as its user wants; for people.
    pub waiting_for: Option<String>,
    /// Where the job ran last, for its state is there.
    pub last_placement: Option<Placement>,
    /// Time in which it did not process.
    pub pause: Pause,
    /// Slots that it could have more, if it takes what there is.
    pub gain: Gain,
    /// What its load needs, if that decides on its slots.
    pub autoscaler: Autoscaler,
    /// What is proposed and not applied yet.
    pub proposed: BTreeSet<Proposal>,
}

impl JobDuties {
    fn new(timeouts: Timeouts) -> Self {
        Self {
            attempt: None,
            checkpoints: CheckpointExecutor::new(timeouts),
            committer: CommitAssignment::default(),
            retry: None,
            waiting_for: None,
            last_placement: None,
            pause: Pause::default(),
            gain: Gain::default(),
            autoscaler: Autoscaler::default(),
            proposed: BTreeSet::new(),
        }
    }
}

/// When the last attempt stopped to run, and how long it then took until the next one ran.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pause {
    since: Option<Duration>,
    /// The last pause that is over.
    pub last: Option<Duration>,
}

impl Pause {
    /// The job stands still, if it did not before.
    pub fn begin(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// The job runs.
    pub fn end(&mut self, now: Duration) {
        if let Some(since) = self.since.take() {
            self.last = Some(now.saturating_sub(since));
        }
    }
}

/// Commands about a job of which a leader proposes at most one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proposal {
    /// [`Command::StartAttempt`].
    Start,
    /// [`Command::AttemptRunning`].
    Running,
    /// [`Command::AttemptFailed`].
    Fail,
    /// [`Command::RetryJob`].
    Retry,
    /// [`Command::CompleteCheckpoint`].
    Complete,
    /// [`Command::CommitCheckpoint`].
    Commit,
    /// [`Command::EndAttempt`].
    End,
    /// [`Command::ScaleJob`].
    Scale,
}

impl Proposal {
    /// What a command proposes for which job, if a leader proposes it by itself.
    pub fn of(command: &Command) -> Option<(JobId, Proposal)> {
        Some(match command {
            Command::StartAttempt { job, .. } => (*job, Proposal::Start),
            Command::AttemptRunning { job, .. } => (*job, Proposal::Running),
            Command::AttemptFailed { job, .. } => (*job, Proposal::Fail),
            Command::RetryJob { job, .. } => (*job, Proposal::Retry),
            Command::CompleteCheckpoint { job, .. } => (*job, Proposal::Complete),
            Command::CommitCheckpoint { job, .. } => (*job, Proposal::Commit),
            Command::EndAttempt { job, .. } => (*job, Proposal::End),
            Command::ScaleJob { job, .. } => (*job, Proposal::Scale),
            _ => return None,
        })
    }
}

/// The duties for all jobs.
#[derive(Debug)]
pub struct Jobs {
    timeouts: Timeouts,
    duties: BTreeMap<JobId, JobDuties>,
}

impl Jobs {
    /// No duties yet. `timeouts` is for checkpoints.
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, duties: BTreeMap::new() }
    }

    /// The duties for a job, if there are any.
    pub fn get(&self, id: JobId) -> Option<&JobDuties> {
        self.duties.get(&id)
    }

    /// The duties for a job, if there are any.
    pub fn get_mut(&mut self, id: JobId) -> Option<&mut JobDuties> {
        self.duties.get_mut(&id)
    }

    /// The duties for a job; none so far, if it is new.
    pub fn of(&mut self, id: JobId) -> &mut JobDuties {
        self.duties.entry(id).or_insert_with(|| JobDuties::new(self.timeouts))
    }

    /// The job is not there any more.
    pub fn forget(&mut self, id: JobId) {
        self.duties.remove(&id);
    }

    /// The current attempt of a job.
    pub fn attempt(&self, id: JobId) -> Option<&LiveAttempt> {
        self.duties.get(&id)?.attempt.as_ref()
    }

    /// The current attempt of a job.
    pub fn attempt_mut(&mut self, id: JobId) -> Option<&mut LiveAttempt> {
        self.duties.get_mut(&id)?.attempt.as_mut()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (JobId, &JobDuties)> {
        self.duties.iter().map(|(id, duties)| (*id, duties))
    }

    /// All of them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (JobId, &mut JobDuties)> {
        self.duties.iter_mut().map(|(id, duties)| (*id, duties))
    }

    /// All attempts that are deployed or run.
    pub fn attempts(&self) -> impl Iterator<Item = (JobId, &LiveAttempt)> {
        self.iter().filter_map(|(id, duties)| Some((id, duties.attempt.as_ref()?)))
    }

    /// Jobs for which this holds.
    pub fn which(&self, holds: impl Fn(&JobDuties) -> bool) -> Vec<JobId> {
        self.iter().filter(|(_, duties)| holds(duties)).map(|(id, _)| id).collect()
    }
}
