//! One coordinator and workers that are played by the test: what is said to whom, from submission to the end.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use weir_core::connector::{RESULT_CONNECTOR, RESULT_FOLDER};
use weir_core::{
    Attempt, CoordinatorId, Epoch, ErrorKind, Incarnation, JobGraph, JobId, Marker, MarkerKind, NodeSpec, OperatorSpec,
    OperatorUid, Parallelism, SinkSpec, TableSpec, WorkerId,
};
use weir_proto::client::{Caller, ClientRequest, JobRef, JobSettingsInfo, Scaling, SubmitJob};
use weir_proto::control::{AttemptPhase, AttemptStatus, Failure, Heartbeat, Report, StoragePlace};
use weir_state::{EpochContent, LocalStorage, SinkCommittables, Storage, Storages};

use super::*;
use crate::raft::{LogId, Member, MemoryStore, Raft, RaftConfig};
use crate::server::storage::CheckpointStorages;
use crate::workforce::WorkforceConfig;

mod audits;
mod commits;
mod counts;
mod leftovers;
mod markers;
mod patience;
mod plugins;
mod results;
mod scaling;
mod slots;
mod traces;
mod updates;
mod versions;

/// A folder for all storages.
struct Folder(tempfile::TempDir);

impl Storages for Folder {
    fn open(&self, url: &str) -> weir_core::Result<Arc<dyn Storage>> {
        Ok(Arc::new(LocalStorage::open(self.0.path().join(url.trim_start_matches("file:///")))?))
    }
}

/// A single coordinator, its clock, and everything that it has said.
struct Cluster {
    node: Node<MemoryStore>,
    storage: Arc<Folder>,
    checkpoints: CheckpointStorages,
    storage_hangs: bool,
    /// What it was asked meanwhile.
    hanging: Vec<(OperationId, StorageOperation)>,
    now: Duration,
    said: Vec<(SessionId, ToWorker)>,
    closed: Vec<SessionId>,
    copies: Vec<(Duration, StateCopy)>,
    asked_workers: Vec<u32>,
    traced: Vec<Span>,
    answers: Vec<Result<ClientResponse, ClientError>>,
    next: u64,
}

const TICK: Duration = Duration::from_millis(20);

fn raft(store: MemoryStore) -> Raft<MemoryStore> {
    let config = RaftConfig {
        id: CoordinatorId(1),
        log: LogId(1),
        election_ticks: 10,
        heartbeat_ticks: 2,
        max_message_bytes: 1 << 20,
        max_inflight: 8,
        snapshot_after_entries: 50,
        seed: 7,
    };
    Raft::open(config, store).unwrap()
}

impl Cluster {
    fn new() -> Self {
        let mut store = MemoryStore::default();
        let member = Member { address: "here:1".into(), log: LogId(1) };
        Raft::bootstrap(&mut store, &BTreeMap::from([(CoordinatorId(1), member)])).unwrap();
        let storage = Arc::new(Folder(tempfile::tempdir().unwrap()));
        let mut cluster = Self {
            node: node(store),
            checkpoints: CheckpointStorages::new(storage.clone()),
            storage,
            storage_hangs: false,
            hanging: Vec::new(),
            now: Duration::ZERO,
            said: Vec::new(),
            closed: Vec::new(),
            copies: Vec::new(),
            asked_workers: Vec::new(),
            traced: Vec::new(),
            answers: Vec::new(),
            next: 0,
        };
        cluster.until_led();
        cluster
    }

    /// Another process of the same coordinator: what was only known to the leader is gone.
    fn restart(mut self) -> Self {
        let store = std::mem::replace(&mut self.node, node(MemoryStore::default())).raft.into_store();
        self.node = node(store);
        self.checkpoints = CheckpointStorages::new(self.storage.clone());
        self.until_led();
        self
    }

    fn until_led(&mut self) {
        for _ in 0..100 {
            self.pass(TICK);
            if self.node.leads() && !self.node.state().cluster.is_empty() {
                return;
            }
        }
        panic!("nobody leads");
    }

    fn step(&mut self, input: Event) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            let now = Now { elapsed: self.now, wall: i64::try_from(self.now.as_millis()).unwrap() };
            self.node.step(now, input, &mut effects).unwrap();
            for effect in effects {
                match effect {
                    Effect::SendWorker(session, message) => self.said.push((session, message)),
                    Effect::CloseWorker(session) => self.closed.push(session),
                    Effect::Reply(_, answer) => self.answers.push(answer),
                    Effect::Store(id, operation) if self.storage_hangs => self.hanging.push((id, operation)),
                    Effect::Store(id, operation) => {
                        inputs.push_back(Event::Stored(id, self.checkpoints.execute(operation)));
                    }
                    Effect::AskForWorkers(workforce) => self.asked_workers.push(workforce.wanted_workers),
                    Effect::Traced(span) => self.traced.push(*span),
                    Effect::CopyState(copy) => self.copies.push((self.now, *copy)),
                    Effect::SendPeer(..) | Effect::View(_) | Effect::Known(..) => {}
                }
            }
        }
    }

    fn storage_goes_on(&mut self) {
        self.storage_hangs = false;
        for (id, operation) in std::mem::take(&mut self.hanging) {
            let outcome = self.checkpoints.execute(operation);
            self.step(Event::Stored(id, outcome));
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            self.step(Event::Tick);
        }
    }

    fn ask(&mut self, request: ClientRequest) -> Result<ClientResponse, ClientError> {
        self.next += 1;
        self.step(Event::Client(RequestId(self.next), Caller::trusted(), request));
        self.answers.pop().unwrap()
    }

    /// What has been said to a worker since the last look, in a line each.
    fn heard(&mut self, session: SessionId) -> Vec<String> {
        let (of, others) = std::mem::take(&mut self.said).into_iter().partition(|(to, _)| *to == session);
        self.said = others;
        of.into_iter().map(|(_, message)| in_short(&message)).collect()
    }

    fn connect(&mut self, session: u64, worker: &str, incarnation: u64, attempts: Vec<AttemptStatus>) -> SessionId {
        let session = SessionId(session);
        self.step(Event::WorkerConnected(session, hello(worker, incarnation, attempts)));
        session
    }

    fn say(&mut self, session: SessionId, message: FromWorker) {
        self.step(Event::Worker(session, message));
    }

    fn phase(&mut self, session: SessionId, attempt: u64, phase: AttemptPhase) {
        self.say(session, FromWorker::Status(status(attempt, phase, 0)));
    }

    fn settings(&self, interval: u64) -> JobSettingsInfo {
        JobSettingsInfo {
            batch_rows: 10,
            memory_budget: None,
            checkpoint_interval_ms: interval,
            checkpoint_timeout_ms: 10_000,
            tolerable_failures: 2,
            retained_checkpoints: 2,
            restart_attempts: Some(2),
            restart_initial_delay_ms: 1000,
            restart_maximum_delay_ms: 4000,
            restart_stable_ms: 60_000,
        }
    }

    fn submit(&mut self, parallelism: u32) -> Result<ClientResponse, ClientError> {
        self.submit_graph(JobGraph::new(), parallelism)
    }

    fn submit_graph(&mut self, graph: JobGraph, parallelism: u32) -> Result<ClientResponse, ClientError> {
        self.submit_with(graph, parallelism, 1000)
    }

    fn submit_with(&mut self, graph: JobGraph, parallelism: u32, interval: u64) -> Result<ClientResponse, ClientError> {
        self.submit_scaled(graph, parallelism, interval, None)
    }

    fn submit_scaled(
        &mut self,
        graph: JobGraph,
        parallelism: u32,
        interval: u64,
        scaling: Option<Scaling>,
    ) -> Result<ClientResponse, ClientError> {
        let settings = self.settings(interval);
        self.ask(ClientRequest::SubmitJob(SubmitJob {
            namespace: "default".into(),
            name: "job".into(),
            graph: Arc::new(graph),
            fingerprint: "f".into(),
            sql: "SELECT 1".into(),
            parallelism,
            settings,
            awaits_state: false,
            scaling,
        }))
    }

    fn job(&self) -> &crate::cluster::Job {
        &self.node.state().jobs[&JobId(1)]
    }

    /// Two workers with two slots each, and a job on both that runs.
    fn running() -> (Self, SessionId, SessionId) {
        let mut cluster = Self::new();
        let (a, b) = (cluster.connect(1, "a", 1, vec![]), cluster.connect(2, "b", 1, vec![]));
        cluster.submit(2).unwrap();
        for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
            cluster.phase(a, 1, phase.clone());
            cluster.phase(b, 1, phase);
        }
        assert_eq!(cluster.job().status.to_string(), "running");
        cluster.heard(a);
        cluster.heard(b);
        (cluster, a, b)
    }

    fn report(&mut self, session: SessionId, epoch: u64) {
        let content = EpochContent {
            epoch: Epoch(epoch),
            committables: vec![SinkCommittables {
                uid: OperatorUid("sink".into()),
                table: TableSpec::new("t", "filesystem", BTreeMap::new(), Arc::new(arrow_schema::Schema::empty())),
                committables: vec![vec![1]],
                staged: Vec::new(),
            }],
            ..EpochContent::default()
        };
        let attempt = self.job().attempt;
        let report = Report { job: JobId(1), attempt, epoch: Epoch(epoch), outcome: Ok(content) };
        self.say(session, FromWorker::Report(report));
    }
}

fn node(store: MemoryStore) -> Node<MemoryStore> {
    let config = NodeConfig {
        leader: LeaderConfig { workforce: Some(WorkforceConfig::default()), traces: true, ..LeaderConfig::default() },
        cluster: "test-1".into(),
        storage: "file:///store".into(),
        incarnation: 1,
    };
    Node::new(config, raft(store))
}

fn status(attempt: u64, phase: AttemptPhase, last_epoch: u64) -> AttemptStatus {
    AttemptStatus {
        job: JobId(1),
        attempt: Attempt(attempt),
        phase,
        last_epoch: Epoch(last_epoch),
        last_kind: (last_epoch > 0).then_some(MarkerKind::Checkpoint),
        captures: Vec::from_iter(
            (last_epoch > 0).then_some(Marker { epoch: Epoch(last_epoch), kind: MarkerKind::Checkpoint }),
        ),
        wants_marker: false,
        exhausted: false,
    }
}

fn in_short(message: &ToWorker) -> String {
    match message {
        ToWorker::Welcome(_) => "welcome".into(),
        ToWorker::Redirect { .. } => "redirect".into(),
        ToWorker::Refused { reason } => format!("refused: {reason}"),
        ToWorker::NameTaken { address } => format!("name taken: {address}"),
        ToWorker::Deploy(deploy) => {
            let from =
                deploy.restore.as_ref().map_or_else(String::new, |checkpoint| format!(" from {}", checkpoint.epoch));
            format!("deploy {}{from}", deploy.attempt)
        }
        ToWorker::Start { attempt, .. } => format!("start {attempt}"),
        ToWorker::Marker { epoch, kind, .. } => format!("{kind:?} {epoch}"),
        ToWorker::Completed { epoch, .. } => format!("completed {epoch}"),
        ToWorker::Cancel { attempt, .. } => format!("cancel {attempt}"),
        ToWorker::Commit { checkpoint, .. } => format!("commit {}", checkpoint.epoch),
        ToWorker::Merge { checkpoint, .. } => format!("merge {}", checkpoint.epoch),
        ToWorker::Discard(leftovers) => format!("discard {:?}", leftovers.behind),
        ToWorker::Audit { id, order } => format!("audit {id} of {:?}", order.checkpoints),
        ToWorker::CompareState { id, order } => {
            format!("compare state {id} with {:?}, running {}", order.checkpoint, order.running.is_some())
        }
        ToWorker::Farewell => "farewell".into(),
    }
}

fn committed(epoch: u64) -> FromWorker {
    FromWorker::Committed { job: JobId(1), epoch: Epoch(epoch), result: Ok(()) }
}

#[test]
fn a_job_starts_when_every_worker_is_ready() {
    let mut cluster = Cluster::new();
    let a = cluster.connect(1, "a", 1, vec![]);
    cluster.submit(4).unwrap();
    assert_eq!(cluster.heard(a), ["welcome"], "two slots are not four");
    let ClientResponse::Job(job) = cluster.ask(describe()).unwrap() else { panic!() };
    assert!(job.summary.waiting_for.unwrap().contains("needs 4 slots"));
    let b = cluster.connect(2, "b", 1, vec![]);
    assert_eq!(cluster.heard(a), ["deploy 1"]);
    assert_eq!(cluster.heard(b), ["welcome", "deploy 1"]);
    cluster.phase(a, 1, AttemptPhase::Ready);
    assert_eq!(cluster.heard(a), [""; 0]);
    cluster.phase(b, 1, AttemptPhase::Ready);
    assert_eq!((cluster.heard(a), cluster.heard(b)), (vec!["start 1".to_owned()], vec!["start 1".to_owned()]));
    cluster.phase(a, 1, AttemptPhase::Running);
    assert_eq!(cluster.job().status.to_string(), "deploying");
    cluster.phase(b, 1, AttemptPhase::Running);
    assert_eq!(cluster.job().status.to_string(), "running");
}

fn describe() -> ClientRequest {
    ClientRequest::DescribeJob { job: JobRef::Name { namespace: "default".into(), name: "job".into() }, graph: false }
}

#[test]
fn a_checkpoint_counts_when_it_is_in_the_state_and_is_committed_by_one_worker() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    assert_eq!(
        (cluster.heard(a), cluster.heard(b)),
        (vec!["Checkpoint 1".to_owned()], vec!["Checkpoint 1".to_owned()])
    );
    cluster.report(a, 1);
    assert_eq!(cluster.job().checkpoints.len(), 0);
    cluster.report(b, 1);
    assert_eq!(cluster.job().checkpoints.len(), 1);
    assert_eq!(cluster.heard(a), ["completed 1", "commit 1"]);
    assert_eq!(cluster.heard(b), ["completed 1"]);
    assert!(!cluster.job().checkpoints[0].committed);
    cluster.say(a, committed(1));
    assert!(cluster.job().checkpoints[0].committed);
}

#[test]
fn a_lost_worker_restarts_the_job_from_its_last_checkpoint_once_that_is_committed() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.heard(a);
    cluster.heard(b);
    // The worker that was to commit dies.
    cluster.step(Event::WorkerDisconnected(a));
    assert_eq!(cluster.heard(b), ["commit 1"], "somebody else commits");
    let c = cluster.connect(3, "c", 1, vec![]);
    cluster.pass(Duration::from_millis(300));
    assert_eq!(cluster.heard(b), ["cancel 1"]);
    assert_eq!(cluster.heard(c), ["welcome"]);
    assert_eq!(cluster.job().status.to_string(), "scheduling");
    cluster.say(b, committed(1));
    let both = [cluster.heard(b), cluster.heard(c)].concat();
    assert!(both.iter().all(|heard| heard == "deploy 2 from 1") && !both.is_empty(), "{both:?}");
    assert_eq!(cluster.job().failures, 0, "it was not the job's fault");
}

#[test]
fn what_an_old_attempt_says_is_answered_by_its_end() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.phase(a, 1, AttemptPhase::Failed(failure(ErrorKind::Environment, true)));
    assert_eq!(cluster.job().attempt, Attempt(2));
    assert_eq!(cluster.heard(b)[0], "cancel 1");
    cluster.phase(b, 1, AttemptPhase::Running);
    assert_eq!(cluster.heard(b).last().unwrap(), "cancel 1");
}

fn hello(worker: &str, incarnation: u64, attempts: Vec<AttemptStatus>) -> Hello {
    Hello {
        protocol: weir_proto::PROTOCOL,
        audits: true,
        compares_state: true,
        cluster: None,
        worker: WorkerId(worker.into()),
        incarnation: Incarnation(incarnation),
        slots: 2,
        address: format!("{worker}:1"),
        version: "test".into(),
        attempts,
        leaving: false,
    }
}

fn failure(kind: ErrorKind, peer_lost: bool) -> Failure {
    Failure { kind, report: "it broke".into(), peer_lost }
}

#[test]
fn a_job_that_fails_by_itself_pauses_longer_each_time_and_then_gives_up() {
    let (mut cluster, a, b) = Cluster::running();
    for (attempt, pause) in [(1, 1000), (2, 2000)] {
        cluster.phase(a, attempt, AttemptPhase::Failed(failure(ErrorKind::Environment, false)));
        assert_eq!(cluster.job().status.to_string(), "restarting");
        cluster.pass(Duration::from_millis(pause - 100));
        assert_eq!(cluster.job().status.to_string(), "restarting");
        cluster.pass(Duration::from_millis(200));
        assert_eq!(cluster.job().attempt, Attempt(attempt + 1));
        for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
            cluster.phase(a, attempt + 1, phase.clone());
            cluster.phase(b, attempt + 1, phase);
        }
    }
    cluster.phase(a, 3, AttemptPhase::Failed(failure(ErrorKind::Environment, false)));
    assert_eq!(cluster.job().status.to_string(), "failed");
}

#[test]
fn a_new_leader_takes_a_running_job_over_as_it_is() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.heard(a);
    cluster.heard(b);
    let mut cluster = cluster.restart();
    let a = cluster.connect(11, "a", 1, vec![status(1, AttemptPhase::Running, 1)]);
    assert_eq!(cluster.heard(a), ["welcome"], "the other worker's state is not known yet");
    cluster.report(a, 1);
    // This one was not reached by the marker any more.
    let b = cluster.connect(12, "b", 1, vec![status(1, AttemptPhase::Running, 0)]);
    assert_eq!(cluster.heard(b), ["welcome", "Checkpoint 1"]);
    assert_eq!(cluster.heard(a), [""; 0]);
    cluster.report(b, 1);
    assert_eq!(cluster.heard(a), ["completed 1", "commit 1"]);
    assert_eq!((cluster.job().attempt, cluster.job().checkpoints.len()), (Attempt(1), 1));
}

#[test]
fn a_worker_that_comes_back_as_another_process_has_lost_its_attempts() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.step(Event::WorkerDisconnected(a));
    let again = cluster.connect(9, "a", 2, vec![]);
    assert_eq!(cluster.job().attempt, Attempt(2));
    assert_eq!(cluster.heard(b)[0], "cancel 1");
    assert!(cluster.heard(again).contains(&"deploy 2".to_owned()));
}

#[test]
fn of_two_processes_under_one_name_the_first_stays_until_it_is_gone() {
    let (mut cluster, a, b) = Cluster::running();
    for session in 9..12 {
        let twin = cluster.connect(session, "a", 2, vec![]);
        assert_eq!(cluster.closed.pop(), Some(twin));
        assert_eq!(cluster.heard(twin), ["name taken: a:1"]);
    }
    cluster.report(a, 1);
    assert_eq!((cluster.job().attempt, cluster.heard(b)), (Attempt(1), Vec::new()));
    // Without a word for so long it counts as gone, although its connection has not broken.
    for _ in 0..10 {
        cluster.pass(Duration::from_secs(1));
        cluster.say(b, FromWorker::Heartbeat(Heartbeat::default()));
    }
    let twin = cluster.connect(12, "a", 2, vec![]);
    assert!(cluster.heard(twin).contains(&"welcome".to_owned()));
}

#[test]
fn a_connection_may_break_for_a_moment() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.step(Event::WorkerDisconnected(a));
    cluster.pass(Duration::from_millis(100));
    let a = cluster.connect(5, "a", 1, vec![status(1, AttemptPhase::Running, 0)]);
    cluster.pass(Duration::from_millis(500));
    assert_eq!(cluster.job().attempt, Attempt(1));
    cluster.pass(Duration::from_secs(1));
    assert_eq!(
        (cluster.heard(a).pop().unwrap(), cluster.heard(b)),
        ("Checkpoint 1".into(), vec!["Checkpoint 1".into()])
    );
}

#[test]
fn a_worker_of_another_cluster_is_refused() {
    let mut cluster = Cluster::new();
    let hello = Hello { cluster: Some("other-1".into()), ..hello("a", 1, vec![]) };
    cluster.step(Event::WorkerConnected(SessionId(1), hello));
    assert!(cluster.heard(SessionId(1))[0].contains("belongs to the cluster other-1"));
    assert_eq!(cluster.closed, [SessionId(1)]);
    assert!(cluster.node.state().workers.is_empty());
}

#[test]
fn a_stop_takes_a_savepoint_and_the_job_can_be_resumed_from_it() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
    assert_eq!(cluster.heard(a), ["Stop 1"]);
    for session in [a, b] {
        cluster.report(session, 1);
        cluster.say(session, FromWorker::Status(status(1, AttemptPhase::Ended, 1)));
    }
    cluster.say(a, committed(1));
    assert_eq!(cluster.job().status.to_string(), "stopped");
    assert!(cluster.job().checkpoints[0].savepoint);
    assert_eq!(cluster.heard(b).last().unwrap(), "cancel 1", "the attempt is over and can be forgotten");
    cluster.heard(a);
    cluster.ask(ClientRequest::RestartJob { job: JobRef::Id(JobId(1)), from: None, adopted: None }).unwrap();
    assert_eq!(cluster.heard(a), ["deploy 2 from 1"]);
}

#[test]
fn a_rescale_stops_with_a_checkpoint_and_starts_with_the_new_parallelism() {
    let (mut cluster, a, b) = Cluster::running();
    let rescale = |parallelism| ClientRequest::RescaleJob { job: JobRef::Id(JobId(1)), parallelism };
    cluster.ask(rescale(9)).unwrap();
    assert_eq!(cluster.heard(a), [""; 0], "it goes on, for nine slots are not there");
    cluster.ask(rescale(4)).unwrap();
    assert_eq!(cluster.heard(a), ["Stop 1"]);
    for session in [a, b] {
        cluster.report(session, 1);
        cluster.say(session, FromWorker::Status(status(1, AttemptPhase::Ended, 1)));
    }
    cluster.say(a, committed(1));
    assert_eq!(cluster.job().attempt, Attempt(2));
    assert_eq!(cluster.job().execution.as_ref().unwrap().placement.slots.len(), 4);
    assert!(!cluster.job().checkpoints[0].savepoint, "nobody asked to keep it");
}

#[test]
fn a_worker_that_wants_to_go_is_emptied_first() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.say(a, FromWorker::Leaving);
    assert_eq!(cluster.heard(a), ["Stop 1"], "the other worker has room for all");
    for session in [a, b] {
        cluster.report(session, 1);
        cluster.say(session, FromWorker::Status(status(1, AttemptPhase::Ended, 1)));
    }
    cluster.say(a, committed(1));
    assert!(cluster.heard(a).contains(&"farewell".to_owned()));
    assert!(cluster.heard(b).contains(&"deploy 2 from 1".to_owned()));
    assert_eq!(cluster.node.state().workers.len(), 1);
}

#[test]
fn a_new_leader_ends_what_the_old_one_had_brought_to_its_end() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.say(a, committed(1));
    let mut cluster = cluster.restart();
    cluster.connect(11, "a", 1, vec![status(1, AttemptPhase::Ended, 1)]);
    assert_eq!(cluster.job().status.to_string(), "running");
    let b = cluster.connect(12, "b", 1, vec![status(1, AttemptPhase::Ended, 1)]);
    assert_eq!(cluster.job().status.to_string(), "stopped");
    assert_eq!(cluster.heard(b), ["welcome", "completed 1", "cancel 1"]);
}

#[test]
fn a_worker_that_comes_back_while_it_is_given_up_has_to_come_again() {
    let (mut cluster, a, b) = Cluster::running();
    cluster.heard(b);
    let lose =
        Command::LoseWorker { worker: WorkerId("a".into()), incarnation: Incarnation(1), reason: "r".into(), at: 0 };
    cluster.node.propose(&lose, None).unwrap();
    cluster.step(Event::Tick);
    assert_eq!(cluster.closed, [a]);
    cluster.connect(7, "a", 1, vec![status(1, AttemptPhase::Running, 0)]);
    assert_eq!(cluster.heard(SessionId(7))[..2], ["welcome", "cancel 1"]);
}

/// The dataflow of a `SELECT` whose rows wait in that folder.
fn select(folder: &str) -> JobGraph {
    let schema = Arc::new(arrow_schema::Schema::empty());
    let options = BTreeMap::from([(RESULT_FOLDER.to_owned(), folder.to_owned())]);
    let table = TableSpec::new("result", RESULT_CONNECTOR, options, schema.clone());
    let mut graph = JobGraph::new();
    let operator = OperatorSpec::Sink(SinkSpec { table });
    let parallelism = Parallelism::Single;
    graph.add(NodeSpec { parallelism, ..NodeSpec::new("Sink(result)", operator, Vec::new(), schema) });
    graph
}

#[test]
fn a_deleted_job_takes_the_rows_of_its_select_along_and_nothing_else() {
    let mut cluster = Cluster::new();
    let root = format!("{}/{}", cluster.node.state().storage, cluster.node.state().cluster);
    let rows = format!("{root}/results/00000000000000ff");
    for (folder, is_taken) in [(rows, true), (format!("{root}/jobs/77"), false), ("file:///elsewhere".into(), false)] {
        let place = StoragePlace { url: folder.clone() };
        cluster.storage.open(&place.url).unwrap().put("part-1", b"rows").unwrap();
        match cluster.submit_graph(select(&folder), 1) {
            Ok(ClientResponse::Submitted { job, .. }) => {
                assert!(is_taken, "{folder} is none for results, and workers would write there");
                for request in [
                    ClientRequest::CancelJob { job: JobRef::Id(job) },
                    ClientRequest::DeleteJob { job: JobRef::Id(job), discard_results: false },
                ] {
                    cluster.ask(request).unwrap();
                }
            }
            refused => assert!(refused.unwrap_err().message.contains("a folder of this cluster's results"), "{folder}"),
        }
        let path = cluster.storage.0.path().join(folder.trim_start_matches("file:///"));
        assert_eq!(!path.exists(), is_taken, "{folder}");
    }
}

#[test]
fn the_leader_copies_the_state_soon_after_what_would_be_missed_and_not_more_often() {
    let mut cluster = Cluster::new();
    let times = |cluster: &mut Cluster| -> Vec<(u128, usize)> {
        let copies = std::mem::take(&mut cluster.copies).into_iter();
        copies.map(|(at, copy)| (at.as_millis(), copy.state.jobs.len())).collect()
    };
    assert_eq!(times(&mut cluster).len(), 1, "the cluster was founded");
    cluster.connect(1, "a", 1, vec![]);
    cluster.pass(Duration::from_secs(20));
    assert_eq!(times(&mut cluster), [], "nothing would be missed, not even a worker");
    let (a, b) = (cluster.connect(3, "a", 2, vec![]), cluster.connect(4, "b", 1, vec![]));
    cluster.submit(2).unwrap();
    let now = cluster.now.as_millis();
    assert_eq!(cluster.copies[0].1.state.jobs[&JobId(1)].attempt, Attempt(1));
    assert_eq!(times(&mut cluster), [(now, 1)], "the job and its attempt are copied at once");
    for phase in [AttemptPhase::Ready, AttemptPhase::Running] {
        cluster.phase(a, 1, phase.clone());
        cluster.phase(b, 1, phase);
    }
    cluster.pass(Duration::from_secs(1));
    cluster.report(a, 1);
    cluster.report(b, 1);
    cluster.say(a, committed(1));
    assert_eq!(cluster.job().checkpoints.len(), 1);
    cluster.pass(Duration::from_secs(5));
    assert_eq!(times(&mut cluster), [], "a checkpoint is found in the storage");
    cluster.ask(ClientRequest::StopJob { job: JobRef::Id(JobId(1)), drain: false }).unwrap();
    let now = cluster.now.as_millis();
    assert_eq!(times(&mut cluster), [(now, 1)]);
    cluster.ask(ClientRequest::DeleteJob { job: JobRef::Id(JobId(1)), discard_results: false }).unwrap();
    cluster.pass(Duration::from_millis(4900));
    assert_eq!(times(&mut cluster), [], "the last copy is too young");
    cluster.pass(Duration::from_secs(20));
    assert_eq!(times(&mut cluster), [(now + 5000, 0)], "and then one is enough");
    cluster.step(Event::CopyFailed);
    assert_eq!(times(&mut cluster).len(), 1, "it is tried again");
}

#[test]
fn a_new_leader_begins_with_a_copy_of_the_state_as_it_found_it() {
    let (mut cluster, ..) = Cluster::running();
    // Nothing of all this would be missed, and what would be is in the snapshot that it starts from.
    for round in 0..100 {
        cluster.ask(ClientRequest::DrainWorker { worker: WorkerId("a".into()), draining: round % 2 == 0 }).unwrap();
    }
    let mut cluster = cluster.restart();
    cluster.pass(TICK);
    let (_, copy) = cluster.copies.last().unwrap();
    assert_eq!((&copy.state, copy.term), (cluster.node.state(), 3));
}
