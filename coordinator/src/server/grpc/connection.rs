//! TCP connections as they are accepted: a limited number at a time, each with a deadline for its HTTP/2 handshake. From then on
//! HTTP/2's pings find connections whose other end does not answer.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Pause after the system refused a connection: it is out of files, and asking again at once would not help.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that every HTTP/2 client sends first: the preface, and the header of a SETTINGS frame (RFC 9113, section 3.4). Until the
/// server has them, it sends no pings.
const HANDSHAKE_BYTES: usize = 24 + 9;

/// Connections of clients, workers and peers alike.
pub(super) struct Connection {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    /// Resolves when the server is over.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// `None` once it is over.
    handshake: Option<Handshake>,
}

/// The beginning of a connection.
struct Handshake {
    deadline: Pin<Box<Sleep>>,
    /// Bytes that have still to come.
    missing: usize,
}

/// The connections that come in, until the server is over.
pub(super) fn accept(
    listener: TcpListener,
    limit: usize,
    handshake_timeout: Duration,
    over: watch::Receiver<()>,
) -> impl Stream<Item = Result<Connection, Infallible>> {
    let places = Arc::new(Semaphore::new(limit));
    stream::unfold((listener, true), move |(listener, mut had_room)| {
        let (places, over) = (Arc::clone(&places), over.clone());
        async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        #[expect(clippy::disallowed_methods, reason = "a pause between two tries to accept")]
                        sleep(REFUSED_PAUSE).await;
                        continue;
                    }
                };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    // One line, not one per connection of a flood.
                    if std::mem::take(&mut had_room) {
                        tracing::warn!(limit, "too many connections; new ones are closed");
                    }
                    continue;
                };
                had_room = true;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection is gone before it began");
                    continue;
                }
                let deadline = Box::pin(sleep_until(Instant::now() + handshake_timeout));
                let connection = Connection {
                    stream,
                    _place: place,
                    over: Box::pin(until_over(over)),
                    handshake: Some(Handshake { deadline, missing: HANDSHAKE_BYTES }),
                };
                return Some((Ok(connection), (listener, had_room)));
            }
        }
    })
}

async fn until_over(mut over: watch::Receiver<()>) {
    while over.changed().await.is_ok() {}
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server is shut down")));
        }
        let before = buffer.filled().len();
        if let Some(handshake) = &mut self.handshake
            && handshake.deadline.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake over a new connection")));
        }
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let received = buffer.filled().len() - before;
        if let Some(handshake) = &mut self.handshake {
            handshake.missing = handshake.missing.saturating_sub(received);
            if handshake.missing == 0 {
                self.handshake = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
