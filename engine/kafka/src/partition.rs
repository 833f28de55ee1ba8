//! One partition that is read: its queue, how far it has been read, and where it ends.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;

use crate::events::{Events, Progress};
use crate::rows::Rows;
use crate::split::{Range, Stop, TopicPartition};

/// A partition and where reading it goes on.
#[derive(Debug, Clone)]
pub(crate) struct Assigned {
    pub(crate) name: Arc<str>,
    pub(crate) partition: TopicPartition,
    pub(crate) range: Range,
    /// The next offset that has not been handed out.
    pub(crate) position: i64,
}

impl Assigned {
    /// Whether nothing is left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.range.stop.is_some_and(|stop| self.position >= stop.offset)
    }
}

/// A partition whose records come.
pub(crate) struct Partition {
    pub(crate) assigned: Assigned,
    pub(crate) queue: PartitionQueue<Events>,
    /// The end of what there is was come to, and nothing has come since.
    at_end: bool,
    /// When the last record that was read was written, in milliseconds since 1970.
    pub(crate) last_time: Option<i64>,
}

/// Why no more records were taken out of a queue.
#[derive(Debug)]
pub(crate) enum Taken {
    /// There are as many rows as were wanted; there may be more.
    Enough,
    /// There are no more at the moment.
    All,
    /// The partition is at the end that is set for it.
    Ended,
    /// It cannot be read.
    Failed(KafkaError),
}

impl Partition {
    pub(crate) fn new(assigned: Assigned, queue: PartitionQueue<Events>) -> Self {
        Self { assigned, queue, at_end: false, last_time: None }
    }

    /// Takes records out of the queue into `rows`, without waiting, until there are `limit` or one is rejected while `stop_at_rejected`.
    pub(crate) fn take(&mut self, rows: &mut Rows, limit: usize, stop_at_rejected: bool) -> Taken {
        let Assigned { name, range, position, .. } = &mut self.assigned;
        let mut records = 0;
        // What is no row counts too: a subtask has others to listen to.
        while rows.len() < limit && records < limit {
            match self.queue.poll(Duration::ZERO) {
                None => return Taken::All,
                Some(Ok(message)) => {
                    let offset = message.offset();
                    if range.stop.is_some_and(|stop| offset >= stop.offset) {
                        return Taken::Ended;
                    }
                    records += 1;
                    self.at_end = false;
                    rows.push(&message, name);
                    *position = offset + 1;
                    self.last_time = message.timestamp().to_millis().or(self.last_time);
                    if range.stop.is_some_and(|stop| *position >= stop.offset) {
                        return Taken::Ended;
                    }
                    if stop_at_rejected && rows.rejected().is_some() {
                        return Taken::Enough;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.at_end = true;
                    if matches!(range.stop, Some(Stop { is_there: true, .. })) {
                        return Taken::Ended;
                    }
                }
                Some(Err(error)) => return Taken::Failed(error),
            }
        }
        Taken::Enough
    }

    /// Whether the end that is set for it lies behind the last record, as only what librdkafka says of its fetching shows: `before` is
    /// what it had said before the queue was found empty.
    pub(crate) fn has_passed_stop(&self, before: Option<Progress>) -> bool {
        let stop = self.assigned.range.stop;
        self.at_end && stop.zip(before).is_some_and(|(stop, before)| before.fetched_to_end >= stop.offset)
    }
}
