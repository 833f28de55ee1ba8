//! The port as clients, workers, peers and strangers meet it: over real connections on the loopback. The node behind it is played
//! by the test, which owns its inbox.
#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime")]
#![allow(clippy::unwrap_used)]

mod clients;
mod others;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use weir_core::{CoordinatorId, Result};
use weir_proto::client::{ClientError, ClientRequest, ClientResponse};
use weir_proto::grpc::{CallOptions, ClusterChannel, Credentials};

use super::{GrpcConfig, serve};
use crate::raft::{LogId, Member, Membership, Role, Status};
use crate::server::{Message, NodeHandle};

const SOON: Duration = Duration::from_secs(20);
const CALL: CallOptions = CallOptions { timeout: SOON, forwarded: false };

/// A coordinator whose decisions the test takes.
struct Coordinator {
    address: SocketAddr,
    inbox: mpsc::Receiver<Message>,
    view: watch::Sender<Status>,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<()>>,
}

impl Coordinator {
    /// One that leads.
    async fn start() -> Self {
        Self::with(GrpcConfig::new("weir-test", LogId(7))).await
    }

    async fn with(config: GrpcConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (view, seen) = watch::channel(Status {
            id: CoordinatorId(1),
            role: Role::Leader,
            term: 1,
            leader: Some(CoordinatorId(1)),
            commit: 0,
            applied: 0,
            membership: Membership::default(),
            matched: BTreeMap::new(),
        });
        let (sender, inbox) = mpsc::channel(16);
        let node = NodeHandle::new(sender, seen);
        let (shutdown, told) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, node, config, None, async {
            let _ = told.await;
        }));
        Self { address, inbox, view, shutdown: Some(shutdown), server }
    }

    /// From now on coordinator 2 leads, and is at this address.
    fn follows(&self, leader: SocketAddr) {
        self.view.send_modify(|view| {
            view.leader = Some(CoordinatorId(2));
            let member = Member { address: leader.to_string(), log: LogId(0) };
            view.membership.voters.insert(CoordinatorId(2), member);
        });
    }

    async fn channel(&self) -> ClusterChannel {
        ClusterChannel::connect(&self.address.to_string(), SOON, &Credentials::default()).await.unwrap()
    }

    /// The next message to the node.
    async fn next(&mut self) -> Message {
        tokio::time::timeout(SOON, self.inbox.recv()).await.unwrap().unwrap()
    }

    /// Answers the next request, which is returned.
    async fn answer(&mut self, answer: Result<ClientResponse, ClientError>) -> ClientRequest {
        match self.next().await {
            Message::Client(_, _, request, reply) => {
                reply.send(answer).unwrap();
                request
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
