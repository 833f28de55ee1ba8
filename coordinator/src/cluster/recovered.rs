//! What becomes of the replicated state when the logs of the coordinators are lost, and it goes on from a copy.
//!
//! The copy is older than what the lost cluster knew. What that had decided since, and may have made visible, shows in the
//! checkpoint storage ([`Findings`]). Why that is enough, and right, is told in [`recovery`](crate::recovery).
//!
//! Everything that changes the state is in here, in one function without I/O, [`recovered`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, ErrorKind, JobId};

use super::{Checkpoint, ClusterState, Desired, Job, JobFailure, JobStatus};

/// Numbers of attempts and of jobs that the lost cluster may have given out without leaving a trace in the storage: they are
/// passed over. A worker that still runs such an attempt must not be taken for one that runs a new one.
const UNSEEN: u64 = 100;

/// What is in the checkpoint storage.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Where that is, a URL. It may have been moved.
    pub storage: String,
    /// When it was looked at, in milliseconds since 1970.
    pub at: i64,
    /// What there is of each job that has left anything.
    pub jobs: BTreeMap<JobId, JobFindings>,
}

/// What there is of a job.
#[derive(Debug, Clone, Default)]
pub struct JobFindings {
    /// The greatest attempt in the name of anything.
    pub last_attempt: Attempt,
    /// The greatest epoch in the name of anything.
    pub last_epoch: Epoch,
    /// The last attempt that is noted to have begun, and the checkpoint that it began from.
    pub begun: Option<(Attempt, Option<Epoch>)>,
    /// Manifests, in any order. Of a job that the copy does not know they are not looked at.
    pub manifests: Vec<FoundManifest>,
}

/// A manifest.
#[derive(Debug, Clone)]
pub struct FoundManifest {
    /// Its path.
    pub path: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// The attempt that made it.
    pub attempt: Attempt,
    /// The term of the leader that wrote it.
    pub term: u64,
    /// What is in it.
    pub condition: Condition,
}

/// Whether a manifest, and all that it names, is as it was written.
#[derive(Debug, Clone)]
pub enum Condition {
    /// It is; this is its checkpoint.
    Whole(Checkpoint),
    /// It is not.
    Damaged {
        /// What is wrong.
        why: String,
        /// Whether it may have had results, which then may be visible.
        has_results: bool,
    },
}

/// What came of it.
#[derive(Debug)]
pub struct Recovered {
    /// The state to go on from.
    pub state: ClusterState,
    /// What was done with each job.
    pub jobs: Vec<RecoveredJob>,
    /// Jobs that came after the copy. Their files are there, but not what they compute.
    pub lost: Vec<JobId>,
    /// Jobs that were deleted before the copy, and left files.
    pub deleted: Vec<JobId>,
}

/// What was done with a job.
#[derive(Debug, PartialEq, Eq)]
pub struct RecoveredJob {
    /// Which job.
    pub job: JobId,
    /// Its status in the copy.
    pub was: JobStatus,
    /// What the storage tells that the copy did not.
    pub news: Vec<String>,
    /// Why a person has to decide whether it may go on; empty if it may.
    pub doubts: Vec<String>,
}

/// The state that the cluster goes on from. No job runs in it: a user may have stopped or cancelled what ran in the copy.
pub fn recovered(copy: ClusterState, findings: &Findings) -> Recovered {
    let mut state = copy;
    let none = JobFindings::default();
    state.storage.clone_from(&findings.storage);
    // They come anew, and are fenced off by the term if they do not.
    state.workers.clear();
    let jobs = state
        .jobs
        .iter_mut()
        .map(|(id, job)| job.recover(*id, findings.jobs.get(id).unwrap_or(&none), findings.at))
        .collect();
    let unknown = findings.jobs.keys().copied().filter(|id| !state.jobs.contains_key(id));
    let (lost, deleted) = unknown.partition(|id| id.0 >= state.next_job);
    let last = findings.jobs.keys().next_back().map_or(0, |id| id.0);
    state.next_job = state.next_job.max(last.saturating_add(1)).saturating_add(UNSEEN);
    Recovered { state, jobs, lost, deleted }
}

impl Job {
    fn recover(&mut self, id: JobId, found: &JobFindings, at: i64) -> RecoveredJob {
        let was = self.status;
        let (mut news, mut doubts) = (Vec::new(), Vec::new());
        if was != JobStatus::Finished {
            self.find_its_place(found, &mut news, &mut doubts);
        } else {
            self.checkpoints.retain(|checkpoint| found.whole(checkpoint).is_some());
        }
        self.execution = None;
        self.failures = 0;
        if let Some(failure) = &mut self.last_failure {
            failure.retry_at = None;
        }
        let begun = found.begun.map_or(Attempt::default(), |(attempt, _)| attempt);
        self.attempt = Attempt(self.attempt.max(found.last_attempt).max(begun).0.saturating_add(UNSEEN));
        self.last_epoch = self.last_epoch.max(found.last_epoch);
        // No step of a job's life: the transition table does not have these.
        if !doubts.is_empty() {
            let report = doubts.join("\n");
            let kind = Some(ErrorKind::Data);
            self.last_failure = Some(JobFailure { attempt: self.attempt, kind, report, at, retry_at: None });
            (self.desired, self.status, self.changed_at) = (Desired::Running, JobStatus::Failed, at);
        } else if was.is_active() || !news.is_empty() {
            (self.desired, self.status, self.changed_at) = (Desired::Stopped, JobStatus::Scheduling, at);
            // From there every end that it can come to is allowed.
            let settled = self.settle(id, at);
            debug_assert_eq!(settled, Ok(()));
        }
        RecoveredJob { job: id, was, news, doubts }
    }

    /// Finds the checkpoint to go on from.
    fn find_its_place(&mut self, found: &JobFindings, news: &mut Vec<String>, doubts: &mut Vec<String>) {
        let expected = self.restore_point().cloned();
        let begun = found.begun.filter(|(attempt, _)| *attempt > self.attempt);
        let later = found.later_than(self);
        let missing = |checkpoint: &Checkpoint| found.problem_of(checkpoint);
        let kept = self.checkpoints.iter().filter(|checkpoint| found.whole(checkpoint).is_some()).cloned().collect();
        self.checkpoints = kept;
        let newest = newest_whole(&later, doubts);
        if newest.is_some() || begun.is_some() {
            // The next marker is sent, and the next attempt started, when all before is committed.
            self.checkpoints.iter_mut().for_each(|checkpoint| checkpoint.committed = true);
        }
        match (newest, begun) {
            (Some(newest), _) => {
                news.push(format!("checkpoint {} of attempt {} is newer than the copy", newest.epoch, newest.attempt));
                self.start_from = None;
                self.checkpoints.extend(savepoints_before(newest, &later));
                self.checkpoints.push(Checkpoint { committed: bugs::is_on(Bug::RecoveredCommitted), ..newest.clone() });
            }
            (None, Some((attempt, Some(from)))) => {
                news.push(format!("attempt {attempt}, from checkpoint {from}, began after the copy"));
                self.start_from = None;
                if self.checkpoint(from).is_some() {
                    self.start_from = self.newest().is_some_and(|newest| newest.epoch != from).then_some(from);
                } else if let Some(checkpoint) = found.began_from(attempt, from).filter(|_| from > self.last_epoch) {
                    self.checkpoints.push(Checkpoint { committed: true, ..checkpoint.clone() });
                } else {
                    doubts.push(format!(
                        "checkpoint {from}, from which attempt {attempt} began, is not there, or damaged"
                    ));
                }
            }
            (None, Some((attempt, None))) => {
                news.push(format!("attempt {attempt}, from the beginning, began after the copy"));
            }
            (None, None) => {
                if let Some(problem) = expected.as_ref().and_then(missing) {
                    doubts.push(problem);
                }
            }
        }
        let startable = |from: Epoch| self.checkpoint(from).is_some_and(|checkpoint| !checkpoint.finished);
        self.start_from = self.start_from.filter(|from| startable(*from));
        if !doubts.is_empty() {
            doubts.push(match self.restore_point() {
                Some(point) => format!(
                    "a restart goes on from checkpoint {}, and results that came out behind it come out again",
                    point.epoch
                ),
                None => "a restart begins at the beginning, and all results come out again".into(),
            });
        }
    }
}

impl JobFindings {
    /// The checkpoint, if it is there as the copy knows it.
    fn whole(&self, checkpoint: &Checkpoint) -> Option<&Checkpoint> {
        let manifest = self.manifests.iter().find(|manifest| manifest.path == checkpoint.manifest)?;
        manifest.checkpoint()
    }

    /// What is wrong with a checkpoint of the copy.
    fn problem_of(&self, checkpoint: &Checkpoint) -> Option<String> {
        let epoch = checkpoint.epoch;
        let manifest = self.manifests.iter().find(|manifest| manifest.path == checkpoint.manifest);
        match manifest.map(|manifest| &manifest.condition) {
            Some(Condition::Whole(_)) => None,
            Some(Condition::Damaged { why, .. }) => Some(format!("checkpoint {epoch} is damaged: {why}")),
            None => Some(format!("checkpoint {epoch} is not there any more, nor is any later one")),
        }
    }

    /// Manifests that can count and that the copy does not know, newest first. An attempt completes nothing any more once it
    /// is over, nor once another one has begun.
    fn later_than(&self, job: &Job) -> Vec<&FoundManifest> {
        let begun = self.begun.map(|(attempt, _)| attempt).filter(|attempt| *attempt > job.attempt);
        let runs = begun.is_some() || job.execution.is_some();
        let last = begun.unwrap_or(job.attempt);
        let can_count = |manifest: &&FoundManifest| {
            manifest.epoch > job.last_epoch && (manifest.attempt > last || (manifest.attempt == last && runs))
        };
        let manifests = self.manifests.iter().filter(|_| !bugs::is_on(Bug::RecoveredFromCopy));
        let mut later: Vec<&FoundManifest> = manifests.filter(can_count).collect();
        later.sort_unstable_by_key(|manifest| std::cmp::Reverse((manifest.attempt, manifest.epoch, manifest.term)));
        later
    }

    /// The checkpoint that an attempt began from. An earlier attempt than the one that completed it may have left a manifest of
    /// the same epoch, which never counted.
    fn began_from(&self, attempt: Attempt, from: Epoch) -> Option<&Checkpoint> {
        let before = self.manifests.iter().filter(|manifest| manifest.epoch == from && manifest.attempt < attempt);
        let last = before.clone().map(|manifest| manifest.attempt).max()?;
        let whole = before.filter(|manifest| manifest.attempt == last && manifest.checkpoint().is_some());
        whole.max_by_key(|manifest| manifest.term)?.checkpoint()
    }
}

impl FoundManifest {
    fn checkpoint(&self) -> Option<&Checkpoint> {
        match &self.condition {
            Condition::Whole(checkpoint) => Some(checkpoint),
            Condition::Damaged { .. } => None,
        }
    }
}

/// The first that is whole. Those before it are cause for doubt, unless they have no results, or another leader has written the
/// same once more.
fn newest_whole<'a>(later: &[&'a FoundManifest], doubts: &mut Vec<String>) -> Option<&'a Checkpoint> {
    let mut damaged: Vec<(&FoundManifest, String)> = Vec::new();
    let newest = later.iter().try_for_each(|manifest| match &manifest.condition {
        Condition::Whole(checkpoint) => ControlFlow::Break(checkpoint),
        Condition::Damaged { has_results: false, .. } => ControlFlow::Continue(()),
        Condition::Damaged { why, .. } => {
            let epoch = manifest.epoch;
            damaged.push((manifest, format!("checkpoint {epoch} is newer than the copy and damaged: {why}")));
            ControlFlow::Continue(())
        }
    });
    let newest = newest.break_value();
    damaged.retain(|(manifest, _)| {
        newest.is_none_or(|whole| (manifest.attempt, manifest.epoch) != (whole.attempt, whole.epoch))
    });
    doubts.extend(damaged.into_iter().map(|(_, doubt)| doubt));
    newest
}

/// Savepoints that the same attempt took before its last checkpoint: a person may want them. They hold nothing that the last one
/// has not brought out.
fn savepoints_before(newest: &Checkpoint, later: &[&FoundManifest]) -> Vec<Checkpoint> {
    let mut savepoints: Vec<Checkpoint> = later
        .iter()
        .filter_map(|manifest| manifest.checkpoint())
        .filter(|found| found.savepoint && found.attempt == newest.attempt && found.epoch < newest.epoch)
        .map(|found| Checkpoint { committed: true, ..found.clone() })
        .collect();
    savepoints.sort_by_key(|savepoint| savepoint.epoch);
    savepoints.dedup_by_key(|savepoint| savepoint.epoch);
    savepoints
}
