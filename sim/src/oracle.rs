//! The judge: stands outside of the cluster, sees what it does, and knows what it must never do.
//!
//! - There is one leader per term.
//! - What is decided in the log is the same everywhere, and stays.
//! - A checkpoint that is completed is never forgotten by a later leader; nor is the number of an attempt.
//! - Attempts complete checkpoints in their order: an older one completes none behind a newer one's.
//! - Of a job at most one checkpoint is completed and not committed.
//! - A result is made visible only if its checkpoint is in the replicated state.
//! - A result is right, and is there once. Results that change are at each commit those of a prefix of the input.
//! - An attempt goes on from the newest checkpoint, or from one that a user has named; savepoints are there until a user deletes them.
//! - Every object that a retained checkpoint needs is in the storage ([`Needed`]).
//! - A job that takes the slots that there are is not stopped for more before the last change has settled.
//! - What clients are told is so ([`Promises`]), and a coordinator that does not lead has nothing to propose.
//! - Coordinators that have applied the same entries have the same state, and that state makes sense. So has a snapshot of it.
//! - Workers are told of one leader in a term.
//! - Nothing panics, and nothing finds a defect in itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokio::sync::Notify;
use tokio::time::Instant;
use weir_coordinator::cluster::ClusterState;
use weir_coordinator::node::Node;
use weir_coordinator::raft::{Batch, LogStore};
use weir_core::hash::mix;
use weir_core::{Attempt, CoordinatorId, Epoch, JobId, WorkerId};
use weir_proto::peer::Entry;
use weir_state::layout;

use crate::broker::Broker;
use crate::known_job::{GoneBack, KnownJob};
use crate::lock::lock;
use crate::needed::Needed;
use crate::objects::Objects;
use crate::promises::Promises;
use crate::query::Query;
use crate::rows::Rows;
use crate::updating;
use crate::world::{Change, Results, Shown, World};

/// The judge of one history.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The right results of each sink.
    expected: BTreeMap<String, Results>,
    /// What they are computed from.
    rows: Rows,
    /// What clients are told.
    pub promises: Promises,
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
    jobs: BTreeMap<JobId, KnownJob>,
    /// By job.
    completed: BTreeMap<String, BTreeSet<(Epoch, Attempt)>>,
    needed: Needed,
    /// How far coordinators were when they were last looked at.
    applied: BTreeMap<CoordinatorId, u64>,
    /// What coordinators had after an entry of the log.
    replicas: BTreeMap<u64, u64>,
    /// The newest leader's term.
    term: u64,
    /// Who leads in a term, as workers are told.
    announced: BTreeMap<u64, CoordinatorId>,
    /// Coordinators that have no vote yet, as the newest leader knows.
    learners: BTreeSet<CoordinatorId>,
    /// Workers that are registered, and whether they are being drained, as the newest leader knows.
    workers: BTreeMap<WorkerId, bool>,
}

#[derive(Debug, Default)]
struct Log {
    entries: BTreeMap<u64, Decided>,
    commit: u64,
}

/// An entry: its term, and a hash of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decided(u64, u64);

impl Oracle {
    /// A judge who knows the right results of these rows.
    pub fn new(expected: BTreeMap<String, Results>, rows: Rows) -> Self {
        Self { expected, rows, ..Self::default() }
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
    pub fn jobs(&self) -> BTreeMap<JobId, KnownJob> {
        lock(&self.state).jobs.clone()
    }

    /// The coordinator that led last.
    pub fn leader(&self) -> Option<CoordinatorId> {
        let state = lock(&self.state);
        state.leaders.last_key_value().map(|(_, leader)| *leader)
    }

    /// Workers that can be given work.
    pub fn workers(&self) -> BTreeSet<WorkerId> {
        let state = lock(&self.state);
        state.workers.iter().filter(|(_, drains)| !**drains).map(|(worker, _)| worker.clone()).collect()
    }

    /// The manifest of a retained checkpoint that cannot do without an object.
    pub fn needs(&self, object: &str) -> Option<String> {
        lock(&self.state).needed.by(object).map(str::to_owned)
    }

    /// An object of no retained checkpoint.
    pub fn orphan(&self, objects: &Objects) -> Option<String> {
        lock(&self.state).needed.orphan(objects)
    }

    /// A user may have a job go back to this checkpoint.
    pub fn may_go_back(&self, name: &str, epoch: Epoch) {
        let mut state = lock(&self.state);
        state.jobs.values_mut().filter(|job| job.name == name).for_each(|job| job.may_go_back(epoch));
    }

    /// A worker is told by a coordinator that it leads in this term.
    pub fn welcomed(&self, by: CoordinatorId, term: u64) {
        let leader = *lock(&self.state).announced.entry(term).or_insert(by);
        if leader != by {
            self.violation(format!("coordinators {leader} and {by} both tell workers that they lead in term {term}"));
        }
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
        if let Some(commit) = batch.hard_state.map(|hard_state| hard_state.commit) {
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
        if let Some(snapshot) = batch.compaction.as_ref().map(|compaction| &compaction.snapshot) {
            let taken = ClusterState::from_bytes(&snapshot.state, "in a snapshot").map_err(|error| error.report());
            if let Err(what) = taken.and_then(|taken| state.compare(snapshot.index, &taken)) {
                state.violation.get_or_insert(format!("of a snapshot of coordinator {who}: {what}"));
            }
        }
    }

    /// A coordinator begins from its disk: what it remembers may be less than what it wrote.
    pub fn restarted(&self, who: CoordinatorId, disk: &impl LogStore) {
        let Ok(stored) = disk.load() else { return };
        let mut state = lock(&self.state);
        let entries = stored.entries.iter().map(|entry| (entry.index, summary(entry))).collect();
        let commit = stored.snapshot.as_ref().map_or(0, |snapshot| snapshot.index).max(stored.hard_state.commit);
        state.logs.insert(who, Log { entries, commit });
    }

    /// Whether the storage knows of each job that went on from another checkpoint than the newest: an attempt notes it before it does
    /// anything.
    pub fn going_back_is_stored(&self, objects: &Objects) -> bool {
        let (state, objects) = (lock(&self.state), objects.lock());
        state.jobs.iter().all(|(id, job)| {
            let Some(back) = job.back else { return true };
            let folder = format!("jobs/{id}/");
            let begun = |object: &String| {
                let path = object.rsplit_once(&folder).map_or("", |(_, path)| path);
                layout::of_beginning(path).is_some_and(|(attempt, _)| attempt >= back)
            };
            objects.keys().any(begun)
        })
    }

    /// The logs of all coordinators are lost: what was in them is not agreed upon any more. What jobs have completed still is.
    pub fn logs_lost(&self) {
        self.promises.forget();
        let mut state = lock(&self.state);
        state.logs.clear();
        state.decided.clear();
        state.applied.clear();
        state.replicas.clear();
        state.learners.clear();
        state.workers.clear();
        state.jobs.values_mut().for_each(KnownJob::log_lost);
    }

    /// A coordinator has taken a step, which began at that time: its disk may have taken long since.
    pub fn stepped(&self, node: &Node<impl LogStore>, at: Instant, world: &World, broker: &Broker, objects: &Objects) {
        let mut state = lock(&self.state);
        let found = state.look(node, at, objects);
        for (query, back) in found.as_ref().into_iter().flatten() {
            for sink in query.sinks() {
                broker.rewind(sink, &back.line);
                world.keep(sink, &back.line);
            }
        }
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
        let decided = Query::writing(table).and_then(|query| state.completed.get(query.name()));
        if !decided.is_some_and(|decided| decided.iter().any(|(epoch, attempt)| origin.is_decided_by(*epoch, *attempt)))
        {
            drop(state);
            return self.violation(format!("{origin} is visible, and no such checkpoint is in the replicated state"));
        }
        drop(state);
        if Query::writing(table).is_some_and(Query::updates) {
            return;
        }
        for Change { row, .. } in &shown.rows {
            let right = self.expected.get(table).and_then(|results| results.get(row)).copied().unwrap_or(0);
            let visible = world.count(table, row);
            if visible > right {
                return self.violation(format!(
                    "{table} has the result {row} {visible} times, and {right} is right; the last by {origin}"
                ));
            }
        }
    }

    /// All results of a checkpoint are visible.
    pub fn committed(&self, world: &World, table: &str, epoch: Epoch) {
        // Someone who comes late finds those of a later one, and maybe half of them.
        let Some(query) = Query::writing(table).filter(|query| query.updates()) else { return };
        let Some(results) = world.results_of(table, epoch) else { return };
        if let Err(what) = updating::look(query, &self.rows, &results) {
            self.violation(format!(
                "after checkpoint {epoch} the results of {table} are of no prefix of the input: {what}"
            ));
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
        let surplus = results.keys().filter(|row| !expected.contains_key(*row));
        Err(format!(
            "{table} lacks {} of {} results, among them {:?}, and has others, among them {:?}",
            missing.len(),
            expected.len(),
            missing.iter().take(3).collect::<Vec<_>>(),
            surplus.take(3).collect::<Vec<_>>()
        ))
    }
}

impl State {
    /// Looks at a coordinator. Returns the jobs that go on from another checkpoint than the newest.
    fn look(
        &mut self,
        node: &Node<impl LogStore>,
        at: Instant,
        objects: &Objects,
    ) -> Result<Vec<(Query, GoneBack)>, String> {
        let status = node.status();
        let leads = node.leads();
        if leads {
            let leader = self.leaders.entry(status.term).or_insert(status.id);
            if *leader != status.id {
                return Err(format!("coordinators {leader} and {} both lead in term {}", status.id, status.term));
            }
            self.term = self.term.max(status.term);
        } else if node.waiting_proposals() > 0 {
            return Err(format!("coordinator {} does not lead, and has proposals left", status.id));
        }
        if self.applied.insert(status.id, node.applied()) != Some(node.applied()) {
            self.compare(node.applied(), node.state())?;
        }
        let newest = leads && status.term == self.term;
        let mut gone_back = Vec::new();
        for (id, job) in &node.state().jobs {
            let known = self.jobs.entry(*id).or_insert_with(|| KnownJob::new(job));
            let drained = |worker: &WorkerId| self.workers.get(worker).is_some_and(|drains| *drains);
            let back = known.look(*id, node.state(), drained)?;
            gone_back.extend(back.and_then(|back| Some((Query::named(&job.name)?, back))));
            if newest {
                known.look_at_newest(*id, job, status.term, at)?;
            }
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
            self.look_at_newest(node, objects)?;
        }
        Ok(gone_back)
    }

    /// There is one state behind an entry of the log, at all coordinators and in all snapshots.
    fn compare(&mut self, applied: u64, state: &ClusterState) -> Result<(), String> {
        state.check().map_err(|what| format!("after entry {applied} of the log {what}"))?;
        let found = hash_of(state);
        match *self.replicas.entry(applied).or_insert(found) {
            known if known == found => Ok(()),
            _ => Err(format!("entry {applied} of the log has led to two different states")),
        }
    }

    fn look_at_newest(&mut self, node: &Node<impl LogStore>, objects: &Objects) -> Result<(), String> {
        let (status, state) = (node.status(), node.state());
        self.learners = status.membership.learners.keys().copied().collect();
        self.workers = state.workers.iter().map(|(id, worker)| (id.clone(), worker.draining)).collect();
        if let Some(id) = self.jobs.keys().find(|id| !state.jobs.contains_key(id)) {
            return Err(format!("the leader of term {} does not know of job {id}", status.term));
        }
        for (id, job) in &state.jobs {
            let place = format!("{}/{}/jobs/{id}", state.storage, state.cluster);
            let manifests: Vec<&str> = job.checkpoints.iter().map(|checkpoint| checkpoint.manifest.as_str()).collect();
            self.needed.update(*id, place, &manifests, objects)?;
        }
        Ok(())
    }
}

/// A hash over what changes in the replicated state.
fn hash_of(state: &ClusterState) -> u64 {
    let jobs = state.jobs.iter().map(|(id, job)| {
        let life = (job.desired, job.status, job.attempt, job.parallelism, job.changed_at);
        let past = (job.failures, job.restarts, job.losses, &job.last_failure);
        (
            id,
            life,
            past,
            &job.scaling,
            &job.scaling_decisions,
            job.last_epoch,
            job.start_from,
            &job.execution,
            &job.checkpoints,
        )
    });
    let text = format!("{:?} {:?}", jobs.collect::<Vec<_>>(), state.workers);
    text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

fn summary(entry: &Entry) -> Decided {
    let text = format!("{:?}", entry);
    Decided(entry.term, text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))))
}
