//! What the leader asks any worker for: to commit a checkpoint, to merge runs.
//!
//! Of each kind and job one is under way at a time. Commits of a job are made in the order of their epochs, as connectors are
//! promised. An answer is sent when it is there and once more on the next connection, since the first may have been lost with
//! the old one; should both be lost, the leader asks again, and both requests can be repeated.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use weir_core::plugin::Isolation;
use weir_core::{Attempt, Epoch, Error, JobId};
use weir_proto::control::{CheckpointRef, Failure, FromWorker, StoragePlace};
use weir_proto::limits;
use weir_state::MergedRuns;

use super::{Effect, failure};

/// Commits of one job that wait for the one under way. The leader asks for the next when one is acknowledged, so that two are
/// more than there should be.
const WAITING_COMMITS: usize = 8;

/// A request to commit.
#[derive(Debug, Clone)]
pub struct CommitOrder {
    /// Where the job's checkpoints are.
    pub storage: StoragePlace,
    /// The checkpoint.
    pub checkpoint: CheckpointRef,
    /// Where plugins run whose sinks these are.
    pub isolation: Isolation,
}

/// A request to merge.
#[derive(Debug)]
pub struct Merge {
    /// Which job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: Attempt,
    /// Where its checkpoints are.
    pub storage: StoragePlace,
    /// The checkpoint whose runs to look at.
    pub checkpoint: CheckpointRef,
}

/// Requests under way, and answers that may have been lost.
#[derive(Debug, Default)]
pub struct CheckpointRequests {
    commits: BTreeMap<JobId, Commits>,
    merges: BTreeMap<JobId, (Attempt, Epoch)>,
    /// The last answer of each job and kind.
    answers: BTreeMap<(JobId, Kind), Answer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Commit,
    Merge,
}

#[derive(Debug)]
struct Commits {
    running: Epoch,
    waiting: BTreeMap<Epoch, CommitOrder>,
}

#[derive(Debug)]
struct Answer {
    message: FromWorker,
    /// Whether it was sent on a connection.
    sent: bool,
}

impl CheckpointRequests {
    /// Begins a commit, unless it is under way; or answers at once if it was made and the answer is still known. One that is under way in processes
    /// of plugins begins anew: whoever asks again has waited for long, and what hangs there can be ended.
    pub fn commit(&mut self, job: JobId, order: CommitOrder, effects: &mut Vec<Effect>) -> Option<FromWorker> {
        let epoch = order.checkpoint.epoch;
        if let Some(Answer { message, .. }) = self.answers.get(&(job, Kind::Commit))
            && matches!(message, FromWorker::Committed { epoch: made, result: Ok(()), .. } if *made == epoch)
        {
            return Some(message.clone());
        }
        match self.commits.get_mut(&job) {
            Some(commits) if commits.running == epoch => {
                effects.extend((!order.isolation.is_none()).then_some(Effect::Commit { job, order }));
            }
            Some(commits) if commits.waiting.len() >= WAITING_COMMITS => {}
            Some(commits) => {
                commits.waiting.insert(epoch, order);
            }
            None => {
                self.commits.insert(job, Commits { running: epoch, waiting: BTreeMap::new() });
                effects.push(Effect::Commit { job, order });
            }
        }
        None
    }

    /// A commit has come to its end.
    pub fn committed(
        &mut self,
        job: JobId,
        epoch: Epoch,
        result: Result<(), Failure>,
        effects: &mut Vec<Effect>,
    ) -> Option<FromWorker> {
        let commits = self.commits.get_mut(&job).filter(|commits| commits.running == epoch)?;
        match commits.waiting.pop_first() {
            Some((next, order)) => {
                commits.running = next;
                effects.push(Effect::Commit { job, order });
            }
            None => {
                self.commits.remove(&job);
            }
        }
        Some(FromWorker::Committed { job, epoch, result })
    }

    /// Begins a merge, unless it is under way. While another one of the job is, it is refused, since the leader waits for an
    /// answer: merging can always wait for the next checkpoint.
    pub fn merge(&mut self, merge: Merge, effects: &mut Vec<Effect>) -> Option<FromWorker> {
        let Merge { job, attempt, storage, checkpoint } = merge;
        let epoch = checkpoint.epoch;
        match self.merges.entry(job) {
            Entry::Vacant(free) => {
                free.insert((attempt, epoch));
                // Said once more, that this one was refused before would look like its outcome.
                self.answers.remove(&(job, Kind::Merge));
                effects.push(Effect::Merge { job, attempt, storage, checkpoint });
                None
            }
            Entry::Occupied(running) if *running.get() == (attempt, epoch) => None,
            Entry::Occupied(running) => {
                let (attempt_under_way, epoch_under_way) = running.get();
                let error = Error::environment(format!(
                    "the worker still merges runs of checkpoint {epoch_under_way} for attempt {attempt_under_way}"
                ));
                Some(FromWorker::Merged { job, attempt, epoch, merged: Err(failure(&error)) })
            }
        }
    }

    /// A merge has come to its end.
    pub fn merged(
        &mut self,
        job: JobId,
        attempt: Attempt,
        epoch: Epoch,
        merged: Result<Vec<MergedRuns>, Failure>,
    ) -> Option<FromWorker> {
        if self.merges.get(&job) != Some(&(attempt, epoch)) {
            return None;
        }
        self.merges.remove(&job);
        let message = FromWorker::Merged { job, attempt, epoch, merged };
        // The merged runs are of no use then, and nothing is lost: those that they were made of are there.
        Some(match limits::check(&message) {
            Ok(()) => message,
            Err(error) => FromWorker::Merged { job, attempt, epoch, merged: Err(failure(&error)) },
        })
    }

    /// Nothing more is to be said of an attempt. What of it is under way is waited for, and not told.
    pub fn cancel(&mut self, job: JobId, attempt: Attempt) {
        let answer = self.answers.get(&(job, Kind::Merge)).map(|answer| &answer.message);
        if matches!(answer, Some(FromWorker::Merged { attempt: old, .. }) if *old <= attempt) {
            self.answers.remove(&(job, Kind::Merge));
        }
    }

    /// Keeps an answer for the next connection; `sent`: it went out on the current one.
    pub fn keep(&mut self, message: FromWorker, sent: bool) {
        let key = match &message {
            FromWorker::Committed { job, .. } => (*job, Kind::Commit),
            FromWorker::Merged { job, .. } => (*job, Kind::Merge),
            _ => return,
        };
        self.answers.insert(key, Answer { message, sent });
    }

    /// Answers to be sent on a new connection. Those that are sent for the second time are forgotten.
    pub fn repeat(&mut self) -> Vec<FromWorker> {
        let messages = self.answers.values().map(|answer| answer.message.clone()).collect();
        self.answers.retain(|_, answer| !std::mem::replace(&mut answer.sent, true));
        messages
    }
}
