//! Where the process is asked.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use weir_core::{Error, Result};

/// Listens at `wanted`, which has to be had; or at the `usual` place, and if that is taken, at another port of the same address.
///
/// # Errors
/// If it cannot listen there.
pub async fn listen(wanted: Option<SocketAddr>, usual: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let listener = match wanted {
        Some(address) => bind(address).await?,
        None => match bind(usual).await {
            Ok(listener) => listener,
            Err(_) => bind(SocketAddr::new(usual.ip(), 0)).await?,
        },
    };
    let address =
        listener.local_addr().map_err(|error| Error::environment("the HTTP port has no address").with_source(error))?;
    if wanted.is_none() && address != usual {
        tracing::info!(%usual, %address, "the usual HTTP port is taken");
    }
    tracing::info!(%address, "metrics and health are served over HTTP");
    Ok((listener, address))
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::environment(format!("cannot listen on {address} for HTTP")).with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_usual_port_may_be_another_one() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let (_there, elsewhere) = listen(None, address).await.unwrap();
        assert_ne!(elsewhere.port(), address.port());
        assert!(listen(Some(address), address).await.unwrap_err().report().contains("cannot listen on"));
    }
}
