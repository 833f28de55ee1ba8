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

use tokio::time::Instant;
use weir_connectors::marker::Marker;
use weir_core::{Epoch, Error, Result};

use crate::lock::lock;
use crate::world::Change;

/// How long a transaction may be open.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// What there is of all sinks, by their tables and the ids of their transactions.
#[derive(Debug, Default)]
pub struct Broker(Mutex<BTreeMap<(String, String), Sink>>);

/// Rows of an epoch that have become visible.
pub type Finished = (Epoch, Vec<Change>);

/// What there is of a sink.
#[derive(Debug, Default)]
pub struct Sink {
    /// The number of the producer that has not been fenced.
    producer: u64,
    marker: Option<Marker>,
    /// The last epoch whose rows are visible: what a user sees who looks.
    seen: Option<Epoch>,
    open: Option<Transaction>,
    /// Epochs that a user has taken away: a commit of one that comes late writes nothing.
    taken: BTreeSet<Epoch>,
    /// When what was accepted is finished.
    ending: Option<(Instant, Transaction)>,
    /// Requests that are still under way: when they arrive, whose they are.
    late: Vec<(Instant, u64, Transaction)>,
    /// When a user writes the marker who was told that it is lost.
    repair: Option<Instant>,
}

/// A transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// When it began.
    pub began: Instant,
    /// Its rows.
    pub rows: Vec<Change>,
    /// What is written with them, at its end.
    pub marker: Option<Marker>,
}

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
        if matches!(transaction.marker, Some(Marker::Committed(epoch)) if self.taken.contains(&Epoch(epoch))) {
            return None;
        }
        self.marker = transaction.marker;
        let Some(Marker::Committed(epoch)) = transaction.marker else { return None };
        self.seen = Some(Epoch(epoch));
        Some((Epoch(epoch), transaction.rows))
    }

    fn expire(&mut self, now: Instant) {
        if self.open.take_if(|open| open.began + TIMEOUT <= now).is_some() {
            self.producer += 1;
        }
    }

    /// A new producer fences all others, and what they have open is undone.
    pub fn fence(&mut self) -> u64 {
        self.producer += 1;
        self.open = None;
        self.producer
    }

    /// When what was accepted is finished; `None`: nothing is under way.
    pub fn ends(&self) -> Option<Instant> {
        self.ending.as_ref().map(|(done, _)| *done)
    }

    /// The marker, which gets lost before it is read, in some histories.
    pub fn marker(&mut self, is_lost: bool) -> Option<Marker> {
        if is_lost && self.marker.take().is_some() {
            self.repair = None;
        }
        self.marker
    }

    /// A user is told that the marker is lost, and writes one by then.
    pub fn ask_user(&mut self, by: Instant) {
        self.repair.get_or_insert(by);
    }

    /// The first record of a transaction.
    ///
    /// # Errors
    /// If the producer has been fenced.
    pub fn begin(&mut self, producer: u64, began: Instant) -> Result<()> {
        self.check(producer)?;
        self.open.get_or_insert(Transaction { began, rows: Vec::new(), marker: None });
        Ok(())
    }

    /// What is open is undone.
    ///
    /// # Errors
    /// If the producer has been fenced.
    pub fn abort(&mut self, producer: u64) -> Result<()> {
        self.check(producer)?;
        self.open = None;
        Ok(())
    }

    /// The end of a transaction arrives at that time, whoever waits for it.
    pub fn accept_late(&mut self, producer: u64, transaction: Transaction, arrives: Instant) {
        self.late.push((arrives, producer, transaction));
    }

    /// The end of a transaction.
    ///
    /// # Errors
    /// If the producer has been fenced, or the transaction has been open for too long.
    pub fn accept(&mut self, producer: u64, transaction: Transaction, now: Instant) -> Result<()> {
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
    /// Does something with a sink, for which all that is due has happened; and what has become visible by that.
    pub fn at<T>(&self, table: &str, id: &str, step: impl FnOnce(&mut Sink, Instant) -> T) -> (Vec<Finished>, T) {
        let now = Instant::now();
        let mut sinks = lock(&self.0);
        let sink = sinks.entry((table.to_owned(), id.to_owned())).or_default();
        (sink.settle(now), step(sink, now))
    }

    /// A user has a job go on from a checkpoint, takes away what later ones have written to a table, and says so here.
    pub fn rewind(&self, table: &str, line: &BTreeSet<Epoch>) {
        let mut sinks = lock(&self.0);
        for (_, sink) in sinks.iter_mut().filter(|((of, _), _)| of == table) {
            sink.fence();
            sink.late.clear();
            if let Some((_, ending)) = sink.ending.take() {
                sink.marker = ending.marker;
            }
            let last = |epoch: Epoch| line.range(..=epoch).next_back().copied();
            let newest = sink.seen.max(sink.marker.map(Marker::epoch)).unwrap_or_default();
            sink.taken.extend((0..=newest.0).map(Epoch).filter(|epoch| !line.contains(epoch)));
            sink.seen = sink.seen.and_then(last);
            sink.marker = sink.marker.map(|marker| match (marker, last(marker.epoch())) {
                (_, None) => Marker::BeganBehind(0),
                (Marker::Committed(_), Some(epoch)) => Marker::Committed(epoch.0),
                // Also one that says nothing but what is written at most.
                (Marker::BeganBehind(_), Some(epoch)) => Marker::BeganBehind(epoch.0),
            });
        }
    }
}
