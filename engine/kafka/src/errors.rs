//! librdkafka's errors as Weir's: who must act, and can a retry help?

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use weir_core::{Error, Result};

use crate::client::{AWAY, Client};
use crate::events::{Away, Events};
use crate::split::TopicPartition;

/// A request that was waited for has failed.
pub(crate) fn request_failed(what: &str, error: KafkaError, client: &Client) -> Error {
    // What the client has heard of the network waits in its queue.
    drain(client);
    request_error(what, error, client.events(), &client.servers)
}

/// A request has failed, of a client that has heard this of the network.
pub(crate) fn request_error(what: &str, error: KafkaError, events: &Events, servers: &str) -> Error {
    let (away, code) = (events.away(), error.rdkafka_error_code());
    match (away, code) {
        (Some((_, Away::Refused(reason))), _) => refused(&reason, servers, events.was_let_in()),
        (_, Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)) => {
            Error::user(format!("{what}: these credentials may not use it")).with_source(error)
        }
        (_, Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed)) => {
            Error::user(format!("{what}: these credentials may not use it")).with_source(error).with_help(
                "allow transactional ids that begin with 'sink.transactional-id-prefix', which is 'weir' unless set",
            )
        }
        (_, Some(RDKafkaErrorCode::InvalidTransactionTimeout)) => {
            Error::user(format!("{what}: the brokers do not allow transactions to take so long")).with_help(
                "set 'properties.transaction.timeout.ms' to no more than 'transaction.max.timeout.ms' of the brokers",
            )
        }
        (_, Some(RDKafkaErrorCode::GroupAuthorizationFailed)) => {
            Error::user(format!("{what}: these credentials may not use the consumer group")).with_source(error)
        }
        (Some((_, Away::Down(reason))), _) => {
            Error::environment(format!("{what}: Kafka at {servers} does not answer: {reason}"))
        }
        _ => Error::environment(format!("{what} at {servers}")).with_source(error),
    }
}

fn refused(reason: &str, servers: &str, was_let_in: bool) -> Error {
    if was_let_in {
        return Error::environment(format!("Kafka at {servers} does not let us in any more: {reason}"))
            .with_help("look at 'properties.sasl.…' and 'properties.ssl.…': credentials may have expired");
    }
    Error::user(format!("Kafka at {servers} does not let us in: {reason}")).with_help(
        "look at 'properties.security.protocol', 'properties.sasl.…' and 'properties.ssl.…'; a job whose properties are changed keeps its state",
    )
}

/// An error if the cluster has been away for too long.
///
/// # Errors
/// Of the environment: it may come back.
pub(crate) fn away(client: &Client) -> Result<()> {
    let Some((since, why)) = client.events().away() else { return Ok(()) };
    if since.elapsed() < AWAY {
        return Ok(());
    }
    let seconds = Duration::as_secs(&since.elapsed());
    Err(match why {
        Away::Down(reason) => {
            Error::environment(format!("Kafka at {} has not answered for {seconds} s: {reason}", client.servers))
        }
        Away::Refused(reason) => {
            Error::environment(format!("Kafka at {} has not let us in for {seconds} s: {reason}", client.servers))
                .with_help("look at 'properties.sasl.…' and 'properties.ssl.…': credentials may have expired")
        }
    })
}

/// What goes wrong with one partition.
pub(crate) fn partition_failed(partition: &TopicPartition, position: i64, error: KafkaError, client: &Client) -> Error {
    let code = error.rdkafka_error_code();
    let reason = code.and_then(|code| client.events().reason(code));
    let at = format!("{}, offset {position}", partition.described());
    let error = match code {
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
            Error::data(format!("{at}: the partition does not have this offset any more")).with_help(
                "its records were deleted before they were read, by retention or with their topic. To go on with those that are \
                 there, and without those that are not, set 'properties.auto.offset.reset' = 'earliest'",
            )
        }
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId,
        ) => Error::data(format!("{at}: the partition is not there any more")).with_help(
            "its topic was deleted, or these credentials may not see it any more. A job that reads the table without it, or a new topic of that name, is another job: it begins \
             where 'scan.startup.mode' says",
        ),
        Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
            Error::environment(format!("{at}: these credentials may not read the topic"))
        }
        Some(RDKafkaErrorCode::NotImplemented | RDKafkaErrorCode::UnsupportedCompressionType) => {
            Error::data(format!("{at}: records are compressed in a way that cannot be read"))
                .with_help("Weir reads gzip, snappy and lz4")
        }
        Some(RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::InvalidMessage) => {
            Error::data(format!("{at}: the records are damaged"))
        }
        _ => Error::environment(format!("{at} cannot be read")).with_source(error),
    };
    match reason {
        Some(reason) => error.with_source(reason),
        None => error,
    }
}

/// Has the client say what it has heard.
pub(crate) fn drain(client: &Client) {
    // Each call takes one event, and does not say whether there was any. Of partitions that have a queue of their own nothing comes here.
    for _ in 0..EVENTS {
        let _ = client.consumer().poll(Duration::ZERO);
    }
}

/// More do not wait in a client that somebody polls now and then.
pub(crate) const EVENTS: usize = 256;
