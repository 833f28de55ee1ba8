//! Schemas of a registry, and those that follow from a table.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::DataType::*;
use arrow::datatypes::*;
use arrow::util::display::array_value_to_string;

use super::super::schema_of;
use super::{batch, fields, list, map, row};
use crate::formats::encode::message::MessageEncoder;
use crate::formats::message::{MessageDecoder, MessageFormat};
use crate::formats::registered::{RegisteredSchema, SchemaKind};
use crate::options::Options;

fn decoder(wanted: &[FieldRef]) -> MessageDecoder {
    MessageDecoder::new(&MessageFormat::framed(SchemaKind::Protobuf), wanted, wanted.to_vec()).unwrap()
}

fn schema(text: &str) -> RegisteredSchema {
    RegisteredSchema { text: text.to_owned(), references: Vec::new() }
}

#[test]
fn a_message_is_found_by_its_place_in_the_file() {
    let wanted = fields(&[("a", Int32, true), ("b", Utf8View, true)]);
    let mut decoder = decoder(&wanted);
    let text = "syntax = \"proto3\"; message First { optional int32 a = 1; string b = 2; } \
        message Second { map<int32, int32> m = 1; enum E { X = 0; } message In { optional int32 a = 3; } message Other { bool a = 1; } }";
    decoder.add_schema(7, &schema(text)).unwrap();
    let messages: [&[u8]; 4] = [
        &[0, 0, 0, 0, 7, 0, 8, 1, 18, 1, b'x'],
        &[0, 0, 0, 0, 7, 2, 0, 8, 2],
        &[0, 0, 0, 0, 7, 2, 2],
        &[0, 0, 0, 0, 7, 4, 2, 0, 24, 3],
    ];
    for message in messages {
        decoder.push(Some(message)).unwrap();
    }
    let mut said = |message: &[u8], why: &str| {
        let said = decoder.push(Some(message)).unwrap_err();
        assert!(said.contains(why), "{said}");
    };
    said(&[0, 0, 0, 0, 7, 4, 2, 2, 8, 1], "by its schema 7, column 'a': INT cannot be read from bool");
    said(&[0, 0, 0, 0, 7, 2, 6, 8, 1], "by its schema 7, it has no message at [3]");
    said(&[0, 0, 0, 0, 7, 1, 0], "the place of its message is negative");
    said(&[0, 0, 0, 0, 7, 80, 0], "its message is in 40 others");
    said(&[0, 0, 0, 0, 7, 4, 0], "it is cut off");
    said(&[0, 0, 0, 0, 7], "it is cut off");
    said(&[0, 0, 0, 0, 8, 0], "its schema 8 is not known");
    said(&[1, 0, 0, 0, 7, 0], "it does not begin as the format 'protobuf-confluent' does");
    let rows = batch(&mut decoder, &wanted);
    let shown: Vec<[String; 2]> =
        (0..4).map(|row| [0, 1].map(|column| array_value_to_string(rows.column(column), row).unwrap())).collect();
    assert_eq!(shown, [["1", "x"], ["2", ""], ["", ""], ["3", ""]]);
}

#[test]
fn a_schema_imports_what_it_refers_to() {
    let wanted =
        fields(&[("at", row(&[("x", Int32, true)]), true), ("when", Timestamp(TimeUnit::Millisecond, None), true)]);
    let registered = RegisteredSchema {
        text: "syntax = \"proto3\"; import \"shop/place.proto\"; import \"google/protobuf/timestamp.proto\"; \
            message A { shop.Place at = 1; google.protobuf.Timestamp when = 2; }"
            .to_owned(),
        references: vec![
            ("shop/number.proto".into(), "syntax = \"proto3\"; package shop; enum N { ZERO = 0; }".into()),
            (
                "shop/place.proto".into(),
                "syntax = \"proto3\"; package shop; import \"shop/number.proto\"; message Place { N n = 1; int32 x = 2; }".into(),
            ),
        ],
    };
    let mut decoder = decoder(&wanted);
    decoder.add_schema(7, &registered).unwrap();
    decoder.push(Some(&[0, 0, 0, 0, 7, 0, 10, 2, 16, 5, 18, 0])).unwrap();
    let error = decoder.add_schema(8, &RegisteredSchema { references: Vec::new(), ..registered }).unwrap_err();
    assert!(error.contains("import 'shop/place.proto' not found"), "{error}");
    let rows = batch(&mut decoder, &wanted);
    assert_eq!(array_value_to_string(rows.column(0), 0).unwrap(), "{x: 5}");
}

fn table() -> RecordBatch {
    let fields = fields(&[
        ("id", Int64, false),
        ("small", Int8, true),
        ("name", Utf8View, true),
        ("amount", Decimal128(10, 2), true),
        ("day", Date32, true),
        ("clock", Time64(TimeUnit::Nanosecond), true),
        ("at", Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        ("lines", list(row(&[("sku", Utf8View, true), ("tags", list(Utf8View), false)])), false),
        ("counts", map(Utf8View, Int32), false),
        ("where_row", Boolean, true),
        ("where", row(&[("x", Float64, true), ("raw", BinaryView, false)]), true),
    ]);
    let tags = ListArray::new(
        Arc::new(Field::new("item", Utf8View, true)),
        arrow::buffer::OffsetBuffer::new(vec![0, 2, 2].into()),
        Arc::new(StringViewArray::from(vec!["a", "b"])),
        None,
    );
    let DataType::List(item) = fields[7].data_type() else { panic!() };
    let DataType::Struct(line) = item.data_type() else { panic!() };
    let lines = StructArray::new(
        line.clone(),
        vec![Arc::new(StringViewArray::from(vec![Some("s"), None])), Arc::new(tags)],
        None,
    );
    let lines =
        ListArray::new(item.clone(), arrow::buffer::OffsetBuffer::new(vec![0, 2, 2].into()), Arc::new(lines), None);
    let DataType::Map(entries, _) = fields[8].data_type() else { panic!() };
    let DataType::Struct(pair) = entries.data_type() else { panic!() };
    let pairs = StructArray::new(
        pair.clone(),
        vec![Arc::new(StringViewArray::from(vec!["k"])), Arc::new(Int32Array::from(vec![-1]))],
        None,
    );
    let counts =
        MapArray::new(entries.clone(), arrow::buffer::OffsetBuffer::new(vec![0, 0, 1].into()), pairs, None, false);
    let DataType::Struct(place) = fields[10].data_type() else { panic!() };
    let place = StructArray::new(
        place.clone(),
        vec![
            Arc::new(Float64Array::from(vec![Some(-0.0), None])),
            Arc::new(BinaryViewArray::from(vec![&b"\0"[..], b""])),
        ],
        Some(vec![true, false].into()),
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![0, i64::MIN])),
        Arc::new(Int8Array::from(vec![Some(0), None])),
        Arc::new(StringViewArray::from(vec![Some(""), None])),
        Arc::new(Decimal128Array::from(vec![Some(-105), None]).with_precision_and_scale(10, 2).unwrap()),
        Arc::new(Date32Array::from(vec![Some(-1), None])),
        Arc::new(Time64NanosecondArray::from(vec![Some(1), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]).with_timezone("UTC")),
        Arc::new(lines),
        Arc::new(counts),
        Arc::new(BooleanArray::from(vec![Some(false), None])),
        Arc::new(place),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

const OF_TABLE: &str = "syntax = \"proto3\";
package weir;
import \"google/protobuf/timestamp.proto\";
message Record {
  int64 id = 1;
  optional int32 small = 2;
  optional string name = 3;
  optional string amount = 4;
  optional string day = 5;
  optional string clock = 6;
  .google.protobuf.Timestamp at = 7;
  message lines_row {
    optional string sku = 1;
    repeated string tags = 2;
  }
  repeated lines_row lines = 8;
  map<string, int32> counts = 9;
  optional bool where_row = 10;
  message where_row_ {
    optional double x = 1;
    bytes raw = 2;
  }
  where_row_ where = 11;
}
";

#[test]
fn what_is_written_by_a_tables_schema_is_read_again() {
    let rows = table();
    let fields: Vec<FieldRef> = rows.schema().fields().iter().cloned().collect();
    assert_eq!(schema_of(&fields).unwrap(), OF_TABLE);
    let options = [("format".to_owned(), "protobuf-confluent".to_owned())].into();
    let mut encoder = MessageEncoder::read(&Options::new("t", &options)).unwrap().unwrap();
    assert_eq!(encoder.registers(), Some(SchemaKind::Protobuf));
    assert_eq!(encoder.schema(&fields).unwrap(), OF_TABLE);
    encoder.check(&rows.schema(), &weir_core::TableSpec::new("t", "kafka", options.clone(), rows.schema())).unwrap();
    encoder.prepare(Some(0x0102), &fields).unwrap();
    let messages = encoder.encode(&rows, None).unwrap();
    assert_eq!(messages.get(0).unwrap()[..6], [0, 0, 0, 1, 2, 0]);
    let mut decoder = decoder(&fields);
    decoder.add_schema(0x0102, &schema(OF_TABLE)).unwrap();
    for row in 0..rows.num_rows() {
        decoder.push(messages.get(row)).unwrap();
    }
    let read = batch(&mut decoder, &fields);
    for ((column, expected), field) in read.columns().iter().zip(rows.columns()).zip(&fields) {
        assert_eq!(column, expected, "{}", field.name());
    }
}

#[test]
fn a_table_that_has_no_schema_says_why() {
    let refused = |of: (&str, DataType, bool), why: &str| {
        let said = schema_of(&fields(&[of])).unwrap_err().report();
        assert!(said.contains(why), "{said}");
    };
    refused(("a-b", Int32, true), "column 'a-b': Protobuf has no such names");
    refused(("a", list(list(Int32)), true), "column 'a'");
    refused(("a", list(list(Int32)), true), "Protobuf has no type for ARRAY<INT> here");
    refused(
        ("a", map(Float64, Int32), true),
        "the keys of a map are whole numbers, BOOLEAN or STRING in Protobuf, and not DOUBLE",
    );
    // Names that are one to Protobuf's JSON.
    let options = [("format".to_owned(), "protobuf-confluent".to_owned())].into();
    let encoder = MessageEncoder::read(&Options::new("t", &options)).unwrap().unwrap();
    let same = Arc::new(Schema::new(fields(&[("a_b", Int32, true), ("aB", Int32, true)])));
    let said = encoder.check(&same, &weir_core::TableSpec::new("t", "kafka", options, same.clone())).unwrap_err();
    assert!(said.report().contains("Protobuf has no schema for its columns"), "{}", said.report());
}
