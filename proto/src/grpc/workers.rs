//! `weir.worker.v1.Workers`, served: a stream that began with a readable [`Hello`] is handed to a [`WorkerHandler`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status, Streaming, async_trait};
use weir_core::{Error, Result};

use super::innermost;
use crate::control::{FromWorker, Hello, ToWorker};
use crate::generated::worker::v1 as wire;
use crate::generated::worker::v1::workers_server::{Workers, WorkersServer};
use crate::{limits, version};

/// How long a worker may take for its first word.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes workers' connections.
#[async_trait]
pub trait WorkerHandler: Send + Sync + 'static {
    /// A worker is there. What the receiver yields is sent to it; when it ends, so does the connection, and when the connection
    /// ends, `messages` does.
    async fn attached(&self, hello: Hello, messages: WorkerMessages) -> mpsc::Receiver<ToWorker>;
}

/// What a worker says after its [`Hello`].
pub struct WorkerMessages {
    incoming: Streaming<wire::FromWorker>,
    /// Resolves when the other direction is gone.
    gone: oneshot::Receiver<()>,
}

impl WorkerMessages {
    /// The next message; `None` when the connection is over in order, or this side has ended it.
    ///
    /// # Errors
    /// If the connection broke, or the message cannot be read, after which none can.
    pub async fn next(&mut self) -> Result<Option<FromWorker>> {
        tokio::select! {
            message = self.incoming.message() => match message {
                Ok(Some(message)) => Ok(Some(message.try_into()?)),
                Ok(None) => Ok(None),
                Err(status) => Err(broken(&status)),
            },
            _ = &mut self.gone => Ok(None),
        }
    }
}

/// The connection is gone, or what came over it is too large or no message.
pub(super) fn broken(status: &Status) -> Error {
    let why = std::error::Error::source(status).map_or_else(|| status.message().to_owned(), innermost);
    Error::environment(format!("the connection broke: {why}"))
}

/// The service; its limits are set.
pub fn workers_service(handler: Arc<dyn WorkerHandler>) -> WorkersServer<WorkersService> {
    WorkersServer::new(WorkersService(handler)).max_decoding_message_size(limits::WORKER_MESSAGE)
}

/// Streams turned into connections of workers.
pub struct WorkersService(Arc<dyn WorkerHandler>);

#[async_trait]
impl Workers for WorkersService {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<wire::ToWorker, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIMEOUT, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no word from the worker"))??;
        let first = first.ok_or_else(|| Status::invalid_argument("the worker left without a word"))?;
        let hello = match FromWorker::try_from(first) {
            Ok(FromWorker::Hello(hello)) => hello,
            Ok(_) => return Err(Status::invalid_argument("the first message of a connection is Hello")),
            Err(error) => return Err(Status::invalid_argument(error.report())),
        };
        if let Err(reason) = version::check("worker", hello.protocol) {
            let refused = wire::ToWorker::from(&ToWorker::Refused { reason });
            return Ok(Response::new(Box::pin(futures::stream::iter([Ok(refused)]))));
        }
        let (here, gone) = oneshot::channel();
        let outgoing = self.0.attached(hello, WorkerMessages { incoming, gone }).await;
        Ok(Response::new(Box::pin(Outgoing { messages: outgoing, _here: here })))
    }
}

/// What goes to the worker.
struct Outgoing {
    messages: mpsc::Receiver<ToWorker>,
    /// Dropped with the connection.
    _here: oneshot::Sender<()>,
}

impl Stream for Outgoing {
    type Item = Result<wire::ToWorker, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(context).map(|message| message.map(|message| Ok((&message).into())))
    }
}
