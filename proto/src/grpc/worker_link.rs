//! The worker's side of `weir.worker.v1.Workers`.

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tonic::Streaming;
use weir_core::Result;

use super::workers::broken;
use super::{connect, endpoint, from_status, unreachable};
use crate::client::ClientError;
use crate::control::{FromWorker, Hello, ToWorker};
use crate::generated::worker::v1 as wire;
use crate::generated::worker::v1::workers_client::WorkersClient;
use crate::limits;
use crate::tls::Tls;

/// How patient a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOptions {
    /// How long connecting may take, and then the first answer.
    pub connect_timeout: Duration,
    /// How often the connection is asked whether it is alive; it is given up when no answer comes for as long.
    pub keep_alive: Duration,
}

/// A worker's connection to a coordinator. Dropping it ends the connection.
pub struct WorkerLink {
    incoming: Streaming<wire::ToWorker>,
}

impl WorkerLink {
    /// Connects to the coordinator at `host:port` and says hello. What comes out of `outgoing` is sent, and when it ends the
    /// coordinator is told so. Who puts something in keeps to [`limits::check`]: what is larger breaks the connection.
    ///
    /// # Errors
    /// If nobody answers, or what answers is no coordinator.
    pub async fn attach(
        address: &str,
        hello: Hello,
        outgoing: mpsc::Receiver<FromWorker>,
        options: LinkOptions,
        tls: Option<&Tls>,
    ) -> Result<Self, ClientError> {
        let endpoint = endpoint(address, options.connect_timeout)?
            .http2_keep_alive_interval(options.keep_alive)
            .keep_alive_timeout(options.keep_alive)
            .keep_alive_while_idle(true);
        let channel = connect(&endpoint, tls).await.map_err(|error| unreachable(address, &error))?;
        let mut client = WorkersClient::new(channel).max_decoding_message_size(limits::WORKER_MESSAGE);
        let messages = stream::unfold(outgoing, async |mut outgoing| Some((outgoing.recv().await?, outgoing)));
        let messages =
            stream::iter([FromWorker::Hello(hello)]).chain(messages).map(|message| wire::FromWorker::from(&message));
        let answer = tokio::time::timeout(options.connect_timeout, client.attach(messages)).await;
        let answer = answer.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("")));
        let incoming = answer.map_err(|status| from_status(&status, address))?.into_inner();
        Ok(Self { incoming })
    }

    /// The next message; `None` when the coordinator has ended the connection.
    ///
    /// # Errors
    /// If the connection broke, or the message cannot be read, after which none can.
    pub async fn next(&mut self) -> Result<Option<ToWorker>> {
        match self.incoming.message().await {
            Ok(Some(message)) => Ok(Some(message.try_into()?)),
            Ok(None) => Ok(None),
            Err(status) => Err(broken(&status)),
        }
    }
}
