//! A job under its leader: markers, manifests, and what they follow. The check plays the job's only worker.

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_coordinator::cluster::JobStatus;
use weir_coordinator::leader::SessionId;
use weir_coordinator::node::Event;
use weir_core::{Attempt, CoordinatorId, Epoch, JobGraph, JobId, Marker, MarkerKind};
use weir_proto::client::{ClientRequest, JobRef, JobSettingsInfo, SubmitJob};
use weir_proto::control::{AttemptPhase, AttemptStatus, FromWorker, Report, ToWorker};
use weir_state::{EpochContent, Manifest, Storage, compaction, encode, layout};

use super::cluster::Cluster;
use super::files::captured;

const JOB: JobId = JobId(1);

struct Job {
    cluster: Cluster,
    leader: CoordinatorId,
    session: SessionId,
}

impl Job {
    /// One that runs, and has no checkpoint yet.
    fn running() -> Self {
        let mut cluster = Cluster::new(1);
        let leader = cluster.until_led();
        let mut job = Self { cluster, leader, session: SessionId(0) };
        job.connect(Vec::new());
        let settings = JobSettingsInfo {
            batch_rows: 10,
            memory_budget: None,
            checkpoint_interval_ms: 500,
            checkpoint_timeout_ms: 2000,
            tolerable_failures: 2,
            retained_checkpoints: 3,
            restart_attempts: None,
            restart_initial_delay_ms: 100,
            restart_maximum_delay_ms: 100,
            restart_stable_ms: 1000,
        };
        job.ask(ClientRequest::SubmitJob(SubmitJob {
            namespace: "default".to_owned(),
            name: "job".to_owned(),
            graph: Arc::new(JobGraph::new()),
            fingerprint: "fingerprint".to_owned(),
            sql: String::new(),
            parallelism: 1,
            settings,
            awaits_state: false,
            scaling: None,
        }));
        job.start(1);
        job
    }

    fn state(&self) -> &weir_coordinator::cluster::Job {
        state(&self.cluster, self.leader)
    }

    fn ask(&mut self, request: ClientRequest) {
        self.cluster.ask(self.leader, request);
        self.cluster.settle();
        self.cluster.answers.pop().unwrap().unwrap();
    }

    fn say(&mut self, message: FromWorker) {
        self.cluster.step(self.leader, Event::Worker(self.session, message));
        self.cluster.settle();
    }

    /// The worker's connection breaks, and what was on its way; it comes again.
    fn reconnect(&mut self, last_epoch: u64) {
        self.cluster.step(self.leader, Event::WorkerDisconnected(self.session));
        self.cluster.said.clear();
        let status = status(self.state().attempt, AttemptPhase::Running, last_epoch);
        self.connect(vec![status]);
    }

    fn connect(&mut self, attempts: Vec<AttemptStatus>) {
        self.session.0 += 1;
        self.cluster.connect(self.leader, self.session, attempts);
    }

    /// The worker opens and starts an attempt when it is told to.
    fn start(&mut self, attempt: u64) {
        let leader = self.leader;
        let is_deployed = |cluster: &Cluster| {
            let of = |message: &ToWorker| matches!(message, ToWorker::Deploy(deploy) if deploy.attempt.0 == attempt);
            cluster.said.iter().any(|(_, message)| of(message))
        };
        self.cluster.pass_until(is_deployed);
        let last_epoch = self.state().last_epoch.0;
        for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
            self.say(FromWorker::Status(status(Attempt(attempt), phase, last_epoch)));
        }
        self.cluster.pass_until(|cluster| state(cluster, leader).status == JobStatus::Running);
    }

    /// Waits until the worker is given a marker.
    fn until_marker(&mut self, epoch: u64) {
        self.cluster.pass_until(|cluster| markers(cluster).contains(&epoch));
    }

    /// The worker reports an epoch, with a file that is durable.
    fn report(&mut self, epoch: u64) {
        self.report_of(self.state().attempt, epoch);
    }

    fn report_of(&mut self, attempt: Attempt, epoch: u64) {
        let prefix = layout::runs_prefix(Epoch(epoch), attempt, "worker");
        let snapshot = encode(vec![captured(epoch as i64)], &prefix).unwrap();
        snapshot.files.iter().for_each(|(path, bytes)| self.cluster.storage.put(path, bytes).unwrap());
        let content = EpochContent { epoch: Epoch(epoch), operators: snapshot.operators, ..EpochContent::default() };
        self.say(FromWorker::Report(Report { job: JOB, attempt, epoch: Epoch(epoch), outcome: Ok(content) }));
    }

    /// What happens until a checkpoint is complete and committed.
    fn checkpoint(&mut self, epoch: u64) {
        let leader = self.leader;
        self.until_marker(epoch);
        self.report(epoch);
        let is_committed = |cluster: &Cluster| {
            state(cluster, leader).checkpoints.iter().any(|known| known.epoch.0 == epoch && known.committed)
        };
        self.cluster.pass_until(is_committed);
    }

    /// The manifest of the newest checkpoint.
    fn newest(&self) -> Manifest {
        let path = &self.state().newest().unwrap().manifest;
        Manifest::from_bytes(&self.cluster.storage.get(path).unwrap(), path).unwrap()
    }

    /// All that the newest checkpoint names is there.
    fn check_files(&self) {
        let there: BTreeSet<String> = self.cluster.storage.list("").unwrap().into_iter().collect();
        for file in self.newest().files() {
            assert!(there.contains(file), "{file} is not there");
        }
    }
}

fn state(cluster: &Cluster, leader: CoordinatorId) -> &weir_coordinator::cluster::Job {
    &cluster.node(leader).state().jobs[&JOB]
}

fn markers(cluster: &Cluster) -> Vec<u64> {
    let epoch = |message: &ToWorker| match message {
        ToWorker::Marker { epoch, .. } => Some(epoch.0),
        _ => None,
    };
    cluster.said.iter().filter_map(|(_, message)| epoch(message)).collect()
}

fn status(attempt: Attempt, phase: AttemptPhase, last_epoch: u64) -> AttemptStatus {
    let last = (last_epoch > 0).then_some(Marker { epoch: Epoch(last_epoch), kind: MarkerKind::Checkpoint });
    AttemptStatus {
        job: JOB,
        attempt,
        phase,
        last_epoch: Epoch(last_epoch),
        last_kind: last.map(|marker| marker.kind),
        captures: last.into_iter().collect(),
        wants_marker: false,
        exhausted: false,
    }
}

/// At once: all others wait for it.
pub fn a_worker_that_comes_back_is_given_the_markers_that_it_has_missed() {
    let mut job = Job::running();
    job.until_marker(1);
    job.reconnect(0);
    assert_eq!(markers(&job.cluster), [1]);
}

/// Not when another one is that was given up before.
pub fn a_checkpoint_counts_when_its_manifest_is_written() {
    let mut job = Job::running();
    job.cluster.storage_waits = true;
    job.until_marker(1);
    job.report(1);
    job.until_marker(2);
    job.report(2);
    assert_eq!(job.cluster.unanswered(), 2);
    job.cluster.storage_answers();
    job.cluster.settle();
    assert!(job.state().checkpoints.is_empty(), "the second one is not written");
    job.cluster.storage_answers();
    job.cluster.settle();
    assert_eq!(job.newest().epoch, Epoch(2));
}

/// One that the attempt before has sent arrives when the next one has the same marker.
pub fn a_report_of_an_earlier_attempt_completes_nothing() {
    let mut job = Job::running();
    job.checkpoint(1);
    job.until_marker(2);
    job.ask(ClientRequest::RestartJob { job: JobRef::Id(JOB), from: Some(Epoch(1)), adopted: None });
    job.start(2);
    job.cluster.said.clear();
    job.until_marker(2);
    job.report_of(Attempt(1), 2);
    assert_eq!(job.newest().epoch, Epoch(1), "it holds what the first attempt had");
    job.report(2);
    assert_eq!(job.newest().epoch, Epoch(2));
}

/// What came behind that checkpoint is no part of those that follow it, though a savepoint of it is kept.
pub fn a_job_that_goes_back_goes_on_from_that_checkpoint() {
    let mut job = Job::running();
    job.checkpoint(1);
    job.ask(ClientRequest::TakeSavepoint { job: JobRef::Id(JOB) });
    job.checkpoint(2);
    job.ask(ClientRequest::RestartJob { job: JobRef::Id(JOB), from: Some(Epoch(1)), adopted: None });
    job.start(2);
    job.checkpoint(3);
    let manifest = job.newest();
    let epochs: Vec<_> = manifest.files().filter_map(layout::epoch_of_run).collect();
    assert_eq!(epochs, [Epoch(1), Epoch(3)]);
}

/// What a merge has written whose worker was given up may have been deleted since.
pub fn runs_are_merged_by_the_worker_that_was_asked_last() {
    let mut job = Job::running();
    let last = compaction::MERGED_RUNS as u64;
    (1..=last).for_each(|epoch| job.checkpoint(epoch));
    let (attempt, storage) = (job.state().attempt, job.cluster.storage.clone());
    let merged = compaction::merge_all(&storage, &job.newest(), attempt).unwrap();
    job.reconnect(last);
    job.checkpoint(last + 1);
    merged.iter().for_each(|runs| storage.delete(&runs.into.file).unwrap());
    job.say(FromWorker::Merged { job: JOB, attempt, epoch: Epoch(last), merged: Ok(merged) });
    job.checkpoint(last + 2);
    job.check_files();
}
