//! Messages in, effects out.

mod history;
mod protocol;

use std::sync::Arc;
use std::time::Duration;

use weir_core::plugin::Isolation;
use weir_core::{
    Attempt, Epoch, ErrorKind, Incarnation, JobGraph, JobId, JobIdentity, MarkerKind, PlacedWorker, Placement, WorkerId,
};
use weir_proto::control::{
    AttemptPhase, AttemptStatus, CheckpointRef, Deploy, Failure, FromWorker, StoragePlace, ToWorker, Welcome,
};
use weir_state::EpochContent;

use super::{Agent, AgentConfig, Effect, EngineEvent, Event, SessionId};

const MILLISECOND: Duration = Duration::from_millis(1);

fn config() -> AgentConfig {
    AgentConfig {
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(7),
        slots: 4,
        address: "127.0.0.1:1".into(),
        version: "0".into(),
        cluster: None,
        coordinators: vec!["a".into(), "b".into(), "c".into()],
        drain_timeout: Duration::from_secs(60),
        seed: 1,
    }
}

/// An agent and its time. Every step is answered with its effects, a line each.
struct Bench {
    agent: Agent,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        Self { agent: Agent::new(config()), now: Duration::ZERO }
    }

    /// Connected to `a`, which leads in term 3.
    fn welcomed() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.tick(), ["connect 1 to a"]);
        assert_eq!(bench.hear(1, welcome(3)), ["remember fox"]);
        bench
    }

    /// With attempt 1 of job 1 running, its last epoch 4.
    fn running() -> Self {
        let mut bench = Self::welcomed();
        assert_eq!(bench.hear(1, deploy(1, 1, 4)), ["open 1/1"]);
        assert_eq!(bench.engine(1, 1, EngineEvent::Opened), ["1: status 1/1 Ready at 4"]);
        assert_eq!(bench.hear(1, start(1, 1)), ["start 1/1", "1: status 1/1 Running at 4"]);
        bench
    }

    fn step(&mut self, input: Event) -> Vec<String> {
        let mut effects = Vec::new();
        self.agent.step(self.now, input, &mut effects);
        effects.iter().map(describe).collect()
    }

    fn hear(&mut self, session: u64, message: ToWorker) -> Vec<String> {
        self.step(Event::Received(SessionId(session), message))
    }

    fn engine(&mut self, job: u64, attempt: u64, event: EngineEvent) -> Vec<String> {
        self.step(Event::Engine { job: JobId(job), attempt: Attempt(attempt), event })
    }

    fn tick(&mut self) -> Vec<String> {
        self.step(Event::Tick)
    }

    /// Waits until the agent wants to be woken, and wakes it.
    fn wait(&mut self) -> Vec<String> {
        self.now = self.now.max(self.agent.next_tick().unwrap());
        self.tick()
    }

    fn lose(&mut self, session: u64) {
        assert_eq!(self.step(Event::Disconnected(SessionId(session))), [""; 0]);
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Connect { session, address, hello } => {
            let attempts: String = hello.attempts.iter().map(|status| format!(", {}", stands(status))).collect();
            format!("connect {} to {address}{}{attempts}", session.0, if hello.leaving { ", leaving" } else { "" })
        }
        Effect::Disconnect(session) => format!("disconnect {}", session.0),
        Effect::Send(session, message) => format!("{}: {}", session.0, said(message)),
        Effect::Heartbeat(session, attempts) => {
            let attempts: Vec<_> = attempts.iter().map(|(job, attempt)| format!(" {job}/{attempt}")).collect();
            format!("{}: heartbeat{}", session.0, attempts.concat())
        }
        Effect::RememberCluster(cluster) => format!("remember {cluster}"),
        Effect::Open(deploy) => format!("open {}/{}", deploy.job, deploy.attempt),
        Effect::Start { job, attempt } => format!("start {job}/{attempt}"),
        Effect::Marker { job, attempt, marker } => format!("marker {job}/{attempt} {:?} {}", marker.kind, marker.epoch),
        Effect::Completed { job, attempt, epoch } => format!("completed {job}/{attempt} {epoch}"),
        Effect::Close { job, attempt } => format!("close {job}/{attempt}"),
        Effect::Commit { job, order } => format!("commit {job} at {}", order.checkpoint.epoch),
        Effect::Merge { job, attempt, checkpoint, .. } => format!("merge {job}/{attempt} at {}", checkpoint.epoch),
        Effect::Discard(leftovers) => format!("discard {}", leftovers.identity),
        Effect::Audit { id, .. } => format!("audit {id}"),
        Effect::CompareState { id, .. } => format!("compare state {id}"),
        Effect::Exit(ending) => format!("exit {ending:?}"),
    }
}

fn said(message: &FromWorker) -> String {
    let outcome = |ok: bool| if ok { "" } else { " failed" };
    match message {
        FromWorker::Hello(_) => "hello".into(),
        FromWorker::Heartbeat(_) => "heartbeat".into(),
        FromWorker::Status(status) => format!("status {}", stands(status)),
        FromWorker::Report(report) => {
            format!("report {}/{} {}{}", report.job, report.attempt, report.epoch, outcome(report.outcome.is_ok()))
        }
        FromWorker::Committed { job, epoch, result } => {
            format!("committed {job} at {epoch}{}", outcome(result.is_ok()))
        }
        FromWorker::Merged { job, attempt, epoch, merged } => {
            format!("merged {job}/{attempt} at {epoch}{}", outcome(merged.is_ok()))
        }
        FromWorker::StateCompared { id, misfits } => format!("state compared {id}{}", outcome(misfits.is_ok())),
        FromWorker::Audited { id, findings } => format!("audited {id}{}", outcome(findings.is_ok())),
        FromWorker::Leaving => "leaving".into(),
    }
}

fn stands(status: &AttemptStatus) -> String {
    let phase = match &status.phase {
        AttemptPhase::Failed(failure) => format!("Failed({:?})", failure.kind),
        phase => format!("{phase:?}"),
    };
    let exhausted = if status.exhausted { ", exhausted" } else { "" };
    format!("{}/{} {phase} at {}{exhausted}", status.job, status.attempt, status.last_epoch)
}

fn welcome(term: u64) -> ToWorker {
    ToWorker::Welcome(Welcome {
        cluster: "fox".into(),
        term,
        heartbeat_interval: Duration::from_millis(500),
        coordinators: Vec::new(),
    })
}

fn deploy(job: u64, attempt: u64, last_epoch: u64) -> ToWorker {
    deploy_on(7, job, attempt, last_epoch)
}

fn deploy_on(incarnation: u64, job: u64, attempt: u64, last_epoch: u64) -> ToWorker {
    let worker = PlacedWorker {
        worker: WorkerId("w1".into()),
        incarnation: Incarnation(incarnation),
        address: "127.0.0.1:1".into(),
    };
    ToWorker::Deploy(Arc::new(Deploy {
        job: JobId(job),
        identity: JobIdentity(job),
        attempt: Attempt(attempt),
        name: "job".into(),
        graph: Arc::new(JobGraph::default()),
        placement: Placement { workers: vec![worker], slots: vec![0] },
        storage: place(),
        restore: None,
        last_epoch: Epoch(last_epoch),
        batch_rows: 100,
        memory_budget: None,
        checkpoint_interval: None,
    }))
}

fn place() -> StoragePlace {
    StoragePlace { url: "file:///checkpoints".into() }
}

fn checkpoint(epoch: u64) -> CheckpointRef {
    CheckpointRef { epoch: Epoch(epoch), manifest: format!("checkpoints/{epoch}.json") }
}

fn start(job: u64, attempt: u64) -> ToWorker {
    ToWorker::Start { job: JobId(job), attempt: Attempt(attempt) }
}

fn marker_of(kind: MarkerKind, job: u64, attempt: u64, epoch: u64) -> ToWorker {
    ToWorker::Marker { job: JobId(job), attempt: Attempt(attempt), epoch: Epoch(epoch), kind }
}

fn marker(job: u64, attempt: u64, epoch: u64) -> ToWorker {
    marker_of(MarkerKind::Checkpoint, job, attempt, epoch)
}

fn completed(job: u64, attempt: u64, epoch: u64) -> ToWorker {
    ToWorker::Completed { job: JobId(job), attempt: Attempt(attempt), epoch: Epoch(epoch) }
}

fn cancel(job: u64, attempt: u64) -> ToWorker {
    ToWorker::Cancel { job: JobId(job), attempt: Attempt(attempt) }
}

fn commit(job: u64, epoch: u64) -> ToWorker {
    commit_in(Isolation::None, job, epoch)
}

fn commit_in(isolation: Isolation, job: u64, epoch: u64) -> ToWorker {
    ToWorker::Commit { job: JobId(job), storage: place(), checkpoint: checkpoint(epoch), isolation }
}

fn merge(job: u64, attempt: u64, epoch: u64) -> ToWorker {
    ToWorker::Merge { job: JobId(job), attempt: Attempt(attempt), storage: place(), checkpoint: checkpoint(epoch) }
}

fn reported(epoch: u64) -> EngineEvent {
    EngineEvent::Reported(EpochContent { epoch: Epoch(epoch), ..EpochContent::default() })
}

fn failure() -> Failure {
    Failure { kind: ErrorKind::Environment, report: "the disk is full".into(), peer_lost: false }
}

fn committed(job: u64, epoch: u64) -> Event {
    Event::Committed { job: JobId(job), epoch: Epoch(epoch), result: Ok(()) }
}

fn merged(job: u64, attempt: u64, epoch: u64) -> Event {
    Event::Merged { job: JobId(job), attempt: Attempt(attempt), epoch: Epoch(epoch), merged: Ok(Vec::new()) }
}
