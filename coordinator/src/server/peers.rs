//! Carries consensus messages to the other coordinators: one task and one stream each. A message that does not get through is
//! lost, as consensus allows.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use weir_core::CoordinatorId;
use weir_proto::peer::peer_client::PeerClient;
use weir_proto::peer::{Envelope, PeerMessage};

use super::NodeHandle;
use crate::raft::Status;

/// Messages that may wait for a peer. More are of no use: consensus repeats itself.
const OUTBOX: usize = 1024;
/// Pause after a connection failed.
const RETRY: Duration = Duration::from_millis(100);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_millis(500);

/// The other coordinators.
pub struct Peers {
    cluster: String,
    handle: NodeHandle,
    links: BTreeMap<CoordinatorId, Link>,
}

struct Link {
    address: String,
    sender: mpsc::Sender<PeerMessage>,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peers {
    /// Nobody yet. Messages carry the name of the cluster.
    pub fn new(cluster: String, handle: NodeHandle) -> Self {
        Self { cluster, handle, links: BTreeMap::new() }
    }

    /// Who takes part has changed.
    pub fn members(&mut self, status: &Status) {
        let membership = &status.membership;
        let members: BTreeMap<CoordinatorId, &String> =
            membership.voters.iter().chain(&membership.learners).map(|(id, address)| (*id, address)).collect();
        self.links.retain(|id, link| members.get(id).is_some_and(|address| **address == link.address));
        for (id, address) in members {
            if id != status.id && !self.links.contains_key(&id) {
                let (sender, receiver) = mpsc::channel(OUTBOX);
                let link = Deliverer {
                    id,
                    address: address.clone(),
                    cluster: self.cluster.clone(),
                    handle: self.handle.clone(),
                };
                let task = tokio::spawn(link.run(receiver));
                self.links.insert(id, Link { address: address.clone(), sender, task });
            }
        }
    }

    /// Sends a message, if there is room for it.
    pub fn send(&self, to: CoordinatorId, message: PeerMessage) {
        if let Some(link) = self.links.get(&to) {
            let _ = link.sender.try_send(message);
        }
    }
}

/// Keeps a stream to one peer open.
struct Deliverer {
    id: CoordinatorId,
    address: String,
    cluster: String,
    handle: NodeHandle,
}

impl Deliverer {
    async fn run(self, mut messages: mpsc::Receiver<PeerMessage>) {
        while let Some(first) = messages.recv().await {
            if let Err(error) = self.deliver(first, &mut messages).await {
                tracing::debug!(peer = self.id.0, address = self.address, %error, "a coordinator cannot be reached");
                self.handle.peer_unreachable(self.id).await;
                tokio::time::sleep(RETRY).await;
                // What has waited meanwhile is old.
                while messages.try_recv().is_ok() {}
            }
        }
    }

    /// Delivers until the stream breaks.
    async fn deliver(
        &self,
        first: PeerMessage,
        messages: &mut mpsc::Receiver<PeerMessage>,
    ) -> Result<(), tonic::Status> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))
            .map_err(|error| tonic::Status::invalid_argument(error.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let mut client = PeerClient::new(channel);
        let (sender, receiver) = mpsc::channel(16);
        let envelope = |message| Envelope { cluster: self.cluster.clone(), message: Some(message) };
        let closed = || tonic::Status::unavailable("the stream was closed");
        sender.send(envelope(first)).await.map_err(|_| closed())?;
        let mut call = std::pin::pin!(client.deliver(ReceiverStream::new(receiver)));
        loop {
            tokio::select! {
                biased;
                ended = &mut call => return ended.and(Err(closed())),
                message = messages.recv() => match message {
                    Some(message) => {
                        tokio::select! {
                            biased;
                            ended = &mut call => return ended.and(Err(closed())),
                            sent = sender.send(envelope(message)) => sent.map_err(|_| closed())?,
                        }
                    }
                    None => return Ok(()),
                },
            }
        }
    }
}
