//! The way to the coordinators.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use weir_core::{Error, Result};
use weir_proto::control::{FromWorker, Hello, ToWorker};
use weir_proto::grpc::{LinkOptions, WorkerLink};
use weir_proto::tls::Tls;

use crate::agent::PATIENCE;

/// Makes connections to coordinators.
#[async_trait]
pub trait Coordinators: Send + Sync {
    /// Connects to `address` and says hello. What comes out of `outgoing` is sent. May be dropped before it is ready.
    ///
    /// # Errors
    /// If nobody answers there.
    async fn attach(
        &self,
        address: &str,
        hello: Hello,
        outgoing: mpsc::Receiver<FromWorker>,
    ) -> Result<Box<dyn Session>>;
}

/// A connection to a coordinator. Dropping it ends the connection.
#[async_trait]
pub trait Session: Send {
    /// Waits for the next message; `None` when the coordinator has ended the connection.
    ///
    /// # Errors
    /// If the connection broke. Nothing is received after that.
    async fn next(&mut self) -> Result<Option<ToWorker>>;
}

/// Over gRPC.
#[derive(Debug, Clone, Default)]
pub struct GrpcCoordinators {
    /// Certificates; without, connections are plain.
    pub tls: Option<Tls>,
}

/// As patient as the agent.
const OPTIONS: LinkOptions = LinkOptions { connect_timeout: PATIENCE, keep_alive: Duration::from_secs(2) };

#[async_trait]
impl Coordinators for GrpcCoordinators {
    async fn attach(
        &self,
        address: &str,
        hello: Hello,
        outgoing: mpsc::Receiver<FromWorker>,
    ) -> Result<Box<dyn Session>> {
        match WorkerLink::attach(address, hello, outgoing, OPTIONS, self.tls.as_ref()).await {
            Ok(link) => Ok(Box::new(link)),
            Err(error) => Err(Error::environment(error.to_string())),
        }
    }
}

#[async_trait]
impl Session for WorkerLink {
    async fn next(&mut self) -> Result<Option<ToWorker>> {
        WorkerLink::next(self).await
    }
}
