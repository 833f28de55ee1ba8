//! The tasks of a connection: the handshake, then one loop that reads and one that writes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use futures::FutureExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use weir_core::{Error, PlacedWorker, Result};

use super::connection::Connection;
use super::frame::{Frame, Hello, Process};
use super::hub::Hub;
use super::transport::{FrameReceiver, FrameSender, Link};

/// A connection in the hands of its task. However the task ends, by panic or from outside: the connection is broken then,
/// and everybody who has a channel on it hears so.
pub struct Carried {
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    reason: String,
}

impl Carried {
    /// Has to be given to a task.
    pub fn new(hub: Arc<Hub>, connection: Arc<Connection>) -> Self {
        Self { hub, connection, reason: "this worker has given it up".into() }
    }

    fn end(mut self, carried: Result<()>) {
        let error = carried.err().unwrap_or_else(closed);
        tracing::debug!(peer = %self.connection.peer.worker, error = error.report(), "a connection has ended");
        self.reason = error.report();
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.hub.broken(&self.connection, &self.reason);
    }
}

/// Connects to the peer and carries frames until the link breaks.
pub async fn dial(carried: Carried) {
    let outcome = async {
        let Carried { hub, connection, .. } = &carried;
        let link = timeout(hub.config.handshake, hub.transport.dial(&connection.peer.address));
        let mut link = link.await.map_err(|_| Error::environment("nobody answered"))??;
        let granted = timeout(hub.config.handshake, greet(hub, connection, &mut link)).await;
        let granted = granted.map_err(|_| Error::environment("it did not answer the handshake"))??;
        connection.established(granted);
        carry(hub, connection, link).await
    };
    let outcome = outcome.await;
    carried.end(outcome);
}

/// Says who we are, and hears how much credit the peer gives.
async fn greet(hub: &Hub, connection: &Connection, link: &mut Link) -> Result<u64> {
    let to = Process::from(&connection.peer);
    let config = &hub.config;
    let hello = Hello { cluster: config.cluster.clone(), from: config.me.clone(), to, window: config.window };
    link.sender.send(Frame::Hello(hello)).await?;
    link.sender.flush().await?;
    match link.receiver.receive().await? {
        Some(Frame::Welcome { window }) => Ok(window),
        Some(Frame::Refused { reason }) => Err(Error::environment("it refused the connection").with_source(reason)),
        Some(_) => Err(Error::environment("it did not begin with a handshake")),
        None => Err(closed()),
    }
}

/// How long to wait when links cannot be accepted: no file descriptors are left, say, and soon there may be.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Takes the links that peers dial.
pub async fn accept(hub: Arc<Hub>) {
    loop {
        match hub.transport.accept().await {
            Ok(link) => hub.spawn(welcome(hub.clone(), link)),
            Err(error) => {
                tracing::warn!(error = error.report(), "a connection could not be accepted");
                #[expect(clippy::disallowed_methods, reason = "a pause between two tries to accept")]
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the handshake of who has dialed, and carries frames until the link breaks.
async fn welcome(hub: Arc<Hub>, mut link: Link) {
    let peer = link.peer.clone();
    let hello = match timeout(hub.config.handshake, hear(&hub, &mut link)).await {
        Ok(Ok(hello)) => hello,
        // Anybody can make lines of these where connections are plain, and a worker of the cluster says itself that it is refused.
        Ok(Err(error)) => return tracing::debug!(peer, error = error.report(), "a connection was refused"),
        Err(_) => return tracing::debug!(peer, "a connection was refused: no handshake came"),
    };
    drop(link.place.take());
    let Process { worker, incarnation } = hello.from;
    let connection = Connection::new(PlacedWorker { worker, incarnation, address: peer }, hub.config.window);
    let connection = Arc::new(connection);
    connection.established(hello.window);
    let carried = Carried::new(hub.clone(), connection.clone());
    hub.accepted(&connection);
    let outcome = carry(&hub, &connection, link).await;
    carried.end(outcome);
}

/// Hears who dials, and answers.
async fn hear(hub: &Hub, link: &mut Link) -> Result<Hello> {
    let hello = match link.receiver.receive().await? {
        Some(Frame::Hello(hello)) => hello,
        Some(_) => return Err(Error::environment("it did not begin with a handshake")),
        None => return Err(closed()),
    };
    let config = &hub.config;
    let reason = if hello.cluster != config.cluster {
        Some(format!("this is cluster {}, and not {}", config.cluster, hello.cluster))
    } else if hello.to != config.me {
        Some(format!("this is {}, and not {}", config.me, hello.to))
    } else {
        None
    };
    let answer = match &reason {
        None => Frame::Welcome { window: config.window },
        Some(reason) => Frame::Refused { reason: reason.clone() },
    };
    link.sender.send(answer).await?;
    link.sender.flush().await?;
    match reason {
        None => Ok(hello),
        Some(reason) => Err(Error::environment(format!("{} wants something else", hello.from)).with_source(reason)),
    }
}

fn closed() -> Error {
    Error::environment("it closed the connection")
}

/// Reads and writes, until one of the two is over.
async fn carry(hub: &Arc<Hub>, connection: &Arc<Connection>, link: Link) -> Result<()> {
    let Link { sender, receiver, .. } = link;
    // A task of its own: encoding and decoding are the work of the connection, and can be done at the same time.
    let mut writer = JoinSet::new();
    writer.spawn(write(hub.clone(), connection.clone(), sender));
    tokio::select! {
        biased;
        read = read(hub, connection, receiver) => read,
        written = writer.join_next() => match written {
            Some(Ok(written)) => written,
            _ => Err(Error::internal("what was to be sent could not be written")),
        },
    }
}

async fn write(hub: Arc<Hub>, connection: Arc<Connection>, mut sender: Box<dyn FrameSender>) -> Result<()> {
    loop {
        let ready = poll_fn(|context| connection.poll_frame(context)).now_or_never();
        let frame = match ready {
            Some(frame) => frame,
            None => {
                sender.flush().await?;
                let next = timeout(hub.config.ping_every, poll_fn(|context| connection.poll_frame(context)));
                next.await.unwrap_or(Frame::Ping)
            }
        };
        if let Frame::Element { bytes, .. } = &frame {
            hub.traffic.sent.fetch_add(*bytes, Relaxed);
        }
        sender.send(frame).await?;
    }
}

async fn read(hub: &Arc<Hub>, connection: &Arc<Connection>, mut receiver: Box<dyn FrameReceiver>) -> Result<()> {
    loop {
        let frame = timeout(hub.config.silence, receiver.receive()).await;
        let frame = frame.map_err(|_| Error::environment(format!("it was silent for {:?}", hub.config.silence)))?;
        let Some(frame) = frame? else { return Ok(()) };
        match frame {
            Frame::Open { channel, id } => hub.open(connection, channel, id),
            Frame::Element { channel, element, bytes } => {
                hub.traffic.received.fetch_add(bytes, Relaxed);
                connection.deliver(channel, element, bytes)?;
            }
            Frame::Credit { channel, bytes } => connection.credited(channel, bytes),
            Frame::Closed { channel, closing } => connection.closed(channel, closing),
            // The receiving subtask goes on waiting: whoever ends the job ends it, too.
            Frame::Gone { .. } | Frame::Ping => {}
            Frame::Hello(_) | Frame::Welcome { .. } | Frame::Refused { .. } => {
                return Err(Error::environment("it began with a handshake twice"));
            }
        }
    }
}
