//! Channels between workers: one connection per pair of them, shared by all channels of all jobs.
//!
//! ```text
//!   subtask ──RemoteSender──▶ Connection ──▶ writer ══ link ══▶ reader ──▶ Connection ──Inlet──▶ gate
//!                   ▲   credit    │                                             ▲   taken     │
//!                   └─────────────┘◀──────────────────────────── Credit ────────┴─────────────┘
//! ```
//!
//! Whoever has something to send first dials. If two workers dial each other at the same moment there are two connections
//! between them, and each carries the channels of who dialed it.
//!
//! Each channel has a window of credit in bytes. A batch is sent when any of it is left, and takes its size away, so less
//! than a window and one batch is on its way at any time. The receiver gives back what its subtask has taken. Watermarks,
//! markers and ends cost nothing and never wait for credit.
//!
//! The whole is independent of TCP: it asks a [`Transport`] for links that carry [`Frame`]s in order, until they break. It
//! starts no threads, and does nothing in an order that chance decides.

mod carry;
pub(crate) mod codec;
mod connection;
mod frame;
mod hub;
mod sender;
mod tcp;
#[cfg(test)]
mod tests;
mod transport;

pub use frame::{ChannelId, Closing, Frame, Hello, Process};
pub(crate) use hub::Membership;
pub(crate) use sender::RemoteSender;
pub use tcp::TcpTransport;
pub use transport::{FrameReceiver, FrameSender, Link, Transport};

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use weir_core::{Attempt, JobId, PlacedWorker, Result};

use self::hub::Hub;

/// Most bytes of a frame.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Who this process is, and the limits of its connections.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The cluster. Connections between clusters are refused.
    pub cluster: String,
    /// This process.
    pub me: Process,
    /// Credit that each channel into this process is given, in bytes.
    pub window: u64,
    /// Most bytes of a frame. The same on all workers.
    pub frame_bytes: usize,
    /// How long a peer has to connect, and then to say who it is.
    pub handshake: Duration,
    /// How often an idle connection says that it is there.
    pub ping_every: Duration,
    /// A connection that is silent for so long is broken.
    pub silence: Duration,
}

impl NetworkConfig {
    /// The usual limits.
    pub fn new(cluster: impl Into<String>, me: Process) -> Self {
        Self {
            cluster: cluster.into(),
            me,
            window: super::ExchangeLimits::default().credit_bytes as u64,
            frame_bytes: FRAME_BYTES,
            handshake: Duration::from_secs(5),
            ping_every: Duration::from_secs(5),
            silence: Duration::from_secs(20),
        }
    }
}

/// This process among the workers of its cluster. Dropping it breaks all connections.
#[derive(Debug)]
pub struct Network {
    hub: Arc<Hub>,
}

impl Network {
    /// Starts to accept connections. Runs on the caller's runtime, which may be another one than that of the subtasks.
    pub fn start(config: NetworkConfig, transport: Arc<dyn Transport>) -> Self {
        let hub = Arc::new(Hub::new(config, transport));
        hub.spawn(carry::accept(hub.clone()));
        Self { hub }
    }

    /// Who this process is.
    pub fn me(&self) -> &Process {
        &self.hub.config.me
    }

    /// Bytes of rows that went to other workers, and that came from them.
    pub fn traffic(&self) -> (u64, u64) {
        (self.hub.traffic.sent.load(Relaxed), self.hub.traffic.received.load(Relaxed))
    }

    /// Lets a part of a job take part.
    pub(crate) fn join(&self, job: JobId, attempt: Attempt) -> Result<Membership> {
        self.hub.join(job, attempt)
    }

    /// Makes a connection to `peer` if there is none, so that the first element need not wait for it.
    pub(crate) fn connect(&self, peer: &PlacedWorker) {
        self.hub.connection(peer);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.hub.close();
    }
}
