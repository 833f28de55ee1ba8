//! gRPC, so that nobody else has to know what is generated: services that turn calls into the plain types, and the calling sides.
//!
//! | service | serves | calls |
//! |---|---|---|
//! | `weir.client.v1.Cluster` | [`cluster_service`] with a [`ClientHandler`] | [`ClusterChannel`] |
//! | `weir.worker.v1.Workers` | [`workers_service`] with a [`WorkerHandler`] | [`WorkerLink`] |
//! | `weir.peer.v1.Peer` | [`peer`](crate::peer) as it is generated | the same |

mod channel;
mod cluster;
mod status;
#[cfg(test)]
mod tests;
mod token;
mod worker_link;
mod workers;

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

pub use crate::generated::client::v1::cluster_server::ClusterServer;
pub use crate::generated::worker::v1::workers_server::WorkersServer;
pub use channel::{CallOptions, ClusterChannel};
pub use cluster::{Call, ClientHandler, ClusterService, cluster_service};
pub use status::{from_status, to_status};
pub use token::TokenSource;
pub use worker_link::{LinkOptions, WorkerLink};
pub use workers::{WorkerHandler, WorkerMessages, WorkersService, workers_service};

use crate::client::{ClientError, ClientErrorKind};
use crate::tls::{CertificateRole, Connector, NEEDS_TLS, Tls, TlsProblem};

/// Room for the details of an error among the headers of an answer; HTTP/2 libraries take less if not told.
const HEADER_BYTES: u32 = 64 << 10;

/// How who calls proves who it is, and makes sure that the other side is who it should be.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Without, connections are plain.
    pub tls: Option<Tls>,
    /// What a client shows that has no certificate of its own.
    pub token: Option<TokenSource>,
}

impl Credentials {
    /// Of a process.
    pub fn of_process(tls: Option<Tls>) -> Self {
        Self { tls, token: None }
    }

    /// A token is not shown to whoever listens on the way.
    fn check(&self, address: &str) -> Result<(), ClientError> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host.eq_ignore_ascii_case("localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        if self.token.is_none() || self.tls.is_some() || is_here {
            return Ok(());
        }
        let message = format!("a token is not sent to {address} without TLS: others could read it on the way");
        Err(ClientError::new(ClientErrorKind::Invalid, message)
            .with_help("name the certificate of the cluster's CA with --tls-ca or in WEIR_TLS_CA"))
    }
}

/// Connects to a coordinator.
///
/// # Errors
/// If nobody answers there, or somebody who is no coordinator.
pub async fn connect(endpoint: &Endpoint, tls: Option<&Tls>) -> Result<Channel, tonic::transport::Error> {
    match tls {
        None => endpoint.connect().await,
        Some(tls) => {
            let connector = Connector { tls: tls.clone(), role: CertificateRole::Coordinator };
            endpoint.connect_with_connector(connector).await
        }
    }
}

/// Where a coordinator is, as gRPC wants it.
fn endpoint(address: &str, connect_timeout: Duration) -> Result<Endpoint, ClientError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok().filter(|endpoint| {
        let uri = endpoint.uri();
        uri.host().is_some_and(|host| !host.is_empty()) && uri.port_u16().is_some() && uri.path() == "/"
    });
    let endpoint = endpoint.ok_or_else(|| {
        ClientError::new(ClientErrorKind::Invalid, format!("'{address}' is no address of a coordinator"))
            .with_help("write it as host:port")
    })?;
    Ok(endpoint.connect_timeout(connect_timeout).tcp_nodelay(true).http2_max_header_list_size(HEADER_BYTES))
}

/// Nobody answers there: nothing has been asked yet.
fn unreachable(address: &str, error: &(dyn std::error::Error + 'static)) -> ClientError {
    about_tls(address, error).unwrap_or_else(|| {
        let why = innermost(error);
        ClientError::new(ClientErrorKind::Unavailable, format!("no coordinator answers at {address}: {why}"))
    })
}

/// What an error comes to that is about TLS: to ask again would change nothing.
fn about_tls(address: &str, error: &(dyn std::error::Error + 'static)) -> Option<ClientError> {
    if innermost(error).contains(NEEDS_TLS) {
        let message = format!("the coordinator at {address} speaks TLS only");
        return Some(
            ClientError::new(ClientErrorKind::Invalid, message)
                .with_help("name the certificate of the cluster's CA with --tls-ca or in WEIR_TLS_CA"),
        );
    }
    let problem = TlsProblem::find(error)?;
    let message = format!("no TLS connection to the coordinator at {address}: {problem}");
    Some(
        ClientError::new(ClientErrorKind::Invalid, message)
            .with_help("see --tls-ca, --tls-cert and --tls-key; `weir cluster init-security` renews certificates"),
    )
}

/// The error at the end of the chain, which is the one that says something ("connection refused").
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
