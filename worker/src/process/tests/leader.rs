//! A leader that does what the test says.

#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use weir_core::plugin::Isolation;
use weir_core::{Attempt, Epoch, JobId, MarkerKind};
use weir_proto::control::{
    AttemptPhase, AttemptStatus, CheckpointRef, Deploy, FromWorker, Heartbeat, Hello, Report, StoragePlace, ToWorker,
    Welcome,
};
use weir_proto::grpc::{WorkerHandler, WorkerMessages, workers_service};
use weir_state::{EpochContent, FolderStorages, Manifest, ManifestHeader, Storages, layout};

/// Longer than anything here takes; a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A coordinator. Dropping it is its death.
pub struct Leader {
    pub address: String,
    visits: mpsc::Receiver<Line>,
    server: JoinHandle<()>,
}

/// A worker's connection.
pub struct Line {
    pub hello: Hello,
    incoming: WorkerMessages,
    outgoing: mpsc::Sender<ToWorker>,
}

struct Door(mpsc::Sender<Line>);

#[async_trait]
impl WorkerHandler for Door {
    async fn attached(&self, hello: Hello, messages: WorkerMessages) -> mpsc::Receiver<ToWorker> {
        let (outgoing, receiver) = mpsc::channel(64);
        let _ = self.0.send(Line { hello, incoming: messages, outgoing }).await;
        receiver
    }
}

impl Leader {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (door, visits) = mpsc::channel(4);
        let service = workers_service(Arc::new(Door(door)));
        let server = tonic::transport::Server::builder().add_service(service);
        let server = server.serve_with_incoming(TcpIncoming::from(listener));
        Self { address, visits, server: tokio::spawn(async move { drop(server.await) }) }
    }

    /// The next worker that comes.
    pub async fn visit(&mut self) -> Line {
        within(self.visits.recv()).await.expect("the server runs")
    }

    /// The next worker that comes, welcomed.
    pub async fn welcome(&mut self, term: u64) -> Line {
        let line = self.visit().await;
        let heartbeat_interval = Duration::from_millis(20);
        line.say(ToWorker::Welcome(Welcome {
            cluster: "fox".into(),
            term,
            heartbeat_interval,
            coordinators: Vec::new(),
        }))
        .await;
        line
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Line {
    pub async fn say(&self, message: ToWorker) {
        self.outgoing.send(message).await.expect("the worker is there");
    }

    async fn any(&mut self) -> FromWorker {
        self.incoming.next().await.unwrap().expect("the worker is there")
    }

    /// The first message of which `take` makes something; the others are passed over.
    async fn first<T>(&mut self, take: impl Fn(FromWorker) -> Option<T>) -> T {
        within(async {
            loop {
                if let Some(taken) = take(self.any().await) {
                    return taken;
                }
            }
        })
        .await
    }

    /// The next message that is no heartbeat.
    pub async fn hear(&mut self) -> FromWorker {
        self.first(|message| (!matches!(message, FromWorker::Heartbeat(_))).then_some(message)).await
    }

    pub async fn heartbeat(&mut self) -> Heartbeat {
        self.first(|message| match message {
            FromWorker::Heartbeat(heartbeat) => Some(heartbeat),
            _ => None,
        })
        .await
    }

    pub async fn status(&mut self) -> AttemptStatus {
        match self.hear().await {
            FromWorker::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub async fn report(&mut self) -> Report {
        match self.hear().await {
            FromWorker::Report(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Deploys and starts.
    pub async fn run(&mut self, deploy: Deploy) {
        let Deploy { job, attempt, .. } = deploy;
        self.say(ToWorker::Deploy(Arc::new(deploy))).await;
        assert_eq!(self.status().await.phase, AttemptPhase::Ready);
        self.say(ToWorker::Start { job, attempt }).await;
        assert_eq!(self.status().await.phase, AttemptPhase::Running);
    }

    pub async fn marker(&self, attempt: u64, epoch: u64, kind: MarkerKind) {
        self.say(ToWorker::Marker { job: JobId(1), attempt: Attempt(attempt), epoch: Epoch(epoch), kind }).await;
    }

    /// Has a checkpoint committed.
    pub async fn commit(&mut self, storage: &StoragePlace, checkpoint: &CheckpointRef) {
        let (storage, checkpoint) = (storage.clone(), checkpoint.clone());
        let isolation = Isolation::None;
        self.say(ToWorker::Commit { job: JobId(1), storage, checkpoint, isolation }).await;
        match self.hear().await {
            FromWorker::Committed { result: Ok(()), .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Writes the manifest of a checkpoint that one worker has reported.
pub fn complete(storage: &StoragePlace, previous: Option<&Manifest>, report: Report) -> (Manifest, CheckpointRef) {
    let content: EpochContent = report.outcome.unwrap();
    let header = ManifestHeader {
        job: "1".into(),
        identity: Default::default(),
        epoch: report.epoch,
        attempt: report.attempt,
        savepoint: false,
        finished: false,
        parallelism: 2,
        places: Default::default(),
    };
    let manifest = Manifest::with_contents(previous, header, &[content]);
    let path = layout::manifest_of_term(report.epoch, report.attempt, 1);
    FolderStorages.open(&storage.url).unwrap().put(&path, &manifest.to_bytes().unwrap()).unwrap();
    (manifest, CheckpointRef { epoch: report.epoch, manifest: path })
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}
