//! A model of a broker's transactions, as Kafka has them, for sinks whose rows wait in their checkpoint. What decides about epochs is the
//! code that writes Kafka ([`transactions`](weir_connectors::transactions)).
//!
//! ```text
//!              begins            its end is accepted              it is finished
//!   nothing ─────────────▶ open ─────────────────────▶ ending ─────────────────────▶ rows and marker are visible
//!      ▲                    │ fenced, or too long
//!      └────────────────────┘
//! ```
//!
//! 1. A request may be lost before it arrives, or its answer, and the answer to one that arrives late has been given up by then.
//! 2. Who opens with an id fences all others with it, undoes what they have open, and waits for what is ending.
//! 3. A transaction that stays open for too long is undone, and its producer is fenced.
//! 4. Markers get lost, in some histories. A user who is told so looks whether the rows are there, and writes one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use weir_connectors::marker::Marker;
use weir_connectors::transactions::Target;
use weir_core::{Batch, Epoch, Error, JobIdentity, Result};

use crate::connector::changes;
use crate::engine::Host;
use crate::lock::lock;
use crate::world::Change;

/// How long a transaction may be open.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a producer waits for an answer.
const PATIENCE: Duration = Duration::from_millis(400);

/// What there is of all sinks, by their tables and the ids of their transactions.
#[derive(Debug, Default)]
pub struct Broker(Mutex<BTreeMap<(String, String), Sink>>);

/// What there is of a sink.
#[derive(Debug, Default)]
struct Sink {
    /// The number of the producer that has not been fenced.
    producer: u64,
    marker: Option<Marker>,
    /// The last epoch whose rows are visible: what a user sees who looks.
    seen: Option<Epoch>,
    open: Option<Transaction>,
    /// When what was accepted is finished.
    ending: Option<(Instant, Transaction)>,
    /// Requests that are still under way: when they arrive, whose they are.
    late: Vec<(Instant, u64, Transaction)>,
    /// When a user writes the marker who was told that it is lost.
    repair: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Transaction {
    began: Instant,
    rows: Vec<Change>,
    /// What is written with the rows, at its end.
    marker: Option<Marker>,
}

/// Rows of an epoch that have become visible.
struct Finished(Epoch, Vec<Change>);

impl Sink {
    /// Lets happen what is due by now.
    fn settle(&mut self, now: Instant) -> Vec<Finished> {
        let mut finished = Vec::new();
        self.late.sort_by_key(|(arrives, ..)| *arrives);
        while let Some((arrives, ..)) = self.late.first()
            && *arrives <= now
        {
            let (arrives, producer, transaction) = self.late.remove(0);
            finished.extend(self.finish(arrives));
            self.expire(arrives);
            // Nobody hears what becomes of it.
            let _ = self.accept(producer, transaction, arrives);
        }
        finished.extend(self.finish(now));
        self.expire(now);
        if self.repair.is_some_and(|repair| repair <= now) && self.open.is_none() && self.ending.is_none() {
            self.repair = None;
            self.marker = Some(self.seen.map_or(Marker::BeganBehind(0), |epoch| Marker::Committed(epoch.0)));
        }
        finished
    }

    fn finish(&mut self, now: Instant) -> Option<Finished> {
        let (_, transaction) = self.ending.take_if(|(done, _)| *done <= now)?;
        self.marker = transaction.marker;
        let Some(Marker::Committed(epoch)) = transaction.marker else { return None };
        self.seen = Some(Epoch(epoch));
        Some(Finished(Epoch(epoch), transaction.rows))
    }

    fn expire(&mut self, now: Instant) {
        if self.open.take_if(|open| open.began + TIMEOUT <= now).is_some() {
            self.producer += 1;
        }
    }

    /// The end of a transaction.
    fn accept(&mut self, producer: u64, transaction: Transaction, now: Instant) -> Result<()> {
        self.check(producer)?;
        if self.open.take().is_none() {
            return Err(Error::environment("there is no such transaction"));
        }
        // Markers are written to the partitions of the transaction one by one.
        let takes = Duration::from_millis(1 + transaction.rows.len() as u64 % 7 * 5);
        self.ending = Some((now + takes, transaction));
        Ok(())
    }

    fn check(&self, producer: u64) -> Result<()> {
        match producer == self.producer {
            true => Ok(()),
            false => Err(Error::environment("the producer has been fenced")),
        }
    }
}

impl Broker {
    /// A user has a job go on from a checkpoint, takes away what later ones have written to a table, and says so here.
    pub fn rewind(&self, table: &str, line: &BTreeSet<Epoch>) {
        let mut sinks = lock(&self.0);
        for ((_, _), sink) in sinks.iter_mut().filter(|((of, _), _)| of == table) {
            sink.producer += 1;
            sink.open = None;
            sink.late.clear();
            if let Some((_, ending)) = sink.ending.take() {
                sink.marker = ending.marker;
            }
            let last = |epoch: Epoch| line.range(..=epoch).next_back().copied();
            sink.seen = sink.seen.and_then(last);
            if let Some(Marker::Committed(epoch)) = sink.marker {
                let marker = last(Epoch(epoch)).map_or(Marker::BeganBehind(0), |epoch| Marker::Committed(epoch.0));
                sink.marker = Some(marker);
            }
        }
    }
}

/// A sink's way to the broker.
#[derive(Debug, Clone)]
pub struct SimTarget {
    place: Host,
    table: String,
    id: String,
}

/// A producer: the number that the broker knows it by, and what it has sent.
pub struct Producer {
    number: u64,
    began: Option<Instant>,
    rows: Vec<Change>,
}

impl SimTarget {
    pub fn new(place: &Host, table: &str, job: JobIdentity) -> Self {
        Self { place: place.clone(), table: table.to_owned(), id: format!("{job}-{table}") }
    }

    /// Does something at the broker, where all that is due has happened.
    fn at_broker<T>(&self, step: impl FnOnce(&mut Sink, Instant) -> T) -> T {
        let cluster = &self.place.cluster;
        let now = Instant::now();
        let (finished, done) = {
            let mut sinks = lock(&cluster.world.broker.0);
            let sink = sinks.entry((self.table.clone(), self.id.clone())).or_default();
            (sink.settle(now), step(sink, now))
        };
        for Finished(epoch, rows) in finished {
            let shown = cluster.world.show_epoch(&self.table, epoch, rows);
            cluster.trace.say("out", format_args!("{} rows of {} are visible", shown.rows.len(), shown.origin));
            cluster.oracle.shown(&cluster.world, &shown);
        }
        done
    }

    /// A request that arrives, or does not, and is answered, or is not.
    async fn request<T>(&self, step: impl FnOnce(&mut Sink, Instant) -> Result<T> + Send) -> Result<T> {
        let chaos = &self.place.cluster.chaos;
        self.place.thawed().await;
        let (there, back) = (chaos.commit_delay(), chaos.commit_delay());
        sleep(there).await;
        if chaos.commit_fails() {
            return Err(self.unanswered());
        }
        let done = self.at_broker(step);
        sleep(back).await;
        if chaos.commit_fails() { Err(self.unanswered()) } else { done }
    }

    fn unanswered(&self) -> Error {
        Error::environment(format!("table {}: the broker does not answer", self.table))
    }
}

#[async_trait]
impl Target for SimTarget {
    type Producer = Producer;

    fn id(&self) -> &str {
        &self.id
    }

    fn shares_producers(&self, other: &Self) -> bool {
        self.table == other.table
    }

    async fn open(&self) -> Result<(Producer, Option<Marker>)> {
        let number = self.request(|sink, _| {
            sink.producer += 1;
            sink.open = None;
            Ok(sink.producer)
        });
        let number = number.await?;
        // What was accepted is finished first.
        while let Some(done) = self.at_broker(|sink, _| sink.ending.as_ref().map(|(done, _)| *done)) {
            sleep_until(done).await;
        }
        let loses = self.place.cluster.chaos.marker_is_lost();
        let marker = self.request(|sink, _| {
            if loses && sink.marker.take().is_some() {
                sink.repair = None;
            }
            Ok(sink.marker)
        });
        Ok((Producer { number, began: None, rows: Vec::new() }, marker.await?))
    }

    async fn begin(&self, mut producer: Producer) -> Result<Producer> {
        producer.began = Some(Instant::now());
        producer.rows.clear();
        Ok(producer)
    }

    async fn send(&self, mut producer: Producer, rows: Batch) -> Result<Producer> {
        let is_first = producer.rows.is_empty();
        producer.rows.extend(changes(&rows)?);
        // Further records go without waiting for an answer to the ones before.
        if is_first {
            self.opened(&producer).await?;
        }
        Ok(producer)
    }

    async fn end(&self, producer: Producer, marker: Option<Marker>) -> Result<Producer> {
        let chaos = &self.place.cluster.chaos;
        self.opened(&producer).await?;
        let Producer { number, began, rows } = producer;
        let transaction = Transaction { began: began.unwrap_or_else(Instant::now), rows, marker };
        if chaos.commit_fails() {
            // On its way for longer than anybody waits for an answer.
            let arrives = Instant::now() + chaos.commit_delay() * 60;
            self.at_broker(|sink, _| sink.late.push((arrives, number, transaction)));
            sleep(PATIENCE).await;
            return Err(self.unanswered());
        }
        self.request(move |sink, now| sink.accept(number, transaction, now)).await?;
        while let Some(done) = self.at_broker(|sink, _| sink.ending.as_ref().map(|(done, _)| *done)) {
            sleep_until(done).await;
        }
        Ok(Producer { number, began: None, rows: Vec::new() })
    }

    async fn abandon(&self, producer: Producer) {
        let number = producer.number;
        // If it does not get there, the next producer or the timeout does the same.
        let aborted = self.request(move |sink, _| {
            sink.check(number)?;
            sink.open = None;
            Ok(())
        });
        let _ = aborted.await;
    }

    fn lost(&self, epoch: Epoch) -> Error {
        let delay = self.place.cluster.chaos.commit_delay() * 20;
        self.at_broker(|sink, now| {
            sink.repair.get_or_insert(now + delay);
        });
        Error::data(format!("table {}: nobody knows whether epoch {epoch} was written", self.table))
    }

    fn ahead(&self, written: Epoch, behind: Epoch) -> Error {
        Error::user(format!("table {} has epoch {written} already, and the job goes on behind {behind}", self.table))
    }
}

impl SimTarget {
    /// The broker knows of the transaction, from its first record.
    async fn opened(&self, producer: &Producer) -> Result<()> {
        let (number, began) = (producer.number, producer.began.unwrap_or_else(Instant::now));
        self.request(move |sink, _| {
            sink.check(number)?;
            sink.open.get_or_insert(Transaction { began, rows: Vec::new(), marker: None });
            Ok(())
        })
        .await
    }
}
