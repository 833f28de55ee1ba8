//! A subtask: one parallel instance of a chain, one task of the compute runtime.
//!
//! What a subtask does where a marker passes, in this order:
//!
//! 1. it aligns: channels that have delivered the marker wait for the others,
//! 2. its operators emit what they hold back, then what they owe at the end of an epoch,
//! 3. they capture their state, without I/O, and the sink prepares,
//! 4. it hands the snapshot over and sends the marker on.

mod discovery;
mod idle;
mod operator;
mod outputs;
mod rate_limit;
mod source;

pub use discovery::DiscoverySubtask;
pub use idle::IdleSubtask;
pub use operator::OperatorSubtask;
pub use outputs::{Outputs, Prepared, SideOutput, SinkStage};
pub use rate_limit::RateLimit;
pub use source::{Presence, SourceSubtask};

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use weir_core::{Epoch, Error, Marker};
use weir_state::EpochContent;

use crate::exchange::{Closed, SendError};
use crate::metrics::SubtaskMetrics;
use crate::snapshot::SubtaskSnapshot;

/// How often operators learn that processing time goes on.
const TICK: Duration = Duration::from_millis(100);

/// Turns of a subtask's loop, a batch each, after which it lets others have its thread. Input that is always ready would
/// else keep them from theirs for ever.
const TURNS: u32 = 16;

/// What the driver tells a part.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// Send this marker. It enters the dataflow where splits are found; a part in which none are does nothing.
    Marker(Marker),
    /// The checkpoint of this epoch is complete.
    Completed(Epoch),
}

/// What a part of a job tells its driver.
#[derive(Debug)]
pub enum WorkerEvent {
    /// Every source of this part has come to its end; its last watermark is on the way. A part without sources says so
    /// when it starts.
    SourcesExhausted,
    /// A subtask cannot go on before the next marker, of whatever kind. Whoever drives the job sends one soon; may be said
    /// again and again, and by many.
    MarkerWanted,
    /// All subtasks of this part have passed the epoch's marker, and what they captured is durable.
    Reported(EpochContent),
    /// All subtasks of this part have passed the epoch's marker, but storing what they captured failed. It is kept for the next.
    ReportFailed {
        /// The epoch.
        epoch: Epoch,
        /// Why.
        error: Error,
    },
    /// All subtasks of this part have ended in order. Comes behind the last report.
    Finished,
    /// A subtask has failed. The others of this part were stopped.
    Failed(Error),
    /// The connection to a worker that has another part of the job broke. The subtasks of this part were stopped.
    PeerLost(Error),
}

/// Hands over what a subtask has captured. Where there is room that is done at once: to send may mean to let other tasks go first all the
/// same, for as long as a batch takes each of them, and the subtask stands meanwhile.
async fn hand_over(
    snapshots: &mpsc::Sender<SubtaskSnapshot>,
    snapshot: SubtaskSnapshot,
    metrics: &SubtaskMetrics,
) -> Result<(), Interrupt> {
    match snapshots.try_send(snapshot) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(snapshot)) => {
            metrics.backpressured(snapshots.send(snapshot)).await.map_err(|_| Interrupt::Disconnected)
        }
        Err(TrySendError::Closed(_)) => Err(Interrupt::Disconnected),
    }
}

/// Why a subtask stops before its end.
#[derive(Debug)]
pub enum Interrupt {
    /// A neighbour is gone, and says itself why.
    Disconnected,
    /// Something failed here.
    Failed(Error),
}

impl From<Error> for Interrupt {
    fn from(error: Error) -> Self {
        Interrupt::Failed(error)
    }
}

impl From<Closed> for Interrupt {
    fn from(_: Closed) -> Self {
        Interrupt::Disconnected
    }
}

impl From<SendError> for Interrupt {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Interrupt::Disconnected,
            SendError::Failed(error) => Interrupt::Failed(error),
        }
    }
}
