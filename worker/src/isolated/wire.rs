//! One direction of a socket between a worker and a plugin's process: messages in JSON, and rows behind those that have some, as messages of an Arrow
//! IPC stream.
//!
//! ```text
//!   u32 length of the message │ u32 length of the rows │ u32 stream of the rows │ u8 kind of the rows │ message │ rows
//! ```
//!
//! Numbers are little-endian. Where there are no rows their length is 0.

use std::io::{BufReader, ErrorKind, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::buffer::Buffer;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_core::{Batch, Error, Result};

use crate::exchange::network::codec::rows::{MessageKind, RowDecoder, RowEncoder};

const HEAD: usize = 13;
/// Bytes of a message without rows: what an operator is asked for, and what it answers.
const LONGEST_MESSAGE: usize = 64 << 20;
/// Bytes for which there is room before any has come: a damaged length makes no process run out of memory.
const ROOM: usize = 16 << 20;

/// Rows, and the stream that they belong to. Those of one stream mostly have the same columns.
pub type Rows<'a> = (u32, &'a Batch);

/// The bytes of a message: what stands before the rows, and those.
pub struct Message {
    head: Vec<u8>,
    rows: Vec<Buffer>,
}

/// The end that writes.
pub struct Sender {
    socket: Arc<UnixStream>,
    encoder: RowEncoder,
}

/// The end that reads.
pub struct Receiver {
    socket: BufReader<Shared>,
    decoder: RowDecoder,
}

/// A socket that others have too. It is closed with the last of them.
struct Shared(Arc<UnixStream>);

impl Read for Shared {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

/// Both directions of a socket.
pub fn split(socket: &Arc<UnixStream>) -> (Sender, Receiver) {
    let sender = Sender { socket: socket.clone(), encoder: RowEncoder::default() };
    (sender, Receiver { socket: BufReader::new(Shared(socket.clone())), decoder: RowDecoder::default() })
}

fn broken(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::environment(what).with_source(error)
}

impl Sender {
    /// Sends a message. Blocks while the other side does not read.
    ///
    /// # Errors
    /// As [`encode`](Self::encode) and [`write`](Self::write).
    pub fn send(&mut self, message: &impl Serialize, rows: Option<Rows<'_>>) -> Result<()> {
        let message = self.encode(message, rows)?;
        self.write(&message)
    }

    /// The bytes of a message, which is the next one to be written.
    ///
    /// # Errors
    /// If it is too long, or its rows cannot be sent. Nothing is sent then, and others may be.
    pub fn encode(&mut self, message: &impl Serialize, rows: Option<Rows<'_>>) -> Result<Message> {
        let encoded = self.encoded(message, rows);
        if let (Err(_), Some((stream, _))) = (&encoded, rows) {
            // The other side has not got what the stream goes on from.
            self.encoder.forget(stream);
        }
        encoded
    }

    fn encoded(&mut self, message: &impl Serialize, rows: Option<Rows<'_>>) -> Result<Message> {
        let message = serde_json::to_vec(message).map_err(|error| {
            Error::internal("a message for a plugin's process cannot be written").with_source(error)
        })?;
        let (stream, kind, rows) = match rows {
            None => (0, 0, Vec::new()),
            Some((stream, batch)) => {
                let (kind, buffers) = self.encoder.encode(stream, batch)?;
                (stream, kind.to_byte(), buffers)
            }
        };
        let too_long = |_| Error::user("rows of one call of a plugin have more than 4 GiB");
        let length = u32::try_from(rows.iter().map(Buffer::len).sum::<usize>()).map_err(too_long)?;
        let mut head = Vec::with_capacity(HEAD + message.len());
        head.extend(u32::try_from(message.len()).map_err(too_long)?.to_le_bytes());
        head.extend(length.to_le_bytes());
        head.extend(stream.to_le_bytes());
        head.push(kind);
        head.extend(message);
        Ok(Message { head, rows })
    }

    /// Writes a message. Blocks while the other side does not read.
    ///
    /// # Errors
    /// If the other side is gone.
    pub fn write(&mut self, Message { head, rows }: &Message) -> Result<()> {
        let mut slices: Vec<IoSlice<'_>> = std::iter::once(&**head)
            .chain(rows.iter().map(Buffer::as_slice))
            .filter(|bytes| !bytes.is_empty())
            .map(IoSlice::new)
            .collect();
        self.write_all(&mut slices).map_err(|error| broken("a message cannot be sent", error))
    }

    fn write_all(&mut self, mut slices: &mut [IoSlice<'_>]) -> std::io::Result<()> {
        while !slices.is_empty() {
            match (&*self.socket).write_vectored(slices) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The socket.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }
}

impl Receiver {
    /// Waits for the next message; `None`: the other side has ended between two.
    ///
    /// # Errors
    /// If the other side ends within a message, or writes what is none.
    pub fn receive<M: DeserializeOwned>(&mut self) -> Result<Option<(M, Option<Batch>)>> {
        let head = self.read(HEAD)?;
        let &[a, b, c, d, e, f, g, h, i, j, k, l, kind] = &*head else {
            return if head.is_empty() { Ok(None) } else { Err(cut_off()) };
        };
        let (message, rows) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
        let (stream, kind) = (u32::from_le_bytes([i, j, k, l]), MessageKind::from_byte(kind)?);
        if message > LONGEST_MESSAGE {
            return Err(Error::environment(format!("a message has {message} bytes, and may have {LONGEST_MESSAGE}")));
        }
        let text = self.read_exactly(message)?;
        let message = serde_json::from_slice(&text).map_err(|error| broken("a message is not understood", error))?;
        let rows = match rows {
            0 => None,
            length => {
                let bytes = Bytes::from(self.read_exactly(length)?);
                let decoder = &mut self.decoder;
                // Of bytes that are no rows Arrow panics. Nothing is read behind an error.
                let decoded = catch_unwind(AssertUnwindSafe(|| decoder.decode(stream, kind, bytes)));
                Some(decoded.unwrap_or_else(|_| Err(Error::environment("rows that were received are damaged")))?)
            }
        };
        Ok(Some((message, rows)))
    }

    fn read_exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        let bytes = self.read(length)?;
        if bytes.len() == length { Ok(bytes) } else { Err(cut_off()) }
    }

    /// So many bytes, or all there are until the end.
    fn read(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length.min(ROOM));
        let read = (&mut self.socket).take(length as u64).read_to_end(&mut bytes);
        read.map_err(|error| broken("a message cannot be received", error))?;
        Ok(bytes)
    }
}

fn cut_off() -> Error {
    Error::environment("a message was cut off")
}

#[cfg(test)]
mod tests;
