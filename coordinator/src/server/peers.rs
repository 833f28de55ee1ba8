//! Carries consensus messages to the other coordinators: one task and one stream each. A message that does not get through is
//! lost, as consensus allows.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Endpoint;
use weir_core::CoordinatorId;
use weir_proto::grpc;
use weir_proto::peer::peer_client::PeerClient;
use weir_proto::peer::{Envelope, PeerMessage};
use weir_proto::tls::{Tls, TlsProblem};

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
    /// Where this coordinator is reached.
    address: String,
    tls: Option<Tls>,
    handle: NodeHandle,
    links: BTreeMap<CoordinatorId, Link>,
    /// Whether the membership is known. Until then whoever writes is answered.
    member: bool,
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
    /// Nobody yet. Messages carry the name of the cluster, and where they are answered.
    pub fn new(cluster: String, address: String, tls: Option<Tls>, handle: NodeHandle) -> Self {
        Self { cluster, address, tls, handle, links: BTreeMap::new(), member: false }
    }

    /// Who takes part has changed.
    pub fn members(&mut self, status: &Status) {
        let members: BTreeMap<CoordinatorId, &String> =
            status.membership.members().map(|(id, member)| (id, &member.address)).collect();
        self.member = members.contains_key(&status.id);
        if members.is_empty() {
            return;
        }
        self.links.retain(|id, link| members.get(id).is_some_and(|address| **address == link.address));
        for (id, address) in members {
            if id != status.id {
                self.link(id, address.clone());
            }
        }
    }

    /// A coordinator has written, and is reached there. One that is being added to a cluster hears of the others so.
    pub fn heard_of(&mut self, id: CoordinatorId, address: String) {
        if !self.member && !address.is_empty() {
            self.links.retain(|known, link| *known != id || link.address == address);
            self.link(id, address);
        }
    }

    fn link(&mut self, id: CoordinatorId, address: String) {
        if self.links.contains_key(&id) {
            return;
        }
        let (sender, receiver) = mpsc::channel(OUTBOX);
        let deliverer = Deliverer {
            id,
            address: address.clone(),
            own_address: self.address.clone(),
            cluster: self.cluster.clone(),
            tls: self.tls.clone(),
            handle: self.handle.clone(),
        };
        #[expect(clippy::disallowed_methods, reason = "the link owns it: dropping the link aborts it")]
        let task = tokio::spawn(deliverer.run(receiver));
        self.links.insert(id, Link { address, sender, task });
    }

    /// Sends a message, if there is room for it.
    pub fn send(&self, to: CoordinatorId, message: PeerMessage) {
        if let Some(link) = self.links.get(&to) {
            let _ = link.sender.try_send(message);
        }
    }
}

/// Why a stream to a peer broke.
enum Broken {
    /// It never came about.
    Never(String),
    /// It does not speak TLS, or not with certificates that this side takes.
    Mistrusted(String),
    /// It ended: the peer's process has too, or it does not want to hear this coordinator.
    Ended(tonic::Status),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never(why) | Self::Mistrusted(why) => f.write_str(why),
            Self::Ended(status) => status.fmt(f),
        }
    }
}

/// Keeps a stream to one peer open.
struct Deliverer {
    id: CoordinatorId,
    address: String,
    own_address: String,
    cluster: String,
    tls: Option<Tls>,
    handle: NodeHandle,
}

impl Deliverer {
    async fn run(self, mut messages: mpsc::Receiver<PeerMessage>) {
        // A person has to mend that: it is said once, and again when something else is wrong.
        let mut said = None;
        while let Some(first) = messages.recv().await {
            if let Err(broken) = self.deliver(first, &mut messages).await {
                tracing::debug!(peer = self.id.0, address = self.address, %broken, "a coordinator cannot be reached");
                let problem = match &broken {
                    Broken::Mistrusted(problem) => Some(problem.clone()),
                    Broken::Ended(status) => TlsProblem::find(status),
                    Broken::Never(_) => None,
                };
                if problem.is_some() && problem != said {
                    let problem = problem.clone();
                    tracing::warn!(
                        peer = self.id.0,
                        address = self.address,
                        problem,
                        "no TLS connection to a coordinator"
                    );
                }
                said = problem;
                match broken {
                    Broken::Never(_) | Broken::Mistrusted(_) => self.handle.peer_unreachable(self.id).await,
                    Broken::Ended(status) if status.code() == Code::PermissionDenied => {
                        self.handle.removed_by(self.id).await;
                    }
                    Broken::Ended(_) => self.handle.peer_gone(self.id).await,
                }
                #[expect(clippy::disallowed_methods, reason = "a pause between two tries to connect")]
                tokio::time::sleep(RETRY).await;
                // What has waited meanwhile is old.
                while messages.try_recv().is_ok() {}
            }
        }
    }

    /// Delivers until the stream breaks.
    async fn deliver(&self, first: PeerMessage, messages: &mut mpsc::Receiver<PeerMessage>) -> Result<(), Broken> {
        let never = |error: tonic::transport::Error| match TlsProblem::find(&error) {
            Some(problem) => Broken::Mistrusted(problem),
            None => Broken::Never(error.to_string()),
        };
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))
            .map_err(never)?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        let channel = grpc::connect(&endpoint, self.tls.as_ref()).await.map_err(never)?;
        let mut client = PeerClient::new(channel);
        let (sender, receiver) = mpsc::channel(16);
        let envelope = |message| Envelope {
            cluster: self.cluster.clone(),
            message: Some(message),
            address: self.own_address.clone(),
        };
        let closed = || Broken::Ended(tonic::Status::unavailable("the stream was closed"));
        let ended = |call: Result<_, tonic::Status>| call.map_err(Broken::Ended).and(Err(closed()));
        sender.send(envelope(first)).await.map_err(|_| closed())?;
        let mut call = std::pin::pin!(client.deliver(ReceiverStream::new(receiver)));
        loop {
            tokio::select! {
                biased;
                call = &mut call => return ended(call),
                message = messages.recv() => match message {
                    Some(message) => {
                        tokio::select! {
                            biased;
                            call = &mut call => return ended(call),
                            sent = sender.send(envelope(message)) => sent.map_err(|_| closed())?,
                        }
                    }
                    None => return Ok(()),
                },
            }
        }
    }
}
