//! Topics that have to be there before rows are written.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use weir_connectors::blocking::{blocking, release};
use weir_core::{Error, Result};

use super::options::{COMMITS, SinkOptions};
use crate::client::REQUEST;
use crate::errors::request_failed;

/// Partitions of the topic of the markers: a job that is stuck in a transaction holds up those that share one with it, when they
/// recover.
const PARTITIONS: i32 = 16;

/// What keeps the topic of the markers small.
const CONFIG: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "16777216"),
    ("segment.ms", "3600000"),
    ("min.cleanable.dirty.ratio", "0.1"),
];

/// Whether there is such a topic.
async fn is_there(options: &SinkOptions, topic: &str) -> Result<bool> {
    let (client, topic) = (options.client.clone(), topic.to_owned());
    blocking(move || {
        let client = client.connect(&client.asking())?;
        let failed = |error| request_failed("cannot find out which topics there are", error, &client);
        let metadata = client.metadata(Some(&topic)).map_err(failed)?;
        let error = metadata.topics().first().and_then(|topic| topic.error()).map(RDKafkaErrorCode::from);
        match error {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(false),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(Error::user(format!("these credentials may not see topic '{topic}'")))
            }
            _ => Ok(true),
        }
    })
    .await
}

/// # Errors
/// A user error if the table's topic is not there.
pub(crate) async fn require(options: &SinkOptions) -> Result<()> {
    if is_there(options, &options.topic).await? {
        return Ok(());
    }
    Err(Error::user(format!("there is no topic '{}'", options.topic))
        .with_help("create it first, with as many partitions as its readers want, or mend the option 'topic'"))
}

/// Makes the topic of the markers, if it is not there. One that is there has to keep them.
///
/// # Errors
/// A user error if making it is not allowed, or it does not keep them.
pub(crate) async fn ensure_commits(options: &SinkOptions) -> Result<()> {
    let topic = &options.commits;
    if is_there(options, topic).await? {
        return check_policy(options).await;
    }
    let config = CONFIG.map(|(name, value)| format!("{name}={value}")).join(", ");
    let failed = |error: Error| {
        error.context(format!("topic '{topic}', which says what is committed, cannot be made")).with_help(format!(
            "make it yourself, with {PARTITIONS} partitions and {config}; or name another one in '{COMMITS}'"
        ))
    };
    let admin = admin(options)?;
    // As many copies as the brokers make by themselves.
    let new = CONFIG
        .iter()
        .fold(NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(-1)), |new, (name, value)| new.set(name, value));
    let made = admin.create_topics([&new], &limits()).await;
    release(admin);
    let made = made.map_err(|error| failed(Error::environment("no answer").with_source(error)))?;
    for result in made {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(Error::user(code.to_string()))),
        }
    }
    Ok(())
}

/// Refuses a topic of the markers from which records are deleted when they are old, or too many.
///
/// # Errors
/// A user error if it is one, an environment error if there is no answer.
async fn check_policy(options: &SinkOptions) -> Result<()> {
    let topic = &options.commits;
    let admin = admin(options)?;
    let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &limits()).await;
    release(admin);
    let failed = |error: KafkaError| {
        Error::environment(format!("it cannot be found out how long topic '{topic}' keeps records")).with_source(error)
    };
    let configs = match described.map_err(failed)?.pop() {
        Some(Ok(configs)) => configs,
        Some(Err(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)) => {
            tracing::warn!(
                topic,
                "these credentials may not describe the topic: see to it that its cleanup.policy is compact, as its records must stay"
            );
            return Ok(());
        }
        Some(Err(code)) => return Err(failed(KafkaError::AdminOp(code))),
        None => return Ok(()),
    };
    let policy = configs.get("cleanup.policy").and_then(|entry| entry.value.as_deref()).unwrap_or_default();
    if !policy.split(',').any(|way| way.trim() == "delete") {
        return Ok(());
    }
    Err(Error::user(format!(
        "topic '{topic}', which says what is committed, loses its records: its cleanup.policy is '{policy}'"
    ))
    .with_help(format!("set it to 'compact'; or name another topic in '{COMMITS}'")))
}

fn admin(options: &SinkOptions) -> Result<AdminClient<DefaultClientContext>> {
    options.client.admin().create().map_err(|error| options.client.not_created(error))
}

fn limits() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(REQUEST)).request_timeout(Some(REQUEST))
}
