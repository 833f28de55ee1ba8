//! The coordinator's port: clients, workers and peers come in here, by gRPC, and clients by HTTP too.
//!
//! ```text
//!   accept ─▶ Connection (limits, TLS) ─▶ HTTP ─▶ gate ─┬─▶ weir.client.v1.Cluster ──▶ here, or on to the leader
//!                                                       ├─▶ /api/v1/… (Api) ─────────▶ the same
//!                                                       ├─▶ weir.worker.v1.Workers ──▶ a session of the node
//!                                                       └─▶ weir.peer.v1.Peer ───────▶ the node
//! ```
//!
//! Nothing that comes over one connection can disturb another: each has a limit for what it may hold, and one that does not speak
//! HTTP is cut. gRPC is HTTP/2; the API takes HTTP/1.1 too.

mod clients;
mod connection;
mod gate;
mod peers;
#[cfg(test)]
mod tests;
mod workers;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::transport::Server;
use weir_core::{Error, Result};
use weir_proto::client::Authenticator;
use weir_proto::grpc::{ClientHandler, cluster_service, workers_service};
use weir_proto::limits;
use weir_proto::peer::peer_server::PeerServer;
use weir_proto::tls::Tls;

use self::clients::Clients;
use self::connection::{Doorway, accept};
use self::gate::Gate;
use self::peers::Peers;
use self::workers::WorkerSessions;
use super::NodeHandle;
use super::audit::Audit;
use crate::raft::LogId;

/// What one stream, and one connection, may have under way unread: enough for a state of a few MiB to come in one go.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Limits of the port.
#[derive(Clone)]
pub struct GrpcConfig {
    /// The cluster that peers have to be of.
    pub cluster: String,
    /// The log that this coordinator writes.
    pub log: LogId,
    /// Connections at a time; more are closed as they come.
    pub max_connections: usize,
    /// Calls at a time on one connection; more wait.
    pub calls_per_connection: u32,
    /// How long a connection may take for its HTTP/2 handshake.
    pub handshake_timeout: Duration,
    /// How long nothing may be sent over a connection of HTTP/1: longer than any request may take, and than events say nothing.
    pub silence: Duration,
    /// How often the other end is asked whether it is alive, and how long it has for the answer.
    pub keep_alive: Duration,
    /// The longest that a client can make this coordinator wait, whatever it asks for.
    pub request_timeout: Duration,
    /// How long connecting to the leader may take when a request is passed on.
    pub connect_timeout: Duration,
    /// How long calls under way have to end when the server is shut down.
    pub shutdown_grace: Duration,
    /// Connections at a time from one address of another machine.
    pub connections_per_address: usize,
    /// Connections at a time from each of this machine's own addresses, which its processes share.
    pub connections_per_own_address: usize,
    /// Certificates; without, connections are plain.
    pub tls: Option<Tls>,
    /// Where it is written who was not let in.
    pub audit: Audit,
    /// Who knows tokens that the cluster has not made, if anybody does.
    pub issuer: Option<Arc<dyn Authenticator>>,
    /// Milliseconds since 1970.
    pub wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl GrpcConfig {
    /// Limits that suit any cluster.
    pub fn new(cluster: impl Into<String>, log: LogId) -> Self {
        Self {
            cluster: cluster.into(),
            log,
            max_connections: 4096,
            calls_per_connection: 128,
            handshake_timeout: Duration::from_secs(10),
            silence: Duration::from_secs(120),
            keep_alive: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            shutdown_grace: Duration::from_secs(2),
            connections_per_address: 512,
            connections_per_own_address: 4096,
            tls: None,
            audit: Audit::nowhere(),
            issuer: None,
            wall_clock: Arc::new(|| 0),
        }
    }
}

/// Routes that are served beside gRPC, made of whoever answers requests.
pub type Api = Arc<dyn Fn(Arc<dyn ClientHandler>) -> axum::Router + Send + Sync>;

/// Serves until `shutdown` resolves; then calls under way get some time, and all connections are closed. Dropping the future
/// closes them at once.
///
/// # Errors
/// If the server cannot go on.
pub async fn serve(
    listener: TcpListener,
    node: NodeHandle,
    config: GrpcConfig,
    api: Option<&Api>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    // Connections live as long as the sender.
    let (alive, over) = watch::channel(());
    let incoming = accept(listener, Doorway::new(&config, over));
    let clients: Arc<dyn ClientHandler> = Arc::new(Clients::new(node.clone(), &config));
    let api = api.map_or_else(axum::Router::new, |api| api(clients.clone()));
    let workers = Arc::new(WorkerSessions::new(node.clone()));
    let gate = Arc::new(Gate {
        secure: config.tls.is_some(),
        audit: config.audit.clone(),
        issuer: config.issuer.clone(),
        wall_clock: config.wall_clock.clone(),
    });
    let peers = Peers { cluster: config.cluster, log: config.log, node };
    let routes = Routes::from(api)
        .add_service(cluster_service(clients))
        .add_service(workers_service(workers.clone()))
        .add_service(PeerServer::new(peers).max_decoding_message_size(limits::PEER_MESSAGE))
        .into_axum_router()
        .layer(axum::middleware::from_fn_with_state(gate, gate::pass));
    let (stopping, stopped) = watch::channel(false);
    let server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(config.calls_per_connection)
        .http2_keepalive_interval(Some(config.keep_alive))
        .http2_keepalive_timeout(Some(config.keep_alive))
        .tcp_nodelay(true)
        .accept_http1(true)
        .add_routes(Routes::from(routes))
        .serve_with_incoming_shutdown(incoming, async {
            shutdown.await;
            stopping.send_replace(true);
        });
    let grace = async {
        let mut stopped = stopped;
        // An error would mean that the server has ended.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        #[expect(clippy::disallowed_methods, reason = "a deadline that begins when the server is told to stop")]
        tokio::time::sleep(config.shutdown_grace).await;
    };
    let outcome = tokio::select! {
        outcome = server => outcome,
        // Streams of workers and peers do not end by themselves.
        () = grace => Ok(()),
    };
    drop(alive);
    // A node that takes nothing any more is no reason to stay.
    let _ = tokio::time::timeout(config.shutdown_grace, workers.ended()).await;
    outcome.map_err(|error| Error::environment("the gRPC server cannot go on").with_source(error))
}
