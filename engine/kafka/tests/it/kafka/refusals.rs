//! What a sink refuses before anything is written.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewArray, MapArray, RecordBatch, StringViewArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use rdkafka::message::{Headers, Message};
use weir_core::{Batch, Epoch, Result, Sink};
use weir_kafka::Kafka;

use super::cluster::{Topic, unique};
use super::job::columns;
use super::sink::{Job, rows};

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_job_does_not_begin_where_rows_would_be_lost_or_written_twice() {
    let topic = Topic::new("begins", 1);
    let job = Job::new(&topic, &[]);
    let old = job.open(0).await;
    let process = Kafka::default();
    job.commit(&process, 7, &["a"]).await;
    // What a process has kept since before says less.
    let refused = |result: Result<Box<dyn Sink>>| result.err().expect("it was opened").report();
    for process in [&old, &process] {
        let report = refused(job.try_open(process, 5).await);
        assert!(report.contains("already has the rows of table 't' up to epoch 7"), "{report}");
    }
    let report = refused(Job::new(&Topic { name: unique("none") }, &[]).try_open(&process, 0).await);
    assert!(report.contains("there is no topic 'none-"), "{report}");
    let slow = Job::new(&topic, &[("properties.transaction.timeout.ms", "90000000")]);
    let report = refused(slow.try_open(&process, 0).await);
    assert!(report.contains("the brokers do not allow transactions to take so long"), "{report}");
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn markers_are_not_written_where_they_would_be_deleted() {
    let topic = Topic::new("policies", 1);
    let process = Kafka::default();
    for (policy, is_refused) in [("delete", true), ("compact,delete", true), ("compact", false)] {
        let job = Job::alone(&topic);
        Topic::with(&job.commits.name, 16, &[("cleanup.policy", policy)]);
        let report = job.try_open(&process, 0).await.err().map(|error| error.report());
        let says = format!(
            "topic '{}', which says what is committed, loses its records: its cleanup.policy is '{policy}'",
            job.commits.name
        );
        match report {
            Some(report) => assert!(is_refused && report.contains(&says), "{report}"),
            None => assert!(!is_refused, "{policy}"),
        }
    }
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn a_record_that_could_never_be_written_is_not_staged() {
    let topic = Topic::new("large", 1);
    let job = Job::new(&topic, &[]);
    let process = Kafka::default();
    let mut sink = job.try_open(&process, 0).await.unwrap();
    let almost = "x".repeat(998_000);
    sink.write(rows(&["a", &almost])).await.unwrap();
    let error = sink.write(rows(&["a", &"x".repeat(1_000_000)])).await.unwrap_err();
    let says = format!("table 't', topic '{}': a record of 1000000 bytes is larger", topic.name);
    assert!(error.report().starts_with(&says), "{}", error.report());
    job.commit(&process, 1, &["a", &almost]).await;
    assert_eq!(topic.committed_values(), ["a", &almost]);
}

#[tokio::test]
#[ignore = "wants a broker"]
async fn headers_count_in_the_size_of_a_record() {
    let topic = Topic::new("headers", 1);
    let pair = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", DataType::BinaryView, true),
    ]);
    let entries = Arc::new(Field::new("entries", DataType::Struct(pair.clone()), false));
    let fields = [("v", DataType::Utf8View), ("$headers", DataType::Map(entries.clone(), false))];
    let mut job = Job::new(&topic, &[]);
    let options = std::mem::take(&mut job.table.options);
    job.table = columns(&topic, &fields, &[]);
    job.table.options = options;
    let batch = |value: &str, headers: Vec<(String, Option<Vec<u8>>)>| {
        let values: ArrayRef = Arc::new(StringViewArray::from_iter_values([value]));
        let lengths = OffsetBuffer::from_lengths([headers.len()]);
        let (names, contents): (Vec<String>, Vec<Option<Vec<u8>>>) = headers.into_iter().unzip();
        let names: ArrayRef = Arc::new(StringViewArray::from_iter_values(names));
        let contents: ArrayRef = Arc::new(BinaryViewArray::from_iter(contents));
        let pairs = StructArray::new(pair.clone(), vec![names, contents], None);
        let headers: ArrayRef = Arc::new(MapArray::new(entries.clone(), lengths, pairs, None, false));
        Batch::append(RecordBatch::try_new(job.table.schema.clone(), vec![values, headers]).unwrap())
    };
    let process = Kafka::default();
    let mut sink = job.try_open(&process, 0).await.unwrap();
    let one = |bytes: usize| vec![("h".to_owned(), Some(vec![b'x'; bytes]))];
    // Neither the value, the names nor what is in the headers is too large alone; and each header takes some bytes beside them.
    let too_large = [
        batch("a", one(1_000_000)),
        batch(&"x".repeat(500_000), one(500_000)),
        batch("a", vec![("n".repeat(1_000_000), None)]),
        batch("a", vec![(String::new(), None); 100_000]),
    ];
    for batch in too_large {
        let report = sink.write(batch).await.unwrap_err().report();
        assert!(report.starts_with(&format!("table 't', topic '{}': a record of 1000", topic.name)), "{report}");
    }
    let almost = batch("a", one(998_000));
    sink.write(almost.clone()).await.unwrap();
    sink.prepare(Epoch(1)).await.unwrap();
    job.commit_staged(&process, 1, Box::new(vec![almost].into_iter())).await.unwrap();
    let written = |message: &rdkafka::message::BorrowedMessage<'_>| {
        message.headers().unwrap().iter().map(|header| header.value.unwrap().len()).sum::<usize>()
    };
    assert_eq!(topic.committed_records(|_, message| written(message)), [998_000]);
}
