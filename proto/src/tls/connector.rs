//! TLS under gRPC's calling side.

use std::io;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::codegen::{Service, http::Uri};

use super::{CertificateRole, Stream, Tls};

/// Connects to processes of a role.
#[derive(Debug, Clone)]
pub struct Connector {
    /// With which certificates.
    pub tls: Tls,
    /// Whom the other side has to be.
    pub role: CertificateRole,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { tls, role } = self.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or_default())).await?;
            tcp.set_nodelay(true)?;
            tls.connect(tcp, role).await.map(TokioIo::new)
        })
    }
}
