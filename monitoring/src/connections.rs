//! Connections of those who ask: so many at a time, in all and from one address, and none for ever on which nothing is answered. Whoever opens
//! connections by the hundred must not keep away who asks whether the process lives, and starts it anew if no answer comes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep_until};
use weir_core::{Admission, AdmissionLimits, Place};

/// Connections at a time; those that come on top are closed. Scrapers and probes have one or two each.
const CONNECTIONS: AdmissionLimits = AdmissionLimits { all: 256, per_address: 32, loopback: 128 };
/// Pause when no connection can be accepted: no file descriptors are left, say, and soon there may be.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may be without an answer: however slowly something is asked, and however slowly the answer is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// A new one.
    pub first: Duration,
    /// One that has had an answer. Scrapers ask every few seconds.
    pub next: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first: Duration::from_secs(10), next: Duration::from_secs(120) }
    }
}

/// Accepts so many at a time.
pub(crate) struct Limited {
    listener: TcpListener,
    places: Arc<Admission>,
    patience: Patience,
}

impl Limited {
    /// The connections of this port.
    pub fn new(listener: TcpListener) -> Self {
        Self::with(listener, CONNECTIONS, Patience::default())
    }

    /// The connections of this port, with limits.
    pub fn with(listener: TcpListener, limits: AdmissionLimits, patience: Patience) -> Self {
        Self { listener, places: Admission::new(limits), patience }
    }
}

impl Listener for Limited {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, from)) => match self.places.take(from.ip()) {
                    Ok(place) => {
                        let Patience { first, next } = self.patience;
                        let over = Box::pin(sleep_until(Instant::now() + first));
                        return (Connection { stream, over, next, answered: None, _place: place }, from);
                    }
                    // Anybody can make lines of these.
                    Err(why) => tracing::debug!(%from, "{why}"),
                },
                Err(error) => {
                    tracing::debug!(%error, "a connection for HTTP could not be accepted");
                    sleep_until(Instant::now() + PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One of them.
pub(crate) struct Connection {
    stream: TcpStream,
    over: Pin<Box<Sleep>>,
    next: Duration,
    /// When something was last sent.
    answered: Option<Instant>,
    _place: Place,
}

impl Connection {
    /// Whether it has been without an answer for too long. If not, the task is woken when it may be.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        while self.over.as_mut().poll(context).is_ready() {
            match self.answered.map(|answered| answered + self.next) {
                Some(deadline) if deadline > Instant::now() => self.over.as_mut().reset(deadline),
                _ => return true,
            }
        }
        false
    }

    fn unless_over<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match done {
            Poll::Pending if self.is_over(context) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            done => done,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.unless_over(context, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.answered = Some(Instant::now());
        }
        self.unless_over(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;
    use tokio::task::JoinSet;
    use tokio::time::{interval, timeout};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    async fn port(patience: Patience) -> (JoinSet<()>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = AdmissionLimits { all: 64, per_address: 4, loopback: 4 };
        let limited = Limited::with(listener, limits, patience);
        // More than the system takes of what is not read.
        let large = get(async || vec![b'x'; 64 << 20]);
        let router = Router::new().route("/", get(async || "live")).route("/large", large);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(limited, router).await.unwrap() });
        (tasks, address)
    }

    async fn from(host: u8, address: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, host], 0).into()).unwrap();
        socket.connect(address).await.unwrap()
    }

    async fn is_served(stream: &mut TcpStream) {
        stream.write_all(ASKED).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"));
    }

    #[tokio::test]
    async fn one_address_that_opens_hundreds_leaves_room_for_others() {
        let (_tasks, address) =
            port(Patience { first: Duration::from_secs(600), next: Duration::from_secs(600) }).await;
        let mut flood = Vec::new();
        for _ in 0..300 {
            flood.push(from(9, address).await);
        }
        for stream in flood.iter_mut().skip(4) {
            // In order or not, it is closed.
            let _ = timeout(SOON, stream.read(&mut [0])).await.expect("it is still open");
        }
        is_served(&mut from(1, address).await).await;
    }

    #[tokio::test]
    async fn who_asks_byte_by_byte_and_who_does_not_read_is_cut_off() {
        let next = Duration::from_millis(300);
        let (_tasks, address) = port(Patience { first: next, next }).await;
        let mut slow = from(1, address).await;
        is_served(&mut slow).await;
        slow.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        let dribble = async {
            let mut ticks = interval(next / 10);
            loop {
                ticks.tick().await;
                if slow.write_all(b"x").await.is_err() {
                    return;
                }
            }
        };
        timeout(SOON, dribble).await.expect("a header may take for ever");
        // Four that read nothing of a large answer take all places of their address, until they are cut off.
        let mut deaf = Vec::new();
        for _ in 0..4 {
            let mut stream = from(9, address).await;
            stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            stream.read_exact(&mut [0; 12]).await.unwrap();
            deaf.push(stream);
        }
        let served = async {
            loop {
                let mut stream = from(9, address).await;
                let _ = stream.write_all(ASKED).await;
                if stream.read_exact(&mut [0; 12]).await.is_ok() {
                    return;
                }
            }
        };
        timeout(SOON, served).await.expect("answers that nobody reads take places for ever");
    }
}
