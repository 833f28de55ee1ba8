//! Formats with schemas in a real registry, read and written by others on the other side.
//! `tests/services/kafka run tests/services/registry run cargo test --workspace --test it kafka::registries:: -- --ignored`
#![allow(clippy::disallowed_methods, reason = "the addresses of the services are in the environment")]

mod avro;
mod protobuf;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use rdkafka::message::Message;
use serde_json::Value;
use weir_core::{Batch, ErrorKind, TableSpec};
use weir_kafka::Kafka;

use super::cluster::Topic;
use super::job::columns;
use super::sink;

fn registry() -> String {
    std::env::var("WEIR_TEST_REGISTRY").expect("see tests/services/registry")
}

/// What a program prints, as JSON.
fn python(program: &str, input: &Value) -> Value {
    let python = std::env::var("WEIR_TEST_PYTHON").expect("see tests/services/registry");
    let mut child =
        Command::new(python).args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect()
}

/// All that is in a topic now, in a format; what cannot be decoded is left out.
fn source(topic: &Topic, format: &str, fields: &[(&str, DataType)]) -> TableSpec {
    let url = format!("{format}.url");
    let (url, registry) = (&*url, &*registry());
    let with = [("format", format), (url, registry), ("error-policy", "skip"), ("scan.bounded.mode", "latest-offset")];
    columns(topic, fields, &with)
}

/// A message that is cut off, and one by a schema that nobody has registered.
fn damaged(message: &[u8]) -> [Vec<u8>; 2] {
    let nowhere = [&[0, 0x7f, 0xff, 0xff, 0xff][..], &message[5..]].concat();
    [message[..message.len() - 1].to_vec(), nowhere]
}

/// They were the first that were left out, and stand at these offsets.
fn assert_damaged(rejected: &[String], offsets: [u32; 2]) {
    let reasons = ["it is cut off", "its schema 2147483647 is not in the registry"];
    for ((line, offset), reason) in rejected.iter().zip(offsets).zip(reasons) {
        assert!(line.contains(&format!(" {offset} ")) && line.contains(reason), "{rejected:?}");
    }
}

/// A job that writes the column `k` as the key, and what is committed of it.
struct Written {
    topic: Topic,
    job: sink::Job,
    process: Kafka,
    batch: RecordBatch,
    keys: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
}

/// Writes two rows, in the order of their keys, `one` and `two`; their last column is a row of two columns.
async fn write(name: &str, format: &str, between: Vec<(&str, ArrayRef)>) -> Written {
    let pair = Fields::from(vec![Field::new("x", DataType::Int32, false), Field::new("y", DataType::Utf8View, true)]);
    let row = StructArray::new(
        pair,
        vec![Arc::new(Int32Array::from(vec![7, 0])), Arc::new(StringViewArray::from(vec![None, Some("z")]))],
        Some(vec![true, false].into()),
    );
    let mut all: Vec<(&str, ArrayRef)> = vec![("k", Arc::new(StringViewArray::from(vec![Some("one"), Some("two")])))];
    all.extend(between);
    all.push(("row", Arc::new(row)));
    let fields: Vec<_> = all.iter().map(|(name, values)| (*name, values.data_type().clone())).collect();
    let urls = ["key", "value"].map(|part| format!("{part}.{format}.url"));
    let (url, [of_keys, of_values]) = (registry(), urls.each_ref().map(String::as_str));
    let with = [
        ("format", ""),
        ("key.format", format),
        ("key.fields", "k"),
        (of_keys, &*url),
        ("value.format", format),
        (of_values, &*url),
        ("value.fields-include", "EXCEPT_KEY"),
    ];
    let topic = Topic::new(name, 1);
    let mut job = sink::Job::new(&topic, &[]);
    let commits = job.table.options["sink.commits-topic"].clone();
    job.table = columns(&topic, &fields, &with);
    job.table.options.insert("sink.commits-topic".into(), commits);
    let batch = RecordBatch::try_new(job.table.schema.clone(), all.into_iter().map(|(_, values)| values).collect());
    let batch = batch.unwrap();
    let process = job.open(0).await;
    let staged = Box::new(vec![Batch::append(batch.clone())].into_iter());
    job.commit_staged(&process, 1, staged).await.unwrap();
    let mut messages =
        topic.committed_records(|_, message| (message.key().unwrap().to_vec(), message.payload().unwrap().to_vec()));
    messages.sort_by_key(|(key, _)| key.clone());
    let (keys, values) = messages.into_iter().unzip();
    Written { topic, job, process, batch, keys, values }
}

impl Written {
    /// With another type of the column `big` the schema does not go with the one that is there.
    async fn assert_refuses(mut self, big: DataType) {
        let fields = self.job.table.schema.fields().iter().map(|field| match &**field.name() {
            "big" => field.as_ref().clone().with_data_type(big.clone()),
            _ => field.as_ref().clone(),
        });
        self.job.table.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let error = self.job.try_open(&self.process, 1).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::User);
        let says =
            format!("the schema of '{}-value' cannot be registered: it does not go with the one", self.topic.name);
        assert!(error.report().contains(&says), "{}", error.report());
    }
}
