//! What every source and sink promises.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use rdkafka::message::Message;
use weir_connectors::conformance::{SinkUnderTest, SourceUnderTest, sink, source};
use weir_core::{Connector, TableSpec};
use weir_kafka::Kafka;

use super::cluster::{Record, Topic, unique};
use super::job::{columns, table};

/// A format, and options of it.
type Format = &'static [(&'static str, &'static str)];

const CSV: Format = &[("format", "csv")];
const PROTOBUF: Format = &[
    ("format", "protobuf"),
    ("protobuf.schema", "syntax = \"proto3\"; message Row { int64 n = 1; optional string v = 2; }"),
];

/// A row in either format.
fn message(format: Format, n: i64, v: &str) -> Vec<u8> {
    match format {
        CSV => format!("{n},{v}").into_bytes(),
        // The numbers are small.
        _ => [&[8, n as u8, 18, v.len() as u8][..], v.as_bytes()].concat(),
    }
}

struct Written(Topic, String, Format);

#[async_trait]
impl SinkUnderTest for Written {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(Kafka::default())
    }

    fn table(&self) -> TableSpec {
        let mut table = table(&self.0, &[self.2, &[("sink.commits-topic", &*self.1)]].concat());
        table.schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("v", DataType::Utf8View, true),
        ]));
        table
    }

    async fn visible(&self) -> Vec<i64> {
        let number = |value: &[u8]| match self.2 {
            CSV => std::str::from_utf8(value).unwrap().split(',').next().unwrap().parse().unwrap(),
            // A zero is not written, and some are larger than a byte.
            _ if value.first() != Some(&8) => 0,
            _ => {
                let bytes = value[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
                (0..bytes).map(|place| i64::from(value[1 + place] & 0x7f) << (7 * place)).sum()
            }
        };
        let mut rows = self.0.committed_records(|_, message| number(message.payload().unwrap()));
        rows.sort_unstable();
        rows
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_sink_keeps_what_sinks_promise() {
    sink_keeps(CSV).await;
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_sink_keeps_what_sinks_promise_in_binary() {
    sink_keeps(PROTOBUF).await;
}

async fn sink_keeps(format: Format) {
    let commits = unique("conforming-commits");
    sink(async |promise| Written(Topic::new(&promise.replace('_', "-"), 3), commits.clone(), format)).await;
}

struct Read(Topic, Format);

impl SourceUnderTest for Read {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(Kafka::default())
    }

    fn table(&self) -> TableSpec {
        let fields = [("n", DataType::Int64), ("v", DataType::Utf8View)];
        columns(&self.0, &fields, &[self.1, &[("scan.bounded.mode", "latest-offset")]].concat())
    }

    fn rows(&self) -> Vec<String> {
        (0..80).map(|n| format!("{n}, text {n}")).collect()
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_source_keeps_what_sources_promise() {
    for format in [CSV, PROTOBUF] {
        // One partition has nothing, and what was aborted is not read.
        let topic = Topic::new("conforming", 4);
        for n in 0..80 {
            let value = message(format, n, &format!("text {n}"));
            topic.write_records((n % 3) as i32, &[Record { value: Some(&value), ..Record::default() }]);
        }
        topic.transaction(0, &["-1,aborted"], false);
        source(&Read(topic, format)).await;
    }
}
