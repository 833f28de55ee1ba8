//! Schemas, and data by them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use proptest::prelude::*;

use super::{AvroSchema, schema_of};
use crate::formats::encode::message::MessageEncoder;
use crate::formats::message::{MessageDecoder, MessageFormat};
use crate::formats::registered::{RegisteredSchema, SchemaKind};

fn fields(fields: &[(&str, DataType, bool)]) -> Vec<FieldRef> {
    fields.iter().map(|(name, of, nullable)| Arc::new(Field::new(*name, of.clone(), *nullable)) as FieldRef).collect()
}

fn decoder(writer: &str, fields: &[FieldRef]) -> Result<MessageDecoder, String> {
    let mut decoder = MessageDecoder::new(&MessageFormat::framed(SchemaKind::Avro), fields, fields.to_vec()).unwrap();
    decoder.add_schema(7, &RegisteredSchema { text: writer.to_owned(), ..RegisteredSchema::default() })?;
    Ok(decoder)
}

/// A message of the schema 7.
fn framed(datum: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 7], datum].concat()
}

fn read_one(writer: &str, of: DataType, datum: &[u8]) -> Result<String, String> {
    let writer = format!("{{\"type\":\"record\",\"name\":\"r\",\"fields\":[{{\"name\":\"v\",\"type\":{writer}}}]}}");
    let mut decoder = decoder(&writer, &fields(&[("v", of, true)]))?;
    decoder.push(Some(&framed(datum)))?;
    let column = decoder.finish().unwrap().remove(0);
    Ok(arrow::util::display::array_value_to_string(&column, 0).unwrap())
}

#[test]
fn promotions_are_those_of_the_specification() {
    let ok = |writer: &str, of: DataType, datum: &[u8], value: &str| {
        assert_eq!(read_one(writer, of, datum).as_deref(), Ok(value), "{writer}");
    };
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    ok("\"int\"", DataType::Int64, &[0x03], "-2");
    ok("\"int\"", DataType::Float64, &[0x04], "2.0");
    ok("\"long\"", DataType::Float32, &[0x04], "2.0");
    ok("\"float\"", DataType::Float64, &1.5_f32.to_le_bytes(), "1.5");
    ok("\"bytes\"", DataType::Utf8View, &[4, b'a', b'b'], "ab");
    ok("\"string\"", DataType::BinaryView, &[4, b'a', b'b'], "6162");
    ok("[\"null\",\"int\",\"long\"]", DataType::Int64, &[4, 2], "1");
    ok("[\"null\",\"int\",\"string\"]", DataType::Int64, &[2, 2], "1");
    ok("[\"null\",\"int\"]", DataType::Int64, &[0], "");
    ok("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"x\",\"y\"]}", DataType::Utf8View, &[2], "y");
    ok("{\"type\":\"fixed\",\"name\":\"f\",\"size\":2}", DataType::BinaryView, &[1, 2], "0102");
    ok("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", micros.clone(), &[2], "1970-01-01T00:00:00.001");
    let decimal = "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}";
    ok(decimal, DataType::Decimal128(6, 3), &[2, 0xff], "-0.100");
    let refused = |writer: &str, of: DataType, datum: &[u8], why: &str| {
        let said = read_one(writer, of, datum).unwrap_err();
        assert!(said.contains(why), "{writer}: {said}");
    };
    refused("\"long\"", DataType::Int32, &[2], "column 'v': INT cannot be read from a long");
    refused("\"double\"", DataType::Float32, &[0; 8], "FLOAT cannot be read from a double");
    refused("\"string\"", DataType::Int32, &[2], "INT cannot be read from a string");
    refused("[\"null\",\"int\",\"string\"]", DataType::Int64, &[4, 2, b'a'], "BIGINT cannot be read from a string");
    refused("[\"null\",\"int\"]", DataType::Int64, &[4], "the branch 2 of a union of 2");
    refused(decimal, DataType::Decimal128(6, 0), &[2, 1], "cannot be read from bytes");
    refused(decimal, DataType::Decimal128(3, 1), &[2, 1], "cannot be read from bytes");
    refused(decimal, DataType::Decimal128(4, 1), &[4, 0x7f, 0xff], "a decimal of more than 4 digits");
    refused("{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", micros, &[2], "so fine a time");
    let zoned = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    refused("{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}", zoned, &[2], "a time without a zone");
    refused("\"int\"", DataType::Int8, &[0x80, 0x02], "128, which is out of range");
    refused("\"int\"", DataType::Int64, &[2, 2], "there are 1 bytes behind the datum");
    refused("\"int\"", DataType::Int64, &[0x80], "it is cut off");
}

#[test]
fn what_the_table_does_not_read_is_passed_over_and_what_the_writer_lacks_is_null() {
    let writer = r#"{"type":"record","name":"r","namespace":"n","fields":[
        {"name":"before","type":["null",{"type":"record","name":"tree","fields":[
            {"name":"label","type":"string"},{"name":"children","type":{"type":"array","items":"tree"}}]}]},
        {"name":"b","type":"string"},
        {"name":"skipped","type":{"type":"map","values":"double"}},
        {"name":"a","type":"int"}]}"#;
    let wanted =
        fields(&[("a", DataType::Int32, false), ("b", DataType::Utf8View, true), ("c", DataType::Int64, true)]);
    let mut decoder = decoder(writer, &wanted).unwrap();
    // A tree of one child; then "b"; a map in a block of a known size; then 5.
    let datum =
        [&[2, 2, b'x', 2, 2, b'y', 0, 0, 2, b'b', 1, 20, 2, b'k'][..], &1.0_f64.to_le_bytes(), &[0, 10]].concat();
    decoder.push(Some(&framed(&datum))).unwrap();
    assert_eq!(decoder.push(Some(&[0, 0, 0, 0, 8, 1])).unwrap_err(), "its schema 8 is not known");
    assert_eq!(
        decoder.push(Some(&[1, 0, 0, 0, 7])).unwrap_err(),
        "it does not begin as the format 'avro-confluent' does"
    );
    assert_eq!(decoder.wants_schema(Some(&[0, 0, 0, 0, 8, 1])), Some(8));
    assert_eq!(decoder.wants_schema(Some(&framed(&datum))), None);
    let columns = decoder.finish().unwrap();
    assert_eq!(columns[0].as_primitive::<Int32Type>().value(0), 5);
    assert_eq!(columns[1].as_string_view().value(0), "b");
    assert!(columns[2].is_null(0));
    let must = fields(&[("a", DataType::Int32, true), ("must", DataType::Int64, false)]);
    let said = super::tests::decoder(writer, &must).err().unwrap();
    assert_eq!(said, "column 'must': it is NOT NULL, and the writer's schema does not have it");
}

#[test]
fn keys_are_often_no_records() {
    let key = fields(&[("k", DataType::Utf8View, false)]);
    let mut decoder = decoder("\"string\"", &key).unwrap();
    decoder.push(Some(&framed(&[4, b'a', b'b']))).unwrap();
    assert_eq!(decoder.finish().unwrap()[0].as_string_view().value(0), "ab");
    let two = fields(&[("k", DataType::Utf8View, false), ("l", DataType::Utf8View, true)]);
    assert_eq!(super::tests::decoder("\"string\"", &two).err().unwrap(), "it is no record, which has 2 columns");
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// Columns of every type that Avro has.
fn all() -> (Vec<FieldRef>, RecordBatch) {
    let pair =
        Fields::from(vec![Field::new("x", DataType::Int32, false), Field::new("y", list(DataType::Utf8View), true)]);
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Int64, true)]);
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.clone()), false)), false);
    let time = |unit, zone: bool| DataType::Timestamp(unit, zone.then(|| "UTC".into()));
    let fields = fields(&[
        ("flag", DataType::Boolean, true),
        ("small", DataType::Int16, false),
        ("big", DataType::Int64, true),
        ("f", DataType::Float32, true),
        ("d", DataType::Float64, false),
        ("dec", DataType::Decimal128(38, 4), true),
        ("text", DataType::Utf8View, false),
        ("bytes", DataType::BinaryView, true),
        ("day", DataType::Date32, true),
        ("clock", DataType::Time64(TimeUnit::Nanosecond), true),
        ("s", time(TimeUnit::Second, false), true),
        ("ms", time(TimeUnit::Millisecond, true), true),
        ("ns", time(TimeUnit::Nanosecond, false), true),
        ("list", list(DataType::Int64), true),
        ("row", DataType::Struct(pair.clone()), true),
        ("map", map, true),
    ]);
    let longest = 10_i128.pow(38) - 1;
    let mut words = ListBuilder::new(StringViewBuilder::new());
    words.append_value([Some("a"), None]);
    words.append_value([Some("b"); 0]);
    words.append_null();
    let row = StructArray::new(
        pair,
        vec![Arc::new(Int32Array::from(vec![1, -1, 0])), Arc::new(words.finish())],
        Some(vec![true, true, false].into()),
    );
    let values = StructArray::new(
        entries.clone(),
        vec![Arc::new(StringViewArray::from(vec!["a", "b"])), Arc::new(Int64Array::from(vec![Some(1), None]))],
        None,
    );
    let map = MapArray::new(
        Arc::new(Field::new("entries", DataType::Struct(entries), false)),
        arrow::buffer::OffsetBuffer::from_lengths([2, 0, 0]),
        values,
        Some(vec![true, true, false].into()),
        false,
    );
    let columns: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Int16Array::from(vec![i16::MIN, i16::MAX, 0])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
        Arc::new(Float32Array::from(vec![Some(1.5), Some(f32::INFINITY), None])),
        Arc::new(Float64Array::from(vec![-0.1, f64::NEG_INFINITY, 0.0])),
        Arc::new(Decimal128Array::from(vec![Some(-longest), Some(128), None]).with_precision_and_scale(38, 4).unwrap()),
        Arc::new(StringViewArray::from(vec!["Größe, more than twelve bytes", "", "x"])),
        Arc::new(BinaryViewArray::from(vec![Some(b"\0\xff".as_ref()), Some(b""), None])),
        Arc::new(Date32Array::from(vec![Some(-1), Some(20_000), None])),
        Arc::new(Time64NanosecondArray::from(vec![Some(0), Some(86_399_999_999_000), None])),
        Arc::new(TimestampSecondArray::from(vec![Some(-1), Some(1), None])),
        Arc::new(TimestampMillisecondArray::from(vec![Some(-1), Some(1), None]).with_timezone("UTC")),
        Arc::new(TimestampNanosecondArray::from(vec![Some(-1), Some(1), None])),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None])),
        Arc::new(row),
        Arc::new(map),
    ];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns).unwrap();
    (fields, batch)
}

/// The table's own schema, but for whole seconds, which Avro does not have and are written as milliseconds.
fn written() -> (Vec<FieldRef>, RecordBatch, Vec<Vec<u8>>) {
    let (mut fields, mut batch) = all();
    let place = fields.iter().position(|field| field.name() == "s").unwrap();
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    let mut columns = batch.columns().to_vec();
    let encoded = MessageEncoder::Avro(Some(7)).encode(&batch, None).unwrap();
    fields[place] = Arc::new(Field::new("s", millis.clone(), true));
    columns[place] = arrow::compute::cast(&columns[place], &millis).unwrap();
    batch = RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns).unwrap();
    let messages = (0..batch.num_rows()).map(|row| encoded.get(row).unwrap().to_vec()).collect();
    (fields, batch, messages)
}

#[test]
fn what_is_written_is_read_again() {
    let (fields, batch, messages) = written();
    let schema = schema_of(&all().0).unwrap();
    let mut decoder = decoder(&schema, &fields).unwrap();
    messages.iter().for_each(|message| decoder.push(Some(message)).unwrap());
    for ((column, expected), field) in decoder.finish().unwrap().iter().zip(batch.columns()).zip(&fields) {
        assert_eq!(column, expected, "{}", field.name());
    }
}

#[test]
fn a_schema_may_refer_to_types_of_others() {
    let fields = fields(&[("id", DataType::Int64, false), ("colour", DataType::Utf8View, true)]);
    let schema = RegisteredSchema {
        text: r#"{"type":"record","name":"car","namespace":"shop","fields":[{"name":"id","type":"long"},
            {"name":"owner","type":"people.person"},{"name":"colour","type":"colour"}]}"#
            .to_owned(),
        references: vec![
            ("shop.colour".into(), r#"{"type":"enum","name":"colour","namespace":"shop","symbols":["RED","BLUE"]}"#.into()),
            (
                "people.person".into(),
                r#"{"type":"record","name":"person","namespace":"people","fields":[{"name":"likes","type":"shop.colour"}]}"#
                    .into(),
            ),
        ],
    };
    let format = MessageFormat::framed(SchemaKind::Avro);
    let mut decoder = MessageDecoder::new(&format, &fields, fields.clone()).unwrap();
    decoder.add_schema(7, &schema).unwrap();
    decoder.push(Some(&framed(&[10, 0, 2]))).unwrap();
    let columns = decoder.finish().unwrap();
    assert_eq!(columns[0].as_primitive::<Int64Type>().value(0), 5);
    assert_eq!(columns[1].as_string_view().value(0), "BLUE");
    // Without them it says nothing.
    let alone = RegisteredSchema { references: Vec::new(), ..schema };
    assert_eq!(decoder.add_schema(8, &alone).unwrap_err(), "field 'owner': there is no type 'people.person'");
}

#[test]
fn schemas_that_are_none_are_refused() {
    for (text, why) in [
        ("{", "it is no JSON"),
        ("\"nothing\"", "there is no type 'nothing'"),
        ("[\"null\",[\"int\"]]", "a union in a union"),
        ("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\"}]}", "a field without 'type'"),
        (
            "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"x\"}]}",
            "field 'a': there is no type 'x'",
        ),
    ] {
        let said = AvroSchema::parse(text).unwrap_err();
        assert!(said.contains(why), "{text}: {said}");
    }
    let odd = schema_of(&fields(&[("a-b", DataType::Int32, true)])).unwrap_err();
    assert!(odd.to_string().contains("column 'a-b': Avro has no such names"));
}

proptest! {
    /// Bytes that are damaged are refused or are another row: rows stay in step, and nothing panics or takes for ever.
    #[test]
    fn damage_is_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<prop::sample::Index>(), row in 0_usize..3) {
        let (fields, batch, messages) = written();
        let mut decoder = decoder(&schema_of(&all().0).unwrap(), &fields).unwrap();
        let mut damaged = messages[row].clone();
        for (place, byte) in changes {
            let place = 5 + place.index(damaged.len() - 5);
            damaged[place] = byte;
        }
        let _ = decoder.push(Some(&damaged));
        damaged.truncate(cut.index(damaged.len() + 1));
        let _ = decoder.push(Some(&damaged));
        decoder.push(Some(&messages[1])).unwrap();
        let columns = decoder.finish().unwrap();
        for (column, expected) in columns.iter().zip(batch.columns()) {
            prop_assert_eq!(column.len(), 3);
            prop_assert_eq!(column.slice(2, 1).to_data(), expected.slice(1, 1).to_data());
        }
    }

    #[test]
    fn whatever_a_schema_is_nothing_panics(text in "[\\[\\]{}:,\"a-z0-9 ]{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = AvroSchema::parse(&text);
        let (fields, _) = all();
        let mut decoder = decoder(&schema_of(&fields).unwrap(), &fields);
        if let Ok(decoder) = &mut decoder {
            let _ = decoder.push(Some(&framed(&bytes)));
        }
    }
}
