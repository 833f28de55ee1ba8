//! Protobuf by the schemas of a real registry, read and written by Google's compiler and runtime on the other side.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use serde_json::{Value, json};
use weir_core::ErrorKind;

use super::super::cluster::{Record, Topic, unique};
use super::super::job::Job;
use super::{assert_damaged, bytes, damaged, hex, python, registry, source, write};

/// Asks the registry, and makes classes of files.
const COMMON: &str = r#"
import grpc_tools, json, os, sys, tempfile, urllib.request
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc
given, out = json.load(sys.stdin), []
def ask(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(given["registry"] + path, data, {"Content-Type": "application/json"}, method=method)
    return json.load(urllib.request.urlopen(request))
def message(files, name):
    with tempfile.TemporaryDirectory() as folder:
        for file, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(folder, file)), exist_ok=True)
            open(os.path.join(folder, file), "w").write(text)
        known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
        assert protoc.main(["", "-I", folder, "-I", known, "--include_imports", f"--descriptor_set_out={folder}/set", "main.proto"]) == 0
        compiled = descriptor_pb2.FileDescriptorSet.FromString(open(f"{folder}/set", "rb").read())
    pool = descriptor_pool.DescriptorPool()
    for file in compiled.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
"#;

/// Registers files, and writes records by the first.
const WRITE: &str = r#"
references = []
for name, text in given["references"].items():
    subject = given["subject"] + "/" + name
    ask(f"/subjects/{urllib.parse.quote(subject, safe='')}/versions", {"schemaType": "PROTOBUF", "schema": text, "references": references})
    references = references + [{"name": name, "subject": subject, "version": 1}]
body = {"schemaType": "PROTOBUF", "schema": given["schema"], "references": references}
number = ask("/subjects/" + given["subject"] + "/versions", body)["id"]
for name, place, record in given["records"]:
    of = message({**given["references"], "main.proto": given["schema"]}, name)
    content = json_format.ParseDict(record, of()).SerializeToString()
    out.append((b"\0" + number.to_bytes(4, "big") + bytes(place) + content).hex())
json.dump(out, sys.stdout)
"#;

/// Reads messages by the schemas that they name.
const READ: &str = r#"
for content in map(bytes.fromhex, given["messages"]):
    found = ask(f"/schemas/ids/{int.from_bytes(content[1:5], 'big')}")
    assert found["schemaType"] == "PROTOBUF" and content[0] == 0 and content[5] == 0, (found, content)
    of = message({"main.proto": found["schema"]}, "weir.Record").FromString(content[6:])
    out.append(json.dumps(json_format.MessageToDict(of, preserving_proto_field_name=True), sort_keys=True, ensure_ascii=False))
json.dump(out, sys.stdout)
"#;

fn run(program: &str, given: &Value) -> Vec<String> {
    let texts = python(&format!("{COMMON}{program}"), given);
    texts.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

const PLACE: &str = r#"syntax = "proto3"; package shop.place; enum Kind { UNKNOWN = 0; HARBOUR = 3; }
message Place { string name = 1; Kind kind = 2; map<string, sint64> depths = 3; }"#;

const ORDER: &str = r#"syntax = "proto3"; package shop; import "shop/place.proto";
import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
message Order { fixed64 id = 9; optional int32 quantity = 2; repeated double prices = 3; shop.place.Place place = 4;
  google.protobuf.Timestamp at = 5; google.protobuf.StringValue note = 6; oneof paid { uint64 cash = 7; bytes cheque = 8; } }
message Other { message Inner { map<string, string> m = 1; message Order { int64 id = 1; string quantity = 3; } } }"#;

#[tokio::test]
#[ignore = "wants a broker and a registry"]
async fn what_others_write_is_read_by_their_schemas() {
    let topic = Topic::new("protobuf-read", 1);
    let first = json!({"id": "18446744073709551615", "quantity": 0, "prices": [0.5, -1e300], "at": "2026-01-02T03:04:05.678Z",
        "place": {"name": "Größe", "kind": "HARBOUR", "depths": {"a": "-5"}}, "note": "", "cash": "7"});
    let second = json!({"cheque": "AP8=", "place": {}});
    let order = |record: &Value| json!(["shop.Order", [0], record]);
    let given = json!({
        "registry": registry(), "subject": unique("protobuf-read"), "schema": ORDER, "references": {"shop/place.proto": PLACE},
        "records": [order(&first), order(&second), ["shop.Other.Inner.Order", [6, 2, 0, 0], {"id": "5"}]]
    });
    let messages: Vec<Vec<u8>> = run(WRITE, &given).iter().map(|message| bytes(message)).collect();
    let [truncated, nowhere] = damaged(&messages[0]);
    let others = messages[2].clone();
    for message in [&messages[0], &truncated, &messages[1], &nowhere, &others] {
        topic.write_records(0, &[Record { value: Some(message), ..Record::default() }]);
    }
    let depths =
        Fields::from(vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Int64, true)]);
    let place = Fields::from(vec![
        Field::new("kind", DataType::Utf8View, true),
        Field::new("name", DataType::Utf8View, true),
        Field::new(
            "depths",
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(depths), false)), false),
            true,
        ),
    ]);
    let fields = [
        ("id", DataType::Decimal128(20, 0)),
        ("quantity", DataType::Int32),
        ("prices", DataType::List(Arc::new(Field::new("item", DataType::Float64, true)))),
        ("place", DataType::Struct(place)),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into()))),
        ("note", DataType::Utf8View),
        ("cash", DataType::Int64),
        ("cheque", DataType::BinaryView),
    ];
    let table = source(&topic, "protobuf-confluent", &fields);
    let mut job = Job::begin(&table).await;
    assert_eq!(
        job.until_end().await,
        [
            "0  [] {kind: UNKNOWN, name: , depths: {}}    00ff",
            "18446744073709551615 0 [0.5, -1e300] {kind: HARBOUR, name: Größe, depths: {a: -5}} 2026-01-02T03:04:05.678Z  7 ",
        ]
    );
    assert_eq!(job.rejected.len(), 3, "{:?}", job.rejected);
    assert_damaged(&job.rejected, [1, 3]);
    assert!(job.rejected[2].contains("column 'quantity': INT cannot be read from a string"), "{:?}", job.rejected);

    // A message is found by its place, and what is not read is not decoded.
    let mut projected = table.clone();
    projected.projection = Some(vec![0]);
    let mut fresh = Job::begin(&projected).await;
    assert_eq!(fresh.until_end().await, ["0", "18446744073709551615", "5"]);

    let mut strict = table.clone();
    strict.options.remove("error-policy");
    let error = Job::begin(&strict).await.failure().await;
    assert_eq!(error.kind(), ErrorKind::Data);
    let says = format!("topic '{}', partition 0, offset 1: field 'id': it is cut off", topic.name);
    assert!(error.report().contains(&says), "{}", error.report());
}

#[tokio::test]
#[ignore = "wants a broker and a registry"]
async fn what_is_written_others_read_and_a_schema_that_does_not_go_is_refused() {
    let between: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(false), None]))),
        ("big", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("amount", Arc::new(Decimal128Array::from(vec![Some(-129), None]).with_precision_and_scale(20, 2).unwrap())),
        ("day", Arc::new(Date32Array::from(vec![Some(20_000), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_600_000_000_000_001), None]).with_timezone("UTC"))),
    ];
    let written = write("protobuf-written", "protobuf-confluent", between).await;
    let read = |messages: &[Vec<u8>]| {
        let messages: Vec<String> = messages.iter().map(|message| hex(message)).collect();
        run(READ, &json!({"registry": registry(), "messages": messages}))
    };
    assert_eq!(read(&written.keys), [r#"{"k": "one"}"#, r#"{"k": "two"}"#]);
    assert_eq!(
        read(&written.values),
        [
            r#"{"amount": "-1.29", "at": "2020-09-13T12:26:40.000001Z", "big": "-9223372036854775808", "day": "2024-10-04", "flag": false, "row": {"x": 7}}"#,
            "{}",
        ]
    );

    let compatibility = "ask('/config', {'compatibility': 'BACKWARD'}, 'PUT')\njson.dump(out, sys.stdout)";
    run(compatibility, &json!({"registry": registry()}));
    written.assert_refuses(DataType::Utf8View).await;
}
