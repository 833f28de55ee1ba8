//! What two workers say to each other over a link.
//!
//! ```text
//!   dialer                                   acceptor
//!     │── Hello: cluster, who, to whom ────────▶│
//!     │◀──────────── Welcome (or Refused) ──────│
//!     │── Open: a number, and the channel ─────▶│     both ways from here on; each side numbers
//!     │── Element: number, element ────────────▶│     the channels that it sends on
//!     │◀──────────────── Credit: number, bytes ─│
//!     │── Element: number, end ────────────────▶│
//!     │◀───────────── Closed: number, complete ─│
//! ```

use std::fmt;

use weir_core::{Attempt, Element, Incarnation, JobId, NodeId, PlacedWorker, WorkerId};

/// A channel of one attempt of a job, named alike by all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId {
    /// The job.
    pub job: JobId,
    /// Its execution.
    pub attempt: Attempt,
    /// Head of the receiving chain.
    pub head: NodeId,
    /// Which subtask of that chain receives.
    pub subtask: usize,
    /// Which channel of its gate.
    pub channel: usize,
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, attempt, head, subtask, channel } = self;
        write!(f, "channel {channel} into subtask {subtask} of node {} (job {job}, attempt {attempt})", head.0)
    }
}

/// A process of a worker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    /// Its worker.
    pub worker: WorkerId,
    /// Which of the worker's processes.
    pub incarnation: Incarnation,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} ({})", self.worker, self.incarnation)
    }
}

impl From<&PlacedWorker> for Process {
    fn from(placed: &PlacedWorker) -> Self {
        Self { worker: placed.worker.clone(), incarnation: placed.incarnation }
    }
}

/// One message on a link.
#[derive(Debug, Clone)]
pub enum Frame {
    /// The first frame of who dials.
    Hello(Hello),
    /// The first frame of who accepts: the dialer may go on, with `window` bytes of credit on each channel that it opens.
    Welcome {
        /// Credit of a new channel.
        window: u64,
    },
    /// The first frame of who does not accept, and the last.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// The sender will say `channel` for this channel. Numbers are not used again on a link.
    Open {
        /// The number.
        channel: u32,
        /// The channel.
        id: ChannelId,
    },
    /// An element of a channel.
    Element {
        /// The sender's number of the channel.
        channel: u32,
        /// The element.
        element: Element,
        /// What it costs of the channel's credit; 0 for all but batches.
        bytes: u64,
    },
    /// The sending subtask is gone without having come to the end.
    Gone {
        /// The sender's number of the channel.
        channel: u32,
    },
    /// The receiver has taken so many bytes.
    Credit {
        /// The peer's number of the channel.
        channel: u32,
        /// How many.
        bytes: u64,
    },
    /// The receiver takes nothing more.
    Closed {
        /// The peer's number of the channel.
        channel: u32,
        /// Why.
        closing: Closing,
    },
    /// Says that the sender is there.
    Ping,
}

/// Why a channel was closed by its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closing {
    /// Its end has arrived.
    Complete,
    /// The receiving subtask is gone, and says itself why.
    Abandoned,
    /// It was never open.
    Refused(String),
}

/// How a link begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The cluster that both belong to.
    pub cluster: String,
    /// Who dials.
    pub from: Process,
    /// Who is meant.
    pub to: Process,
    /// Credit of each channel that the peer opens.
    pub window: u64,
}
