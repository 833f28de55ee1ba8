//! From the records of a partition to a batch of rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter;
use weir_connectors::formats::RAW_LIMIT;
use weir_connectors::formats::message::{Change, MessageDecoder};
use weir_connectors::formats::registered::RegisteredSchema;
use weir_core::connector::Rejected;
use weir_core::{Error, Result};

use crate::layout::{Layout, Origin, Replacing};
use crate::metadata::{MetadataColumn, Turn};
use crate::record::Record;
use crate::split::{Sequence, TopicPartition};

/// A schema that is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WantedSchema {
    pub(crate) id: u32,
    /// Of a key, or of a value.
    pub(crate) of_key: bool,
}

/// Collects the rows of one batch.
pub(crate) struct Rows {
    layout: Arc<Layout>,
    key: Option<MessageDecoder>,
    value: Option<MessageDecoder>,
    metadata: Vec<MetadataColumn>,
    /// Rows, fillers of those that are rejected among them.
    rows: usize,
    /// Which of them are fillers.
    fillers: Vec<usize>,
    rejected: Vec<Rejected>,
    truncated: Option<Rejected>,
}

fn rejected(message: &impl Record, partition: &Arc<str>, raw: Option<&[u8]>, reason: String) -> Rejected {
    Rejected {
        origin: partition.clone(),
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        raw: raw.map(|raw| raw[..raw.len().min(RAW_LIMIT)].to_vec()).unwrap_or_default(),
        reason,
    }
}

impl Rows {
    /// # Errors
    /// If a column cannot be read, which has been checked before.
    pub(crate) fn new(layout: Arc<Layout>) -> Result<Self> {
        Ok(Self {
            key: layout.key_decoder()?,
            value: layout.value_decoder()?,
            metadata: layout.metadata(),
            layout,
            rows: 0,
            fillers: Vec::new(),
            rejected: Vec::new(),
            truncated: None,
        })
    }

    /// The schema that a record cannot be decoded without, and that is not known yet.
    pub(crate) fn wants_schema(&self, message: &impl Record) -> Option<WantedSchema> {
        let wanted = |decoder: &Option<MessageDecoder>, bytes| decoder.as_ref().and_then(|it| it.wants_schema(bytes));
        let of_value = wanted(&self.value, message.payload()).map(|id| WantedSchema { id, of_key: false });
        of_value.or_else(|| wanted(&self.key, message.key()).map(|id| WantedSchema { id, of_key: true }))
    }

    /// Takes over what the registry has said about one.
    pub(crate) fn add_schema(&mut self, wanted: WantedSchema, schema: Result<&RegisteredSchema, &String>) {
        let decoder = if wanted.of_key { &mut self.key } else { &mut self.value };
        match (decoder, schema) {
            (None, _) => {}
            (Some(decoder), Err(why)) => decoder.add_no_schema(wanted.id, why),
            (Some(decoder), Ok(schema)) => {
                // Each record that was written by it is undecodable, and says why.
                let _ = decoder.add_schema(wanted.id, schema);
            }
        }
    }

    /// Adds a record of the partition of this name.
    pub(crate) fn push(&mut self, message: &impl Record, partition: &Arc<str>, sequence: &mut Sequence) {
        let (value, gone): (Result<(), String>, &[bool]) = match (self.layout.replacing(), message.payload()) {
            (None, None) if !self.layout.reads_null() => return,
            // It lets the topic forget the record before it, which has said that the row is gone.
            (Some(Replacing::Told), None) => return,
            (None, payload) => (self.value.as_mut().map_or(Ok(()), |decoder| decoder.push(payload)), &[false]),
            (Some(Replacing::ByAbsence), _) if message.key().is_none() => {
                self.value.iter_mut().for_each(MessageDecoder::skip);
                (Err("it has no key, and the table's primary key is read from there".to_owned()), &[false])
            }
            (Some(Replacing::ByAbsence), None) => {
                self.value.iter_mut().for_each(MessageDecoder::skip);
                (Ok(()), &[true])
            }
            (Some(Replacing::ByAbsence), Some(payload))
                if self.value.as_ref().is_some_and(|decoder| decoder.is_nothing(payload)) =>
            {
                self.value.iter_mut().for_each(MessageDecoder::skip);
                (Ok(()), &[true])
            }
            (Some(Replacing::ByAbsence), payload) => {
                (self.value.as_mut().map_or(Ok(()), |decoder| decoder.push(payload)), &[false])
            }
            (Some(Replacing::Told), Some(payload)) => {
                let Some(decoder) = &mut self.value else { return };
                let before = decoder.rows();
                match decoder.push_change(payload) {
                    Ok(Change::Row) => (Ok(()), &[false]),
                    Ok(Change::Deletion) => (Ok(()), &[true]),
                    Ok(Change::Move) => (Ok(()), &[true, false]),
                    Ok(Change::Truncation) => {
                        let reason =
                            "all rows of the database's table were deleted at once, and nothing says which there were";
                        self.truncated = Some(rejected(message, partition, message.payload(), reason.to_owned()));
                        return;
                    }
                    Err(reason) => (Err(reason), &[false; 2][..(decoder.rows() - before).min(2)]),
                }
            }
        };
        // All parts get as many rows, whatever is wrong with another.
        let (mut key, mut metadata) = (Ok(()), Ok(()));
        // It is asked of the client, and most tables do not want it.
        let time = self.layout.replacing().and_then(|_| message.timestamp().to_millis());
        for is_gone in gone {
            let turn = Turn { sequence: sequence.next(time), is_gone: *is_gone };
            key = key.and(self.key.as_mut().map_or(Ok(()), |decoder| decoder.push(message.key())));
            for column in &mut self.metadata {
                metadata = metadata.and(column.push(message, turn));
            }
        }
        self.rows += gone.len();
        let (raw, reason) = match (value, key, metadata) {
            (Ok(()), Ok(()), Ok(())) => return,
            (Err(reason), ..) | (Ok(()), Ok(()), Err(reason)) => (message.payload(), reason),
            (Ok(()), Err(reason), _) => (message.key(), format!("in its key, {reason}")),
        };
        self.fillers.extend(self.rows - gone.len()..self.rows);
        self.rejected.push(rejected(message, partition, raw, reason));
    }

    /// Rows so far, rejected ones among them.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// A record that no policy can pass over: it would leave rows that are gone.
    pub(crate) fn truncated(&self) -> Option<&Rejected> {
        self.truncated.as_ref()
    }

    /// The first record that was rejected.
    pub(crate) fn rejected(&self) -> Option<&Rejected> {
        self.rejected.first()
    }

    /// The rows of a partition so far; there are none afterwards.
    ///
    /// # Errors
    /// If columns do not fit together, which would be Weir's defect.
    pub(crate) fn finish(&mut self, partition: &TopicPartition) -> Result<(RecordBatch, Vec<Rejected>)> {
        let rows = std::mem::take(&mut self.rows);
        let key = self.key.as_mut().map_or(Ok(Vec::new()), MessageDecoder::finish)?;
        let value = self.value.as_mut().map_or(Ok(Vec::new()), MessageDecoder::finish)?;
        let metadata = self.metadata.iter_mut().map(|column| column.finish(partition, rows));
        let metadata = metadata.collect::<Result<Vec<_>>>()?;
        let column = |origin: &Origin| match *origin {
            Origin::Key(index) => key.get(index).cloned(),
            Origin::Value(index) => value.get(index).cloned(),
            Origin::Metadata(index) => metadata.get(index).cloned(),
        };
        let columns: Option<Vec<ArrayRef>> = self.layout.origins().iter().map(column).collect();
        let mut columns = columns.ok_or_else(|| Error::internal("a column was not read"))?;
        let fillers = std::mem::take(&mut self.fillers);
        if !fillers.is_empty() {
            let mut good = vec![true; rows];
            fillers.iter().for_each(|row| good[*row] = false);
            let good = BooleanArray::from(good);
            for column in &mut columns {
                *column = filter(column, &good)?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows - fillers.len()));
        let records = RecordBatch::try_new_with_options(self.layout.schema(), columns, &options)?;
        Ok((records, std::mem::take(&mut self.rejected)))
    }
}

#[cfg(test)]
mod tests;
