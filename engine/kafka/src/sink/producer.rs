//! A producer: records go into librdkafka's queue, and what becomes of them is heard when it is polled.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use tokio::time::Instant;
use weir_connectors::blocking::release;
use weir_core::{Error, Result};

use super::columns::Records;
use super::options::{SinkOptions, SinkPartitioner};
use crate::client::{AWAY, ClientOptions, REQUEST};
use crate::errors::{EVENTS, request_error};
use crate::events::Events;

/// What is heard is asked for every so many records.
const LISTEN_ROWS: usize = 512;

/// A producer. What waits for the network is to be called on a blocking thread.
pub(crate) struct Producer {
    inner: Option<BaseProducer<Deliveries>>,
    servers: String,
    /// Of `round-robin`: how many there are, and the next.
    round: Option<(i32, i32)>,
}

/// What a producer hears.
pub(crate) struct Deliveries {
    events: Events,
    failed: Mutex<Option<Failure>>,
}

/// The first record that could not be delivered.
struct Failure {
    topic: String,
    partition: i32,
    bytes: usize,
    error: KafkaError,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else {
            self.events.answered();
            return;
        };
        // Those that are thrown away have been given up before.
        let code = error.rdkafka_error_code();
        if matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)) {
            return;
        }
        let bytes = message.key_len() + message.payload_len();
        let failure =
            Failure { topic: message.topic().to_owned(), partition: message.partition(), bytes, error: error.clone() };
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }
}

impl Producer {
    /// A producer of the table's topic; with a transactional id if it has one.
    ///
    /// # Errors
    /// A user error if properties do not go together.
    pub(crate) fn open(options: &SinkOptions, transactional_id: Option<&str>) -> Result<Self> {
        let config = options.client.producer(transactional_id);
        let mut producer = Self::connect(&options.client, &config)?;
        if options.partitioner == SinkPartitioner::RoundRobin {
            let metadata = producer.inner().client().fetch_metadata(Some(&options.topic), REQUEST);
            let metadata =
                metadata.map_err(|error| producer.failed("cannot find out which partitions there are", error))?;
            let count = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            producer.round = i32::try_from(count).ok().filter(|count| *count > 0).map(|count| (count, 0));
        }
        Ok(producer)
    }

    fn connect(client: &ClientOptions, config: &ClientConfig) -> Result<Self> {
        let deliveries = Deliveries { events: Events::new(false, client.was_let_in), failed: Mutex::default() };
        let inner = config.create_with_context(deliveries).map_err(|error| client.not_created(error))?;
        Ok(Self { inner: Some(inner), servers: client.servers.clone(), round: None })
    }

    pub(crate) fn inner(&self) -> &BaseProducer<Deliveries> {
        self.inner.as_ref().expect("it is taken when it is dropped")
    }

    /// A request has failed.
    pub(crate) fn failed(&self, what: &str, error: KafkaError) -> Error {
        // Each call takes one event, and why the cluster does not answer may be behind many.
        for _ in 0..EVENTS {
            self.listen(Duration::ZERO);
        }
        request_error(what, error, &self.inner().context().events, &self.servers)
    }

    fn listen(&self, for_up_to: Duration) {
        self.inner().poll(for_up_to);
    }

    /// Puts records into the queue; waits while it is full.
    ///
    /// # Errors
    /// If one cannot be sent, or an earlier one was not delivered.
    pub(crate) fn send(&mut self, topic: &str, records: &Records) -> Result<()> {
        for row in 0..records.rows {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic);
            record.key = records.key(row);
            record.payload = records.value(row);
            record.timestamp = records.time(row);
            record.headers = records.headers(row);
            if let Some((count, next)) = &mut self.round {
                record.partition = Some(*next);
                *next = (*next + 1) % *count;
            }
            self.enqueue(record, records.bytes(row))?;
            if row % LISTEN_ROWS == 0 {
                self.listen(Duration::ZERO);
            }
        }
        self.check()
    }

    /// Puts one record into the queue.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn enqueue(&self, mut record: BaseRecord<'_, [u8], [u8]>, bytes: usize) -> Result<()> {
        while let Err((error, back)) = self.inner().send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                let failure =
                    Failure { topic: back.topic.to_owned(), partition: back.partition.unwrap_or(-1), bytes, error };
                return Err(self.undelivered(failure));
            }
            self.check()?;
            self.listen(Duration::from_millis(10));
            record = back;
        }
        Ok(())
    }

    /// # Errors
    /// If a record was not delivered.
    pub(crate) fn check(&self) -> Result<()> {
        let failed = self.inner().context().failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |failure| Err(self.undelivered(failure)))
    }

    /// Waits until all records have been delivered.
    ///
    /// # Errors
    /// If one was not.
    pub(crate) fn flush(&self, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        while self.inner().in_flight_count() > 0 && Instant::now() < until {
            self.listen(Duration::from_millis(10));
            self.check()?;
        }
        self.check()?;
        match self.inner().in_flight_count() {
            0 => Ok(()),
            left => {
                let error = KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut);
                Err(self.failed(&format!("{left} records have not been delivered"), error))
            }
        }
    }

    fn undelivered(&self, Failure { topic, partition, bytes, error }: Failure) -> Error {
        let at = match partition {
            0.. => format!("topic '{topic}', partition {partition}"),
            _ => format!("topic '{topic}'"),
        };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                Error::data(format!("{at}: a record of {bytes} bytes is larger than is allowed")).with_help(
                    "'properties.message.max.bytes' says what a producer sends, 'max.message.bytes' of the topic what it takes",
                )
            }
            Some(
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition,
            ) => Error::environment(format!("{at} is not there")).with_help("was it deleted?"),
            Some(RDKafkaErrorCode::InvalidRecord) => {
                Error::data(format!("{at}: the broker does not take a record")).with_source(error).with_help(
                    "a compacted topic takes no records without a key; and 'message.timestamp.after.max.ms' bounds times",
                )
            }
            _ => self.failed(&format!("{at}: records could not be written"), error),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        release(self.inner.take());
    }
}

/// How long a producer waits for the cluster.
pub(crate) const PATIENCE: Duration = AWAY;
