//! Which topics a table reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use regex::Regex;
use weir_connectors::options::Options;
use weir_core::{Error, Result};

use crate::client::Client;
use crate::errors::request_failed;
use crate::split::TopicPartition;

pub(crate) const TOPIC: &str = "topic";
pub(crate) const PATTERN: &str = "topic-pattern";

/// The topics of a table.
#[derive(Debug, Clone)]
pub(crate) enum Topics {
    /// These.
    Named(Vec<Arc<str>>),
    /// All whose whole name matches.
    Matching { pattern: String, regex: Regex },
}

/// What a look at the cluster has shown.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// All partitions that there are.
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// Topics that are named and not there.
    pub(crate) missing: Vec<Arc<str>>,
}

impl Topics {
    /// # Errors
    /// A user error if there is none, or both a list and a pattern.
    pub(crate) fn read(options: &Options<'_>) -> Result<Self> {
        match (options.text(TOPIC), options.text(PATTERN)) {
            (Some(_), Some(_)) => {
                Err(options.error(PATTERN, format!("given beside '{TOPIC}'; a table has one of the two")))
            }
            (Some(list), None) => {
                let topics: Vec<Arc<str>> =
                    list.split(';').map(str::trim).filter(|topic| !topic.is_empty()).map(Arc::from).collect();
                if let Some(wrong) = topics.iter().find(|topic| !is_name(topic)) {
                    return Err(options.error(
                        TOPIC,
                        format!("not a list of topics: '{wrong}' is not made of letters, digits, '.', '_' and '-'"),
                    ));
                }
                if topics.is_empty() {
                    return Err(options.error(TOPIC, "empty"));
                }
                match topics.iter().enumerate().find(|(index, topic)| topics[..*index].contains(topic)) {
                    Some((_, twice)) => Err(options.error(TOPIC, format!("a list that has '{twice}' twice"))),
                    None => Ok(Self::Named(topics)),
                }
            }
            (None, Some(pattern)) => match Regex::new(&format!("^(?:{pattern})$")) {
                Ok(regex) => Ok(Self::Matching { pattern: pattern.to_owned(), regex }),
                Err(error) => Err(options.error(PATTERN, "not a regular expression").with_source(error)),
            },
            (None, None) => {
                let error = options.required(TOPIC).err().unwrap_or_else(|| options.error(TOPIC, "missing"));
                Err(error.with_help(format!("add '{TOPIC}' = '…' to its WITH (…), or '{PATTERN}' = '…'")))
            }
        }
    }

    /// Asks the cluster for the partitions. Waits for the network.
    ///
    /// # Errors
    /// An environment error if it does not answer.
    pub(crate) fn find(&self, client: &Client) -> Result<Found> {
        let mut found = Found::default();
        match self {
            Self::Named(topics) => {
                for topic in topics {
                    self.look(client, Some(topic), &mut found)?;
                }
            }
            Self::Matching { .. } => self.look(client, None, &mut found)?,
        }
        Ok(found)
    }

    fn look(&self, client: &Client, topic: Option<&Arc<str>>, found: &mut Found) -> Result<()> {
        let failed = |error| request_failed("cannot find out which partitions there are", error, client);
        let metadata = client.metadata(topic.map(|topic| &**topic)).map_err(failed)?;
        for entry in metadata.topics() {
            let name: Arc<str> = entry.name().into();
            if let Self::Matching { regex, .. } = self
                && !regex.is_match(&name)
            {
                continue;
            }
            match entry.error().map(RDKafkaErrorCode::from) {
                None => {}
                Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                    found.missing.push(name);
                    continue;
                }
                // One that is being made has partitions without leaders for a moment.
                Some(code) => return Err(failed(KafkaError::MetadataFetch(code)).context(format!("topic '{name}'"))),
            }
            let partitions = entry.partitions().iter();
            found
                .partitions
                .extend(partitions.map(|partition| TopicPartition { topic: name.clone(), partition: partition.id() }));
        }
        Ok(())
    }

    /// What to say when there is nothing to read.
    pub(crate) fn nothing(&self, missing: &[Arc<str>]) -> Error {
        match (self, missing) {
            (Self::Named(_), [topic, ..]) => Error::user(format!("there is no topic '{topic}'"))
                .with_help("create it first, or mend the option 'topic'"),
            (Self::Named(_), []) => Error::environment("the topics have no partitions"),
            (Self::Matching { pattern, .. }, _) => {
                Error::user(format!("no topic matches the 'topic-pattern' '{pattern}'")).with_help(
                    "create one first: those that come later are read from their beginning, so a job has to know which they are",
                )
            }
        }
    }
}

/// Whether a topic may be called so.
pub(crate) fn is_name(topic: &str) -> bool {
    (1..=249).contains(&topic.len())
        && topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
