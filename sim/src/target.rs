//! A sink's way to the [broker](crate::broker): requests that take their time, do not arrive, or are not answered.

use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType};
use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use weir_connectors::marker::Marker;
use weir_connectors::transactions::Target;
use weir_core::{Batch, Epoch, Error, JobIdentity, Result};

use crate::broker::{Sink, Transaction};
use crate::cluster::Cluster;
use crate::engine::Host;
use crate::world::Change;

/// How long a producer waits for an answer.
const PATIENCE: Duration = Duration::from_millis(400);

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
    /// That of a job's sink, from a machine.
    pub fn new(place: &Host, table: &str, job: JobIdentity) -> Self {
        Self { place: place.clone(), table: table.to_owned(), id: format!("{job}-{table}") }
    }

    /// Does something at the broker, where all that is due has happened.
    fn at_broker<T>(&self, step: impl FnOnce(&mut Sink, Instant) -> T) -> T {
        let cluster = &self.place.cluster;
        let (finished, done) = cluster.broker.at(&self.table, &self.id, step);
        for (epoch, rows) in finished {
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
        let number = self.request(|sink, _| Ok(sink.fence())).await?;
        // What was accepted is finished first.
        self.ended().await;
        let Cluster { chaos, trace, .. } = &*self.place.cluster;
        let is_lost = chaos.marker_is_lost();
        let marker = self.request(|sink, _| Ok(sink.marker(is_lost))).await?;
        let lost = if is_lost { ", and is lost" } else { "" };
        trace.say("out", format_args!("producer {number} of {}: the marker says {marker:?}{lost}", self.table));
        Ok((Producer { number, began: None, rows: Vec::new() }, marker))
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
            self.at_broker(|sink, _| sink.accept_late(number, transaction, arrives));
            sleep(PATIENCE).await;
            return Err(self.unanswered());
        }
        self.request(move |sink, now| sink.accept(number, transaction, now)).await?;
        self.ended().await;
        Ok(Producer { number, began: None, rows: Vec::new() })
    }

    async fn abandon(&self, producer: Producer) {
        let number = producer.number;
        // If it does not get there, the next producer or the timeout does the same.
        let _ = self.request(move |sink, _| sink.abort(number)).await;
    }

    fn lost(&self, epoch: Epoch) -> Error {
        let delay = self.place.cluster.chaos.commit_delay() * 20;
        self.at_broker(|sink, now| sink.ask_user(now + delay));
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
        self.request(move |sink, _| sink.begin(number, began)).await
    }

    /// Nothing is being ended.
    async fn ended(&self) {
        while let Some(done) = self.at_broker(|sink, _| sink.ends()) {
            sleep_until(done).await;
        }
    }
}

/// Rows as lines.
pub fn changes(batch: &Batch) -> Result<Vec<Change>> {
    let columns = batch.records().columns();
    let line = |row| columns.iter().map(|column| cell(column, row)).collect::<Result<Vec<_>>>();
    let weight = |row| batch.weights().map_or(1, |weights| i64::from(weights.value(row)));
    let change = |row| line(row).map(|cells| Change { row: cells.join("|"), weight: weight(row) });
    (0..batch.num_rows()).map(change).collect()
}

fn cell(column: &ArrayRef, row: usize) -> Result<String> {
    if column.is_null(row) {
        return Ok("null".to_owned());
    }
    match column.data_type() {
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Timestamp(..) => Ok(column.as_primitive::<TimestampMillisecondType>().value(row).to_string()),
        other => Err(Error::user(format!("a simulated sink does not know {other}"))),
    }
}
