//! Records that replace each other: which rows they come to, and which are none.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use rdkafka::message::{OwnedMessage, Timestamp};
use weir_core::TableSpec;
use weir_core::connector::METADATA_KEY;

use super::Rows;
use crate::layout::Layout;
use crate::options::SourceOptions;
use crate::split::{Sequence, TopicPartition};

const UPSERT: &[(&str, &str)] = &[("key.format", "json"), ("value.format", "json")];
const DEBEZIUM: &[(&str, &str)] = &[("format", "debezium-json")];
/// Debezium's changes, with the primary key in the messages' keys.
const DEBEZIUM_KEYS: &[(&str, &str)] = &[
    ("format", "debezium-json"),
    ("key.format", "json"),
    ("key.fields", "id"),
    ("value.fields-include", "EXCEPT_KEY"),
];

/// A table as `PRIMARY KEY (id) NOT ENFORCED` leaves it: any column may be null.
fn table(connector: &str, physical: &[&str], with: &[(&str, &str)]) -> TableSpec {
    let right =
        [("topic", "t"), ("properties.bootstrap.servers", "127.0.0.1:9"), ("scan.startup.mode", "earliest-offset")];
    let options = right.iter().chain(with).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let data_type = |name: &str| if name == "name" { DataType::Utf8View } else { DataType::Int64 };
    let mut fields: Vec<Field> = physical.iter().map(|name| Field::new(*name, data_type(name), true)).collect();
    let gone = [(METADATA_KEY.to_owned(), "$deletion".to_owned())];
    fields.push(Field::new("$deletion", DataType::Boolean, false).with_metadata(gone.into()));
    let mut table = TableSpec::new("t", connector, options.collect(), Arc::new(Schema::new(fields)));
    table.primary_key = vec![0];
    table
}

/// What records, each a key and a value, come to, in their order: `id name` for a row, `-id` for one that is gone. Then why others are none.
fn read(table: &TableSpec, records: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let layout = Layout::new(table, &SourceOptions::read(table).unwrap().formats).unwrap();
    let mut rows = Rows::new(Arc::new(layout)).unwrap();
    let mut sequence = Sequence::default();
    for (offset, (key, value)) in (0..).zip(records) {
        let part = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        let message = OwnedMessage::new(part(value), part(key), "t".into(), Timestamp::NotAvailable, 0, offset, None);
        rows.push(&message, &"t-0".into(), &mut sequence);
    }
    let (batch, rejected) = rows.finish(&TopicPartition { topic: "t".into(), partition: 0 }).unwrap();
    assert_eq!(batch.schema(), table.schema, "what is declared stays");
    let ids = batch.column(0).as_primitive::<Int64Type>();
    let gone = batch.column(batch.num_columns() - 1).as_boolean();
    assert_eq!(batch.column(0).null_count(), 0);
    let row = |row: usize| match (gone.value(row), batch.column_by_name("name")) {
        (true, _) => format!("-{}", ids.value(row)),
        (false, Some(names)) => format!("{} {}", ids.value(row), names.as_string_view().value(row)),
        (false, None) => ids.value(row).to_string(),
    };
    ((0..batch.num_rows()).map(row).collect(), rejected.into_iter().map(|record| record.reason).collect())
}

#[test]
fn a_record_whose_key_has_no_value_for_a_column_of_the_primary_key_is_undecodable() {
    let table = table("upsert-kafka", &["id", "name"], UPSERT);
    let records = [
        (r#"{"id":1}"#, r#"{"id":1,"name":"a"}"#),
        // Of a database that writes names in capitals.
        (r#"{"ID":2}"#, r#"{"ID":2,"name":"b"}"#),
        (r#"{"ID":2}"#, ""),
        (r#"{"id":null}"#, r#"{"id":1,"name":"c"}"#),
        ("", r#"{"id":1,"name":"d"}"#),
        (r#"{"schema":{"type":"struct"},"payload":{"id":3}}"#, r#"{"name":"e"}"#),
        (r#"{"schema":{"type":"struct"},"payload":{"id":3}}"#, ""),
    ];
    let (rows, rejected) = read(&table, &records);
    assert_eq!(rows, ["1 a", "3 e", "-3"]);
    let missing = "in its key, there is no field 'id'";
    let null = "in its key, column 'id': it is NOT NULL and has no value";
    let keyless = "it has no key, and the table's primary key is read from there";
    assert_eq!(rejected, [missing, missing, null, keyless]);
}

#[test]
fn a_value_that_replaces_others_may_be_beside_its_schema() {
    let (key, schema) = (r#"{"id":3}"#, r#"{"type":"struct","fields":[]}"#);
    let beside = |payload: &str| format!(r#"{{"schema":{schema},"payload":{payload}}}"#);
    let with = table("upsert-kafka", &["id", "name"], UPSERT);
    let (rows, rejected) = read(
        &with,
        &[
            (key, &beside(r#"{"id":3,"name":"a"}"#)),
            (key, r#"{"name":"b"}"#),
            (key, &beside(" null ")),
            (key, &beside(r#"{"id":3,"name":null}"#)),
            (key, ""),
        ],
    );
    assert_eq!(rows, ["3 a", "3 b", "-3", "3 ", "-3"]);
    assert!(rejected.is_empty(), "{rejected:?}");
}

#[test]
fn a_change_without_a_value_for_a_column_of_the_primary_key_is_undecodable() {
    let table = table("kafka", &["id", "name"], DEBEZIUM);
    let values = [
        r#"{"op":"c","after":{"id":1,"name":"a"}}"#,
        r#"{"op":"c","after":{"ID":2,"NAME":"b"}}"#,
        r#"{"op":"c","after":{"id":null,"name":"c"}}"#,
        r#"{"op":"d","before":{"id":null,"name":"a"}}"#,
        r#"{"op":"d","before":{"name":"a"}}"#,
        r#"{"op":"d","before":{"id":1,"name":null}}"#,
    ];
    let (rows, rejected) = read(&table, &values.map(|value| ("", value)));
    assert_eq!(rows, ["1 a", "-1"]);
    assert_eq!(
        rejected,
        [
            "there is no field 'id'",
            "column 'id': it is NOT NULL and has no value",
            "in its 'before', column 'id': it is NOT NULL and has no value",
            "in its 'before', there is no field 'id'",
        ]
    );
}

#[test]
fn the_key_of_a_change_may_be_that_of_its_message_which_then_has_to_be_there() {
    let table = table("kafka", &["id", "name"], DEBEZIUM_KEYS);
    let change = r#"{"op":"c","after":{"name":"a"}}"#;
    let records = [
        (r#"{"id":1}"#, change),
        (r#"{"schema":{"type":"struct"},"payload":{"id":2}}"#, change),
        ("", change),
        (r#"{"ID":3}"#, change),
        (r#"{"id":null}"#, r#"{"op":"d"}"#),
        (r#"{"id":1}"#, r#"{"op":"d"}"#),
        // It lets the topic forget what was before it.
        (r#"{"id":1}"#, ""),
    ];
    let (rows, rejected) = read(&table, &records);
    assert_eq!(rows, ["1 a", "2 a", "-1"]);
    assert_eq!(
        rejected,
        [
            "in its key, column 'id' is NOT NULL and has no value",
            "in its key, there is no field 'id'",
            "in its key, column 'id': it is NOT NULL and has no value",
        ]
    );
}

#[test]
fn a_change_counts_where_all_columns_are_in_the_key() {
    let table = table("kafka", &["id"], DEBEZIUM_KEYS);
    let records = [
        (r#"{"id":1}"#, r#"{"op":"c","after":{}}"#),
        (r#"{"id":2}"#, r#"{"op":"r","after":{"x":1}}"#),
        (r#"{"id":1}"#, r#"{"op":"d"}"#),
    ];
    assert_eq!(read(&table, &records), (["1", "2", "-1"].map(str::to_owned).to_vec(), Vec::new()));
    let (rows, rejected) = read(&table, &[(r#"{"id":1}"#, "{}")]);
    assert!(rows.is_empty() && rejected[0].starts_with("there is no 'op'"), "{rejected:?}");
}

#[test]
fn the_schema_of_avro_stays_that_of_the_declared_table() {
    let with = [("key.format", "avro"), ("value.format", "json")];
    // A union's branch: which one, and zigzag.
    let (rows, rejected) =
        read(&table("upsert-kafka", &["id", "name"], &with), &[("\u{2}\u{6}", r#"{"name":"a"}"#), ("\u{0}", "")]);
    assert_eq!(rows, ["3 a"]);
    assert_eq!(rejected.len(), 1, "{rejected:?}");
}
