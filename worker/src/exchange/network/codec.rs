//! Frames as bytes. A frame is its length (4 bytes), its kind (1 byte) and what the kind says; all numbers are little
//! endian, a text is its length and its UTF-8. The rows of a batch are a message of an Arrow IPC stream, one stream per
//! channel: its schema is sent in front of its first batch.
//!
//! What is read here comes from outside: nothing is allocated before its size was checked, and whatever is not understood
//! is an error.

pub(crate) mod rows;

use arrow::buffer::Buffer;
use bytes::Bytes;
use weir_core::{
    Attempt, Element, Epoch, Error, EventTime, Incarnation, JobId, Marker, MarkerKind, NodeId, Result, Watermark,
    WorkerId,
};

use self::rows::{MessageKind, RowDecoder, RowEncoder};
use super::super::size::batch_bytes;
use super::frame::{ChannelId, Closing, Frame, Hello, Process};

/// Bytes in front of each frame: its length without them.
pub const LENGTH_BYTES: usize = 4;

/// Most bytes of the first frame, which comes from somebody unknown.
const HANDSHAKE_BYTES: usize = 4096;

/// Most bytes of a reason that is sent.
const REASON_BYTES: usize = 1024;

/// Begins the handshake: what speaks here, and which version of it.
const MAGIC: &[u8; 8] = b"WEIR\0\0\0\x01";

/// Where the rows stand in a frame. Arrow reads them without a copy if they are aligned.
const ROWS_AT: usize = 64;

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const REFUSED: u8 = 3;
const OPEN: u8 = 4;
const BATCH: u8 = 5;
const WATERMARK: u8 = 6;
const IDLE: u8 = 7;
const MARKER: u8 = 8;
const END: u8 = 9;
const GONE: u8 = 10;
const CREDIT: u8 = 11;
const COMPLETE: u8 = 12;
const ABANDONED: u8 = 13;
const CHANNEL_REFUSED: u8 = 14;
const PING: u8 = 15;

/// Makes the bytes of one side's frames.
#[derive(Default)]
pub struct Encoder {
    rows: RowEncoder,
}

/// Reads the bytes of one side's frames.
pub struct Decoder {
    rows: RowDecoder,
    frame_bytes: usize,
    begun: bool,
}

impl Encoder {
    /// The bytes of a frame, to be sent one behind the other.
    ///
    /// # Errors
    /// If rows cannot be sent, or are more than a frame may hold.
    pub fn encode(&mut self, frame: &Frame, frame_bytes: usize) -> Result<Vec<Buffer>> {
        let mut head = Writer(vec![0; LENGTH_BYTES]);
        let mut buffers = Vec::new();
        match frame {
            Frame::Hello(hello) => {
                head.u8(HELLO).bytes(MAGIC).text(&hello.cluster);
                head.process(&hello.from).process(&hello.to).u64(hello.window);
            }
            Frame::Welcome { window } => drop(head.u8(WELCOME).bytes(MAGIC).u64(*window)),
            Frame::Refused { reason } => drop(head.u8(REFUSED).bytes(MAGIC).reason(reason)),
            Frame::Open { channel, id } => {
                head.u8(OPEN).u32(*channel).u64(id.job.0).u64(id.attempt.0);
                head.u64(id.head.0 as u64).u64(id.subtask as u64).u64(id.channel as u64);
            }
            Frame::Element { channel, element, bytes } => match element {
                Element::Batch(batch) => {
                    let (kind, rows) = self.rows.encode(*channel, batch)?;
                    head.u8(BATCH).u8(kind.to_byte()).u32(*channel).u64(*bytes);
                    head.0.resize(LENGTH_BYTES + ROWS_AT, 0);
                    buffers = rows;
                }
                Element::Watermark(Watermark::At(time)) => {
                    head.u8(WATERMARK).u32(*channel).u64(time.0.cast_unsigned());
                }
                Element::Watermark(Watermark::Idle) => drop(head.u8(IDLE).u32(*channel)),
                Element::Marker(marker) => {
                    head.u8(MARKER).u32(*channel).u64(marker.epoch.0).u8(marker_number(marker.kind));
                }
                Element::End => {
                    self.rows.forget(*channel);
                    head.u8(END).u32(*channel);
                }
            },
            Frame::Gone { channel } => {
                self.rows.forget(*channel);
                head.u8(GONE).u32(*channel);
            }
            Frame::Credit { channel, bytes } => drop(head.u8(CREDIT).u32(*channel).u64(*bytes)),
            Frame::Closed { channel, closing: Closing::Complete } => drop(head.u8(COMPLETE).u32(*channel)),
            Frame::Closed { channel, closing: Closing::Abandoned } => drop(head.u8(ABANDONED).u32(*channel)),
            Frame::Closed { channel, closing: Closing::Refused(reason) } => {
                head.u8(CHANNEL_REFUSED).u32(*channel).reason(reason);
            }
            Frame::Ping => drop(head.u8(PING)),
        }
        let length = head.0.len() - LENGTH_BYTES + buffers.iter().map(Buffer::len).sum::<usize>();
        if length > frame_bytes {
            return Err(Error::internal(format!("a frame of {length} bytes is longer than {frame_bytes}")));
        }
        let prefix = u32::try_from(length).map_err(|_| Error::internal("a frame is longer than its length can say"))?;
        head.0[..LENGTH_BYTES].copy_from_slice(&prefix.to_le_bytes());
        buffers.insert(0, head.0.into());
        Ok(buffers)
    }
}

impl Decoder {
    /// A decoder for frames of at most `frame_bytes`.
    pub fn new(frame_bytes: usize) -> Self {
        Self { rows: RowDecoder::default(), frame_bytes, begun: false }
    }

    /// The length that `prefix` announces.
    ///
    /// # Errors
    /// If no frame has that length here.
    pub fn length(&self, prefix: [u8; LENGTH_BYTES]) -> Result<usize> {
        let length = u32::from_le_bytes(prefix) as usize;
        let most = if self.begun { self.frame_bytes } else { HANDSHAKE_BYTES.min(self.frame_bytes) };
        if length == 0 || length > most {
            return Err(Error::environment(format!("a frame of {length} bytes was announced; 1 to {most} can come")));
        }
        Ok(length)
    }

    /// The frame in `bytes`, which hold all of it but its length.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(&mut self, bytes: Bytes) -> Result<Frame> {
        self.begun = true;
        if bytes.first() == Some(&BATCH) {
            return self.batch(bytes);
        }
        let mut reader = Reader(&bytes);
        let frame = match reader.u8()? {
            HELLO => {
                reader.magic()?;
                let (cluster, from, to) = (reader.text()?, reader.process()?, reader.process()?);
                Frame::Hello(Hello { cluster, from, to, window: reader.u64()? })
            }
            WELCOME => {
                reader.magic()?;
                Frame::Welcome { window: reader.u64()? }
            }
            REFUSED => {
                reader.magic()?;
                Frame::Refused { reason: reader.text()? }
            }
            OPEN => {
                let channel = reader.u32()?;
                let (job, attempt) = (JobId(reader.u64()?), Attempt(reader.u64()?));
                let (head, subtask) = (NodeId(reader.position()?), reader.position()?);
                Frame::Open { channel, id: ChannelId { job, attempt, head, subtask, channel: reader.position()? } }
            }
            WATERMARK => {
                let channel = reader.u32()?;
                let time = EventTime(reader.u64()?.cast_signed());
                Frame::Element { channel, element: Element::Watermark(Watermark::At(time)), bytes: 0 }
            }
            IDLE => Frame::Element { channel: reader.u32()?, element: Element::Watermark(Watermark::Idle), bytes: 0 },
            MARKER => {
                let channel = reader.u32()?;
                let marker = Marker { epoch: Epoch(reader.u64()?), kind: marker_kind(reader.u8()?)? };
                Frame::Element { channel, element: Element::Marker(marker), bytes: 0 }
            }
            END => {
                let channel = reader.u32()?;
                self.rows.forget(channel);
                Frame::Element { channel, element: Element::End, bytes: 0 }
            }
            GONE => {
                let channel = reader.u32()?;
                self.rows.forget(channel);
                Frame::Gone { channel }
            }
            CREDIT => Frame::Credit { channel: reader.u32()?, bytes: reader.u64()? },
            COMPLETE => Frame::Closed { channel: reader.u32()?, closing: Closing::Complete },
            ABANDONED => Frame::Closed { channel: reader.u32()?, closing: Closing::Abandoned },
            CHANNEL_REFUSED => {
                let channel = reader.u32()?;
                Frame::Closed { channel, closing: Closing::Refused(reader.text()?) }
            }
            PING => Frame::Ping,
            other => return Err(Error::environment(format!("there is no frame of kind {other}"))),
        };
        match reader.0 {
            [] => Ok(frame),
            rest => Err(Error::environment(format!("a frame has {} bytes too many", rest.len()))),
        }
    }

    fn batch(&mut self, bytes: Bytes) -> Result<Frame> {
        let mut reader = Reader(&bytes);
        let (_frame, kind) = (reader.u8()?, MessageKind::from_byte(reader.u8()?)?);
        let (channel, cost) = (reader.u32()?, reader.u64()?);
        if cost == 0 || bytes.len() < ROWS_AT {
            return Err(Error::environment("a frame with rows is too short, or costs nothing"));
        }
        // A sender cuts rows into pieces that cost less than a frame may hold.
        if cost > self.frame_bytes as u64 {
            return Err(Error::environment(format!(
                "a frame costs {cost} bytes; it can be {} at most",
                self.frame_bytes
            )));
        }
        let batch = self.rows.decode(channel, kind, bytes.slice(ROWS_AT..))?;
        // What was paid for is given back as it was paid; more than that must not wait here. Where validity is kept for rows that
        // are all valid, it need not have come with them.
        let taken = batch_bytes(&batch) as u64;
        if taken > cost.saturating_mul(2) {
            return Err(Error::environment(format!("rows of {taken} bytes came in a frame that costs {cost}")));
        }
        Ok(Frame::Element { channel, element: Element::Batch(batch), bytes: cost })
    }
}

fn marker_number(kind: MarkerKind) -> u8 {
    match kind {
        MarkerKind::Flush => 0,
        MarkerKind::Checkpoint => 1,
        MarkerKind::Savepoint => 2,
        MarkerKind::Stop => 3,
        MarkerKind::Drain => 4,
    }
}

fn marker_kind(number: u8) -> Result<MarkerKind> {
    Ok(match number {
        0 => MarkerKind::Flush,
        1 => MarkerKind::Checkpoint,
        2 => MarkerKind::Savepoint,
        3 => MarkerKind::Stop,
        4 => MarkerKind::Drain,
        _ => return Err(Error::environment(format!("there is no marker of kind {number}"))),
    })
}

/// Puts fields one behind the other.
struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX)).bytes(text.as_bytes())
    }

    /// The beginning of a reason that is too long still says something.
    fn reason(&mut self, reason: &str) -> &mut Self {
        self.text(&reason[..reason.floor_char_boundary(REASON_BYTES)])
    }

    fn process(&mut self, process: &Process) -> &mut Self {
        self.text(&process.worker.0).u64(process.incarnation.0)
    }
}

/// Takes fields off the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(too_short)?;
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn position(&mut self) -> Result<usize> {
        usize::try_from(self.u64()?).map_err(|_| Error::environment("a frame names a position that cannot be"))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(too_short)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|error| Error::environment("a text is no UTF-8").with_source(error))
    }

    fn process(&mut self) -> Result<Process> {
        Ok(Process { worker: WorkerId(self.text()?), incarnation: Incarnation(self.u64()?) })
    }

    fn magic(&mut self) -> Result<()> {
        if self.take::<8>()? == *MAGIC {
            return Ok(());
        }
        Err(Error::environment("it does not speak this version of Weir's exchange"))
    }
}

fn too_short() -> Error {
    Error::environment("a frame is too short for what it says")
}

#[cfg(test)]
mod tests;
