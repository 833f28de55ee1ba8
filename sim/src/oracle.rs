//! The judge: stands outside of the cluster, sees what it does, and knows what it must never do.
//!
//! - There is one leader per term.
//! - What is decided in the log is the same everywhere, and stays.
//! - A checkpoint that is completed is never forgotten by a later leader; nor is the number of an attempt.
//! - Attempts complete checkpoints in their order: an older one completes none behind a newer one's.
//! - Of a job at most one checkpoint is completed and not committed.
//! - A result is made visible only if its checkpoint is in the replicated state.
//! - A result is right, and is there once.
//! - Nothing panics, and nothing finds a defect in itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokio::sync::Notify;
use weir_coordinator::cluster::JobStatus;
use weir_coordinator::node::Node;
use weir_coordinator::raft::{Batch, LogStore};
use weir_core::hash::mix;
use weir_core::{Attempt, CoordinatorId, Epoch, JobId};
use weir_proto::peer::Entry;

use crate::lock::lock;
use crate::world::{Results, Shown, World};

/// The judge of one history.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The right results of each sink.
    expected: BTreeMap<String, Results>,
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    violation: Option<String>,
    leaders: BTreeMap<u64, CoordinatorId>,
    /// The log as each coordinator has written it, and how far it is decided there.
    logs: BTreeMap<CoordinatorId, Log>,
    decided: BTreeMap<u64, Decided>,
    jobs: BTreeMap<JobId, Job>,
    /// By sink.
    completed: BTreeMap<String, BTreeSet<(Epoch, Attempt)>>,
    /// The newest leader's term.
    term: u64,
    /// Coordinators that have no vote yet, as the newest leader knows.
    learners: BTreeSet<CoordinatorId>,
}

#[derive(Debug, Default)]
struct Log {
    entries: BTreeMap<u64, Decided>,
    commit: u64,
}

/// An entry: its term, and a hash of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decided(u64, u64);

/// What is known of a job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name, which is that of its sink.
    pub name: String,
    /// How far the newest leader has it.
    pub status: JobStatus,
    /// The highest attempt that was ever applied.
    pub attempt: Attempt,
    /// The newest checkpoint that was ever applied.
    pub last_epoch: Epoch,
    /// Its parallelism.
    pub parallelism: u32,
    /// Why it failed last.
    pub failure: Option<String>,
}

impl Oracle {
    /// A judge who knows the right results.
    pub fn new(expected: BTreeMap<String, Results>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Something happened that must not.
    pub fn violation(&self, what: String) {
        lock(&self.state).violation.get_or_insert(what);
        self.news.notify_one();
    }

    /// What happened first that must not have happened.
    pub fn violated(&self) -> Option<String> {
        lock(&self.state).violation.clone()
    }

    /// Waits until there is reason to look again.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// What is known of the jobs.
    pub fn jobs(&self) -> BTreeMap<JobId, Job> {
        lock(&self.state).jobs.clone()
    }

    /// The coordinator that led last.
    pub fn leader(&self) -> Option<CoordinatorId> {
        let state = lock(&self.state);
        state.leaders.last_key_value().map(|(_, leader)| *leader)
    }

    /// A coordinator that has been added and waits for its vote.
    pub fn learner(&self) -> Option<CoordinatorId> {
        lock(&self.state).learners.first().copied()
    }

    /// Checkpoints that were completed.
    pub fn checkpoints(&self) -> usize {
        lock(&self.state).completed.values().map(BTreeSet::len).sum()
    }

    /// A coordinator writes its log.
    pub fn log_written(&self, who: CoordinatorId, batch: &Batch) {
        let mut state = lock(&self.state);
        let State { logs, decided, violation, .. } = &mut *state;
        let log = logs.entry(who).or_default();
        if let Some(snapshot) = &batch.installed {
            log.entries.clear();
            log.commit = log.commit.max(snapshot.index);
        }
        if let Some(first) = batch.entries.first() {
            log.entries.split_off(&first.index);
            log.entries.extend(batch.entries.iter().map(|entry| (entry.index, summary(entry))));
        }
        let Some(commit) = batch.hard_state.map(|hard_state| hard_state.commit) else { return };
        for (index, entry) in log.entries.range(log.commit + 1..commit.max(log.commit) + 1) {
            let known = decided.entry(*index).or_insert(*entry);
            if known != entry {
                violation.get_or_insert(format!(
                    "entry {index} of the log is decided as {known:?}, and as {entry:?} at coordinator {who}"
                ));
            }
        }
        log.commit = log.commit.max(commit);
    }

    /// A coordinator begins from its disk: what it remembers may be less than what it wrote.
    pub fn restarted(&self, who: CoordinatorId, disk: &impl LogStore) {
        let Ok(stored) = disk.load() else { return };
        let mut state = lock(&self.state);
        let entries = stored.entries.iter().map(|entry| (entry.index, summary(entry))).collect();
        let commit = stored.snapshot.as_ref().map_or(0, |snapshot| snapshot.index).max(stored.hard_state.commit);
        state.logs.insert(who, Log { entries, commit });
    }

    /// A coordinator has taken a step.
    pub fn stepped(&self, node: &Node<impl LogStore>) {
        let mut state = lock(&self.state);
        let found = state.look(node);
        if let Err(what) = found {
            state.violation.get_or_insert(what);
            drop(state);
            self.news.notify_one();
        }
    }

    /// Results have become visible.
    pub fn shown(&self, world: &World, shown: &Shown) {
        let (origin, table) = (&shown.origin, shown.origin.table());
        let state = lock(&self.state);
        let decided = state.completed.get(table);
        if !decided.is_some_and(|decided| decided.iter().any(|(epoch, attempt)| origin.is_decided_by(*epoch, *attempt)))
        {
            drop(state);
            return self.violation(format!("{origin} is visible, and no such checkpoint is in the replicated state"));
        }
        drop(state);
        for row in &shown.rows {
            let right = self.expected.get(table).and_then(|results| results.get(row)).copied().unwrap_or(0);
            let visible = world.count(table, row);
            if visible > right {
                return self.violation(format!(
                    "{table} has the result {row} {visible} times, and {right} is right; the last by {origin}"
                ));
            }
        }
    }

    /// Compares all results of a sink with the right ones.
    pub fn complete(&self, world: &World, table: &str) -> Result<(), String> {
        let results = world.results(table);
        let expected = self.expected.get(table).cloned().unwrap_or_default();
        if results == expected {
            return Ok(());
        }
        let missing: Vec<&String> = expected
            .iter()
            .filter(|(row, count)| results.get(*row).is_none_or(|there| there < count))
            .map(|(row, _)| row)
            .collect();
        Err(format!(
            "{table} lacks {} of {} results, among them {:?}",
            missing.len(),
            expected.len(),
            missing.iter().take(3).collect::<Vec<_>>()
        ))
    }
}

impl State {
    fn look(&mut self, node: &Node<impl LogStore>) -> Result<(), String> {
        let status = node.status();
        let leads = node.leads();
        if leads {
            let leader = self.leaders.entry(status.term).or_insert(status.id);
            if *leader != status.id {
                return Err(format!("coordinators {leader} and {} both lead in term {}", status.id, status.term));
            }
            self.term = self.term.max(status.term);
        }
        let newest = leads && status.term == self.term;
        for (id, job) in &node.state().jobs {
            let known = self.jobs.entry(*id).or_insert_with(|| Job {
                name: job.name.clone(),
                status: job.status,
                attempt: job.attempt,
                last_epoch: job.last_epoch,
                parallelism: job.parallelism,
                failure: None,
            });
            if newest {
                if job.last_epoch < known.last_epoch {
                    return Err(format!(
                        "job {id} has completed checkpoint {}, and the leader of term {} knows of {} only",
                        known.last_epoch, status.term, job.last_epoch
                    ));
                }
                if job.attempt < known.attempt {
                    return Err(format!("job {id} was at attempt {}, and is at {}", known.attempt, job.attempt));
                }
                known.status = job.status;
                known.parallelism = job.parallelism;
                known.failure = job.last_failure.as_ref().map(|failure| failure.report.clone());
            }
            known.attempt = known.attempt.max(job.attempt);
            known.last_epoch = known.last_epoch.max(job.last_epoch);
            let open = job.checkpoints.iter().filter(|checkpoint| !checkpoint.committed);
            if let [first, second, ..] = open.map(|checkpoint| checkpoint.epoch).collect::<Vec<_>>().as_slice() {
                return Err(format!("checkpoint {second} of job {id} was completed before {first} was committed"));
            }
            let mut attempts = Attempt(0);
            let completed = self.completed.entry(job.name.clone()).or_default();
            for checkpoint in &job.checkpoints {
                if checkpoint.attempt < attempts {
                    return Err(format!(
                        "attempt {} of job {id} completed checkpoint {} behind one of attempt {attempts}",
                        checkpoint.attempt, checkpoint.epoch
                    ));
                }
                attempts = checkpoint.attempt;
                completed.insert((checkpoint.epoch, checkpoint.attempt));
            }
        }
        if newest {
            self.learners = status.membership.learners.keys().copied().collect();
            let lost = self.jobs.keys().find(|id| !node.state().jobs.contains_key(id));
            if let Some(id) = lost {
                return Err(format!("the leader of term {} does not know of job {id}", status.term));
            }
        }
        Ok(())
    }
}

fn summary(entry: &Entry) -> Decided {
    let text = format!("{:?}", entry);
    Decided(entry.term, text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))))
}
