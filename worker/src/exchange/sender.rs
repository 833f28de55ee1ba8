//! The sending end of a channel, wherever its reader is.

use weir_core::{Batch, Element, Error};

use super::network::RemoteSender;
use super::{Closed, LocalSender};

/// The sending end of one channel of a gate.
#[derive(Debug)]
pub enum ChannelSender {
    /// To a gate in this process.
    Local(LocalSender),
    /// To a gate of another worker.
    Remote(RemoteSender),
}

/// Sending failed.
#[derive(Debug)]
pub enum SendError {
    /// The receiver is gone.
    Closed,
    /// The rows could not be sent.
    Failed(Error),
}

impl From<Closed> for SendError {
    fn from(_: Closed) -> Self {
        SendError::Closed
    }
}

impl From<Error> for SendError {
    fn from(error: Error) -> Self {
        SendError::Failed(error)
    }
}

impl ChannelSender {
    /// Sends rows, waiting for credit. Returns how many bytes they count.
    pub async fn send(&mut self, batch: Batch) -> Result<usize, SendError> {
        match self {
            ChannelSender::Local(sender) => Ok(sender.send(batch).await?),
            ChannelSender::Remote(sender) => sender.send(batch).await,
        }
    }

    /// Sends a watermark, a marker or an end, behind the rows that were sent before, without waiting for credit.
    pub fn send_control(&mut self, element: Element) -> Result<(), Closed> {
        match self {
            ChannelSender::Local(sender) => sender.send_control(element),
            ChannelSender::Remote(sender) => sender.send_control(element),
        }
    }

    /// Waits until everything up to the end has arrived in the process of the reader. From there on nothing that happens
    /// here can lose it.
    pub async fn arrived(&mut self) -> Result<(), Closed> {
        match self {
            ChannelSender::Local(_) => Ok(()),
            ChannelSender::Remote(sender) => sender.arrived().await,
        }
    }
}
