//! The marker of a sink: which epoch it has written last. It is a record in a compacted topic of Weir's own, `weir-commits` unless the
//! table says otherwise; its key is the sink's transactional id, and it is written in the transaction of the epoch's rows.
//!
//! ```text
//!   weir-6f0c…-sink-81d2…   {"began-behind":0}     when the job began, before its first row
//!   weir-6f0c…-sink-81d2…   {"committed":17}       with the rows of epoch 17
//!   weir-6f0c…-sink-81d2…   (nothing)              the job was deleted
//! ```
//!
//! A compacted topic keeps the last record of each key for ever, and so a marker that is not there has been lost: the topic was deleted,
//! or its records were. That is never taken for "not committed".

use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::metadata::MetadataTopic;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use weir_connectors::marker::Marker;
use weir_core::{Epoch, Error, JobIdentity, Result};

use super::options::SinkOptions;
use crate::client::{AWAY, Client, REQUEST, patiently, pause};
use crate::errors::request_failed;

/// What there is of a sink.
pub(crate) struct Found {
    /// The partition to write to.
    pub(crate) partition: i32,
    pub(crate) marker: Option<Marker>,
}

/// Which of so many partitions a job's markers are in.
fn home(job: JobIdentity, partitions: i32) -> i32 {
    let partitions = u64::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from(job.0 % partitions).unwrap_or_default()
}

/// Reads the marker of a sink: what was committed before the call. It stays true if whoever could write it has been fenced. Waits for the
/// network.
///
/// # Errors
/// An environment error if the topic cannot be read to its end, a data error if the marker makes no sense.
pub(crate) fn read(options: &SinkOptions, id: &str, job: JobIdentity) -> Result<Found> {
    let topic = &options.commits;
    // The end of a partition is what all see; up to where transactions are finished is what the other one sees.
    let all = options.client.connect(&asking(options, "read_uncommitted"))?;
    let committed = options.client.connect(&asking(options, "read_committed"))?;
    let partitions = patiently(Instant::now() + AWAY, || {
        let metadata = all.metadata(Some(topic))?;
        metadata.topics().first().map_or(Ok(0), partitions_of)
    });
    let partitions = partitions.map_err(|error| {
        request_failed("cannot read what was committed", error, &all).context(format!("topic '{topic}'"))
    })?;
    let partitions = i32::try_from(partitions).unwrap_or_default();
    let home = home(job, partitions);
    let marker_in = |partition| last_in(topic, partition, id, &all, &committed);
    let mut marker = if partitions > 0 { marker_in(home)? } else { None };
    if marker.is_none() {
        // Partitions may have been added, also more than once: in each of those that were its home is what was written then.
        for partition in (0..partitions).filter(|partition| *partition != home) {
            marker = marker.into_iter().chain(marker_in(partition)?).max_by_key(|marker| marker.epoch());
        }
    }
    Ok(Found { partition: home, marker })
}

/// Who reads markers: of the leaders, as a replica nearer by may be behind them, and nothing in its way is passed over.
fn asking(options: &SinkOptions, isolation: &str) -> ClientConfig {
    let mut config = options.client.asking();
    config.set("isolation.level", isolation).set("client.rack", "").set("auto.offset.reset", "error");
    config
}

/// How many partitions a topic has; none if there is no such topic. A broker that may not tell, or cannot yet, has not said that.
fn partitions_of(topic: &MetadataTopic) -> KafkaResult<usize> {
    match topic.error().map(RDKafkaErrorCode::from) {
        None => Ok(topic.partitions().len()),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(0),
        Some(code) => Err(KafkaError::MetadataFetch(code)),
    }
}

/// The last marker with this key in a partition.
fn last_in(topic: &str, partition: i32, id: &str, all: &Client, committed: &Client) -> Result<Option<Marker>> {
    let at = || format!("topic '{topic}', partition {partition}");
    let until = Instant::now() + AWAY;
    let range = |client: &Client| {
        // Leaders come and go, and those of a topic that has just been made are still to come.
        patiently(until, || client.consumer().fetch_watermarks(topic, partition, REQUEST))
            .map_err(|error| request_failed("cannot read what was committed", error, client).context(at()))
    };
    let (begin, end) = range(all)?;
    // What lies behind a transaction of another job that is still open is not visible yet.
    while range(committed)?.1 < end {
        if Instant::now() > until {
            return Err(Error::environment(format!(
                "{}: it cannot be read what was committed, since a transaction of another job has been open for {} s",
                at(),
                AWAY.as_secs()
            ))
            .with_help("it ends when that job goes on, or by the 'transaction.timeout.ms' of its producer"));
        }
        pause();
    }
    if begin == end {
        return Ok(None);
    }
    let failed = |error| request_failed("cannot read what was committed", error, committed).context(at());
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).map_err(failed)?;
    committed.consumer().assign(&list).map_err(failed)?;
    let mut last = None;
    loop {
        match committed.consumer().poll(AWAY) {
            Some(Ok(message)) if message.key() == Some(id.as_bytes()) => {
                last = message.payload().map(|value| {
                    serde_json::from_slice(value).map_err(|error| {
                        let offset = message.offset();
                        Error::data(format!("{}, offset {offset}: the marker of {id} makes no sense", at()))
                            .with_source(error)
                            .with_help("its value is like {\"committed\":17}")
                    })
                });
            }
            Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(_))) => return last.transpose(),
            // A connection that breaks is opened again, as where brokers ask again who it is and do not wait for long.
            Some(Err(error)) if committed.may_return(&error) && Instant::now() < until => {}
            Some(Err(error)) => return Err(failed(error)),
            None => return Err(Error::environment(format!("{} cannot be read: no answer comes", at()))),
        }
    }
}

/// The error of an epoch of which it cannot be told whether it was written.
pub(crate) fn lost(options: &SinkOptions, id: &str, epoch: Epoch) -> Error {
    let SinkOptions { table, topic, commits, .. } = options;
    let before = epoch.0.saturating_sub(1);
    Error::data(format!(
        "it cannot be told whether epoch {epoch} of table '{table}' was written: topic '{commits}' has lost the record that says so"
    ))
    .with_help(format!(
        "see whether the rows of this epoch are in topic '{topic}'. Then write a record with the key {id} into '{commits}': \
         {{\"committed\":{epoch}}} if they are there, {{\"committed\":{before}}} if they are not. The job goes on by itself"
    ))
}
