//! What every source and sink promises.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use weir_connectors::conformance::{SinkUnderTest, SourceUnderTest, sink, source};
use weir_core::{Connector, TableSpec};
use weir_kafka::Kafka;

use super::cluster::{Topic, unique};
use super::job::{columns, table};

struct Written(Topic, String);

#[async_trait]
impl SinkUnderTest for Written {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(Kafka::default())
    }

    fn table(&self) -> TableSpec {
        let mut table = table(&self.0, &[("format", "csv"), ("sink.commits-topic", &self.1)]);
        table.schema = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, false),
            Field::new("v", DataType::Utf8View, true),
        ]));
        table
    }

    async fn visible(&self) -> Vec<i64> {
        let number = |value: &String| value.split(',').next().unwrap().parse().unwrap();
        let mut rows: Vec<i64> = self.0.committed_values().iter().map(number).collect();
        rows.sort_unstable();
        rows
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_sink_keeps_what_sinks_promise() {
    let commits = unique("conforming-commits");
    sink(async |promise| Written(Topic::new(&promise.replace('_', "-"), 3), commits.clone())).await;
}

struct Read(Topic);

impl SourceUnderTest for Read {
    fn process(&self) -> Arc<dyn Connector> {
        Arc::new(Kafka::default())
    }

    fn table(&self) -> TableSpec {
        let fields = [("n", DataType::Int64), ("v", DataType::Utf8View)];
        columns(&self.0, &fields, &[("format", "csv"), ("scan.bounded.mode", "latest-offset")])
    }

    fn rows(&self) -> Vec<String> {
        (0..80).map(|n| format!("{n}, text {n}")).collect()
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn the_source_keeps_what_sources_promise() {
    // One partition has nothing, and what was aborted is not read.
    let topic = Topic::new("conforming", 4);
    for n in 0..80 {
        topic.write(n % 3, &[&format!("{n},text {n}")]);
    }
    topic.transaction(0, &["-1,aborted"], false);
    source(&Read(topic)).await;
}
