//! The HTTP port of a process, on which operators' tools ask it how it does.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use weir_core::Result;
use weir_monitoring::{Monitor, Observed, listen, serve};

use super::check_reachability;

/// Where a coordinator is asked if nothing is said.
pub const COORDINATOR: SocketAddr = usual(9420);
/// Where a worker is.
pub const WORKER: SocketAddr = usual(9421);

const fn usual(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

/// What to do about an address that others reach.
const SAY_SO: &str =
    "serve metrics and health on 127.0.0.1, or add --http-insecure if everybody who reaches the address may see them";

/// Where a process of a cluster is asked how it does.
#[derive(Debug, Clone, Default, Args)]
pub struct HttpArguments {
    /// Where metrics and health are served over HTTP: /metrics, /health/live, /health/ready. If not given 127.0.0.1:9420 for a
    /// coordinator and for `weir local`, 127.0.0.1:9421 for a worker, or a free port where that is taken; the log says which.
    #[arg(long, env = "WEIR_HTTP_LISTEN", value_name = "ADDRESS:PORT")]
    pub http_listen: Option<SocketAddr>,

    /// Serve them on an address that other machines reach, such as the pod's or a private network's: they tell names of jobs and how these
    /// do, to everybody who asks, over plain HTTP.
    #[arg(long)]
    pub http_insecure: bool,
}

/// An open HTTP port.
pub struct HttpPort {
    listener: TcpListener,
}

impl HttpArguments {
    /// Opens the port; `usual` is where it is if the user has not said.
    ///
    /// # Errors
    /// If the address cannot be had, or must not be used.
    pub async fn open(&self, usual: SocketAddr, insecure: bool) -> Result<HttpPort> {
        if let Some(address) = self.http_listen {
            check_reachability(address, insecure || self.http_insecure, SAY_SO)?;
        }
        let (listener, _) = listen(self.http_listen, usual).await?;
        Ok(HttpPort { listener })
    }
}

impl HttpPort {
    /// Serves what these parts of the process tell, until the future is dropped.
    ///
    /// # Errors
    /// If the port cannot be served any more.
    pub async fn serve(self, parts: Vec<Arc<dyn Observed>>) -> Result<()> {
        serve(self.listener, Monitor::new(parts)).await
    }
}
