//! One partition that is read: its queue, how far it has been read, and where it ends.

use std::sync::Arc;

use rdkafka::error::KafkaError;
use weir_kafka_queue::Queue;

use crate::events::{Events, Progress};
use crate::record::Record;
use crate::rows::{Rows, WantedSchema};
use crate::split::{Range, Sequence, Stop, TopicPartition};

/// A partition and where reading it goes on.
#[derive(Debug, Clone)]
pub(crate) struct Assigned {
    pub(crate) name: Arc<str>,
    pub(crate) partition: TopicPartition,
    pub(crate) range: Range,
    /// The next offset that has not been handed out.
    pub(crate) position: i64,
    /// The place of the last row among those of its key.
    pub(crate) sequence: Sequence,
}

impl Assigned {
    /// Whether nothing is left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.range.stop.is_some_and(|stop| self.position >= stop.offset)
    }
}

impl Assigned {
    /// Adds a record to `rows`; why it is the last one for now, if it is.
    fn accept(
        &mut self,
        message: &impl Record,
        rows: &mut Rows,
        last_time: &mut Option<i64>,
        stop_at_rejected: bool,
    ) -> Option<Taken> {
        let offset = message.offset();
        if self.range.stop.is_some_and(|stop| offset >= stop.offset) {
            return Some(Taken::Ended);
        }
        if let Some(wanted) = rows.wants_schema(message) {
            return Some(Taken::WantsSchema(wanted));
        }
        rows.push(message, &self.name, &mut self.sequence);
        self.position = offset + 1;
        *last_time = message.timestamp().to_millis().or(*last_time);
        if self.is_over() {
            return Some(Taken::Ended);
        }
        let stops = (stop_at_rejected && rows.rejected().is_some()) || rows.truncated().is_some();
        stops.then_some(Taken::Enough)
    }
}

/// A partition whose records come.
pub(crate) struct Partition {
    pub(crate) assigned: Assigned,
    queue: Queue<Events>,
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
    /// The next record, which is kept, wants a schema.
    WantsSchema(WantedSchema),
}

impl Partition {
    pub(crate) fn new(assigned: Assigned, queue: Queue<Events>) -> Self {
        Self { assigned, queue, at_end: false, last_time: None }
    }

    /// Takes records out of the queue into `rows`, without waiting, until there are `limit` or one is rejected while `stop_at_rejected`.
    pub(crate) fn take(&mut self, rows: &mut Rows, limit: usize, stop_at_rejected: bool) -> Taken {
        let mut records = 0;
        // What is no row counts too: a subtask has others to listen to.
        while rows.len() < limit && records < limit {
            records += 1;
            match self.queue.peek() {
                None => return Taken::All,
                Some(Ok(message)) => {
                    self.at_end = false;
                    match self.assigned.accept(&message, rows, &mut self.last_time, stop_at_rejected) {
                        None => self.queue.advance(),
                        // It stays the next one.
                        Some(taken @ Taken::WantsSchema(_)) => return taken,
                        Some(taken) => {
                            self.queue.advance();
                            return taken;
                        }
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.queue.advance();
                    self.at_end = true;
                    if matches!(self.assigned.range.stop, Some(Stop { is_there: true, .. })) {
                        return Taken::Ended;
                    }
                }
                Some(Err(error)) => {
                    self.queue.advance();
                    return Taken::Failed(error);
                }
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
