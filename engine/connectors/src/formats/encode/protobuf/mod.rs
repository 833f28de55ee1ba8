//! Rows as Protobuf messages: by the message that options name, or, with the number of a registry's schema in front, by the one that
//! follows from the table.

mod known;
mod number;
mod record;
mod value;
mod wire;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use protox::prost_reflect::MessageDescriptor;
use weir_core::{Error, Result};

use record::Record;

use crate::formats::protobuf::{ProtobufOptions, ProtobufSchema, schema_of};

/// Which message rows become.
#[derive(Debug, Clone)]
pub struct ProtobufEncoder {
    target: Target,
    /// Once it is [known](Self::prepare).
    message: Option<MessageDescriptor>,
}

#[derive(Debug, Clone)]
enum Target {
    Named(Box<ProtobufOptions>),
    /// With the number of its schema.
    OfTable(u32),
}

impl ProtobufEncoder {
    pub(super) fn named(options: ProtobufOptions) -> Self {
        Self { target: Target::Named(Box::new(options)), message: None }
    }

    pub(super) fn of_table() -> Self {
        Self { target: Target::OfTable(0), message: None }
    }

    pub(super) fn is_of_table(&self) -> bool {
        matches!(self.target, Target::OfTable(_))
    }

    /// Checks that columns of these types can be written, as far as that is known without looking into a file.
    pub(super) fn check(&self, schema: &Schema) -> Result<()> {
        let message = match &self.target {
            Target::Named(options) => options.known()?,
            Target::OfTable(_) => Some(of_table(&schema.fields().iter().cloned().collect::<Vec<_>>())?),
        };
        let Some(message) = message else { return Ok(()) };
        Record::new(&RecordBatch::new_empty(schema.clone().into()), &message).map(drop)
    }

    /// Finds the message, whose schema has this number if it is the table's. Reads the file, if it is in one.
    pub(super) fn prepare(&mut self, id: Option<u32>, fields: &[FieldRef]) -> Result<()> {
        let message = match (&mut self.target, id) {
            (Target::Named(options), _) => options.message()?,
            (Target::OfTable(number), Some(id)) => {
                *number = id;
                of_table(fields)?
            }
            (Target::OfTable(_), None) => return Err(Error::internal("a schema without a number")),
        };
        let schema = Schema::new(fields.to_vec());
        Record::new(&RecordBatch::new_empty(schema.into()), &message)?;
        self.message = Some(message);
        Ok(())
    }

    /// Appends the messages; `end` is called behind each.
    pub(super) fn encode(&self, rows: &RecordBatch, out: &mut Vec<u8>, mut end: impl FnMut(&[u8])) -> Result<()> {
        let message = self.message.as_ref().ok_or_else(|| Error::internal("a message that is not known yet"))?;
        let record = Record::new(rows, message)?;
        for row in 0..rows.num_rows() {
            if let Target::OfTable(id) = self.target {
                out.push(0);
                out.extend_from_slice(&id.to_be_bytes());
                // The first message of its file.
                out.push(0);
            }
            let written = record.append(row, out);
            written.map_err(|what| {
                Error::data(format!("a row cannot be written as a message '{}': {what}", message.full_name()))
            })?;
            end(out);
        }
        Ok(())
    }
}

fn of_table(fields: &[FieldRef]) -> Result<MessageDescriptor> {
    let message = ProtobufSchema::of_text(&schema_of(fields)?, &[]).and_then(|schema| schema.message_at(&[0]));
    message.map_err(|what| Error::user(format!("Protobuf has no schema for its columns: {what}")))
}
