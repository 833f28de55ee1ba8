//! Columns that describe a record. Their names are Flink's, but for `key`, which it does not have.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanArray, Int32Array, Int64Array, MapArray, StringViewArray, StringViewBuilder,
    StructArray, TimestampMillisecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use rdkafka::message::Timestamp;
use weir_core::{Error, Result};

use crate::record::{HeadersByName, Record};
use crate::split::TopicPartition;

/// What is known of a record beside its key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metadata {
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Headers,
    Key,
    /// Where the record stands among those of its key.
    Sequence,
    /// Whether it says that its row is gone.
    Deletion,
}

/// Names of what tables have whose records replace each other, and nobody declares.
pub(crate) const SEQUENCE: &str = "$sequence";
pub(crate) const DELETION: &str = "$deletion";

const METADATA: [(&str, Metadata); 7] = [
    ("topic", Metadata::Topic),
    ("partition", Metadata::Partition),
    ("offset", Metadata::Offset),
    ("timestamp", Metadata::Timestamp),
    ("timestamp-type", Metadata::TimestampType),
    ("headers", Metadata::Headers),
    ("key", Metadata::Key),
];

impl Metadata {
    /// The one of that name.
    pub(crate) fn named(key: &str) -> Option<Self> {
        match key {
            SEQUENCE => return Some(Self::Sequence),
            DELETION => return Some(Self::Deletion),
            _ => {}
        }
        METADATA.iter().find(|(name, _)| *name == key).map(|(_, kind)| *kind)
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Metadata::Sequence => DataType::Int64,
            Metadata::Deletion => DataType::Boolean,
            Metadata::Topic | Metadata::TimestampType => DataType::Utf8View,
            Metadata::Partition => DataType::Int32,
            Metadata::Offset => DataType::Int64,
            Metadata::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Metadata::Headers => DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair()), false)), false),
            Metadata::Key => DataType::BinaryView,
        }
    }
}

/// A header: a value may be missing, a name may not.
fn pair() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::BinaryView, true)])
}

/// The metadata columns that there are.
pub(crate) fn columns() -> Vec<Field> {
    METADATA.iter().map(|(name, kind)| Field::new(*name, kind.data_type(), *kind == Metadata::Key)).collect()
}

/// One such column of a batch.
pub(crate) enum MetadataColumn {
    Topic,
    Partition,
    Offset(Vec<i64>),
    Timestamp(Vec<i64>),
    TimestampType(StringViewBuilder),
    Headers(Box<HeaderColumn>),
    Key(BinaryViewBuilder),
    Sequence(Vec<i64>),
    Deletion(Vec<bool>),
}

/// What is known of a row that a record says something of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    /// Where it stands among those of its key.
    pub(crate) sequence: i64,
    /// Whether it is gone.
    pub(crate) is_gone: bool,
}

impl MetadataColumn {
    pub(crate) fn new(kind: Metadata) -> Self {
        match kind {
            Metadata::Topic => Self::Topic,
            Metadata::Partition => Self::Partition,
            Metadata::Offset => Self::Offset(Vec::new()),
            Metadata::Timestamp => Self::Timestamp(Vec::new()),
            Metadata::TimestampType => Self::TimestampType(StringViewBuilder::new()),
            Metadata::Headers => Self::Headers(Box::default()),
            Metadata::Key => Self::Key(BinaryViewBuilder::new()),
            Metadata::Sequence => Self::Sequence(Vec::new()),
            Metadata::Deletion => Self::Deletion(Vec::new()),
        }
    }

    /// Adds what is known of a record.
    ///
    /// # Errors
    /// What is wrong with it. A value has been added all the same.
    pub(crate) fn push(&mut self, message: &impl Record, turn: Turn) -> Result<(), String> {
        match self {
            Self::Sequence(values) => values.push(turn.sequence),
            Self::Deletion(values) => values.push(turn.is_gone),
            Self::Topic | Self::Partition => {}
            Self::Offset(values) => values.push(message.offset()),
            Self::Timestamp(values) => values.push(message.timestamp().to_millis().unwrap_or(-1)),
            Self::TimestampType(values) => values.append_value(match message.timestamp() {
                Timestamp::NotAvailable => "NoTimestampType",
                Timestamp::CreateTime(_) => "CreateTime",
                Timestamp::LogAppendTime(_) => "LogAppendTime",
            }),
            Self::Headers(column) => return column.push(message),
            Self::Key(values) => values.append_option(message.key()),
        }
        Ok(())
    }

    /// The column of so many records of a partition; it is empty afterwards.
    ///
    /// # Errors
    /// If its parts do not fit together, which would be Weir's defect.
    pub(crate) fn finish(&mut self, partition: &TopicPartition, rows: usize) -> Result<ArrayRef> {
        Ok(match self {
            Self::Topic => Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(&*partition.topic, rows))),
            Self::Partition => Arc::new(Int32Array::from_value(partition.partition, rows)),
            Self::Offset(values) => Arc::new(Int64Array::from(std::mem::take(values))),
            Self::Timestamp(values) => {
                Arc::new(TimestampMillisecondArray::from(std::mem::take(values)).with_timezone("UTC"))
            }
            Self::TimestampType(values) => Arc::new(std::mem::take(values).finish()),
            Self::Headers(column) => std::mem::take(column.as_mut()).finish()?,
            Self::Key(values) => Arc::new(std::mem::take(values).finish()),
            Self::Sequence(values) => Arc::new(Int64Array::from(std::mem::take(values))),
            Self::Deletion(values) => Arc::new(BooleanArray::from(std::mem::take(values))),
        })
    }
}

/// The headers of a batch.
#[derive(Default)]
pub(crate) struct HeaderColumn {
    /// How many headers each record has.
    lengths: Vec<usize>,
    names: StringViewBuilder,
    values: BinaryViewBuilder,
}

impl HeaderColumn {
    fn push(&mut self, message: &impl Record) -> Result<(), String> {
        let found = message.headers();
        self.lengths.push(found.as_ref().map_or(0, HeadersByName::len));
        for (name, value) in found? {
            self.names.append_value(name);
            self.values.append_option(value);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let DataType::Map(entries, _) = Metadata::Headers.data_type() else {
            return Err(Error::internal("headers are no map"));
        };
        let columns: Vec<ArrayRef> = vec![Arc::new(self.names.finish()), Arc::new(self.values.finish())];
        let pairs = StructArray::try_new(pair(), columns, None)?;
        Ok(Arc::new(MapArray::try_new(entries, OffsetBuffer::from_lengths(self.lengths), pairs, None, false)?))
    }
}
