//! Requests of clients: decided here, or passed on to whoever leads; once, because a second hop would only chase a leadership that is
//! moving, and the client asks again anyway.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::async_trait;
use weir_core::CoordinatorId;
use weir_proto::client::{Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use weir_proto::grpc::{Call, ClientHandler, ClusterChannel, Credentials};
use weir_proto::tls::Tls;

use super::super::{LeaderPlace, NodeHandle, introduction};
use super::GrpcConfig;

/// What is taken off a client's patience, so that an answer from here is there before it gives up.
const MARGIN: Duration = Duration::from_millis(100);

/// How long the node may take to say whether there is a majority.
const STANDING: Duration = Duration::from_millis(250);

/// Answers requests.
pub(super) struct Clients {
    tls: Option<Tls>,
    cluster: String,
    node: NodeHandle,
    longest: Duration,
    leader: LeaderChannel,
}

impl Clients {
    pub(super) fn new(node: NodeHandle, config: &GrpcConfig) -> Self {
        let leader = LeaderChannel {
            connect_timeout: config.connect_timeout,
            credentials: Credentials::of_process(config.tls.clone()),
            last: Mutex::new(None),
        };
        Self { tls: config.tls.clone(), cluster: config.cluster.clone(), node, longest: config.request_timeout, leader }
    }

    async fn decide(&self, caller: Caller, request: ClientRequest) -> Result<ClientResponse, ClientError> {
        let request = match request {
            ClientRequest::AddCoordinator { id, address, .. } => {
                // Nobody has this coordinator call others who may not add them.
                let asks = ClientRequest::AddCoordinator { id, address: address.clone(), log: 0 };
                self.node.client(caller.clone(), asks).await?;
                self.introduced(id, address).await?
            }
            other => other,
        };
        self.node.client(caller, request).await
    }

    /// A coordinator is added with the log that it writes, which it alone can tell.
    async fn introduced(&self, id: CoordinatorId, address: String) -> Result<ClientRequest, ClientError> {
        let invalid = |why: String| ClientError::new(ClientErrorKind::Invalid, why);
        let start_it =
            format!("start it first: `weir coordinator --id {id} --join --listen {address}`, with an empty folder");
        let introduced = introduction::ask(&self.cluster, &address, self.tls.as_ref()).await;
        // One that was just started listens in a moment, and its name may be known a moment later still: whoever asks asks again.
        let introduced = introduced.map_err(|error| {
            ClientError::new(ClientErrorKind::Unavailable, error.report()).with_help(start_it.clone())
        })?;
        if introduced.id != id {
            return Err(invalid(format!("at {address} is coordinator {}, not {id}", introduced.id)));
        }
        let ours = self.node.view().borrow().membership.member(id).is_some();
        if introduced.membership.is_some() && !ours {
            return Err(invalid(format!("the coordinator at {address} is a member of a cluster")).with_help(start_it));
        }
        Ok(ClientRequest::AddCoordinator { id, address, log: introduced.log.0 })
    }
}

#[async_trait]
impl ClientHandler for Clients {
    async fn handle(&self, request: ClientRequest, call: Call) -> Result<ClientResponse, ClientError> {
        let patience = call.timeout.unwrap_or(self.longest).min(self.longest);
        let patience = patience.saturating_sub(MARGIN.min(patience / 10));
        let is_read = request.is_read();
        let answer = match self.node.leader() {
            LeaderPlace::Here => {
                let answer = tokio::time::timeout(patience, self.decide(call.caller, request)).await;
                answer.unwrap_or_else(|_| {
                    Err(ClientError::new(ClientErrorKind::Unknown, "the coordinators did not agree in time"))
                })
            }
            LeaderPlace::There(address) if !call.forwarded => {
                self.leader.ask(&address, &request, &call, patience).await
            }
            LeaderPlace::There(_) => Err(no_leader("leadership is moving from one coordinator to another")),
            LeaderPlace::Unknown => {
                // One whose node is busy says less, and says it in time.
                match tokio::time::timeout(STANDING, self.node.standing()).await {
                    Ok(Some(standing)) => {
                        Err(no_leader(&format!("this coordinator answers, but none leads: {standing}")))
                    }
                    Ok(None) => Err(no_leader("this coordinator is shutting down")),
                    Err(_) => Err(no_leader("no coordinator leads just now")),
                }
            }
        };
        answer.map_err(|error| match error.kind {
            // There is nothing that could have been done.
            ClientErrorKind::Unknown if is_read => ClientError { kind: ClientErrorKind::Unavailable, ..error },
            _ => error,
        })
    }
}

fn no_leader(message: &str) -> ClientError {
    ClientError::new(ClientErrorKind::Unavailable, message)
        .with_help("it takes a second or two; if it lasts, see whether a majority of the coordinators runs")
}

/// The connection to the coordinator that leads. There is one leader at a time, so one is kept.
struct LeaderChannel {
    connect_timeout: Duration,
    credentials: Credentials,
    last: Mutex<Option<ClusterChannel>>,
}

impl LeaderChannel {
    async fn ask(
        &self,
        address: &str,
        request: &ClientRequest,
        call: &Call,
        patience: Duration,
    ) -> Result<ClientResponse, ClientError> {
        let begun = Instant::now();
        let channel = self.channel(address, patience).await?;
        let timeout = patience.saturating_sub(begun.elapsed());
        channel.pass_on(request, timeout, call).await
    }

    async fn channel(&self, address: &str, patience: Duration) -> Result<ClusterChannel, ClientError> {
        if let Some(channel) = self.last().as_ref().filter(|channel| channel.address() == address) {
            return Ok(channel.clone());
        }
        // Requests that come meanwhile connect too; the last one's connection stays.
        let channel = ClusterChannel::connect(address, self.connect_timeout.min(patience), &self.credentials).await?;
        *self.last() = Some(channel.clone());
        Ok(channel)
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<ClusterChannel>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
