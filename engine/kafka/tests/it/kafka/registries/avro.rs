//! Avro by the schemas of a real registry, read and written by fastavro on the other side.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use serde_json::{Value, json};
use weir_core::{Batch, ErrorKind};

use super::super::cluster::{Record, Topic, unique};
use super::super::job::Job;
use super::{assert_damaged, bytes, damaged, hex, python, registry, source, write};

/// Registers a schema, and writes records by it.
const WRITE: &str = r#"
import datetime, decimal, fastavro, io, json, sys, urllib.request
given = json.load(sys.stdin)
def ask(path, body):
    request = urllib.request.Request(given["registry"] + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))
number = ask("/subjects/" + given["subject"] + "/versions", {"schema": json.dumps(given["schema"])})["id"]
schema, out = fastavro.parse_schema(given["schema"]), []
for record in given["records"]:
    record = eval(record)
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record)
    out.append((b"\0" + number.to_bytes(4, "big") + buffer.getvalue()).hex())
json.dump(out, sys.stdout)
"#;

/// Reads messages by the schemas that they name.
const READ: &str = r#"
import fastavro, io, json, sys, urllib.request
given, out = json.load(sys.stdin), []
for message in map(bytes.fromhex, given["messages"]):
    number = int.from_bytes(message[1:5], "big")
    schema = json.load(urllib.request.urlopen(f"{given['registry']}/schemas/ids/{number}"))["schema"]
    buffer = io.BytesIO(message[5:])
    out.append(repr(fastavro.schemaless_reader(buffer, json.loads(schema))))
    assert message[0] == 0 and buffer.read() == b"", message
json.dump(out, sys.stdout)
"#;

fn written(subject: &str, schema: &Value, records: &[&str]) -> Vec<Vec<u8>> {
    let given = json!({"registry": registry(), "subject": subject, "schema": schema, "records": records});
    python(WRITE, &given).as_array().unwrap().iter().map(|message| bytes(message.as_str().unwrap())).collect()
}

fn read(messages: &[Vec<u8>]) -> Vec<String> {
    let given =
        json!({"registry": registry(), "messages": messages.iter().map(|message| hex(message)).collect::<Vec<_>>()});
    python(READ, &given).as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
#[ignore = "wants a broker and a registry"]
async fn what_others_write_is_read_by_their_schemas() {
    let topic = Topic::new("avro-read", 1);
    let record = |fields: Value| json!({"type": "record", "name": "order", "namespace": "shop", "fields": fields});
    let first = record(json!([
        {"name": "note", "type": {"type": "map", "values": ["null", "string"]}},
        {"name": "id", "type": "int"},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["NEW", "PAID"]}}
    ]));
    let second = record(json!([
        {"name": "id", "type": "long"},
        {"name": "kind", "type": ["null", "string"], "default": null},
        {"name": "amount", "type": ["null", {"type": "fixed", "name": "money", "size": 5, "logicalType": "decimal", "precision": 8, "scale": 2}]},
        {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "line", "fields": [
            {"name": "sku", "type": "string"}, {"name": "count", "type": "int"}]}}}
    ]));
    let subject = unique("read");
    let at = "datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)";
    let old = [
        &*format!(
            "{{'id': -1, 'amount': decimal.Decimal('-1.05'), 'at': {at}, 'kind': 'PAID', 'note': {{'a': 'x', 'b': None}}}}"
        ),
        &*format!(
            "{{'id': 2147483647, 'amount': decimal.Decimal('123456.78'), 'at': {at}, 'kind': 'NEW', 'note': {{}}}}"
        ),
    ];
    let new = [
        "{'id': 1 << 40, 'kind': None, 'amount': None, 'lines': []}",
        "{'id': 3, 'kind': 'Größe', 'amount': decimal.Decimal('-0.01'), 'lines': [{'sku': 'a', 'count': 2}, {'sku': 'b', 'count': -3}]}",
    ];
    // Several schemas in one topic, in turns.
    let (old, new) = (written(&subject, &first, &old), written(&format!("{subject}-2"), &second, &new));
    let [truncated, nowhere] = damaged(&old[0]);
    for message in [&old[0], &new[0], &truncated, &old[1], &nowhere, &new[1]] {
        topic.write_records(0, &[Record { value: Some(message), ..Record::default() }]);
    }
    let line = DataType::Struct(Fields::from(vec![
        Field::new("count", DataType::Int64, true),
        Field::new("sku", DataType::Utf8View, true),
    ]));
    let fields = [
        ("id", DataType::Int64),
        ("amount", DataType::Decimal128(10, 3)),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()))),
        ("kind", DataType::Utf8View),
        ("lines", DataType::List(Arc::new(Field::new("item", line, true)))),
    ];
    let table = source(&topic, "avro-confluent", &fields);
    let mut job = Job::begin(&table).await;
    assert_eq!(
        job.until_end().await,
        [
            "-1 -1.050 2026-01-02T03:04:05.678Z PAID ",
            "1099511627776    []",
            "2147483647 123456.780 2026-01-02T03:04:05.678Z NEW ",
            "3 -0.010  Größe [{count: 2, sku: a}, {count: -3, sku: b}]",
        ]
    );
    assert_eq!(job.rejected.len(), 2, "{:?}", job.rejected);
    assert_damaged(&job.rejected, [2, 4]);

    // What is not read is not decoded; a job that goes on knows no schema at first.
    let mut projected = table.clone();
    projected.projection = Some(vec![0]);
    let mut again = Job::from(&projected, job.checkpoint(), 1).await.unwrap();
    assert_eq!(again.until_end().await, [""; 0]);
    let mut fresh = Job::begin(&projected).await;
    assert_eq!(fresh.until_end().await, ["-1", "1099511627776", "2147483647", "3"]);

    let mut away = table.clone();
    away.options.insert("avro-confluent.url".into(), "http://127.0.0.1:9".into());
    let error = Job::begin(&away).await.failure().await;
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.report().contains("the registry at http://127.0.0.1:9 does not answer"), "{}", error.report());
}

#[tokio::test]
#[ignore = "wants a broker and a registry"]
async fn what_is_written_others_read_and_a_schema_that_does_not_go_is_refused() {
    let between: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("small", Arc::new(Int8Array::from(vec![Some(-128), None]))),
        ("big", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("amount", Arc::new(Decimal128Array::from(vec![Some(-129), None]).with_precision_and_scale(20, 2).unwrap())),
        ("day", Arc::new(Date32Array::from(vec![Some(20_000), None]))),
        ("clock", Arc::new(Time64NanosecondArray::from(vec![Some(1_000), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_600_000_000_000_001), None]).with_timezone("UTC"))),
        ("local", Arc::new(TimestampMillisecondArray::from(vec![Some(1), None]))),
    ];
    let written = write("avro-written", "avro-confluent", between).await;
    assert_eq!(read(&written.keys), ["{'k': 'one'}", "{'k': 'two'}"]);
    assert_eq!(
        read(&written.values),
        [
            "{'flag': True, 'small': -128, 'big': -9223372036854775808, 'amount': Decimal('-1.29'), 'day': datetime.date(2024, 10, 4), \
             'clock': datetime.time(0, 0, 0, 1), 'at': datetime.datetime(2020, 9, 13, 12, 26, 40, 1, tzinfo=datetime.timezone.utc), \
             'local': datetime.datetime(1970, 1, 1, 0, 0, 0, 1000), 'row': {'x': 7, 'y': None}}",
            "{'flag': None, 'small': None, 'big': None, 'amount': None, 'day': None, 'clock': None, 'at': None, 'local': None, 'row': None}",
        ]
    );

    // A value that Avro has no place for is found out before it is decided.
    let mut sink = written.job.try_open(&written.process, 1).await.unwrap();
    let mut odd = written.batch.columns().to_vec();
    odd[6] = Arc::new(Time64NanosecondArray::from(vec![Some(1), None]));
    let odd = Batch::append(RecordBatch::try_new(written.batch.schema(), odd).unwrap());
    assert!(sink.write(odd).await.unwrap_err().report().contains("more than six digits of a second"));

    let compatibility = "import json, sys, urllib.request\ngiven = json.load(sys.stdin)\n\
        request = urllib.request.Request(given + '/config', b'{\"compatibility\": \"BACKWARD\"}', {'Content-Type': 'application/json'}, method='PUT')\n\
        json.dump(json.load(urllib.request.urlopen(request)), sys.stdout)";
    python(compatibility, &json!(registry()));
    written.assert_refuses(DataType::Boolean).await;
}
