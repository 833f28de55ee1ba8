//! The rows of a batch as messages of an Arrow IPC stream. Their weights, if they have any, are its last column.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Int8Type, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamEncoder;
use bytes::Bytes;
use weir_core::views::{Strings, compact_rows};
use weir_core::{Batch, Error, Result};

/// Follows the message: the decoder takes a message for complete only when it sees that something follows.
const TRAILER: u8 = 0xFF;

/// Bytes that may be sent in vain before a copy is made, beside a quarter of what has to be sent.
const WASTE: usize = 1024;

/// Name of the column that weights travel in.
const WEIGHT: &str = "$weight";

/// What a message is, in the frame around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageKind {
    /// A stream begins with it.
    pub fresh: bool,
    /// Its last column are weights.
    pub weighted: bool,
}

impl MessageKind {
    /// A bit each.
    pub fn to_byte(self) -> u8 {
        u8::from(self.fresh) | u8::from(self.weighted) << 1
    }

    /// What [`to_byte`](Self::to_byte) made.
    ///
    /// # Errors
    /// If there is no such kind.
    pub fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            0..4 => Ok(Self { fresh: byte & 1 != 0, weighted: byte & 2 != 0 }),
            _ => Err(Error::environment(format!("there are no rows of kind {byte}"))),
        }
    }
}

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
    /// The next message of a channel's stream. Another schema, or weights where there were none, begin another stream.
    pub fn encode(&mut self, channel: u32, batch: &Batch) -> Result<(MessageKind, Vec<Buffer>)> {
        let records = with_weights(batch)?;
        let schema = records.schema();
        let known = self.channels.get(&channel).is_some_and(|(known, _)| *known == schema);
        if !known {
            if let Some(field) = schema.fields().iter().find(|field| has_dictionary(field.data_type())) {
                return Err(Error::internal(format!("column {} has a dictionary, and cannot be sent", field.name())));
            }
            self.channels.insert(channel, (schema.clone(), StreamEncoder::try_new(&schema)?));
        }
        let (_, encoder) = self.channels.get_mut(&channel).expect("it was just put in");
        let mut buffers = encoder.encode(&compact_rows(&records, is_wasteful)?)?;
        buffers.push(Buffer::from(vec![TRAILER]));
        Ok((MessageKind { fresh: !known, weighted: batch.weights().is_some() }, buffers))
    }

    /// The channel is no more.
    pub fn forget(&mut self, channel: u32) {
        self.channels.remove(&channel);
    }
}

impl RowDecoder {
    /// The rows of a message.
    pub fn decode(&mut self, channel: u32, kind: MessageKind, bytes: Bytes) -> Result<Batch> {
        let broken = |error| Error::environment("rows that were received cannot be read").with_source(error);
        if kind.fresh {
            self.channels.insert(channel, StreamDecoder::new());
        }
        let decoder = self.channels.get_mut(&channel);
        let decoder = decoder.ok_or_else(|| Error::environment("rows were received without a schema"))?;
        let mut buffer = Buffer::from(bytes);
        match decoder.decode(&mut buffer).map_err(broken)? {
            Some(records) if *buffer == [TRAILER] && kind.weighted => without_weights(records),
            Some(records) if *buffer == [TRAILER] => Ok(Batch::append(records)),
            _ => Err(Error::environment("rows that were received are not all there")),
        }
    }

    /// The channel is no more.
    pub fn forget(&mut self, channel: u32) {
        self.channels.remove(&channel);
    }
}

/// The rows with their weights behind the last column.
fn with_weights(batch: &Batch) -> Result<RecordBatch> {
    let Some(weights) = batch.weights() else { return Ok(batch.records().clone()) };
    let schema = batch.schema();
    let weight = Arc::new(Field::new(WEIGHT, DataType::Int8, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([weight]).collect();
    let columns = batch.records().columns().iter().cloned().chain([Arc::new(weights.clone()) as _]).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// What [`with_weights`] made, as it was.
fn without_weights(mut records: RecordBatch) -> Result<Batch> {
    let broken = || Error::environment("rows were received whose weights cannot be read");
    let last = records.num_columns().checked_sub(1).ok_or_else(broken)?;
    let weights = records.column(last).as_primitive_opt::<Int8Type>().ok_or_else(broken)?.clone();
    // Not a projection, which of no columns makes no rows.
    records.remove_column(last);
    Batch::weighted(records, weights).map_err(|error| broken().with_source(error))
}

/// A batch of string views shares the buffers of the batch that it was cut from, and would be sent with all of them.
fn is_wasteful(strings: &Strings<'_>) -> bool {
    let shown = strings.shown();
    strings.held() > shown + shown / 4 + WASTE
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
