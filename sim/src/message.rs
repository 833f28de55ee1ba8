//! What the network brings to a coordinator's process.

use weir_coordinator::leader::SessionId;
use weir_core::{CoordinatorId, Result};
use weir_proto::client::{ClientError, ClientRequest, ClientResponse};
use weir_proto::control::{FromWorker, Hello};
use weir_proto::peer::PeerMessage;

use crate::mailbox::Mailbox;

/// An answer to a client.
pub type Answer = Result<ClientResponse, ClientError>;

/// What reaches a coordinator.
pub enum Message {
    /// A peer's message.
    Peer(CoordinatorId, PeerMessage),
    /// A message to a peer was lost.
    PeerUnreachable(CoordinatorId),
    /// A peer's process has ended.
    PeerGone(CoordinatorId),
    /// A client's request, and where to answer.
    Client(ClientRequest, Mailbox<Answer>),
    /// A worker's hello.
    Connected(SessionId, Hello),
    /// A worker's message.
    Worker(SessionId, FromWorker),
    /// A worker's session is gone.
    Disconnected(SessionId),
}
