//! Records that replace each other by key: upserts, and the changes that Debezium tells.

use arrow::datatypes::DataType;
use weir_core::connector::METADATA_KEY;
use weir_core::{ErrorKind, TableSpec};

use super::cluster::{Record, Topic};
use super::job::{Job, columns};

/// What a planner would ask of a table with the primary key `id`: its columns, and where each row stands, and whether it is gone.
fn replaced(topic: &Topic, connector: &str, with: &[(&str, &str)]) -> TableSpec {
    let asked = [
        ("id", DataType::Int64),
        ("name", DataType::Utf8View),
        ("$$sequence", DataType::Int64),
        ("$$deletion", DataType::Boolean),
    ];
    let mut table = columns(topic, &asked, with);
    table.connector = connector.to_owned();
    table.primary_key = vec![0];
    let schema = table.schema.as_ref().clone();
    assert_eq!(schema.field(2).metadata()[METADATA_KEY], "$sequence");
    table
}

fn upserts(topic: &Topic, with: &[(&str, &str)]) -> TableSpec {
    let own = [("format", ""), ("scan.startup.mode", ""), ("key.format", "json"), ("value.format", "json")];
    replaced(topic, "upsert-kafka", &[&own, with].concat())
}

fn debezium(topic: &Topic, with: &[(&str, &str)]) -> TableSpec {
    replaced(topic, "kafka", &[&[("format", "debezium-json")], with].concat())
}

fn record<'a>(key: &'a str, value: Option<&'a str>, time: i64) -> Record<'a> {
    let bytes = |text: &'a str| Some(text.as_bytes()).filter(|bytes| !bytes.is_empty());
    Record { key: bytes(key), value: value.map(str::as_bytes), time: Some(time), ..Record::default() }
}

/// Rows in the order of their places: `-id` if one is gone, and `id name`.
fn in_sequence(rows: Vec<String>) -> Vec<String> {
    let mut rows: Vec<(i64, String)> = rows
        .iter()
        .map(|row| {
            let parts: Vec<&str> = row.rsplitn(3, ' ').collect();
            let (id, name) = parts[2].split_once(' ').unwrap();
            (parts[1].parse().unwrap(), if parts[0] == "true" { format!("-{id}") } else { format!("{id} {name}") })
        })
        .collect();
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}

const ONE: &str = r#"{"id":1}"#;
const TWO: &str = r#"{"id":2}"#;

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_record_without_a_value_says_that_its_row_is_gone_and_columns_of_the_key_come_from_the_key() {
    let topic = Topic::new("upserts", 1);
    // The value may have the key too, and say something else.
    let records = [
        record(ONE, Some(r#"{"id":7,"name":"a"}"#), 1000),
        record(TWO, Some(r#"{"id":2,"name":"b"}"#), 1000),
        record(ONE, None, 900),
        record(TWO, Some(r#"{"name":"c"}"#), 2000),
        record(TWO, None, 2000),
    ];
    topic.write_records(0, &records);
    let table = upserts(&topic, &[("scan.bounded.mode", "latest-offset")]);
    let expected = ["1 a", "2 b", "-1", "2 c", "-2"];
    assert_eq!(in_sequence(Job::begin(&table).await.until_end().await), expected);
    let apart = upserts(&topic, &[("value.fields-include", "EXCEPT_KEY"), ("scan.bounded.mode", "latest-offset")]);
    assert_eq!(in_sequence(Job::begin(&apart).await.until_end().await), expected);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn records_of_several_partitions_stand_in_the_order_of_their_times_and_those_of_one_in_that_of_their_offsets() {
    let topic = Topic::new("moved", 2);
    let named = |name: &str| format!(r#"{{"name":"{name}"}}"#);
    let values = ["a", "b", "c", "d"].map(named);
    topic.write_records(0, &[record(ONE, Some(&values[0]), 5000), record(ONE, Some(&values[1]), 3000)]);
    topic.write_records(1, &[record(ONE, Some(&values[2]), 4000), record(ONE, Some(&values[3]), 6000)]);
    let table = upserts(&topic, &[("scan.bounded.mode", "latest-offset")]);
    assert_eq!(in_sequence(Job::begin(&table).await.until_end().await), ["1 c", "1 a", "1 b", "1 d"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_checkpoint_knows_the_place_of_the_last_record() {
    let topic = Topic::new("places", 1);
    topic.write_records(0, &[record(ONE, Some(r#"{"name":"sooner"}"#), 1_700_000_000_000)]);
    let table = upserts(&topic, &[]);
    let mut job = Job::begin(&table).await;
    let first = job.rows(1).await;
    let checkpoint = job.checkpoint();
    assert!(checkpoint.positions.values().all(|position| position.starts_with("1@")), "{checkpoint:?}");
    drop(job);
    // By its time alone it would be older.
    topic.write_records(0, &[record(ONE, Some(r#"{"name":"later"}"#), 1_000)]);
    let second = Job::from(&table, checkpoint, 1).await.unwrap().rows(1).await;
    assert_eq!(in_sequence([second, first].concat()), ["1 sooner", "1 later"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_record_without_a_key_is_undecodable() {
    let topic = Topic::new("keyless", 1);
    topic.write_records(0, &[record("", Some(r#"{"name":"a"}"#), 1), record(ONE, Some(r#"{"name":"b"}"#), 2)]);
    let error = Job::begin(&upserts(&topic, &[])).await.failure().await;
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error.to_string().ends_with("offset 0: it has no key, and the table's primary key is read from there"),
        "{error}"
    );
    let skipped = upserts(&topic, &[("error-policy", "skip"), ("scan.bounded.mode", "latest-offset")]);
    assert_eq!(in_sequence(Job::begin(&skipped).await.until_end().await), ["1 b"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn changes_that_debezium_tells() {
    let topic = Topic::new("debezium", 1);
    let values = [
        r#"{"before":null,"after":{"id":1,"name":"a"},"op":"r","source":{"snapshot":"last"}}"#,
        r#"{"schema":{"type":"struct","fields":[]},"payload":{"before":null,"after":{"id":2,"name":"b"},"op":"c"}}"#,
        r#"{"before":{"id":2,"name":"b"},"after":{"id":3,"name":"b"},"op":"u"}"#,
        r#"{"before":null,"after":{"id":1,"name":"aa"},"op":"u"}"#,
        r#"{"before":{"id":3,"name":"b"},"after":null,"op":"d"}"#,
    ];
    let mut records = values.map(|value| record(ONE, Some(value), 1)).to_vec();
    // A tombstone follows a deletion, for the sake of compaction.
    records.push(record(r#"{"id":3}"#, None, 1));
    topic.write_records(0, &records);
    let table = debezium(&topic, &[("scan.bounded.mode", "latest-offset")]);
    assert_eq!(in_sequence(Job::begin(&table).await.until_end().await), ["1 a", "2 b", "-2", "3 b", "1 aa", "-3"]);
    // The key of a message says which row it is, if that is where the table has it from.
    let by_key = [("key.format", "json"), ("key.fields", "id"), ("value.fields-include", "EXCEPT_KEY")];
    let other = Topic::new("debezium-keys", 1);
    let gone = [record(ONE, Some(r#"{"after":{"name":"a"},"op":"c"}"#), 1), record(ONE, Some(r#"{"op":"d"}"#), 1)];
    other.write_records(0, &gone);
    let table = debezium(&other, &[&by_key[..], &[("scan.bounded.mode", "latest-offset")]].concat());
    assert_eq!(in_sequence(Job::begin(&table).await.until_end().await), ["1 a", "-1"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn that_all_rows_are_gone_is_never_passed_over_and_what_cannot_be_read_is_as_the_policy_says() {
    let topic = Topic::new("truncated", 1);
    topic.write(
        0,
        &[r#"{"after":{"id":1,"name":"a"},"op":"c"}"#, r#"{"before":{"id":1},"after":{"id":2},"op":"u","x":}"#],
    );
    let skip = debezium(&topic, &[("error-policy", "skip")]);
    let mut job = Job::begin(&skip).await;
    assert_eq!(in_sequence(job.rows(1).await), ["1 a"]);
    job.rejects(1).await;
    topic.write(0, &[r#"{"before":null,"after":null,"op":"t"}"#]);
    let error = job.failure().await;
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("offset 2: all rows of the database's table were deleted at once"), "{error}");
    assert!(error.help().unwrap().contains("snapshot"));
}
