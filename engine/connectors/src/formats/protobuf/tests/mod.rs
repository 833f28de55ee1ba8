//! Schemas, and messages by them.
#![allow(clippy::unwrap_used)]

mod oracle;
mod registered;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::*;
use weir_core::TableSpec;

use crate::formats::encode::message::{MessageEncoder, Messages};
use crate::formats::message::{MessageDecoder, MessageFormat};
use crate::options::Options;

fn fields(fields: &[(&str, DataType, bool)]) -> Vec<FieldRef> {
    fields.iter().map(|(name, of, nullable)| Arc::new(Field::new(*name, of.clone(), *nullable)) as FieldRef).collect()
}

fn row(parts: &[(&str, DataType, bool)]) -> DataType {
    DataType::Struct(fields(parts).into())
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

fn map(key: DataType, value: DataType) -> DataType {
    let pair = row(&[("key", key, false), ("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", pair, false)), false)
}

fn options(given: &[(&str, &str)]) -> BTreeMap<String, String> {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    given.chain([("format".to_owned(), "protobuf".to_owned())]).collect()
}

/// A decoder of all these columns by a schema's only message, or the one that is named.
fn decoder(schema: &str, given: &[(&str, &str)], fields: &[FieldRef]) -> Result<MessageDecoder, String> {
    let mut options = options(given);
    options.insert("protobuf.schema".into(), schema.into());
    let said = |error: weir_core::Error| error.report();
    let format = MessageFormat::read(&Options::new("t", &options)).map_err(said)?.unwrap();
    format.check(fields).map_err(said)?;
    MessageDecoder::new(&format, fields, fields.to_vec()).map_err(said)
}

fn batch(decoder: &mut MessageDecoder, fields: &[FieldRef]) -> RecordBatch {
    let columns = decoder.finish().unwrap();
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns).unwrap()
}

fn encoder(schema: &str, given: &[(&str, &str)], fields: &[FieldRef]) -> Result<MessageEncoder, String> {
    let mut options = options(given);
    options.insert("protobuf.schema".into(), schema.into());
    let said = |error: weir_core::Error| error.report();
    let mut encoder = MessageEncoder::read(&Options::new("t", &options)).map_err(said)?.unwrap();
    let schema = Arc::new(Schema::new(fields.to_vec()));
    encoder.check(&schema, &TableSpec::new("t", "kafka", options, schema.clone())).map_err(said)?;
    encoder.prepare(None, fields).map_err(said)?;
    Ok(encoder)
}

fn encoded(encoder: &MessageEncoder, rows: &RecordBatch) -> Result<Messages, String> {
    encoder.encode(rows, None).map_err(|error| error.report())
}
