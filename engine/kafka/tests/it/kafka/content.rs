//! What is in a record: keys, values, headers, times; and records that cannot be decoded.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use weir_core::ErrorKind;

use super::cluster::{Record, Topic};
use super::job::{Job, columns, table};

fn value(value: &str) -> Record<'_> {
    Record { value: Some(value.as_bytes()), ..Record::default() }
}

fn keyed<'a>(key: &'a str, value: Option<&'a str>) -> Record<'a> {
    Record { key: Some(key.as_bytes()), value: value.map(str::as_bytes), ..Record::default() }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn columns_come_from_values_and_only_those_are_decoded_that_are_read() {
    let topic = Topic::new("json", 1);
    topic.write(
        0,
        &["{\"a\": 1, \"b\": \"x\"}", "{\"b\": null,\n \"a\": 2}", "{\"a\": 3, \"b\": \"not a BIGINT\", \"c\": []}"],
    );
    let mut spec = columns(&topic, &[("a", DataType::Int64), ("b", DataType::Utf8View)], &[("format", "json")]);
    assert_eq!(Job::begin(&spec).await.rows(3).await, ["1 x", "2 ", "3 not a BIGINT"]);
    spec.projection = Some(vec![1, 0]);
    assert_eq!(Job::begin(&spec).await.rows(3).await, [" 2", "not a BIGINT 3", "x 1"]);
    spec.projection = Some(vec![]);
    assert_eq!(Job::begin(&spec).await.rows(3).await, ["", "", ""]);
    let other = columns(
        &topic,
        &[("a", DataType::Int64), ("b", DataType::Int64)],
        &[("format", "json"), ("error-policy", "skip")],
    );
    let mut job = Job::begin(&other).await;
    assert_eq!(job.rows(1).await, ["2 "]);
    job.rejects(2).await;
    let mut csv = Topic::new("csv", 1);
    csv.write(0, &["1;x", "2;\"y;z\"\n"]);
    csv = csv.clone();
    let with = [("format", ""), ("value.format", "csv"), ("value.csv.field-delimiter", ";")];
    let spec = columns(&csv, &[("a", DataType::Int64), ("b", DataType::Utf8View)], &with);
    assert_eq!(Job::begin(&spec).await.rows(2).await, ["1 x", "2 y;z"]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn records_are_read_however_they_are_compressed() {
    let topic = Topic::new("compressed", 1);
    // Each long enough to become shorter: what does not is sent as it is.
    let values = ["gzip", "lz4", "none", "snappy", "zstd"].map(|by| {
        let value = by.repeat(100);
        topic.write_compressed(0, by, &value);
        value
    });
    let spec = columns(&topic, &[("v", DataType::Utf8View)], &[("format", "raw")]);
    assert_eq!(Job::begin(&spec).await.rows(5).await, values);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn keys_are_columns_of_their_own_or_are_in_the_value_too() {
    let topic = Topic::new("keys", 1);
    topic.write_records(0, &[keyed("k1", Some("{\"v\": 1, \"k\": \"inner\"}")), keyed("k2", Some("{\"v\": 2}"))]);
    let with = |more: &[(&'static str, &'static str)]| {
        let mut with = vec![("format", "json"), ("key.format", "raw"), ("key.fields", "k")];
        with.extend(more);
        with
    };
    let fields = [("v", DataType::Int64), ("k", DataType::Utf8View)];
    let apart = columns(&topic, &fields, &with(&[("value.fields-include", "EXCEPT_KEY")]));
    assert_eq!(Job::begin(&apart).await.rows(2).await, ["1 k1", "2 k2"]);
    let within = columns(&topic, &fields, &with(&[]));
    assert_eq!(Job::begin(&within).await.rows(2).await, ["1 inner", "2 "]);
    let prefixed = [("v", DataType::Int64), ("key_k", DataType::Utf8View), ("k", DataType::Utf8View)];
    let more = [("value.fields-include", "EXCEPT_KEY"), ("key.fields-prefix", "key_"), ("key.fields", "key_k")];
    let prefixed = columns(&topic, &prefixed, &with(&more));
    assert_eq!(Job::begin(&prefixed).await.rows(2).await, ["1 k1 inner", "2 k2 "]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn what_is_known_about_a_record_is_metadata() {
    let topic = Topic::new("metadata", 2);
    let headers: &[(&str, Option<&str>)] = &[("trace", Some("t1")), ("none", None), ("trace", Some("t2"))];
    topic.write_records(
        1,
        &[value("skipped"), Record { time: Some(1_700_000_000_123), headers, ..keyed("k", Some("x")) }],
    );
    let pair = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", DataType::BinaryView, true),
    ]);
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair), false)), false);
    let fields = [
        ("$topic", DataType::Utf8View),
        ("$partition", DataType::Int32),
        ("$offset", DataType::Int64),
        ("v", DataType::Utf8View),
        ("$timestamp", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("$timestamp-type", DataType::Utf8View),
        ("$key", DataType::BinaryView),
        ("$headers", map),
    ];
    let with = [
        ("scan.startup.mode", "specific-offsets"),
        ("scan.startup.specific-offsets", "partition:0,offset:0;partition:1,offset:1"),
    ];
    let rows = Job::begin(&columns(&topic, &fields, &with)).await.rows(1).await;
    assert_eq!(rows, [format!("{} 1 1 x 2023-11-14T22:13:20.123Z CreateTime 6b {{none: , trace: 7432}}", topic.name)],);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_record_without_a_value_is_no_row_but_where_bytes_are_read_as_they_are() {
    let topic = Topic::new("tombstones", 1);
    topic.write_records(
        0,
        &[keyed("k1", Some("{\"v\": 1}")), keyed("k1", None), keyed("k2", Some("{\"v\": 2}")), keyed("k2", None)],
    );
    let fields = [("v", DataType::Int64), ("$offset", DataType::Int64)];
    let mut json =
        Job::begin(&columns(&topic, &fields, &[("format", "json"), ("scan.bounded.mode", "latest-offset")])).await;
    assert_eq!(json.until_end().await, ["1 0", "2 2"]);
    assert_eq!(json.rejected, [""; 0]);
    let fields = [("$offset", DataType::Int64), ("v", DataType::Utf8View)];
    assert_eq!(
        Job::begin(&columns(&topic, &fields, &[])).await.rows(4).await,
        ["0 {\"v\": 1}", "1 ", "2 {\"v\": 2}", "3 "]
    );
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_record_that_cannot_be_decoded_follows_the_policy() {
    let topic = Topic::new("poison", 1);
    topic.write_records(
        0,
        &[
            value("{\"v\": 1}"),
            value("{\"v\": \"one\"}"),
            value("{\"v\":"),
            Record { value: Some(b"\xff"), ..Record::default() },
            keyed("\"no number\"", Some("{\"v\": 2}")),
            keyed("{\"k\": 7}", Some("{\"v\": 3}")),
        ],
    );
    let fields = [("v", DataType::Int64), ("k", DataType::Int64)];
    let with = |policy| {
        let with = [
            ("format", "json"),
            ("key.format", "json"),
            ("key.fields", "k"),
            ("value.fields-include", "EXCEPT_KEY"),
            ("error-policy", policy),
        ];
        columns(&topic, &fields, &with)
    };
    let error = Job::begin(&with("fail")).await.failure().await;
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        error.to_string(),
        format!("topic '{}', partition 0, offset 1: column 'v': '\"one\"' is not a valid BIGINT", topic.name)
    );
    assert_eq!(error.help(), Some("'error-policy' = 'skip' passes over such records, 'dead-letter' keeps them"));
    for policy in ["skip", "dead-letter"] {
        let mut job = Job::begin(&with(policy)).await;
        assert_eq!(job.rows(2).await, ["1 ", "3 7"]);
        job.rejects(4).await;
        let origin = format!("{}-0", topic.name);
        assert_eq!(
            job.rejected[0],
            format!("{origin} 1 '{{\"v\": \"one\"}}': column 'v': '\"one\"' is not a valid BIGINT")
        );
        assert!(
            job.rejected[1].starts_with(&format!("{origin} 2 '{{\"v\":': invalid JSON at its byte")),
            "{}",
            job.rejected[1]
        );
        assert_eq!(job.rejected[2], format!("{origin} 3 '\u{fffd}': invalid UTF-8 at its byte 1"));
        assert!(
            job.rejected[3].starts_with(&format!("{origin} 4 '\"no number\"': in its key, invalid JSON")),
            "{}",
            job.rejected[3]
        );
        assert_eq!(job.checkpoint().positions.values().collect::<Vec<_>>(), ["6"]);
    }
    let lenient = [("format", "json"), ("json.ignore-parse-errors", "true")];
    let mut job = Job::begin(&columns(&topic, &fields[..1], &lenient)).await;
    assert_eq!(job.rows(4).await, ["", "1", "2", "3"]);
    assert_eq!(job.rejected.len(), 2);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn many_records_come_in_large_batches() {
    let topic = Topic::new("many", 4);
    let values: Vec<String> = (0..20_000).map(|number| format!("{number:05}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    for partition in 0..4 {
        topic.write(partition, &values);
    }
    for readers in [1, 2, 4, 7] {
        let bounded = table(&topic, &[("scan.bounded.mode", "latest-offset")]);
        let mut job = Job::from(&bounded, Default::default(), readers).await.unwrap();
        let rows = job.until_end().await;
        let expected: Vec<&str> = values.iter().flat_map(|value| [*value; 4]).collect();
        assert!(rows == expected, "{readers} readers: {} rows", rows.len());
        assert!(job.batches < 2000, "{readers} readers: {} batches", job.batches);
        assert_eq!(job.lag(), 0);
    }
}
