//! Rows as messages, a row each, for brokers: what [`decode::message`](crate::formats::message) reads.

use std::ops::Range;

use arrow::array::{Array, AsArray, Int8Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema};
use weir_core::{Error, Result, TableSpec};

use super::LineEncoder;
use super::avro::Record;
use super::protobuf::ProtobufEncoder;
use crate::formats::avro::schema_of;
use crate::formats::decode::message::{NAMES, Name, of_debezium};
use crate::formats::decode::sql_name;
use crate::formats::protobuf::{self, ProtobufOptions};
use crate::formats::registered::SchemaKind;
use crate::options::Options;

/// How rows become messages.
#[derive(Debug, Clone)]
pub enum MessageEncoder {
    /// JSON or CSV, without a line break behind it.
    Text(LineEncoder),
    /// The one column as it is.
    Raw,
    /// Debezium's JSON: what becomes of a row, with the row before or after it as JSON.
    Debezium(LineEncoder),
    /// Avro by the schema that follows from the table, with its number in front if it has one.
    Avro(Option<u32>),
    /// Protobuf.
    Protobuf(ProtobufEncoder),
}

/// The messages of some rows, one after the other.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    places: Vec<Option<Range<usize>>>,
}

impl Messages {
    /// That of a row; `None` if it has no content.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        self.places[row].clone().map(|place| &self.bytes[place])
    }
}

impl MessageEncoder {
    /// The format that `'format'` says, with its own options beside it; `None` if that is not given.
    ///
    /// # Errors
    /// A user error that names the wrong option.
    pub fn read(options: &Options<'_>) -> Result<Option<Self>> {
        let Some(format) = options.choice("format", NAMES)? else { return Ok(None) };
        Ok(Some(match format {
            Name::Json => Self::Text(LineEncoder::json(*options)?),
            Name::Csv => Self::Text(LineEncoder::csv(*options)?),
            Name::Raw => Self::Raw,
            // The options of JSON, with 'debezium-' in front.
            Name::Debezium => {
                let of_json = of_debezium(options);
                if of_json.boolean("json.schema-include")? == Some(true) {
                    return Err(
                        of_json.error("json.schema-include", "only for reading: no schema is written beside messages")
                    );
                }
                Self::Debezium(LineEncoder::json(of_json)?)
            }
            Name::Avro => Self::Avro(None),
            Name::Protobuf => Self::Protobuf(ProtobufEncoder::named(ProtobufOptions::read(options)?)),
            // The number is known when the registry has been asked.
            Name::Framed(SchemaKind::Avro) => Self::Avro(Some(0)),
            Name::Framed(SchemaKind::Protobuf) => Self::Protobuf(ProtobufEncoder::of_table()),
        }))
    }

    /// Checks that columns of these types can be written.
    ///
    /// # Errors
    /// A user error that names the column.
    pub fn check(&self, schema: &Schema, table: &TableSpec) -> Result<()> {
        match self {
            Self::Text(encoder) | Self::Debezium(encoder) => encoder.check(schema, table),
            Self::Avro(_) => {
                let fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
                let written = schema_of(&fields).map(drop);
                written.map_err(|error| error.context(format!("table '{}' cannot be written as Avro", table.name)))
            }
            Self::Protobuf(encoder) => encoder
                .check(schema)
                .map_err(|error| error.context(format!("table '{}' cannot be written as Protobuf", table.name))),
            Self::Raw => {
                let [field] = schema.fields().as_ref() else {
                    let names: Vec<String> =
                        schema.fields().iter().map(|field| format!("'{}'", field.name())).collect();
                    return Err(Error::user(format!(
                        "a message of the format 'raw' is one column, and of table '{}' it would have {}",
                        table.name,
                        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                    )));
                };
                if matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView) {
                    return Ok(());
                }
                Err(Error::user(format!(
                    "column '{}' of table '{}' cannot be written as raw: its type is {}",
                    field.name(),
                    table.name,
                    sql_name(field.data_type())
                ))
                .with_help("'raw' writes STRING and BYTES: CAST the column, or use the format 'json'"))
            }
        }
    }

    /// The kind of the schema that has to be registered before rows are written, if one has.
    pub fn registers(&self) -> Option<SchemaKind> {
        match self {
            Self::Avro(Some(_)) => Some(SchemaKind::Avro),
            Self::Protobuf(encoder) if encoder.is_of_table() => Some(SchemaKind::Protobuf),
            _ => None,
        }
    }

    /// The schema that follows from these columns.
    ///
    /// # Errors
    /// A user error that names a column that it has no name or type for.
    pub fn schema(&self, fields: &[FieldRef]) -> Result<String> {
        match self {
            Self::Protobuf(_) => protobuf::schema_of(fields),
            _ => schema_of(fields),
        }
    }

    /// Makes ready what has to be before the first row of these columns is written; `id` is the number of its schema, if that was
    /// registered. Looks into a file, if the schema is in one.
    ///
    /// # Errors
    /// A user error that names the option or column.
    pub fn prepare(&mut self, id: Option<u32>, fields: &[FieldRef]) -> Result<()> {
        match self {
            Self::Avro(Some(number)) => *number = id.ok_or_else(|| Error::internal("a schema without a number"))?,
            Self::Protobuf(encoder) => encoder.prepare(id, fields)?,
            _ => {}
        }
        Ok(())
    }

    /// Whether a value of these columns may turn out to have no place in a message.
    pub fn may_refuse(&self, schema: &Schema) -> bool {
        match self {
            Self::Avro(_) => schema.fields().iter().any(|field| field.data_type().to_string().contains("Time64")),
            Self::Protobuf(_) => true,
            _ => false,
        }
    }

    /// Whether a message says what becomes of its row, so that rows that are taken back have one too.
    pub fn tells_changes(&self) -> bool {
        matches!(self, Self::Debezium(_))
    }

    /// A message for each row, of which those with a weight of -1 are taken back.
    ///
    /// # Errors
    /// If a type cannot be written, which [`check`](Self::check) finds earlier.
    pub fn encode(&self, rows: &RecordBatch, weights: Option<&Int8Array>) -> Result<Messages> {
        let mut messages = Messages { bytes: Vec::new(), places: Vec::with_capacity(rows.num_rows()) };
        let Messages { bytes, places } = &mut messages;
        match self {
            Self::Text(encoder) => {
                let mut start = 0;
                encoder.rows(rows, bytes, |out| {
                    places.push(Some(start..out.len()));
                    start = out.len();
                })?;
            }
            Self::Debezium(encoder) => {
                let (mut row, mut start) = (0, 0);
                let mut line = Vec::new();
                let is_gone = |row: usize| weights.is_some_and(|weights| weights.value(row) < 0);
                encoder.rows(rows, &mut line, |line| {
                    let (before, after): (&[u8], &[u8]) = match is_gone(row) {
                        true => (b"{\"before\":", b",\"after\":null,\"op\":\"d\"}"),
                        false => (b"{\"before\":null,\"after\":", b",\"op\":\"c\"}"),
                    };
                    for part in [before, line, after] {
                        bytes.extend_from_slice(part);
                    }
                    line.clear();
                    places.push(Some(start..bytes.len()));
                    start = bytes.len();
                    row += 1;
                })?;
            }
            Self::Avro(id) => {
                let record = Record::new(rows)?;
                for row in 0..rows.num_rows() {
                    let start = bytes.len();
                    if let Some(id) = id {
                        bytes.push(0);
                        bytes.extend_from_slice(&id.to_be_bytes());
                    }
                    record.append(row, bytes);
                    places.push(Some(start..bytes.len()));
                }
            }
            Self::Protobuf(encoder) => {
                let mut start = 0;
                encoder.encode(rows, bytes, |out| {
                    places.push(Some(start..out.len()));
                    start = out.len();
                })?;
            }
            Self::Raw => {
                let column = rows.column(0);
                let text = column.as_string_view_opt();
                let binary = column.as_binary_view_opt();
                for row in 0..rows.num_rows() {
                    let value = match (text, binary) {
                        _ if column.is_null(row) => None,
                        (Some(text), _) => Some(text.value(row).as_bytes()),
                        (None, Some(binary)) => Some(binary.value(row)),
                        (None, None) => return Err(Error::internal("'raw' was given a column that is no text")),
                    };
                    places.push(value.map(|value| {
                        bytes.extend_from_slice(value);
                        bytes.len() - value.len()..bytes.len()
                    }));
                }
            }
        }
        Ok(messages)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringViewArray};

    use super::*;

    fn messages(options: &[(&str, &str)], columns: Vec<(&str, ArrayRef)>) -> Vec<Option<String>> {
        let values: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let encoder = MessageEncoder::read(&Options::new("t", &values)).unwrap().unwrap();
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        encoder.check(&rows.schema(), &TableSpec::new("t", "kafka", values, rows.schema())).unwrap();
        let messages = encoder.encode(&rows, None).unwrap();
        let text = |row| messages.get(row).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        (0..rows.num_rows()).map(text).collect()
    }

    #[test]
    fn a_row_is_a_message_and_line_breaks_in_it_end_nothing() {
        let columns = || -> Vec<(&str, ArrayRef)> {
            vec![
                ("a", Arc::new(Int64Array::from(vec![Some(1), None]))),
                ("b", Arc::new(StringViewArray::from(vec![Some("x\ny"), Some("z")]))),
            ]
        };
        let some = |texts: [&str; 2]| texts.map(|text| Some(text.to_owned())).to_vec();
        assert_eq!(
            messages(&[("format", "json")], columns()),
            some([r#"{"a":1,"b":"x\ny"}"#, r#"{"a":null,"b":"z"}"#])
        );
        assert_eq!(messages(&[("format", "csv")], columns()), some(["1,\"x\ny\"", ",z"]));
    }

    #[test]
    fn debeziums_messages_say_what_becomes_of_a_row() {
        let values = BTreeMap::from([
            ("format".to_owned(), "debezium-json".to_owned()),
            ("debezium-json.encode.ignore-null-fields".to_owned(), "true".to_owned()),
        ]);
        let encoder = MessageEncoder::read(&Options::new("t", &values)).unwrap().unwrap();
        assert!(encoder.tells_changes());
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), None]));
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a\n"), Some("a\n"), Some("b")]));
        let rows = RecordBatch::try_from_iter([("id", ids), ("v", texts)]).unwrap();
        let text = |messages: &Messages, row| String::from_utf8(messages.get(row).unwrap().to_vec()).unwrap();
        let messages = encoder.encode(&rows, Some(&Int8Array::from(vec![1, -1, 1]))).unwrap();
        assert_eq!(
            (0..3).map(|row| text(&messages, row)).collect::<Vec<_>>(),
            [
                r#"{"before":null,"after":{"id":1,"v":"a\n"},"op":"c"}"#,
                r#"{"before":{"id":1,"v":"a\n"},"after":null,"op":"d"}"#,
                r#"{"before":null,"after":{"v":"b"},"op":"c"}"#,
            ]
        );
        assert_eq!(
            text(&encoder.encode(&rows, None).unwrap(), 1),
            r#"{"before":null,"after":{"id":1,"v":"a\n"},"op":"c"}"#
        );
    }

    #[test]
    fn raw_is_the_column_and_a_null_is_no_content() {
        let column: ArrayRef = Arc::new(StringViewArray::from(vec![Some("x"), None, Some("")]));
        let expected = [Some("x".to_owned()), None, Some(String::new())];
        assert_eq!(messages(&[("format", "raw")], vec![("v", column)]), expected);
    }
}
