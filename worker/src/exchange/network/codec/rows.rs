//! The rows of a batch as messages of an Arrow IPC stream.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamEncoder;
use bytes::Bytes;
use weir_core::views::compact_rows;
use weir_core::{Error, Result};

/// Follows the message: the decoder takes a message for complete only when it sees that something follows.
const TRAILER: u8 = 0xFF;

/// Bytes that may be sent in vain before a copy is made, beside a quarter of what has to be sent.
const WASTE: usize = 1024;

/// A stream per channel.
#[derive(Default)]
pub struct RowEncoder {
    channels: BTreeMap<u32, (SchemaRef, StreamEncoder)>,
}

/// A stream per channel.
#[derive(Default)]
pub struct RowDecoder {
    channels: BTreeMap<u32, StreamDecoder>,
}

impl RowEncoder {
    /// The next message of a channel's stream, and whether a stream begins with it.
    pub fn encode(&mut self, channel: u32, batch: &RecordBatch) -> Result<(bool, Vec<Buffer>)> {
        let schema = batch.schema();
        let known = self.channels.get(&channel).is_some_and(|(known, _)| *known == schema);
        if !known {
            if let Some(field) = schema.fields().iter().find(|field| has_dictionary(field.data_type())) {
                return Err(Error::internal(format!("column {} has a dictionary, and cannot be sent", field.name())));
            }
            self.channels.insert(channel, (schema.clone(), StreamEncoder::try_new(&schema)?));
        }
        let (_, encoder) = self.channels.get_mut(&channel).expect("it was just put in");
        let mut buffers = encoder.encode(&compact_rows(batch, is_wasteful)?)?;
        buffers.push(Buffer::from(vec![TRAILER]));
        Ok((!known, buffers))
    }

    /// The channel is no more.
    pub fn forget(&mut self, channel: u32) {
        self.channels.remove(&channel);
    }
}

impl RowDecoder {
    /// The rows of a message; `fresh` if a stream begins with it.
    pub fn decode(&mut self, channel: u32, fresh: bool, bytes: Bytes) -> Result<RecordBatch> {
        let broken = |error| Error::environment("rows that were received cannot be read").with_source(error);
        if fresh {
            self.channels.insert(channel, StreamDecoder::new());
        }
        let decoder = self.channels.get_mut(&channel);
        let decoder = decoder.ok_or_else(|| Error::environment("rows were received without a schema"))?;
        let mut buffer = Buffer::from(bytes);
        match decoder.decode(&mut buffer).map_err(broken)? {
            Some(batch) if *buffer == [TRAILER] => Ok(batch),
            _ => Err(Error::environment("rows that were received are not all there")),
        }
    }

    /// The channel is no more.
    pub fn forget(&mut self, channel: u32) {
        self.channels.remove(&channel);
    }
}

/// A batch of string views shares the buffers of the batch that it was cut from, and would be sent with all of them.
fn is_wasteful(held: usize, shown: usize) -> bool {
    held > shown + shown / 4 + WASTE
}

fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, _) => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_dictionary(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_dictionary(field.data_type())),
        _ => false,
    }
}
