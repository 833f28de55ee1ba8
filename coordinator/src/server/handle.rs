//! How everything else in the process reaches the node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};
use weir_core::CoordinatorId;
use weir_monitoring::Samples;
use weir_proto::client::{Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use weir_proto::control::{FromWorker, Hello, ToWorker};
use weir_proto::peer::PeerMessage;

use crate::leader::SessionId;
use crate::node::RequestId;
use crate::raft::Status;

/// Messages that may wait for the node.
pub const INBOX: usize = 4096;
/// Messages that may wait for a worker. One that does not take them is cut off, and comes again.
const OUTBOX: usize = 1024;

/// What the node is told from outside its loop.
#[derive(Debug)]
pub enum Message {
    /// A client wants something.
    Client(RequestId, Caller, ClientRequest, oneshot::Sender<Result<ClientResponse, ClientError>>),
    /// A peer has sent something, and where it is reached.
    Peer(CoordinatorId, PeerMessage, String),
    /// Nothing gets through to a peer.
    PeerUnreachable(CoordinatorId),
    /// A connection to a peer has ended: its process has too, most likely.
    PeerGone(CoordinatorId),
    /// A peer says that this coordinator was removed.
    RemovedBy(CoordinatorId),
    /// A worker has connected.
    Connected(SessionId, Hello, mpsc::Sender<ToWorker>),
    /// A worker has said something.
    Worker(SessionId, FromWorker),
    /// A worker's connection is gone.
    Disconnected(SessionId),
    /// Storage has done what it was asked.
    Stored(crate::leader::OperationId, crate::leader::StorageOutcome),
    /// Somebody wants to know how things stand.
    Figures(oneshot::Sender<Samples>),
    /// Somebody wants to know whether there is a majority.
    Standing(oneshot::Sender<String>),
    /// The process is about to end.
    Leaving,
}

/// Who leads, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderPlace {
    /// This node.
    Here,
    /// Another one, at this address.
    There(String),
    /// Nobody, as far as is known.
    Unknown,
}

/// Reaches the node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    inbox: mpsc::Sender<Message>,
    view: watch::Receiver<Status>,
    next: Arc<AtomicU64>,
}

impl NodeHandle {
    /// A handle on whoever reads the inbox.
    pub fn new(inbox: mpsc::Sender<Message>, view: watch::Receiver<Status>) -> Self {
        Self { inbox, view, next: Arc::new(AtomicU64::new(1)) }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks for something, and waits until it is decided. Dropping the future loses the answer, not the request.
    ///
    /// # Errors
    /// If it is refused, or cannot be decided here.
    pub async fn client(&self, caller: Caller, request: ClientRequest) -> Result<ClientResponse, ClientError> {
        let gone = |_| ClientError::new(ClientErrorKind::Unavailable, "this coordinator is shutting down");
        let (reply, answer) = oneshot::channel();
        let id = RequestId(self.number());
        self.inbox.send(Message::Client(id, caller, request, reply)).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| {
            ClientError::new(ClientErrorKind::Unknown, "the coordinator went away while the request was under way")
        })?
    }

    /// Who leads.
    pub fn leader(&self) -> LeaderPlace {
        let view = self.view.borrow();
        match view.leader {
            Some(leader) if leader == view.id => LeaderPlace::Here,
            Some(leader) => {
                view.membership.address(leader).map_or(LeaderPlace::Unknown, |at| LeaderPlace::There(at.to_owned()))
            }
            None => LeaderPlace::Unknown,
        }
    }

    /// How the node sees the others.
    pub fn view(&self) -> watch::Receiver<Status> {
        self.view.clone()
    }

    /// How things stand; `None` if the node is gone.
    pub async fn figures(&self) -> Option<Samples> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Message::Figures(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Whether those that this coordinator hears of are a majority, for people; `None` if the node is gone. It is the node's loop that
    /// answers, when it comes to it.
    pub async fn standing(&self) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Message::Standing(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Hands over a peer's message, which is answered at `address`. When the node is behind, it waits.
    pub async fn peer(&self, from: CoordinatorId, message: PeerMessage, address: String) {
        // A node that is gone needs no messages, here and below.
        let _ = self.inbox.send(Message::Peer(from, message, address)).await;
    }

    /// Tells that nothing gets through to a peer.
    pub async fn peer_unreachable(&self, peer: CoordinatorId) {
        let _ = self.inbox.send(Message::PeerUnreachable(peer)).await;
    }

    /// Tells that a connection to a peer has ended.
    pub async fn peer_gone(&self, peer: CoordinatorId) {
        let _ = self.inbox.send(Message::PeerGone(peer)).await;
    }

    /// Tells that a peer says that this coordinator was removed.
    pub async fn removed_by(&self, peer: CoordinatorId) {
        let _ = self.inbox.send(Message::RemovedBy(peer)).await;
    }

    /// A worker's connection has begun. What the receiver yields is to be sent to it; when it ends, the connection is to be
    /// closed.
    pub async fn connect(&self, hello: Hello) -> (SessionId, mpsc::Receiver<ToWorker>) {
        let session = SessionId(self.number());
        let (sender, receiver) = mpsc::channel(OUTBOX);
        let _ = self.inbox.send(Message::Connected(session, hello, sender)).await;
        (session, receiver)
    }

    /// Hands over a worker's message.
    pub async fn worker(&self, session: SessionId, message: FromWorker) {
        let _ = self.inbox.send(Message::Worker(session, message)).await;
    }

    /// A worker's connection is gone.
    pub async fn disconnected(&self, session: SessionId) {
        let _ = self.inbox.send(Message::Disconnected(session)).await;
    }

    /// Gives leadership away, if this node has it, before the process ends.
    pub async fn leave(&self) {
        let _ = self.inbox.send(Message::Leaving).await;
    }
}
