//! Connections as they are accepted: a limited number at a time, in all and from each address, each with a deadline for its TLS
//! handshake and for the beginning of HTTP/2. From then on HTTP/2's pings find connections whose other end does not answer. HTTP/1 has none:
//! there a connection is over when nothing was sent on it for a while, however slowly something is asked or an answer read.
//!
//! ```text
//!   accept ──▶ is there room? ──▶ TLS handshake, beside others ──▶ Connection (33 bytes of HTTP/2 in time) ──▶ calls
//! ```

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use tonic::transport::server::Connected;
use weir_core::{Admission, AdmissionLimits, Place};
use weir_proto::tls::{self, ClientCertificate, PeerCertificate, Tls};

use super::GrpcConfig;

/// Pause after the system refused a connection: it is out of files, and asking again at once would not help.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that every HTTP/2 client sends first: the preface, and the header of a SETTINGS frame (RFC 9113, section 3.4). Until the
/// server has them, it sends no pings.
const HANDSHAKE_BYTES: usize = 24 + 9;

/// Who may come in.
pub(super) struct Doorway {
    places: Arc<Admission>,
    handshake_timeout: Duration,
    silence: Duration,
    tls: Option<Tls>,
    /// Resolves when the server is over.
    over: watch::Receiver<()>,
}

impl Doorway {
    pub(super) fn new(config: &GrpcConfig, over: watch::Receiver<()>) -> Self {
        let limits = AdmissionLimits {
            all: config.max_connections,
            per_address: config.connections_per_address,
            loopback: config.connections_per_own_address,
        };
        Self {
            places: Admission::new(limits),
            handshake_timeout: config.handshake_timeout,
            silence: config.silence,
            tls: config.tls.clone(),
            over,
        }
    }
}

/// Connections of clients, workers and peers alike.
pub(super) struct Connection {
    stream: tls::Stream,
    info: ConnectionInfo,
    _place: Place,
    /// Resolves when the server is over.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// `None` once it is over.
    handshake: Option<Handshake>,
    silence: Silence,
}

/// How long nothing was sent, which counts on HTTP/1.
struct Silence {
    may_last: Duration,
    timer: Pin<Box<Sleep>>,
    /// When something was last sent.
    sent: Instant,
    /// Of the bytes that HTTP/2 begins with and HTTP/1 does not, so many have come.
    preface: usize,
}

/// How HTTP/2 begins (RFC 9113, section 3.4), and no method of HTTP/1.
const PREFACE: &[u8] = b"PRI * ";

impl Silence {
    fn new(may_last: Duration) -> Self {
        let sent = Instant::now();
        Self { may_last, timer: Box::pin(sleep_until(sent + may_last)), sent, preface: 0 }
    }

    /// Looks at the first bytes.
    fn received(&mut self, bytes: &[u8]) {
        let expected = PREFACE.get(self.preface..).unwrap_or_default();
        self.preface += expected.iter().zip(bytes).take_while(|(expected, byte)| expected == byte).count();
    }

    /// Whether it has lasted too long. If not, the task is woken when it may have.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.preface == PREFACE.len() {
            return false;
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let deadline = self.sent + self.may_last;
            if deadline <= Instant::now() {
                return true;
            }
            self.timer.as_mut().reset(deadline);
        }
        false
    }
}

/// Where a call comes from.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// The other end.
    pub remote: SocketAddr,
    /// What it has shown; checked, but for what it is for.
    pub certificate: Option<PeerCertificate>,
}

/// The beginning of a connection.
struct Handshake {
    deadline: Pin<Box<Sleep>>,
    /// Bytes that have still to come.
    missing: usize,
}

/// A connection whose certificates have been seen to.
type Met = (tls::Stream, ConnectionInfo, Place, Instant);

/// The connections that come in, until the server is over.
pub(super) fn accept(listener: TcpListener, door: Doorway) -> impl Stream<Item = Result<Connection, Infallible>> {
    let meetings: JoinSet<Option<Met>> = JoinSet::new();
    stream::unfold((listener, door, meetings, true), async |(listener, door, mut meetings, mut had_room)| {
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, remote)) => match door.places.take(remote.ip()) {
                        Ok(place) => {
                            had_room = true;
                            let deadline = Instant::now() + door.handshake_timeout;
                            meetings.spawn(meet(door.tls.clone(), stream, remote, place, deadline));
                        }
                        // One line, not one per connection of a flood.
                        Err(why) => {
                            if std::mem::take(&mut had_room) {
                                tracing::warn!(%remote, "{why}");
                            }
                        }
                    },
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        #[expect(clippy::disallowed_methods, reason = "a pause between two tries to accept")]
                        sleep(REFUSED_PAUSE).await;
                    }
                },
                Some(met) = meetings.join_next() => {
                    if let Ok(Some((stream, info, place, deadline))) = met {
                        let connection = Connection {
                            stream,
                            info,
                            _place: place,
                            over: Box::pin(until_over(door.over.clone())),
                            handshake: Some(Handshake {
                                deadline: Box::pin(sleep_until(deadline)),
                                missing: HANDSHAKE_BYTES,
                            }),
                            silence: Silence::new(door.silence),
                        };
                        return Some((Ok(connection), (listener, door, meetings, had_room)));
                    }
                }
            }
        }
    })
}

/// Finds out who has connected, as far as certificates say it.
async fn meet(tls: Option<Tls>, stream: TcpStream, remote: SocketAddr, place: Place, deadline: Instant) -> Option<Met> {
    let met = async {
        stream.set_nodelay(true)?;
        match tls {
            None => Ok((tls::Stream::plain(stream), None)),
            Some(tls) => tls.accept(stream, ClientCertificate::Optional).await,
        }
    };
    let met = timeout_at(deadline, met).await.unwrap_or_else(|_| Err(io::Error::other("no TLS handshake came")));
    match met {
        Ok((stream, certificate)) => Some((stream, ConnectionInfo { remote, certificate }, place, deadline)),
        // Whoever has connected was told, if it speaks TLS at all; anybody can make lines of these.
        Err(error) => {
            tracing::debug!(%remote, %error, "a connection was refused");
            None
        }
    }
}

async fn until_over(mut over: watch::Receiver<()>) {
    while over.changed().await.is_ok() {}
}

impl Connected for Connection {
    type ConnectInfo = ConnectionInfo;

    fn connect_info(&self) -> ConnectionInfo {
        self.info.clone()
    }
}

impl Connection {
    fn unless_silent<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match done {
            Poll::Pending if self.silence.is_over(context) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing was sent for too long")))
            }
            done => done,
        }
    }

    fn sent(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.silence.sent = Instant::now();
        }
        self.unless_silent(context, written)
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
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        ready!(self.unless_silent(context, read))?;
        let received = buffer.filled().get(before..).unwrap_or_default();
        self.silence.received(received);
        if let Some(handshake) = &mut self.handshake {
            handshake.missing = handshake.missing.saturating_sub(received.len());
            if handshake.missing == 0 {
                self.handshake = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(context, written)
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.sent(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
