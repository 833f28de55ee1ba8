//! From bytes to rows: JSON lines and CSV record by record, Parquet and Arrow IPC column by column.
//!
//! The text formats share [`RecordDecoder`]: it takes pieces of a file that hold whole records, and builds the columns
//! that the query reads, and only those, straight from the text. A record that is not what the table declares leaves
//! no trace in the rows; it comes out as a [`BadRecord`] with its place and the reason.

pub(crate) mod avro;
mod column;
pub(crate) mod columnar;
pub(crate) mod csv;
mod debezium;
mod framed;
mod front;
mod ipc;
pub(crate) mod json;
pub mod message;
mod number;
pub mod options;
mod protobuf;
#[cfg(test)]
mod tests;
mod time;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array};
use arrow::compute::filter;
use arrow::datatypes::FieldRef;
use weir_core::{Error, Result};

use column::Column;
pub use column::sql_name;
use csv::CsvRecords;
use json::JsonRecords;
#[cfg(test)]
pub(crate) use protobuf::Cursor as ProtobufCursor;
pub(crate) use protobuf::{Wire as ProtobufWire, wire_of as protobuf_wire_of};

/// How the text of one record is read.
pub(crate) enum RecordFormat {
    Json(JsonRecords),
    Csv(CsvRecords),
}

impl RecordFormat {
    /// How many bytes at the beginning of `bytes` are the first record, its line break included.
    fn record_length(&self, bytes: &[u8]) -> usize {
        match self {
            RecordFormat::Csv(csv) if csv.multiline() => csv.record_length(bytes),
            _ => memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1),
        }
    }

    /// Whether the record holds nothing to decode.
    fn is_blank(&self, record: &[u8]) -> bool {
        match self {
            RecordFormat::Json(_) => record.iter().all(u8::is_ascii_whitespace),
            RecordFormat::Csv(csv) => record.is_empty() || csv.is_comment(record),
        }
    }
}

/// A record that cannot be read as the table declares it.
#[derive(Debug)]
pub(crate) struct BadRecord {
    /// Offset of its first byte in the (decompressed) file.
    pub(crate) offset: u64,
    /// Its bytes, cut off at [`RAW_LIMIT`].
    pub(crate) raw: Vec<u8>,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// How much of a bad record is kept.
pub const RAW_LIMIT: usize = 64 << 10;

/// Rows that have been decoded.
pub(crate) struct Decoded {
    /// A column for each field that the decoder was made for.
    pub(crate) columns: Vec<ArrayRef>,
    /// Number of rows.
    pub(crate) rows: usize,
    /// Where each row begins in its file, if that was asked for.
    pub(crate) offsets: Option<Int64Array>,
    /// Records among them that are no rows.
    pub(crate) bad: Vec<BadRecord>,
}

/// Builds rows from records of text.
pub(crate) struct RecordDecoder {
    format: RecordFormat,
    fields: Vec<FieldRef>,
    columns: Vec<Column>,
    /// Records in `columns`, the bad ones included.
    records: usize,
    /// Which of them are bad.
    bad_rows: Vec<usize>,
    bad: Vec<BadRecord>,
    offsets: Option<Vec<i64>>,
    max_record_size: usize,
}

impl RecordDecoder {
    /// A decoder that reads `fields`, which `format` has been told where to find, from records of at most
    /// `max_record_size` bytes.
    ///
    /// # Errors
    /// A user error if a field's type cannot be read from text.
    pub(crate) fn new(
        format: RecordFormat,
        fields: Vec<FieldRef>,
        max_record_size: usize,
        with_offsets: bool,
    ) -> Result<Self> {
        let columns = fields.iter().map(|field| Column::new(field.data_type())).collect::<Result<_>>()?;
        Ok(Self {
            format,
            fields,
            columns,
            records: 0,
            bad_rows: Vec::new(),
            bad: Vec::new(),
            offsets: with_offsets.then(Vec::new),
            max_record_size,
        })
    }

    /// Checks that a field's type can be read from text.
    ///
    /// # Errors
    /// A user error if it cannot.
    pub(crate) fn check(field: &FieldRef) -> Result<()> {
        Column::new(field.data_type()).map(drop)
    }

    /// Records since the last [`RecordDecoder::finish`], good and bad.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// Bad records since the last [`RecordDecoder::finish`].
    pub(crate) fn bad(&self) -> &[BadRecord] {
        &self.bad
    }

    /// Notes a record that was too long to be brought into memory.
    pub(crate) fn reject_too_long(&mut self, offset: u64, raw: Vec<u8>) {
        self.bad.push(BadRecord { offset, raw, reason: self.too_long() });
    }

    fn too_long(&self) -> String {
        format!("it is longer than {} bytes, which 'max-record-size' allows", self.max_record_size)
    }

    /// Reads records from `bytes`, which hold whole records only and begin at `offset` of their file, until there are
    /// `limit` in all or, with `stop_at_bad`, one is bad. Returns how many bytes that took.
    pub(crate) fn push(&mut self, bytes: &[u8], offset: u64, limit: usize, stop_at_bad: bool) -> usize {
        // Checked in one go, because that is several times faster than per record.
        let text = std::str::from_utf8(bytes).ok();
        let mut at = 0;
        while at < bytes.len() && self.records < limit {
            let end = at + self.format.record_length(&bytes[at..]);
            let content = at + trim_line_break(&bytes[at..end]);
            let start = std::mem::replace(&mut at, end);
            if self.format.is_blank(&bytes[start..content]) {
                continue;
            }
            if content - start > self.max_record_size {
                let raw = bytes[start..content.min(start + RAW_LIMIT)].to_vec();
                self.reject_too_long(offset + start as u64, raw);
                if stop_at_bad {
                    break;
                }
                continue;
            }
            // A line break or its absence is a character boundary, so this slice is there whenever `text` is.
            let record = match text.and_then(|text| text.get(start..content)) {
                Some(record) => Ok(record),
                None => std::str::from_utf8(&bytes[start..content])
                    .map_err(|error| format!("invalid UTF-8 at its byte {}", error.valid_up_to() + 1)),
            };
            let decoded = record.and_then(|record| match &mut self.format {
                RecordFormat::Json(json) => json.decode(record, &self.fields, &mut self.columns),
                RecordFormat::Csv(csv) => csv.decode(record, &self.fields, &mut self.columns),
            });
            self.records += 1;
            if let Some(offsets) = &mut self.offsets {
                offsets.push(i64::try_from(offset + start as u64).unwrap_or(i64::MAX));
            }
            if let Err(reason) = decoded {
                self.columns.iter_mut().for_each(|column| column.settle(self.records));
                self.bad_rows.push(self.records - 1);
                let raw = bytes[start..content.min(start + RAW_LIMIT)].to_vec();
                self.bad.push(BadRecord { offset: offset + start as u64, raw, reason });
                if stop_at_bad {
                    break;
                }
            }
        }
        at
    }

    /// The rows so far; the decoder is empty afterwards.
    ///
    /// # Errors
    /// If columns do not fit together, which would be Weir's defect.
    pub(crate) fn finish(&mut self) -> Result<Decoded> {
        let records = std::mem::take(&mut self.records);
        let bad_rows = std::mem::take(&mut self.bad_rows);
        let mut columns = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
        let mut offsets = self.offsets.as_mut().map(|offsets| Int64Array::from(std::mem::take(offsets)));
        if !bad_rows.is_empty() {
            let mut good = vec![true; records];
            bad_rows.iter().for_each(|row| good[*row] = false);
            let good = BooleanArray::from(good);
            for column in &mut columns {
                *column = filter(column, &good)?;
            }
            if let Some(offsets) = &mut offsets {
                *offsets = Int64Array::from(filter(offsets, &good)?.to_data());
            }
        }
        Ok(Decoded { columns, rows: records - bad_rows.len(), offsets, bad: std::mem::take(&mut self.bad) })
    }
}

/// Length of a record without the line break at its end.
fn trim_line_break(record: &[u8]) -> usize {
    match record {
        [content @ .., b'\r', b'\n'] | [content @ .., b'\n'] => content.len(),
        [content @ .., b'\r'] => content.len(),
        content => content.len(),
    }
}

/// A value for a message: short, and in quotes.
fn quoted(value: &str) -> String {
    const LONGEST: usize = 60;
    match value.char_indices().nth(LONGEST) {
        None => format!("'{value}'"),
        Some((end, _)) => format!("'{}…'", &value[..end]),
    }
}

/// One value of a `PARTITIONED BY` column, from the name of its folder; `None` is null.
pub(crate) fn partition_value(text: Option<&str>, field: &FieldRef) -> Result<ArrayRef> {
    let mut column = Column::new(field.data_type())?;
    let accepted = match text {
        None => {
            column.append_null();
            field.is_nullable()
        }
        Some(text) => column.append_text(text),
    };
    if accepted {
        return column.finish();
    }
    let wanted = sql_name(field.data_type());
    Err(Error::data(match text {
        None => format!("partition column '{}' is NOT NULL, and its folder says null", field.name()),
        Some(text) => format!("partition column '{}': {} is not a valid {wanted}", field.name(), quoted(text)),
    }))
}
