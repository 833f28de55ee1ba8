//! Messages that name the schema that they were written by: a zero stands in front of them, and its number in a registry.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::FieldRef;

use super::avro::{self, Root};
use super::column::Column;
use super::protobuf::{self, Message, Reading};
use crate::formats::avro::AvroSchema;
use crate::formats::protobuf::ProtobufSchema;
use crate::formats::registered::{RegisteredSchema, SchemaKind};

/// The schemas that are known, and how rows are read by them.
pub(super) struct Framed {
    kind: SchemaKind,
    declared: Vec<FieldRef>,
    schemas: HashMap<u32, Result<Writer, String>>,
}

enum Writer {
    Avro(Box<Root>),
    /// Of the messages in the file, by their places, those that have come.
    Protobuf(ProtobufSchema, BTreeMap<Vec<usize>, Result<Message, String>>),
}

impl Framed {
    /// `declared` is all that the table says a message has.
    pub(super) fn new(kind: SchemaKind, declared: &[FieldRef]) -> Self {
        Self { kind, declared: declared.to_vec(), schemas: HashMap::new() }
    }

    /// The schema that a message cannot be decoded without.
    pub(super) fn wants(&self, message: &[u8]) -> Option<u32> {
        let (id, _) = framed(message)?;
        (!self.schemas.contains_key(&id)).then_some(id)
    }

    /// # Errors
    /// Why no row can be read by it.
    pub(super) fn add(&mut self, id: u32, schema: &RegisteredSchema, fields: &[FieldRef]) -> Result<(), String> {
        let writer = match self.kind {
            SchemaKind::Avro => {
                let references = schema.references.iter().map(|(_, text)| text.as_str());
                AvroSchema::parse_with(references, &schema.text)
                    .and_then(|schema| Root::new(schema, &self.declared, fields))
                    .map(|root| Writer::Avro(Box::new(root)))
            }
            SchemaKind::Protobuf => ProtobufSchema::of_text(&schema.text, &schema.references)
                .map(|schema| Writer::Protobuf(schema, BTreeMap::new())),
        };
        let result = writer.as_ref().map(|_| ()).map_err(Clone::clone);
        self.schemas.insert(id, writer.map_err(|error| by_schema(id, &error)));
        result
    }

    /// Notes that there is no such schema that is of use.
    pub(super) fn add_none(&mut self, id: u32, why: &str) {
        self.schemas.insert(id, Err(why.to_owned()));
    }

    /// Adds the row of a message.
    ///
    /// # Errors
    /// What is wrong with it. Columns are uneven then.
    pub(super) fn decode(&mut self, message: &[u8], fields: &[FieldRef], columns: &mut [Column]) -> Result<(), String> {
        let begins = || format!("it does not begin as the format '{}' does", self.kind.format());
        let (id, datum) = framed(message).ok_or_else(begins)?;
        let writer = self.schemas.get_mut(&id).ok_or_else(|| format!("its schema {id} is not known"))?;
        match writer.as_mut().map_err(|error| error.clone())? {
            Writer::Avro(root) => avro::decode(root, datum, columns),
            Writer::Protobuf(schema, messages) => {
                let (place, datum) = protobuf::place(datum)?;
                let reading = Reading { defaults: false, other_columns: true };
                if !messages.contains_key(&*place) {
                    // What is not there is not kept: there is no end of it.
                    let of = schema.message_at(&place).map_err(|error| by_schema(id, &error))?;
                    messages.insert(place.to_vec(), Message::new(&of, fields, reading));
                }
                let planned = messages.get_mut(&*place).ok_or_else(|| "it has no message".to_owned())?;
                protobuf::decode(planned.as_mut().map_err(|error| by_schema(id, error))?, datum, columns)
            }
        }
    }
}

/// What is wrong with a message because of the schema that it was written by.
fn by_schema(id: u32, error: &str) -> String {
    format!("by its schema {id}, {error}")
}

/// The number of the schema, and what stands behind both.
fn framed(message: &[u8]) -> Option<(u32, &[u8])> {
    let (frame, datum) = message.split_first_chunk::<5>()?;
    let [0, id @ ..] = *frame else { return None };
    Some((u32::from_be_bytes(id), datum))
}
