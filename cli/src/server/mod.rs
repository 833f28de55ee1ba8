//! The parts of a cluster as processes: `weir coordinator`, `weir worker`, and `weir local`, which is both in one.

mod allow;
pub mod coordinator;
pub mod http;
pub mod local;
mod oidc;
pub mod otlp;
pub mod recover;
mod scripts;
pub mod worker;
pub mod workforce;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use weir_api::{Hosts, Serving};
use weir_core::{ConnectorRegistry, Error, Result};
use weir_monitoring::Spans;
use weir_worker::allowed::{Allowed, Limited};
use weir_worker::results::ResultFiles;

use self::scripts::Planner;
use crate::clock::wall_millis;
use crate::random::secret;

/// What to do where the user can say that it is all right.
const SAY_SO: &str = "use TLS: `weir cluster init-security` makes certificates; or listen on 127.0.0.1, or add --insecure if the network is trusted";

/// Without TLS and tokens, only this machine may talk to us, unless the user says that it is all right.
///
/// # Errors
/// If the address can be reached from elsewhere, and it is neither `protected` nor said that it need not be.
pub fn check_reachability(address: SocketAddr, protected: bool, help: &str) -> Result<()> {
    if address.ip().is_loopback() || protected {
        return Ok(());
    }
    Err(Error::user(format!(
        "{address} can be reached from other machines, and nothing here is encrypted or authenticated"
    ))
    .with_help(help))
}

/// Listens, and says where: port 0 is whichever is free.
///
/// # Errors
/// If the address cannot be had.
async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = weir_coordinator::server::listen(address).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::environment(format!("cannot find out where {address} is")).with_source(error))?;
    Ok((listener, address))
}

/// The connectors of a worker: beside those for users, the one behind a bare `SELECT`.
fn connectors() -> Arc<dyn ConnectorRegistry> {
    Arc::new(crate::connectors::builtin().with(ResultFiles::default()))
}

/// The REST API of a coordinator that listens there; it plans what it is sent with the workers' connectors, whose tables reach what is allowed.
fn api(listens: SocketAddr, encrypted: bool, allowed: Allowed, spans: Spans) -> weir_coordinator::server::Api {
    let scripts = Arc::new(Planner { connectors: Limited::over(connectors(), allowed) });
    let hosts = if listens.ip().is_loopback() { Hosts::Local } else { Hosts::Any };
    let serving = Serving { scripts, hosts, encrypted, secret, spans, wall_clock: wall_millis };
    Arc::new(move |cluster| weir_api::router(cluster, serving.clone()))
}
