//! The sending end of a channel whose reader is in another process.

use std::future::poll_fn;
use std::sync::Arc;

use weir_core::{Batch, Element, Error, PlacedWorker};

use super::super::size::batch_bytes;
use super::super::{Closed, SendError};
use super::connection::{Connection, LostSender};
use super::frame::ChannelId;
use super::hub::Hub;

/// Sends over the connection to the reader's worker. The channel is opened by what is sent first: before that nobody
/// hears of it.
#[derive(Debug)]
pub struct RemoteSender {
    hub: Arc<Hub>,
    to: PlacedWorker,
    id: ChannelId,
    lost: LostSender,
    window: u64,
    open: Option<(Arc<Connection>, u32)>,
}

impl RemoteSender {
    /// The channel `id` of the worker `to`; `lost` hears if the connection breaks.
    pub fn new(hub: Arc<Hub>, to: PlacedWorker, id: ChannelId, lost: LostSender) -> Self {
        Self { hub, to, id, lost, window: u64::MAX, open: None }
    }

    /// Has no more than so many bytes and a batch on the way, though the reader's worker gives more credit. The reader's gate has as much.
    pub fn within(mut self, window: usize) -> Self {
        self.window = window as u64;
        self
    }

    fn open(&mut self) -> (Arc<Connection>, u32) {
        let open = self.open.get_or_insert_with(|| {
            let connection = self.hub.connection(&self.to);
            let number = connection.open(self.id, self.window, self.lost.clone());
            (connection, number)
        });
        open.clone()
    }

    /// Sends rows, waiting for credit. Returns how many bytes they count.
    pub async fn send(&mut self, batch: Batch) -> Result<usize, SendError> {
        let (connection, number) = self.open();
        let mut pieces = Vec::new();
        split(batch, self.hub.piece_bytes(), &mut pieces)?;
        let mut sent = 0;
        for (piece, bytes) in pieces {
            poll_fn(|context| connection.poll_credit(number, context)).await?;
            connection.send(number, Element::Batch(piece), bytes as u64)?;
            sent += bytes;
        }
        Ok(sent)
    }

    /// Sends a watermark, a marker or an end, behind the rows that were sent before, without waiting for credit.
    pub fn send_control(&mut self, element: Element) -> Result<(), Closed> {
        let (connection, number) = self.open();
        connection.send(number, element, 0)
    }

    /// Waits until the end has arrived.
    pub async fn arrived(&mut self) -> Result<(), Closed> {
        let (connection, number) = self.open();
        poll_fn(|context| connection.poll_arrived(number, context)).await
    }
}

impl Drop for RemoteSender {
    fn drop(&mut self) {
        if let Some((connection, number)) = self.open.take() {
            connection.forget(number);
        }
    }
}

/// Cuts a batch into pieces of at most `limit` bytes.
fn split(batch: Batch, limit: usize, pieces: &mut Vec<(Batch, usize)>) -> Result<(), Error> {
    let bytes = batch_bytes(&batch);
    let rows = batch.num_rows();
    if bytes <= limit {
        pieces.push((batch, bytes));
        return Ok(());
    }
    if rows <= 1 {
        let error = Error::data(format!("a row has {bytes} bytes, and at most {limit} can be sent to another worker"));
        return Err(error.with_help("drop or shorten its longest column before the rows are grouped or joined"));
    }
    split(batch.slice(0, rows / 2), limit, pieces)?;
    split(batch.slice(rows / 2, rows - rows / 2), limit, pieces)
}
