//! From places, such as `latest-offset` or a time, to offsets. All of it waits for the network.

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use weir_core::{Error, Result};

use crate::client::{Client, REQUEST, is_passing, patiently};
use crate::errors::request_failed;
use crate::offsets::{Place, Reset};
use crate::split::{Stop, TopicPartition};

const WHAT: &str = "cannot find out offsets";

/// The first and the next offset of a partition. Those of open transactions are not there yet, unless they are read.
fn ends(client: &Client, partition: &TopicPartition) -> Result<(i64, i64)> {
    let ends = || client.consumer().fetch_watermarks(&partition.topic, partition.partition, REQUEST);
    patiently(Instant::now() + REQUEST, ends)
        .map_err(|error| request_failed(WHAT, error, client).context(partition.described()))
}

/// The offset of each partition at a place.
///
/// # Errors
/// A user error if an offset is not given or was never committed, an environment error if the cluster does not answer.
pub(crate) fn starts(client: &Client, partitions: &[TopicPartition], place: &Place, reset: Reset) -> Result<Vec<i64>> {
    let first = |partition| ends(client, partition).map(|(first, _)| first);
    let next = |partition| ends(client, partition).map(|(_, next)| next);
    match place {
        Place::Earliest => partitions.iter().map(first).collect(),
        Place::Latest => partitions.iter().map(next).collect(),
        Place::Timestamp(time) => at_time(client, partitions, *time),
        Place::Group => committed(client, partitions)?
            .into_iter()
            .zip(partitions)
            .map(|(offset, partition)| match (offset, reset) {
                (Some(offset), _) => Ok(offset),
                (None, Reset::Earliest) => first(partition),
                (None, Reset::Latest) => next(partition),
                (None, Reset::Fail) => Err(nothing_committed(partition)),
            })
            .collect(),
        Place::Specific(offsets) => {
            partitions.iter().map(|partition| given(offsets, partition, "scan.startup.specific-offsets")).collect()
        }
    }
}

/// Where reading each partition ends.
///
/// # Errors
/// As [`starts`].
pub(crate) fn stops(client: &Client, partitions: &[TopicPartition], place: &Place) -> Result<Vec<Stop>> {
    let offsets = match place {
        Place::Group => committed(client, partitions)?
            .into_iter()
            .zip(partitions)
            .map(|(offset, partition)| offset.ok_or_else(|| nothing_committed(partition)))
            .collect::<Result<Vec<_>>>()?,
        Place::Specific(offsets) => partitions
            .iter()
            .map(|partition| given(offsets, partition, "scan.bounded.specific-offsets"))
            .collect::<Result<_>>()?,
        place => starts(client, partitions, place, Reset::Fail)?,
    };
    let stop = |(offset, partition): (i64, &TopicPartition)| {
        let is_there = match place {
            Place::Group | Place::Specific(_) => ends(client, partition)?.1 >= offset,
            Place::Earliest | Place::Latest | Place::Timestamp(_) => true,
        };
        Ok(Stop { offset, is_there })
    };
    offsets.into_iter().zip(partitions).map(stop).collect()
}

fn given(offsets: &BTreeMap<i32, i64>, partition: &TopicPartition, option: &str) -> Result<i64> {
    offsets.get(&partition.partition).copied().ok_or_else(|| {
        Error::user(format!("{} is not in '{option}'", partition.described()))
            .with_help(format!("add ';partition:{},offset:…'", partition.partition))
    })
}

fn nothing_committed(partition: &TopicPartition) -> Error {
    Error::user(format!("{}: the consumer group has committed no offset", partition.described())).with_help(
        "'properties.auto.offset.reset' = 'earliest' or 'latest' says where to begin then; 'scan.startup.mode' = \
         'earliest-offset' begins at the first record whatever is committed",
    )
}

fn list(partitions: &[TopicPartition], offset: Offset) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition_offset(&partition.topic, partition.partition, offset)
            .map_err(|error| Error::internal("a list of partitions cannot be made").with_source(error))?;
    }
    Ok(list)
}

/// What a request answers for each partition, in their order.
fn answers(
    what: &str,
    client: &Client,
    partitions: &[TopicPartition],
    request: impl Fn() -> KafkaResult<TopicPartitionList>,
) -> Result<Vec<Option<i64>>> {
    let all = || {
        let answer = request()?;
        let passing = answer.elements().iter().find_map(|element| element.error().err().filter(is_passing));
        passing.map_or(Ok(answer), Err)
    };
    let answer = patiently(Instant::now() + REQUEST, all).map_err(|error| request_failed(what, error, client))?;
    let answered = |partition: &TopicPartition| {
        let Some(element) = answer.find_partition(&partition.topic, partition.partition) else { return Ok(None) };
        element.error().map_err(|error| request_failed(what, error, client).context(partition.described()))?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    };
    partitions.iter().map(answered).collect()
}

fn committed(client: &Client, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>> {
    let list = list(partitions, Offset::Invalid)?;
    answers("cannot find out what the consumer group has committed", client, partitions, || {
        client.consumer().committed_offsets(list.clone(), REQUEST)
    })
}

/// The first record that is not earlier; where there is none, the next one.
fn at_time(client: &Client, partitions: &[TopicPartition], time: i64) -> Result<Vec<i64>> {
    let times = list(partitions, Offset::Offset(time))?;
    let offsets = answers(WHAT, client, partitions, || client.consumer().offsets_for_times(times.clone(), REQUEST))?;
    let offsets = offsets.into_iter().zip(partitions);
    offsets
        .map(|(offset, partition)| offset.map_or_else(|| ends(client, partition).map(|(_, next)| next), Ok))
        .collect()
}
