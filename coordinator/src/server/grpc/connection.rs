//! Connections as they are accepted: a limited number at a time, in all and from each address, each with a deadline for its TLS
//! handshake and for the beginning of HTTP/2. From then on HTTP/2's pings find connections whose other end does not answer.
//!
//! ```text
//!   accept ──▶ is there room? ──▶ TLS handshake, beside others ──▶ Connection (33 bytes of HTTP/2 in time) ──▶ calls
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};
use tonic::transport::server::Connected;
use weir_proto::tls::{self, ClientCertificate, PeerCertificate, Tls};

use super::GrpcConfig;

/// Pause after the system refused a connection: it is out of files, and asking again at once would not help.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that every HTTP/2 client sends first: the preface, and the header of a SETTINGS frame (RFC 9113, section 3.4). Until the
/// server has them, it sends no pings.
const HANDSHAKE_BYTES: usize = 24 + 9;

/// Who may come in.
pub(super) struct Doorway {
    places: Arc<Places>,
    handshake_timeout: Duration,
    tls: Option<Tls>,
    /// Resolves when the server is over.
    over: watch::Receiver<()>,
}

impl Doorway {
    pub(super) fn new(config: &GrpcConfig, over: watch::Receiver<()>) -> Self {
        let places = Places {
            limit: config.max_connections,
            per_address: config.connections_per_address,
            taken: Mutex::default(),
        };
        Self { places: Arc::new(places), handshake_timeout: config.handshake_timeout, tls: config.tls.clone(), over }
    }
}

/// Connections at a time.
struct Places {
    limit: usize,
    per_address: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

/// One of them. Dropping it makes room.
struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    fn taken(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, or why there is none.
    fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let mut taken = self.taken();
        if taken.values().sum::<usize>() >= self.limit {
            return Err("too many connections; new ones are closed");
        }
        let here = taken.get(&address).copied().unwrap_or(0);
        // All processes of this machine share one address.
        if here >= self.per_address && !address.is_loopback() {
            return Err("too many connections from one address; new ones are closed");
        }
        taken.insert(address, here + 1);
        Ok(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(here) = taken.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                taken.remove(&self.address);
            }
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
                                tracing::warn!(limit = door.places.limit, per_address = door.places.per_address, %remote, "{why}");
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
