//! The source: one subtask's share of the partitions.
//!
//! Its client is opened, and given further partitions, on a blocking thread; everything else is done without waiting, but for the
//! news that a queue has something in it, and for a task that hears what librdkafka has to say beside records, also while the source is
//! not asked for any. All state is in `self`, so that a dropped `next` loses nothing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep_until};
use weir_connectors::blocking::{begin, release};
use weir_connectors::formats::BadRecordPolicy;
use weir_core::connector::{AssignedSplit, Rejected, Source, SourceContext, SourceEvent, SplitLag, SplitPosition};
use weir_core::{Epoch, Error, EventTime, Result, TableSpec};
use weir_kafka_queue::Queue;

use crate::client::{Client, ClientOptions};
use crate::commits::Commits;
use crate::errors::{away, drain, partition_failed};
use crate::layout::Layout;
use crate::options::SourceOptions;
use crate::partition::{Assigned, Partition, Taken};
use crate::ready::Ready;
use crate::registries::Registries;
use crate::rows::Rows;
use crate::split::{self, Position, TopicPartition};

/// How often it is heard what librdkafka has to say beside records, looked into every queue, and asked whether the cluster is there.
const LISTEN: Duration = Duration::from_millis(200);

/// Opens the share of a subtask.
///
/// # Errors
/// If the options are wrong.
pub(crate) fn open(table: &TableSpec, context: &SourceContext) -> Result<Box<dyn Source>> {
    let options = SourceOptions::read(table)?;
    let layout = Arc::new(Layout::new(table, &options.formats)?);
    Ok(Box::new(KafkaSource {
        replaces: layout.replacing().is_some(),
        rows: Rows::new(layout)?,
        batch_rows: context.batch_rows.max(1),
        waiting: Vec::new(),
        under_way: Vec::new(),
        ended: Vec::new(),
        starting: None,
        client: None,
        partitions: Vec::new(),
        held: BTreeSet::new(),
        ready: Arc::default(),
        next_look: Instant::now(),
        listener: JoinSet::new(),
        events: VecDeque::new(),
        commits: Commits::default(),
        registries: Registries::new(&options)?,
        options,
    }))
}

struct KafkaSource {
    options: SourceOptions,
    batch_rows: usize,
    rows: Rows,
    /// Whether records replace each other, so that their places among each other count.
    replaces: bool,
    /// Partitions that the client has not been given yet.
    waiting: Vec<Assigned>,
    /// Those that it is being given.
    under_way: Vec<Assigned>,
    /// Those that are at their end, and of which that has not been said yet.
    ended: Vec<Assigned>,
    /// The client is given some.
    starting: Option<JoinHandle<Result<Started>>>,
    client: Option<Arc<Client>>,
    /// By the numbers of their queues; `None`: at its end.
    partitions: Vec<Option<Partition>>,
    /// Partitions that are not to be read for now. librdkafka fetches of them what its queues have room for.
    held: BTreeSet<Arc<str>>,
    ready: Arc<Ready>,
    next_look: Instant,
    listener: JoinSet<()>,
    /// What is to be said before anything else.
    events: VecDeque<SourceEvent>,
    commits: Commits,
    registries: Registries,
}

struct Started {
    client: Arc<Client>,
    partitions: Vec<Partition>,
}

impl KafkaSource {
    async fn advance(&mut self) -> Result<SourceEvent> {
        loop {
            if let Some(event) = self.next_event() {
                return Ok(event);
            }
            self.start().await?;
            if let Some((wanted, schema)) = self.registries.answer().await? {
                self.rows.add_schema(wanted, schema.as_deref());
            }
            if self.next_look <= Instant::now() {
                self.look()?;
            }
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            if self.events.is_empty() && !self.registries.is_asked() {
                tokio::select! {
                    () = self.ready.marked() => {}
                    () = sleep_until(self.next_look) => {}
                }
            }
        }
    }

    /// What is to be said before anything else.
    fn next_event(&mut self) -> Option<SourceEvent> {
        let event = self.events.pop_front()?;
        if let SourceEvent::SplitFinished { split } = &event {
            self.ended.retain(|ended| ended.name != *split);
        }
        Some(event)
    }

    /// Gives the client the partitions that wait.
    async fn start(&mut self) -> Result<()> {
        let over: Vec<Assigned> = self.waiting.extract_if(.., |assigned| assigned.is_over()).collect();
        for assigned in over {
            self.end(&assigned);
        }
        if self.starting.is_none() && !self.waiting.is_empty() {
            let (client, options) = (self.client.clone(), self.options.client.clone());
            let (first, ready) = (self.partitions.len(), self.ready.clone());
            let waiting = std::mem::take(&mut self.waiting);
            self.under_way.clone_from(&waiting);
            self.starting = Some(begin(move || start(client, &options, waiting, first, &ready)));
        }
        let Some(starting) = &mut self.starting else { return Ok(()) };
        let started = starting.await;
        self.starting = None;
        self.under_way.clear();
        let started =
            started.map_err(|panic| Error::internal("opening a Kafka client broke off").with_source(panic))??;
        if self.listener.is_empty() {
            self.listener.spawn(listen(started.client.clone()));
        }
        self.client = Some(started.client);
        for partition in started.partitions {
            // It is read from now on, so that it counts as idle if nothing comes.
            let split = partition.assigned.name.clone();
            self.events.push_back(SourceEvent::Time { split, time: EventTime::MIN });
            self.partitions.push(Some(partition));
        }
        Ok(())
    }

    fn look(&mut self) -> Result<()> {
        self.next_look = Instant::now() + LISTEN;
        let Some(client) = &self.client else { return Ok(()) };
        away(client)?;
        (0..self.partitions.len())
            .filter(|queue| self.partitions[*queue].is_some())
            .for_each(|queue| self.ready.mark(queue));
        Ok(())
    }

    /// Rows of the partition whose turn it is.
    fn take(&mut self) -> Result<Option<SourceEvent>> {
        let Some(client) = self.client.clone() else { return Ok(None) };
        while let Some(queue) = self.ready.take() {
            let Some(Some(partition)) = self.partitions.get_mut(queue) else { continue };
            if self.held.contains(&partition.assigned.name) {
                continue;
            }
            let TopicPartition { topic, partition: number } = &partition.assigned.partition;
            let before = partition.assigned.range.stop.and_then(|_| client.events().progress(topic, *number));
            let stop_at_rejected = self.options.policy == BadRecordPolicy::Fail;
            let taken = partition.take(&mut self.rows, self.batch_rows, stop_at_rejected);
            if let (true, Some(rejected)) = (stop_at_rejected, self.rows.rejected()) {
                return Err(undecodable(&partition.assigned.partition, rejected));
            }
            if let Some(truncated) = self.rows.truncated() {
                return Err(was_truncated(&partition.assigned.partition, truncated));
            }
            let has_ended = match taken {
                Taken::Enough => {
                    self.ready.mark(queue);
                    false
                }
                Taken::All if partition.has_passed_stop(before) => true,
                Taken::All => {
                    let Assigned { partition, position, .. } = &partition.assigned;
                    // What was fetched before is read to its end.
                    if self.rows.len() == 0 && client.events().is_gone(&partition.topic, partition.partition) {
                        let gone = KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownPartition);
                        return Err(partition_failed(partition, *position, gone, &client));
                    }
                    false
                }
                Taken::Ended => true,
                Taken::WantsSchema(wanted) => {
                    self.ready.mark(queue);
                    self.registries.ask(wanted)?;
                    false
                }
                Taken::Failed(error) => {
                    let Assigned { partition, position, .. } = &partition.assigned;
                    return Err(partition_failed(partition, *position, error, &client));
                }
            };
            let (records, rejected) = self.rows.finish(&partition.assigned.partition)?;
            let split = partition.assigned.name.clone();
            if has_ended && let Some(Some(ended)) = self.partitions.get_mut(queue).map(Option::take) {
                self.end(&ended.assigned);
                self.stop(ended);
            }
            if records.num_rows() > 0 || !rejected.is_empty() {
                return Ok(Some(SourceEvent::Rows { split, records, rejected }));
            }
            if let Some(event) = self.next_event() {
                return Ok(Some(event));
            }
            if self.registries.is_asked() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// A partition is at the end that is set for it.
    fn end(&mut self, assigned: &Assigned) {
        self.commits.ended(assigned.name.clone(), assigned.position);
        self.ended.push(assigned.clone());
        self.events.push_back(SourceEvent::SplitFinished { split: assigned.name.clone() });
    }

    /// Nothing more is fetched of it.
    fn stop(&mut self, partition: Partition) {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&partition.assigned.partition.topic, partition.assigned.partition.partition);
        if let Some(client) = &self.client
            && let Err(error) = client.consumer().pause(&list)
        {
            // It costs memory at most.
            tracing::debug!(%error, "a partition that has been read is still fetched");
        }
    }

    fn open(&self) -> impl Iterator<Item = &Assigned> {
        let started = self.partitions.iter().flatten().map(|partition| &partition.assigned);
        started.chain(&self.waiting).chain(&self.under_way).chain(&self.ended)
    }
}

/// Hears what the client has to say beside records, for as long as there is a source: it would wait in memory.
async fn listen(client: Arc<Client>) {
    let mut times = interval(LISTEN);
    loop {
        times.tick().await;
        drain(&client);
    }
}

/// Opens the client, if there is none, and gives it partitions whose queues have numbers from `first`. Waits for threads of librdkafka.
fn start(
    client: Option<Arc<Client>>,
    options: &ClientOptions,
    assigned: Vec<Assigned>,
    first: usize,
    ready: &Arc<Ready>,
) -> Result<Started> {
    let client = match client {
        Some(client) => client,
        None => Arc::new(options.connect(&options.consumer())?),
    };
    let failed = |partition: &TopicPartition| Error::internal(format!("{} has no queue", partition.described()));
    let mut list = TopicPartitionList::with_capacity(assigned.len());
    let mut partitions = Vec::with_capacity(assigned.len());
    for (number, assigned) in assigned.into_iter().enumerate() {
        let TopicPartition { topic, partition } = &assigned.partition;
        // Before it is fetched, so that all of it comes there.
        let (ready, number) = (ready.clone(), first + number);
        let queue = Queue::split(client.consumer().clone(), topic, *partition, move || ready.mark(number));
        let queue = queue.ok_or_else(|| failed(&assigned.partition))?;
        list.add_partition_offset(topic, *partition, Offset::Offset(assigned.position))
            .map_err(|error| failed(&assigned.partition).with_source(error))?;
        partitions.push(Partition::new(assigned, queue));
    }
    client
        .consumer()
        .incremental_assign(&list)
        .map_err(|error| Error::internal("partitions could not be assigned").with_source(error))?;
    Ok(Started { client, partitions })
}

fn undecodable(partition: &TopicPartition, rejected: &Rejected) -> Error {
    Error::data(format!("{}, offset {}: {}", partition.described(), rejected.offset, rejected.reason))
        .with_help("'error-policy' = 'skip' passes over such records, 'dead-letter' keeps them")
}

fn was_truncated(partition: &TopicPartition, record: &Rejected) -> Error {
    Error::data(format!("{}, offset {}: {}", partition.described(), record.offset, record.reason)).with_help(
        "take a new snapshot of the table into a new topic, and read that by a new job; Debezium leaves such records out with \
         'skipped.operations' = 't', and rows stay then that are gone",
    )
}

#[async_trait]
impl Source for KafkaSource {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        for AssignedSplit { split, position } in splits {
            let (partition, range) = split::parse(&split)?;
            let unknown = |text: &String| Error::data(format!("'{text}' is no offset of {}", partition.described()));
            let at: Position = match &position {
                Some(text) => text.parse().map_err(|()| unknown(text))?,
                None => Position { offset: range.start, sequence: None },
            };
            let (position, sequence) = (at.offset, at.sequence.unwrap_or_default());
            self.waiting.push(Assigned { name: split.name, partition, range, position, sequence });
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.advance().await
    }

    fn hold(&mut self, splits: &BTreeSet<Arc<str>>) {
        self.held.clone_from(splits);
        // Records that came meanwhile have been passed over.
        self.next_look = Instant::now();
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |at: &Assigned| {
            let sequence = self.replaces.then_some(at.sequence);
            SplitPosition { split: at.name.clone(), position: Position { offset: at.position, sequence }.to_string() }
        };
        self.open().map(position).collect()
    }

    fn lag(&self) -> Vec<SplitLag> {
        let Some(client) = &self.client else { return Vec::new() };
        let now = now();
        let lag = |partition: &Partition| {
            let Assigned { name, partition: TopicPartition { topic, partition: number }, range, position, .. } =
                &partition.assigned;
            let end = client.events().progress(topic, *number)?.end;
            let end = range.stop.map_or(end, |stop| end.min(stop.offset));
            let records = u64::try_from(end.saturating_sub(*position)).unwrap_or_default();
            // The next record is not older than the last one, as far as producers' clocks go.
            let age = partition.last_time.map(|last| now.saturating_sub(last)).and_then(|age| u64::try_from(age).ok());
            let time = age.filter(|_| records > 0).map(Duration::from_millis);
            Some(SplitLag { split: name.clone(), records: Some(records), time })
        };
        self.partitions.iter().flatten().filter_map(lag).collect()
    }

    fn captured(&mut self, epoch: Epoch, positions: &[SplitPosition]) {
        if self.options.client.commits {
            self.commits.captured(epoch, positions);
        }
    }

    async fn completed(&mut self, epoch: Epoch) -> Result<()> {
        let (offsets, Some(client)) = (self.commits.completed(epoch), &self.client) else { return Ok(()) };
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (split, offset) in offsets {
            let Ok(TopicPartition { topic, partition }) = split.parse() else { continue };
            if let Err(error) = list.add_partition_offset(&topic, partition, Offset::Offset(offset)) {
                tracing::warn!(%error, "an offset cannot be committed to the consumer group");
            }
        }
        // For others to see; nothing of the job hangs on it. What comes of it is heard later.
        if list.count() > 0
            && let Err(error) = client.consumer().commit(&list, CommitMode::Async)
        {
            tracing::warn!(%error, "offsets could not be committed to the consumer group");
        }
        Ok(())
    }
}

/// To close a client takes a while.
impl Drop for KafkaSource {
    fn drop(&mut self) {
        let partitions = std::mem::take(&mut self.partitions);
        release((partitions, self.client.take()));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "records bear the time of day, and how old the last one is goes into no result"
)]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
