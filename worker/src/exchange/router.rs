//! The sending side of an edge: spreads a subtask's output over the subtasks of the receiver.
//!
//! Small pieces are put together before they are sent: rows wait until there are enough of them, until a marker
//! passes, or until they have waited long enough. A watermark waits with the rows in front of it; nothing is reordered.

use tokio::time::Instant;
use weir_core::bugs::{self, Bug};
use weir_core::{Batch, Element, EventTime, Exchange, Result, Watermark};

use super::partition::Partitions;
use super::{ChannelSender, ExchangeLimits, SendError};

/// One edge out of a subtask.
#[derive(Debug)]
pub struct Router {
    pending: Pending,
    channels: Vec<ChannelSender>,
    limits: ExchangeLimits,
    pending_rows: usize,
    /// What is to be said behind the pending pieces: how far time has come, then whether the input is idle.
    pending_time: Option<EventTime>,
    pending_idle: bool,
    oldest: Option<Instant>,
    sent_bytes: u64,
}

/// Rows that are not sent yet.
#[derive(Debug)]
enum Pending {
    /// For all destinations.
    All(Vec<Batch>),
    /// For the owners of their keys.
    Owners(Partitions),
    /// For one destination after the other, or for the only one: batches of each, and whose turn is next.
    Turns(Vec<Vec<Batch>>, usize),
}

/// Which of a receiver's subtasks an edge leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The only one in reach.
    One,
    /// The owner of the hash of these columns.
    Hash(Vec<usize>),
    /// All.
    Broadcast,
    /// One after the other.
    Rebalance,
}

impl Target {
    /// What `exchange` means towards `channels` subtasks.
    pub fn new(exchange: &Exchange, channels: usize) -> Self {
        match exchange {
            _ if channels == 1 => Target::One,
            Exchange::Forward => Target::One,
            Exchange::Hash(columns) => Target::Hash(columns.clone()),
            Exchange::Broadcast => Target::Broadcast,
            Exchange::Rebalance => Target::Rebalance,
        }
    }
}

impl Pending {
    /// Notes where the rows go.
    fn add(&mut self, batch: Batch) -> Result<()> {
        match self {
            Pending::All(batches) => batches.push(batch),
            Pending::Owners(partitions) => partitions.add(batch)?,
            Pending::Turns(batches, turn) => {
                batches[*turn].push(batch);
                *turn = (*turn + 1) % batches.len();
            }
        }
        Ok(())
    }

    /// What goes to each of so many destinations, and nothing is left.
    fn take(&mut self, destinations: usize) -> Result<Vec<Option<Batch>>> {
        let whole = |batches: &mut Vec<Batch>| match std::mem::take(batches) {
            none if none.is_empty() => Ok(None),
            some => Batch::concat(&some).map(Some),
        };
        match self {
            Pending::All(batches) => Ok(vec![whole(batches)?; destinations]),
            Pending::Owners(partitions) => partitions.take(),
            Pending::Turns(batches, _) => batches.iter_mut().map(whole).collect(),
        }
    }
}

impl Router {
    /// An edge to `channels`; `turn` is where taking turns starts.
    pub fn new(target: Target, channels: Vec<ChannelSender>, turn: usize, limits: ExchangeLimits) -> Self {
        let destinations = channels.len();
        let pending = match target {
            Target::One => Pending::Turns(vec![Vec::new()], 0),
            Target::Broadcast => Pending::All(Vec::new()),
            Target::Hash(columns) => Pending::Owners(Partitions::new(columns, destinations)),
            Target::Rebalance => Pending::Turns(vec![Vec::new(); destinations], turn % destinations),
        };
        Self {
            pending,
            channels,
            limits,
            pending_rows: 0,
            pending_time: None,
            pending_idle: false,
            oldest: None,
            sent_bytes: 0,
        }
    }

    /// When pending elements have waited long enough; `None` if there are none.
    pub fn deadline(&self) -> Option<Instant> {
        self.oldest.map(|oldest| oldest + self.limits.linger)
    }

    /// Sends an element on. It may linger; see [`flush`](Self::flush).
    pub async fn send(&mut self, element: Element) -> Result<(), SendError> {
        match element {
            Element::Batch(batch) => {
                self.pending_rows += batch.num_rows();
                self.pending.add(batch)?;
                self.oldest.get_or_insert_with(Instant::now);
                if self.pending_rows >= self.limits.piece_rows * self.channels.len() {
                    self.flush().await?;
                }
            }
            Element::Watermark(Watermark::At(time)) if self.pending_rows > 0 => {
                self.pending_time = Some(time);
                self.pending_idle = false;
            }
            Element::Watermark(Watermark::Idle) if self.pending_rows > 0 => {
                self.pending_idle = true;
                self.pending_time.take_if(|_| bugs::is_on(Bug::IdleHidesTime));
            }
            control => {
                if !(matches!(control, Element::Marker(_)) && bugs::is_on(Bug::MarkerOvertakesRows)) {
                    self.flush().await?;
                }
                for channel in &mut self.channels {
                    channel.send_control(control.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Sends everything that is pending.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        let pieces = self.pending.take(self.channels.len())?;
        for (piece, channel) in pieces.into_iter().zip(&mut self.channels) {
            if let Some(piece) = piece {
                self.sent_bytes += channel.send(piece).await? as u64;
            }
        }
        self.pending_rows = 0;
        self.oldest = None;
        let time = self.pending_time.take().map(Watermark::At);
        let idle = std::mem::take(&mut self.pending_idle).then_some(Watermark::Idle);
        for watermark in time.into_iter().chain(idle) {
            for channel in &mut self.channels {
                channel.send_control(Element::Watermark(watermark))?;
            }
        }
        Ok(())
    }

    /// Bytes of rows that were sent since this was last asked.
    pub fn take_sent_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.sent_bytes)
    }

    /// Waits until everything up to the end has arrived in the processes of the receivers.
    pub async fn arrived(&mut self) -> Result<(), SendError> {
        for channel in &mut self.channels {
            channel.arrived().await?;
        }
        Ok(())
    }
}
