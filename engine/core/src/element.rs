//! What travels on a stream.

use serde::{Deserialize, Serialize};

use crate::{Batch, Epoch, Watermark};

/// Why a marker was sent, which says what happens where it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkerKind {
    /// Operators with pending updates emit them. No state is captured.
    Flush,
    /// Operators flush, then capture their state; sinks prepare.
    Checkpoint,
    /// A checkpoint that stands alone and is kept until it is deleted.
    Savepoint,
    /// A savepoint after which the job ends. Sources send [`Element::End`] behind it.
    Stop,
    /// The input is over, or counts as over: event time comes to its end in front of it, so that all windows fire. Operators flush, sinks
    /// prepare, and the job ends. Nobody goes on from here, so state is not stored.
    Drain,
}

impl MarkerKind {
    /// Whether it is the marker of a checkpoint, which takes in what sinks have prepared, and state if it [keeps](Self::keeps_state) any.
    pub fn captures(self) -> bool {
        !matches!(self, MarkerKind::Flush)
    }

    /// Whether the job may have to go on from the state that operators have where this marker passes.
    pub fn keeps_state(self) -> bool {
        !matches!(self, MarkerKind::Flush | MarkerKind::Drain)
    }

    /// Whether the job ends behind this marker.
    pub fn ends(self) -> bool {
        matches!(self, MarkerKind::Stop | MarkerKind::Drain)
    }
}

/// The one marker that flows from where splits are found through the dataflow. What an operator emits between two markers belongs
/// to one consistent prefix of every source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Number of the epoch that this marker closes.
    pub epoch: Epoch,
    /// What to do.
    pub kind: MarkerKind,
}

/// One element of a stream.
#[derive(Debug, Clone)]
pub enum Element {
    /// Rows.
    Batch(Batch),
    /// Progress of event time, or the news that none is to be expected.
    Watermark(Watermark),
    /// The end of an epoch.
    Marker(Marker),
    /// Nothing follows, ever.
    End,
}
