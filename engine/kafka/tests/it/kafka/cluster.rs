//! The broker of the tests: topics, and what is in them.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where it is.
#[allow(clippy::disallowed_methods, reason = "whoever runs the tests says where the broker is")]
pub fn address() -> String {
    std::env::var("WEIR_TEST_KAFKA")
        .expect("WEIR_TEST_KAFKA is the address of a broker; tests/services/kafka run sets it")
}

/// A name that no other test has, nor this one in another run.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed))
}

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", address())
        .set("message.timeout.ms", "60000")
        .set("reconnect.backoff.max.ms", "1000");
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address()).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE))
}

/// A topic of the tests.
#[derive(Debug, Clone)]
pub struct Topic {
    pub name: String,
}

/// A record to be written.
#[derive(Debug, Clone, Default)]
pub struct Record<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub time: Option<i64>,
    pub headers: &'a [(&'a str, Option<&'a str>)],
}

impl Topic {
    /// Makes one with so many partitions.
    pub fn new(name: &str, partitions: i32) -> Self {
        Self::named(&unique(name), partitions)
    }

    pub fn named(name: &str, partitions: i32) -> Self {
        Self::with(name, partitions, &[])
    }

    /// Makes one with settings of its own.
    pub fn with(name: &str, partitions: i32, config: &[(&str, &str)]) -> Self {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = config.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        for result in block_on(admin().create_topics([&topic], &options())).unwrap() {
            result.unwrap();
        }
        let topic = Self { name: name.to_owned() };
        topic.wait_for_leaders(partitions);
        topic
    }

    fn wait_for_leaders(&self, partitions: i32) {
        let consumer: BaseConsumer = config().create().unwrap();
        for partition in 0..partitions {
            while consumer.fetch_watermarks(&self.name, partition, PATIENCE).is_err() {}
        }
    }

    /// Adds partitions, up to so many.
    pub fn grow(&self, partitions: i32) {
        let grown = NewPartitions::new(&self.name, usize::try_from(partitions).unwrap());
        for result in block_on(admin().create_partitions([&grown], &options())).unwrap() {
            result.unwrap();
        }
        self.wait_for_leaders(partitions);
    }

    pub fn delete(&self) {
        for result in block_on(admin().delete_topics(&[&self.name], &options())).unwrap() {
            result.unwrap();
        }
    }

    /// Deletes the records of a partition in front of an offset, as retention does.
    pub fn delete_records(&self, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Offset(before)).unwrap();
        block_on(admin().delete_records(&list, &options())).unwrap();
    }

    /// Writes values into a partition.
    pub fn write(&self, partition: i32, values: &[&str]) {
        let records: Vec<Record<'_>> =
            values.iter().map(|value| Record { value: Some(value.as_bytes()), ..Record::default() }).collect();
        self.write_records(partition, &records);
    }

    /// Writes a value that is compressed in this way.
    pub fn write_compressed(&self, partition: i32, by: &str, value: &str) {
        let producer: BaseProducer = config().set("compression.type", by).create().unwrap();
        send(&producer, &self.name, partition, &[Record { value: Some(value.as_bytes()), ..Record::default() }]);
        producer.flush(PATIENCE).unwrap();
    }

    pub fn write_records(&self, partition: i32, records: &[Record<'_>]) {
        let producer: BaseProducer = config().create().unwrap();
        send(&producer, &self.name, partition, records);
        producer.flush(PATIENCE).unwrap();
    }

    /// Writes values in a transaction of their own, and then does this with it.
    pub fn transaction(&self, partition: i32, values: &[&str], commit: bool) {
        let open = OpenTransaction::begin(self, partition, values);
        if commit { open.commit() } else { open.abort() }
    }

    /// Values that a reader of committed records finds in all partitions, in order; `-` for none.
    pub fn committed_values(&self) -> Vec<String> {
        let text =
            |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let mut values: Vec<String> = self.committed_records(|_, message| text(message.payload()));
        values.sort();
        values
    }

    /// What `read` makes of each record that can be read by now, with its partition.
    pub fn committed_records<T>(&self, read: impl Fn(i32, &BorrowedMessage<'_>) -> T) -> Vec<T> {
        let consumer: BaseConsumer = config()
            .set("group.id", "tests")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(&self.name), PATIENCE).unwrap();
        let mut left = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(&self.name, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut records = Vec::new();
        while left > 0 {
            match consumer.poll(PATIENCE).expect("no answer comes") {
                Ok(message) => records.push(read(message.partition(), &message)),
                Err(KafkaError::PartitionEOF(_)) => left -= 1,
                Err(error) => panic!("{error}"),
            }
        }
        records
    }

    /// What the group has committed.
    pub fn committed(&self, group: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = config().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.name, partition);
        match consumer.committed_offsets(list, PATIENCE).unwrap().elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    pub fn commit(&self, group: &str, partition: i32, offset: i64) {
        let consumer: BaseConsumer = config().set("group.id", group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.name, partition, Offset::Offset(offset)).unwrap();
        // A new broker makes the topic of what groups have committed for the first of them, and refuses meanwhile.
        let begin = Instant::now();
        while let Err(error) = consumer.commit(&list, rdkafka::consumer::CommitMode::Sync) {
            assert!(begin.elapsed() < PATIENCE, "{error}");
        }
    }
}

/// A transaction that is neither committed nor aborted.
pub struct OpenTransaction(BaseProducer);

impl OpenTransaction {
    pub fn begin(topic: &Topic, partition: i32, values: &[&str]) -> Self {
        Self::begin_as(&unique("transaction"), topic, partition, values)
    }

    /// As somebody who is known by a transactional id.
    pub fn begin_as(id: &str, topic: &Topic, partition: i32, values: &[&str]) -> Self {
        let producer: BaseProducer = config().set("transactional.id", id).create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        // With keys, for compacted topics.
        let records: Vec<Record<'_>> = values
            .iter()
            .map(|value| Record { key: Some(b"k"), value: Some(value.as_bytes()), ..Record::default() })
            .collect();
        send(&producer, &topic.name, partition, &records);
        producer.flush(PATIENCE).unwrap();
        Self(producer)
    }

    pub fn commit(self) {
        self.0.commit_transaction(PATIENCE).unwrap();
    }

    pub fn abort(self) {
        self.0.abort_transaction(PATIENCE).unwrap();
    }
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, records: &[Record<'_>]) {
    for record in records {
        let mut sent = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
        let mut headers = OwnedHeaders::new();
        for (key, value) in record.headers {
            headers = headers.insert(Header { key, value: *value });
        }
        sent = if record.headers.is_empty() { sent } else { sent.headers(headers) };
        sent.key = record.key;
        sent.payload = record.value;
        sent.timestamp = record.time;
        while let Err((_, back)) = producer.send(sent) {
            sent = back;
            producer.poll(Duration::from_millis(10));
        }
    }
}
