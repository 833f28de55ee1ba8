//! What a coordinator tells those who run it: how it sees the others, and while it leads, the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_core::{CoordinatorId, Incarnation, JobId, WorkerId};
use weir_monitoring::{Histogram, Samples};
use weir_proto::client::ScalingBy;

use super::Node;
use crate::cluster::{Applied, Command, Desired, Job, JobStatus, Refusal};
use crate::leader::{Leader, Now};
use crate::metrics as of;
use crate::raft::{LogStore, Role};

/// What a process has counted since it began. Nothing is decided by it.
///
/// All coordinators apply what is decided, and so count the same, whoever leads. What happened before this process began does not count,
/// whenever it comes to apply it: a log that is replayed at the start, or that it has to catch up with, would look like news.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// In milliseconds since 1970.
    began: Option<i64>,
    /// Who led last, and in which term.
    led: Option<(CoordinatorId, u64)>,
    leader_changes: u64,
    workers_lost: u64,
    /// Those that were given up last, oldest first.
    lost: Vec<LostWorker>,
    jobs: BTreeMap<JobId, Tally>,
}

/// A worker that was given up, and has not come back.
#[derive(Debug)]
pub(super) struct LostWorker {
    pub worker: WorkerId,
    pub incarnation: Incarnation,
    /// In milliseconds since 1970.
    pub at: i64,
    pub reason: String,
}

/// So many are remembered, and so long.
const LOST_WORKERS: usize = 64;
const LOST_FOR_MS: i64 = 3_600_000;

/// How long a job that has ended is told of, so that whoever adds up what has happened sees its last figures. Jobs that have ended are kept
/// until somebody deletes them, and would otherwise make series for ever.
const ENDED_FOR_MS: i64 = 3_600_000;

#[derive(Debug, Default)]
struct Tally {
    completed: u64,
    failed: u64,
    written_bytes: u64,
    rescales: u64,
    durations: Histogram,
}

impl Tallies {
    /// The process runs.
    pub fn begin(&mut self, now: i64) {
        self.began.get_or_insert(now);
    }

    /// A coordinator is known to lead. It may be the one that did before, of which nothing was heard for a moment.
    pub fn led(&mut self, leader: CoordinatorId, term: u64) {
        let before = self.led.replace((leader, term));
        self.leader_changes += u64::from(before != Some((leader, term)));
    }

    fn is_news(&self, at: i64) -> bool {
        self.began.is_some_and(|began| at > began)
    }

    /// A checkpoint has failed.
    pub fn checkpoint_failed(&mut self, job: JobId) {
        self.jobs.entry(job).or_default().failed += 1;
    }

    /// A command has been applied.
    pub fn applied(&mut self, command: &Command, outcome: &Result<Applied, Refusal>) {
        match command {
            _ if outcome.as_ref().is_ok_and(|applied| *applied == Applied::Unchanged) || outcome.is_err() => {}
            Command::CompleteCheckpoint { job, checkpoint } if self.is_news(checkpoint.completed_at) => {
                let tally = self.jobs.entry(*job).or_default();
                tally.completed += 1;
                tally.written_bytes += checkpoint.written_bytes;
                tally.durations.observe(Duration::from_millis(checkpoint.duration_ms));
            }
            Command::LoseWorker { worker, incarnation, reason, at } if reason != Leader::LEFT_IN_ORDER => {
                self.workers_lost += u64::from(self.is_news(*at));
                self.lost.retain(|lost| lost.worker != *worker && lost.at + LOST_FOR_MS > *at);
                if self.lost.len() == LOST_WORKERS {
                    self.lost.remove(0);
                }
                let (worker, reason) = (worker.clone(), reason.clone());
                self.lost.push(LostWorker { worker, incarnation: *incarnation, at: *at, reason });
            }
            Command::RegisterWorker { worker, .. } => self.lost.retain(|lost| lost.worker != *worker),
            Command::ScaleJob { job, decision }
                if decision.done && decision.to != decision.from && self.is_news(decision.at) =>
            {
                self.jobs.entry(*job).or_default().rescales += 1;
            }
            Command::DeleteJob { job, .. } => drop(self.jobs.remove(job)),
            _ => {}
        }
    }
}

impl Tallies {
    /// Workers that were given up within the last hour, and have not come back.
    pub fn lost(&self, now: i64) -> impl Iterator<Item = &LostWorker> {
        self.lost.iter().filter(move |lost| lost.at + LOST_FOR_MS > now)
    }
}

impl<S: LogStore> Node<S> {
    /// How things stand.
    pub fn figures(&self, now: Now) -> Samples {
        let mut samples = Samples::default();
        self.consensus(now, &mut samples);
        self.counted(now, &mut samples);
        if let Some(leader) = &self.leader {
            self.cluster(now, leader, &mut samples);
        }
        samples
    }

    fn consensus(&self, now: Now, samples: &mut Samples) {
        let status = self.raft.status();
        let leads = status.role == Role::Leader;
        samples.count(&of::TERM, &[], status.term);
        samples.count(&of::LEADS, &[], leads.into());
        samples.count(&of::LEADER, &[], status.leader.map_or(0, |leader| leader.0));
        samples.count(&of::LEADER_CHANGES, &[], self.tallies.leader_changes);
        samples.count(&of::COMMIT, &[], status.commit);
        samples.count(&of::APPLIED, &[], self.applied.0);
        samples.count(&of::MEMBERS, &["voter"], status.membership.voters.len() as u64);
        samples.count(&of::MEMBERS, &["learner"], status.membership.learners.len() as u64);
        let others = status.membership.members().map(|(id, _)| id).filter(|id| leads && *id != status.id);
        for peer in others {
            let name = peer.to_string();
            let heard = self.heard.get(&peer).copied().unwrap_or_default();
            samples.add(&of::PEER_SILENCE, &[&name], now.elapsed.saturating_sub(heard).as_secs_f64());
            if let Some(matched) = status.matched.get(&peer) {
                samples.count(&of::PEER_LAG, &[&name], status.commit.saturating_sub(*matched));
            }
        }
    }

    /// What every coordinator tells, so that nothing is missed while leadership moves.
    fn counted(&self, now: Now, samples: &mut Samples) {
        samples.count(&of::WORKERS_LOST, &[], self.tallies.workers_lost);
        let none = Tally::default();
        for (id, job) in self.state.jobs.iter().filter(|(_, job)| is_told(job, now)) {
            let name = full_name(job);
            let labels = [&*name];
            let tally = self.tallies.jobs.get(id).unwrap_or(&none);
            samples.count(&of::CHECKPOINTS, &labels, tally.completed);
            samples.count(&of::CHECKPOINTS_FAILED, &labels, tally.failed);
            samples.histogram(&of::CHECKPOINT_DURATION, &labels, &tally.durations);
            samples.count(&of::CHECKPOINT_WRITTEN, &labels, tally.written_bytes);
            if job.scaling.is_some() || tally.rescales > 0 {
                samples.count(&of::AUTOSCALER_RESCALES, &labels, tally.rescales);
            }
        }
    }

    fn cluster(&self, now: Now, leader: &Leader, samples: &mut Samples) {
        let state = &self.state;
        for status in JobStatus::ALL {
            let count = state.jobs.values().filter(|job| job.status == status).count();
            samples.count(&of::JOBS, &[&status.to_string()], count as u64);
        }
        let (mut connected, mut draining, mut missing) = (0, 0, 0);
        for (id, worker) in &state.workers {
            match (leader.heard(id, worker.incarnation), worker.draining) {
                (None, _) => missing += 1,
                (Some(_), true) => draining += 1,
                (Some(_), false) => connected += 1,
            }
        }
        for (name, count) in [("connected", connected), ("draining", draining), ("missing", missing)] {
            samples.count(&of::WORKERS, &[name], count);
        }
        if let Some(asked) = leader.asked_workers() {
            samples.count(&of::AUTOSCALER_WORKERS, &[], asked.into());
        }
        samples.count(&of::SLOTS, &[], state.workers.values().map(|worker| u64::from(worker.slots)).sum());
        samples.count(&of::SLOTS_USED, &[], state.workers.keys().map(|id| u64::from(state.used_slots(id))).sum());
        for (id, job) in &state.jobs {
            self.job(now, leader, (*id, job), samples);
        }
    }

    fn job(&self, now: Now, leader: &Leader, (id, job): (JobId, &Job), samples: &mut Samples) {
        let name = full_name(job);
        let labels = [&*name];
        let failed = job.status == JobStatus::Failed;
        if job.status.is_active() || failed {
            let wanted = matches!(job.desired, Desired::Running) || failed;
            let up = job.status == JobStatus::Running;
            if wanted || up {
                samples.count(&of::JOB_UP, &labels, up.into());
            }
        }
        if !is_told(job, now) {
            return;
        }
        samples.count(&of::JOB_ATTEMPTS, &labels, job.attempt.0);
        samples.count(&of::JOB_RESTARTS, &labels, job.restarts);
        if let Some(pause) = leader.last_pause(id) {
            samples.add(&of::JOB_PAUSE, &labels, pause.as_secs_f64());
        }
        let newest = job.newest();
        if let Some(checkpoint) = newest {
            samples.count(&of::CHECKPOINT_STATE, &labels, checkpoint.state_bytes);
        }
        if !job.status.is_active() {
            return;
        }
        samples.count(&of::JOB_SLOTS, &labels, job.parallelism.into());
        if let Some(scaling) = &job.scaling {
            let load = leader.load(id).filter(|_| scaling.by == ScalingBy::Load);
            // What is said in a dry run, or has not held for long enough yet, is nothing that the job lacks.
            let acts = scaling.acts() && scaling.by == ScalingBy::Load;
            let decided = if acts { job.most_slots(scaling) } else { job.parallelism };
            samples.count(&of::AUTOSCALER_SLOTS, &labels, decided.into());
            if let Some(load) = load {
                samples.add(&of::AUTOSCALER_LOAD, &labels, f64::from(load.load_percent) / 100.0);
            }
        }
        let slots = job.execution.as_ref().map_or(0, |execution| execution.placement.slots.len());
        samples.count(&of::JOB_MISSING_SLOTS, &labels, u64::from(job.parallelism).saturating_sub(slots as u64));
        // Where none are taken regularly the newest one may be as old as it likes.
        let interval = job.spec.settings.checkpoint_interval();
        if let Some(interval) = interval {
            samples.add(&of::CHECKPOINT_INTERVAL, &labels, interval.as_secs_f64());
        }
        let running_since = job.execution.as_ref().and_then(|execution| execution.running_since);
        if let Some(since) = running_since.filter(|_| interval.is_some()) {
            let since = newest.map_or(since, |checkpoint| checkpoint.completed_at.max(since));
            samples.add(&of::CHECKPOINT_AGE, &labels, now.wall.saturating_sub(since).max(0) as f64 / 1000.0);
        }
        let under_way = leader.attempt(id, &job.spec.graph).and_then(|attempt| attempt.under_way);
        let running = under_way.map_or(Duration::ZERO, |(_, began)| now.elapsed.saturating_sub(began));
        samples.add(&of::CHECKPOINT_RUNNING, &labels, running.as_secs_f64());
    }
}

/// Whether there is more to tell of a job than that it has failed, which is told as long as it is so.
fn is_told(job: &Job, now: Now) -> bool {
    job.status.is_active() || job.changed_at.saturating_add(ENDED_FOR_MS) > now.wall
}

fn full_name(job: &Job) -> String {
    format!("{}/{}", job.namespace, job.name)
}

#[cfg(test)]
mod tests;
