//! Records that come one in a message, as brokers deliver them. A message is whatever its bytes are: line breaks in it end nothing.
//!
//! Several decoders may take parts of one row each, such as a key and a value. So rows stay in step here, also where a part cannot be
//! decoded: it leaves a filler behind, which the caller drops with the rest of its row.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use weir_core::{Error, Result};

use super::avro::{self, Root};
use super::csv::{CsvDialect, CsvRecords, QuotedLines};
pub use super::debezium::Change;
use super::debezium::{Envelopes, is_schema_of_nothing, payload};
use super::framed::Framed;
use super::json::JsonRecords;
use super::options::csv_dialect;
use super::protobuf::{self, Message, Reading};
use super::{Column, sql_name, trim_line_break};
use crate::formats::avro::{AvroSchema, schema_of};
use crate::formats::protobuf::ProtobufOptions;
use crate::formats::registered::{RegisteredSchema, SchemaKind};
use crate::options::Options;

/// How messages are written.
#[derive(Debug, Clone)]
pub struct MessageFormat(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Json {
        fail_on_missing_field: bool,
        lenient: bool,
    },
    Csv(CsvDialect),
    Raw,
    /// By the schema that follows from the table.
    Avro,
    /// By the message that options name.
    Protobuf(Box<ProtobufOptions>),
    /// By the schema of a registry whose number stands in front.
    Framed(SchemaKind),
    /// Changes of a database's rows.
    Debezium {
        with_schema: Option<bool>,
        lenient: bool,
    },
}

/// The names of formats, for those who write and read messages.
pub(crate) const NAMES: &[(&str, Name)] = &[
    ("json", Name::Json),
    ("csv", Name::Csv),
    ("raw", Name::Raw),
    ("avro", Name::Avro),
    ("avro-confluent", Name::Framed(SchemaKind::Avro)),
    ("protobuf", Name::Protobuf),
    ("protobuf-confluent", Name::Framed(SchemaKind::Protobuf)),
    ("debezium-json", Name::Debezium),
];

/// A format, without what else is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Json,
    Csv,
    Raw,
    Avro,
    Protobuf,
    Framed(SchemaKind),
    Debezium,
}

/// The options of Debezium's JSON, which are those of `json` and more, with `debezium-` in front.
pub(crate) fn of_debezium<'a>(options: &Options<'a>) -> Options<'a> {
    match options.name("").as_str() {
        "" => options.under("debezium-"),
        "key." => options.under("key.debezium-"),
        _ => options.under("value.debezium-"),
    }
}

impl MessageFormat {
    /// By schemas of a registry, whose number stands in front of each message.
    pub fn framed(kind: SchemaKind) -> Self {
        Self(Kind::Framed(kind))
    }

    /// The kind of schemas that have to be [added](MessageDecoder::add_schema), if any have.
    pub fn wants_schemas(&self) -> Option<SchemaKind> {
        match self.0 {
            Kind::Framed(kind) => Some(kind),
            _ => None,
        }
    }

    /// Whether messages say what became of rows: they are [changes](MessageDecoder::push_change).
    pub fn tells_changes(&self) -> bool {
        matches!(self.0, Kind::Debezium { .. })
    }

    /// The format that `'format'` says, with its own options beside it; `None` if that is not given.
    ///
    /// # Errors
    /// A user error that names the wrong option.
    pub fn read(options: &Options<'_>) -> Result<Option<Self>> {
        let Some(format) = options.choice("format", NAMES)? else { return Ok(None) };
        Ok(Some(Self(match format {
            Name::Json => Kind::Json {
                fail_on_missing_field: options.boolean("json.fail-on-missing-field")?.unwrap_or(false),
                lenient: options.boolean("json.ignore-parse-errors")?.unwrap_or(false),
            },
            // A message has no header, and wants no advice about one.
            Name::Csv => Kind::Csv(CsvDialect { comments: false, header: true, ..csv_dialect(options)? }),
            Name::Raw => Kind::Raw,
            Name::Debezium => {
                let options = of_debezium(options);
                Kind::Debezium {
                    with_schema: options.boolean("json.schema-include")?,
                    lenient: options.boolean("json.ignore-parse-errors")?.unwrap_or(false),
                }
            }
            Name::Avro => Kind::Avro,
            Name::Protobuf => Kind::Protobuf(Box::new(ProtobufOptions::read(options)?)),
            Name::Framed(kind) => Kind::Framed(kind),
        })))
    }

    /// Checks that `fields`, all that the table says a message has, can be read from one.
    ///
    /// # Errors
    /// A user error that names the field that cannot be.
    pub fn check(&self, fields: &[FieldRef]) -> Result<()> {
        for field in fields {
            let of_column = |error: Error| error.context(format!("column '{}'", field.name()));
            Column::new(field.data_type()).map_err(of_column)?;
            let is_readable = match &self.0 {
                Kind::Json { .. } | Kind::Avro | Kind::Protobuf(_) | Kind::Framed(_) | Kind::Debezium { .. } => true,
                Kind::Csv(_) => !field.data_type().is_nested(),
                Kind::Raw => matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView),
            };
            if !is_readable {
                let (name, wrong) = (field.name(), sql_name(field.data_type()));
                let error = Error::user(format!(
                    "column '{name}': {wrong} cannot be read from a message of the format '{}'",
                    self.name()
                ));
                return Err(match self.0 {
                    Kind::Raw => error.with_help("'raw' reads STRING and BYTES; CAST makes of a STRING what it says"),
                    _ => error,
                });
            }
        }
        match &self.0 {
            Kind::Avro => drop(schema_of(fields)?),
            Kind::Protobuf(options) => {
                if let Some(message) = options.known()? {
                    Message::new(&message, fields, of_options(options)).map_err(Error::user)?;
                }
            }
            _ => {}
        }
        match (&self.0, fields) {
            (Kind::Raw, [first, second, ..]) => Err(Error::user(format!(
                "a message of the format 'raw' is one column, and there are '{}', '{}'",
                first.name(),
                second.name()
            ))),
            _ => Ok(()),
        }
    }

    fn name(&self) -> &'static str {
        match self.0 {
            Kind::Json { .. } => "json",
            Kind::Csv(_) => "csv",
            Kind::Raw => "raw",
            Kind::Avro => "avro",
            Kind::Protobuf(_) => "protobuf",
            Kind::Framed(kind) => kind.format(),
            Kind::Debezium { .. } => "debezium-json",
        }
    }

    /// Whether there is a row in a message without content, as that which tells a compacted topic that a key is gone.
    pub fn reads_null(&self) -> bool {
        matches!(self.0, Kind::Raw)
    }
}

/// Builds columns from messages.
pub struct MessageDecoder {
    reader: Reader,
    fields: Vec<FieldRef>,
    columns: Vec<Column>,
    rows: usize,
    /// A message may be within an envelope, beside its schema.
    may_have_schema: bool,
    /// The table has columns that are called as the parts of such an envelope, whether they are read or not.
    has_parts: bool,
}

enum Reader {
    Json(JsonRecords),
    Csv { records: CsvRecords, dialect: CsvDialect },
    Raw,
    Avro(Box<Root>),
    Debezium(Envelopes),
    Protobuf(Box<Message>),
    Framed(Framed),
}

impl MessageDecoder {
    /// A decoder of `fields`, out of messages that have `declared`, in this order.
    ///
    /// # Errors
    /// A user error if a field's type cannot be read.
    pub fn new(format: &MessageFormat, declared: &[FieldRef], fields: Vec<FieldRef>) -> Result<Self> {
        let reader = match &format.0 {
            Kind::Json { fail_on_missing_field, lenient } => {
                Reader::Json(JsonRecords::new(&fields, *fail_on_missing_field, *lenient))
            }
            Kind::Csv(dialect) => {
                let names: Vec<String> = declared.iter().map(|field| field.name().clone()).collect();
                let records = CsvRecords::new(dialect.clone(), &names, &fields)?;
                Reader::Csv { records, dialect: dialect.clone() }
            }
            Kind::Raw => Reader::Raw,
            Kind::Avro => {
                let own =
                    AvroSchema::parse(&schema_of(declared)?).and_then(|schema| Root::new(schema, declared, &fields));
                Reader::Avro(Box::new(own.map_err(Error::internal)?))
            }
            Kind::Debezium { with_schema, lenient } => {
                Reader::Debezium(Envelopes::new(&fields, *with_schema, *lenient))
            }
            Kind::Protobuf(options) => {
                let message = options.message()?;
                // What is not read has to be there, too.
                Message::new(&message, declared, of_options(options)).map_err(Error::user)?;
                let own = Message::new(&message, &fields, of_options(options));
                Reader::Protobuf(Box::new(own.map_err(Error::internal)?))
            }
            Kind::Framed(kind) => Reader::Framed(Framed::new(*kind, declared)),
        };
        let columns = fields.iter().map(|field| Column::new(field.data_type())).collect::<Result<_>>()?;
        let has_parts = declared.iter().any(|field| matches!(field.name().as_str(), "schema" | "payload"));
        Ok(Self { reader, fields, columns, rows: 0, may_have_schema: false, has_parts })
    }

    /// Fields that tell rows apart, which is what deletions are read by.
    #[must_use]
    pub fn keyed_by(mut self, is_key: impl Fn(&str) -> bool) -> Self {
        if let Reader::Debezium(envelopes) = &mut self.reader {
            envelopes.set_key(is_key, &self.fields);
        }
        self
    }

    /// Messages of JSON may be within an envelope, beside their schema: `{"schema":…,"payload":…}`, as Kafka Connect writes them.
    #[must_use]
    pub fn beside_schemas(mut self) -> Self {
        self.may_have_schema = matches!(self.reader, Reader::Json(_)) && !self.has_parts;
        self
    }

    /// Whether a message that [may have its schema beside it](Self::beside_schemas) says that there is nothing: its payload is `null`.
    pub fn is_nothing(&self, message: &[u8]) -> bool {
        self.may_have_schema && text(message).is_ok_and(is_schema_of_nothing)
    }

    /// The number of the schema that a message was written by, if that is not known yet: without it the message cannot be decoded.
    pub fn wants_schema(&self, message: Option<&[u8]>) -> Option<u32> {
        let Reader::Framed(framed) = &self.reader else { return None };
        framed.wants(message?)
    }

    /// Adds a schema, as a registry has it.
    ///
    /// # Errors
    /// Why rows cannot be read by it. That is wrong with each message, too, that was written by it.
    pub fn add_schema(&mut self, id: u32, schema: &RegisteredSchema) -> Result<(), String> {
        let Reader::Framed(framed) = &mut self.reader else { return Ok(()) };
        framed.add(id, schema, &self.fields)
    }

    /// Notes that there is no such schema, or none that is of use, and what is therefore wrong with each message that names it.
    pub fn add_no_schema(&mut self, id: u32, why: &str) {
        if let Reader::Framed(framed) = &mut self.reader {
            framed.add_none(id, why);
        }
    }

    /// Adds the row of a message; `None` is one without content.
    ///
    /// # Errors
    /// What is wrong with it. The row that has been added is a filler.
    pub fn push(&mut self, message: Option<&[u8]>) -> Result<(), String> {
        let decoded = self.decode(message);
        match decoded {
            Ok(()) => self.rows += 1,
            Err(_) => self.skip(),
        }
        decoded
    }

    /// Adds what a message says of a format that [tells changes](MessageFormat::tells_changes): as many rows as [`rows`](Self::rows) says
    /// that there are more.
    ///
    /// # Errors
    /// What is wrong with it. The last row that has been added is a filler, and none that it has added counts.
    pub fn push_change(&mut self, message: &[u8]) -> Result<Change, String> {
        let Self { reader, fields, columns, rows, .. } = self;
        let Reader::Debezium(envelopes) = reader else { return Err("it says of no row what became of it".to_owned()) };
        let decoded = text(message).and_then(|text| envelopes.decode(text, (fields, columns), || *rows += 1));
        if decoded.is_err() {
            self.skip();
        }
        decoded
    }

    /// Adds a filler.
    pub fn skip(&mut self) {
        self.rows += 1;
        self.columns.iter_mut().for_each(|column| column.settle(self.rows));
    }

    fn decode(&mut self, message: Option<&[u8]>) -> Result<(), String> {
        let Self { reader, fields, columns, may_have_schema, .. } = self;
        let Some(bytes) = message else {
            return match fields.iter().find(|field| !field.is_nullable()) {
                Some(field) => Err(format!("column '{}' is NOT NULL and has no value", field.name())),
                None => {
                    columns.iter_mut().for_each(Column::append_null);
                    Ok(())
                }
            };
        };
        match reader {
            Reader::Json(json) if *may_have_schema => json.decode(payload(text(bytes)?), fields, columns),
            Reader::Json(json) => json.decode(text(bytes)?, fields, columns),
            Reader::Csv { records, dialect } => {
                let record = &bytes[..trim_line_break(bytes)];
                let is_one = match dialect.multiline {
                    true => QuotedLines::new(dialect).first_end(record).is_none(),
                    false => memchr::memchr(b'\n', record).is_none(),
                };
                if !is_one {
                    return Err("it has more than one line, and a message is one record".to_owned());
                }
                records.decode(text(record)?, fields, columns)
            }
            Reader::Avro(root) => avro::decode(root, bytes, columns),
            Reader::Debezium(_) => Err("it says what became of a row, and is none".to_owned()),
            Reader::Protobuf(message) => protobuf::decode(message, bytes, columns),
            Reader::Framed(framed) => framed.decode(bytes, fields, columns),
            Reader::Raw => {
                match columns.first_mut() {
                    Some(Column::Text(values)) => values.append_value(text(bytes)?),
                    Some(Column::Bytes(values)) => values.append_value(bytes),
                    _ => {}
                }
                Ok(())
            }
        }
    }

    /// Rows since the last [`finish`](Self::finish), fillers among them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column for each field; the decoder is empty afterwards.
    ///
    /// # Errors
    /// If columns do not fit together, which would be Weir's defect.
    pub fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        self.columns.iter_mut().map(Column::finish).collect()
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at its byte {}", error.valid_up_to() + 1))
}

fn of_options(options: &ProtobufOptions) -> Reading {
    Reading { defaults: options.reads_defaults, other_columns: false }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::datatypes::Field;

    use super::*;

    fn decoder(options: &[(&str, &str)], fields: &[(&str, DataType, bool)]) -> MessageDecoder {
        let values: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let format = MessageFormat::read(&Options::new("t", &values)).unwrap().unwrap();
        let field = |(name, data_type, nullable): &(&str, DataType, bool)| -> FieldRef {
            Arc::new(Field::new(*name, data_type.clone(), *nullable))
        };
        let fields: Vec<FieldRef> = fields.iter().map(field).collect();
        format.check(&fields).unwrap();
        MessageDecoder::new(&format, &fields, fields.clone()).unwrap()
    }

    fn columns(decoder: &mut MessageDecoder) -> Vec<String> {
        decoder.finish().unwrap().iter().map(|column| format!("{column:?}").replace("\n  ", " ")).collect()
    }

    #[test]
    fn an_object_may_have_line_breaks_and_what_cannot_be_decoded_leaves_a_filler() {
        let mut json =
            decoder(&[("format", "json")], &[("a", DataType::Int64, false), ("b", DataType::Utf8View, true)]);
        json.push(Some(b"{\"a\": 1,\n \"b\": \"x\\ny\"}\n")).unwrap();
        assert_eq!(
            json.push(Some(b"{\"a\": 1, \"b\": \"x\"")).unwrap_err().split(':').next(),
            Some("invalid JSON at its byte 18")
        );
        assert_eq!(json.push(Some(b"")).unwrap_err().split(':').next(), Some("invalid JSON at its byte 1"));
        assert_eq!(json.push(None).unwrap_err(), "column 'a' is NOT NULL and has no value");
        json.skip();
        json.push(Some(b"{\"a\": 2}")).unwrap();
        assert_eq!(json.rows(), 6);
        let columns = columns(&mut json);
        assert_eq!(columns[0], "PrimitiveArray<Int64>\n[ 1, 0, 0, 0, 0, 2,\n]");
        assert!(columns[1].starts_with("StringViewArray\n[ \"x\\ny\", \"\","), "{}", columns[1]);
    }

    #[test]
    fn an_object_may_be_beside_its_schema_unless_it_has_columns_of_such_names() {
        let messages: [&[u8]; 3] = [
            br#"{"a":1}"#,
            br#" { "schema" : {"type":"struct"}, "payload" : {"a":2}}"#,
            br#"{"schema":null,"payload":{"a":3}}"#,
        ];
        let mut json = decoder(&[("format", "json")], &[("a", DataType::Int64, false)]).beside_schemas();
        for message in messages {
            json.push(Some(message)).unwrap();
        }
        assert_eq!(json.push(Some(br#"{"schema":{},"payload":null}"#)).unwrap_err(), "there is no field 'a'");
        // There is nothing where the payload is null, and not where something in it is called so.
        let is_nothing = |text: &str| json.is_nothing(text.as_bytes());
        assert!(is_nothing(r#"{"schema":{},"payload":null}"#) && is_nothing(r#"{"schema":{}, "payload" : null }"#));
        assert!(!is_nothing(r#"{"schema":"v2","id":7,"event":{"payload":{"x":1}}}"#));
        assert!(!is_nothing(r#"{"schema":"\"payload\"","id":7}"#) && !is_nothing(r#"{"schema":1,"payload":{}}"#));
        assert_eq!(columns(&mut json)[0], "PrimitiveArray<Int64>\n[ 1, 2, 3, 0,\n]");
        let mut json = decoder(&[("format", "json")], &[("schema", DataType::Int64, false)]).beside_schemas();
        json.push(Some(br#"{"schema":1,"payload":{"schema":2}}"#)).unwrap();
        assert_eq!(columns(&mut json)[0], "PrimitiveArray<Int64>\n[ 1,\n]");
        // Also of columns that are not read.
        let declared: Vec<FieldRef> =
            ["schema", "a"].map(|name| Field::new(name, DataType::Int64, true).into()).to_vec();
        let json = BTreeMap::from([("format".to_owned(), "json".to_owned())]);
        let format = MessageFormat::read(&Options::new("t", &json)).unwrap().unwrap();
        let mut json = MessageDecoder::new(&format, &declared, declared[1..].to_vec()).unwrap().beside_schemas();
        assert!(!json.is_nothing(br#"{"schema":1,"payload":null,"a":5}"#));
        json.push(Some(br#"{"schema":1,"payload":{"a":6},"a":5}"#)).unwrap();
        assert_eq!(columns(&mut json)[0], "PrimitiveArray<Int64>\n[ 5,\n]");
        let mut bare = decoder(&[("format", "json")], &[("a", DataType::Int64, false)]);
        assert!(bare.push(Some(messages[1])).is_err());
    }

    #[test]
    fn a_message_is_one_record_of_csv() {
        let mut csv = decoder(&[("format", "csv")], &[("a", DataType::Int32, true), ("b", DataType::Utf8View, true)]);
        csv.push(Some(b"1,x\r\n")).unwrap();
        assert_eq!(csv.push(Some(b"1,x\n2,y")).unwrap_err(), "it has more than one line, and a message is one record");
        csv.push(Some(b",")).unwrap();
        assert_eq!(columns(&mut csv)[0], "PrimitiveArray<Int32>\n[ 1, 0, null,\n]");
        let mut csv = decoder(&[("format", "csv"), ("csv.multiline", "true")], &[("a", DataType::Utf8View, true)]);
        csv.push(Some(b"\"x\ny\"")).unwrap();
        assert!(csv.push(Some(b"\"x\ny\"\nz")).is_err());
    }

    #[test]
    fn raw_takes_any_bytes_and_null() {
        let mut raw = decoder(&[("format", "raw")], &[("a", DataType::BinaryView, true)]);
        raw.push(Some(b"\xff\n")).unwrap();
        raw.push(None).unwrap();
        assert_eq!(columns(&mut raw)[0], "BinaryViewArray\n[ [255, 10], null,\n]");
        let mut raw = decoder(&[("format", "raw")], &[("a", DataType::Utf8View, true)]);
        assert_eq!(raw.push(Some(b"a\xff")).unwrap_err(), "invalid UTF-8 at its byte 2");
    }
}
