//! What librdkafka says beside records: errors, how far partitions go, lines for its log. It is heard by whoever polls the client.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use serde::Deserialize;
use tokio::time::Instant;

use crate::client::AWAY;

/// The other side of a client.
#[derive(Debug)]
pub(crate) struct Events {
    reads_committed: bool,
    /// Whether the job has been let in before.
    was_let_in: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was said last, with its reason.
    last: Option<(RDKafkaErrorCode, String)>,
    /// Why the cluster cannot be reached, and since when.
    away: Option<(Instant, Away)>,
    /// Why the last connection has failed, which is only logged.
    failed: Option<String>,
    partitions: HashMap<String, HashMap<i32, Seen>>,
}

/// What is said of a login that has come to no end, which is no answer to it.
const NO_ANSWERS: [&str; 2] = ["Broker transport failure", "Request not valid in current SASL state"];

/// Why a cluster cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Away {
    /// It does not answer.
    Down(String),
    /// It does not let us in.
    Refused(String),
}

impl Away {
    /// With a reason that says more.
    fn because(self, failed: Option<String>) -> Self {
        match (self, failed) {
            (Self::Down(reason), Some(failed)) => Self::Down(format!("{reason}: {failed}")),
            (away, _) => away,
        }
    }
}

/// What is known of a partition.
#[derive(Debug, Default)]
struct Seen {
    progress: Progress,
    /// The brokers have named it.
    was_there: bool,
    /// They have named it, and then did not. What they name later is another one: it has other records under the same offsets.
    is_lost: bool,
    /// Since when they have not named it, although one of them answers.
    missing: Option<Instant>,
}

/// How far a partition goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Behind the last record that can be read.
    pub(crate) end: i64,
    /// All that is before this offset has been put into the queue.
    pub(crate) fetched_to_end: i64,
}

impl Events {
    pub(crate) fn new(reads_committed: bool, was_let_in: bool) -> Self {
        Self { reads_committed, was_let_in: AtomicBool::new(was_let_in), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reason of an error that was returned just now.
    pub(crate) fn reason(&self, code: RDKafkaErrorCode) -> Option<String> {
        let state = self.state();
        state.last.as_ref().filter(|(last, _)| *last == code).map(|(_, reason)| reason.clone())
    }

    /// Why the cluster cannot be reached, and since when.
    pub(crate) fn away(&self) -> Option<(Instant, Away)> {
        self.state().away.clone()
    }

    /// Whether the job has been let in before.
    pub(crate) fn was_let_in(&self) -> bool {
        self.was_let_in.load(Ordering::Relaxed)
    }

    /// The cluster has answered.
    pub(crate) fn answered(&self) {
        self.was_let_in.store(true, Ordering::Relaxed);
        self.state().away = None;
    }

    /// How far a partition goes, as far as that is known.
    pub(crate) fn progress(&self, topic: &str, partition: i32) -> Option<Progress> {
        self.state().partitions.get(topic)?.get(&partition).map(|seen| seen.progress)
    }

    /// Whether the brokers do not know a partition any more. That a queue hears only if it is asked for each record alone.
    pub(crate) fn is_gone(&self, topic: &str, partition: i32) -> bool {
        let state = self.state();
        let seen = state.partitions.get(topic).and_then(|partitions| partitions.get(&partition));
        // Of one that has never been named they may not have told yet.
        seen.is_some_and(|seen| seen.is_lost || seen.missing.is_some_and(|since| since.elapsed() >= AWAY))
    }

    fn take(&self, statistics: Statistics) {
        let is_up = statistics.brokers.values().any(|broker| broker.state == "UP");
        let mut state = self.state();
        if is_up {
            self.was_let_in.store(true, Ordering::Relaxed);
            state.away = None;
        }
        for (topic, entry) in statistics.topics {
            let known = state.partitions.entry(topic).or_default();
            for (partition, seen) in entry.partitions {
                let end = if self.reads_committed && seen.ls_offset >= 0 { seen.ls_offset } else { seen.hi_offset };
                let before = known.entry(partition).or_default();
                before.progress = Progress { end, fetched_to_end: seen.eof_offset };
                before.was_there |= !seen.unknown;
                before.is_lost |= before.was_there && seen.unknown;
                before.missing = (seen.unknown && is_up).then(|| before.missing.unwrap_or_else(Instant::now));
            }
        }
    }
}

/// Of librdkafka's STATISTICS.md, what is of use here.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    partitions: HashMap<i32, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    /// The brokers do not name it.
    unknown: bool,
    eof_offset: i64,
    hi_offset: i64,
    ls_offset: i64,
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What is wrong comes as an error too. But that records are left out because they are gone is said here alone.
        match (level, facility) {
            (RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Error, "OFFSET") => {
                tracing::warn!(facility, message, "Kafka");
            }
            _ => tracing::debug!(facility, message, "Kafka"),
        }
        if facility == "FAIL" {
            // In front stands which thread says so.
            let message = message.split_once("]: ").map_or(message, |(_, message)| message);
            self.state().failed = Some(message.to_owned());
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => self.take(statistics),
            Err(error) => tracing::debug!(%error, "statistics of a Kafka client cannot be read"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        tracing::debug!(%error, reason, "Kafka");
        // What is wrong with a certificate may come as a connection that fails. But one that is closed meanwhile says nothing of it.
        let is_tls = reason.contains("SSL routines");
        let away = match code {
            _ if is_tls => Some(Away::Refused(reason.to_owned())),
            RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve => {
                Some(Away::Down(reason.to_owned()))
            }
            // The connection broke while it was asked who we are, or the broker has asked again before it may.
            RDKafkaErrorCode::Authentication if NO_ANSWERS.iter().any(|none| reason.contains(none)) => {
                Some(Away::Down(reason.to_owned()))
            }
            RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL => {
                Some(Away::Refused(reason.to_owned()))
            }
            _ => None,
        };
        let mut state = self.state();
        let failed = state.failed.clone().filter(|_| code == RDKafkaErrorCode::AllBrokersDown);
        if let Some(away) = away {
            match &mut state.away {
                // That all brokers are down says less than why one of them is.
                Some((since, known)) if code != RDKafkaErrorCode::AllBrokersDown => {
                    if matches!((&*known, &away), (Away::Down(_), Away::Refused(_))) {
                        *since = Instant::now();
                    }
                    *known = away;
                }
                Some(_) => {}
                none => *none = Some((Instant::now(), away.because(failed))),
            }
        }
        state.last = Some((code, reason.to_owned()));
    }
}

impl ConsumerContext for Events {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        // It is for others to see, and the next checkpoint commits again.
        if let Err(error) = result {
            tracing::warn!(%error, "offsets could not be committed to the consumer group");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(events: &Events, broker: &str, unknown: bool) {
        events.stats_raw(
            format!(
                r#"{{"brokers": {{"b": {{"state": "{broker}"}}}}, "topics": {{"t": {{"partitions": {{"0": {{
                    "unknown": {unknown}, "eof_offset": 7, "hi_offset": 9, "ls_offset": 8}}}}}}}}}}"#
            )
            .as_bytes(),
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_is_made_again_is_not_the_one_that_was_read() {
        let events = Events::new(true, false);
        say(&events, "UP", false);
        assert!(!events.is_gone("t", 0));
        assert_eq!(events.progress("t", 0), Some(Progress { end: 8, fetched_to_end: 7 }));
        say(&events, "UP", true);
        say(&events, "UP", false);
        assert!(events.is_gone("t", 0), "it has been gone in between");
        assert!(!events.is_gone("t", 1) && !events.is_gone("u", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_broker_has_told_of_is_not_gone() {
        let events = Events::new(true, false);
        say(&events, "CONNECT", true);
        tokio::time::advance(2 * AWAY).await;
        say(&events, "CONNECT", true);
        assert!(!events.is_gone("t", 0), "nobody has answered yet");
        say(&events, "UP", true);
        assert!(!events.is_gone("t", 0), "it may be too new");
        tokio::time::advance(AWAY).await;
        assert!(events.is_gone("t", 0));
        say(&events, "UP", false);
        assert!(!events.is_gone("t", 0), "now they have");
    }
}
