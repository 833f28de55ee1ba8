//! What a sink does about an epoch in a system whose transactions are fenced by an id, as Kafka's are: whatever was committed before, left
//! open by a process that is gone, or ended without an answer, the rows of the epoch are there once.
//!
//! ```text
//!   open       fences whoever else has the id, ends what they left open, and reads the marker     ([`Target::open`])
//!   verdict    is the epoch there already?                                                        ([`Marker::verdict`])
//!   begin, send, end    the rows, and the marker with this epoch: all of it becomes visible, or nothing
//! ```
//!
//! Once a producer is open nobody else who has the id can finish a transaction. So what the marker says then stays true until this producer
//! writes it, or another one fences it; and a producer that was fenced finishes nothing. What became of a transaction whose end was not heard
//! of is therefore never guessed: the next producer knows.
//!
//! A [`Target`] is the system and one sink's way into it: `weir-kafka` has the real one, the simulator a model, and both run what is here.

mod writers;

use async_trait::async_trait;
use weir_core::bugs::{self, Bug};
use weir_core::connector::StagedRows;
use weir_core::{Batch, Epoch, Error, Result};

pub use self::writers::Writers;
use crate::marker::{Marker, Verdict};

/// A system with transactions that are fenced by an id, and the way of one sink into it. The sink has one id, whatever its parallelism.
#[async_trait]
pub trait Target: Clone + Send + Sync + 'static {
    /// What has fenced all others.
    type Producer: Send + 'static;

    /// The id of the sink's transactions.
    fn id(&self) -> &str;

    /// Whether a producer that was opened by the other target, which has the same id, serves this one too.
    fn shares_producers(&self, other: &Self) -> bool;

    /// A producer that has fenced all others with this id, and the sink's marker as it is then: a transaction that one of them has left open
    /// is undone, and one whose end was accepted is visible.
    ///
    /// # Errors
    /// If the system does not answer, or refuses.
    async fn open(&self) -> Result<(Self::Producer, Option<Marker>)>;

    /// Begins a transaction. After an error nothing is open.
    ///
    /// # Errors
    /// If the producer was fenced, or has failed.
    async fn begin(&self, producer: Self::Producer) -> Result<Self::Producer>;

    /// Adds rows to the transaction, or gives it up.
    ///
    /// # Errors
    /// If one could not be sent.
    async fn send(&self, producer: Self::Producer, rows: Batch) -> Result<Self::Producer>;

    /// Writes the marker (`None`: it goes) and ends the transaction.
    ///
    /// # Errors
    /// What became of the transaction is not known.
    async fn end(&self, producer: Self::Producer, marker: Option<Marker>) -> Result<Self::Producer>;

    /// Gives up the transaction, so that nobody who reads has to wait for its end. If that fails, the next [`open`](Self::open) does it.
    async fn abandon(&self, producer: Self::Producer);

    /// The error of an epoch of which nobody knows whether it was written: the marker that would say so has been lost.
    fn lost(&self, epoch: Epoch) -> Error;

    /// The error of a job that goes on behind an epoch that is older than the one that the marker names.
    fn ahead(&self, written: Epoch, behind: Epoch) -> Error;
}

/// A producer that has fenced all others of its sink, and what the marker says.
#[derive(Debug)]
struct Writer<T: Target> {
    target: T,
    producer: T::Producer,
    marker: Option<Marker>,
}

impl<T: Target> Writer<T> {
    async fn open(target: T) -> Result<Self> {
        let (producer, marker) = target.open().await?;
        Ok(Self { target, producer, marker })
    }

    async fn begin(self) -> Result<Self> {
        let Self { target, producer, marker } = self;
        Ok(Self { producer: target.begin(producer).await?, target, marker })
    }

    async fn send(self, rows: Batch) -> Result<Self> {
        let Self { target, producer, marker } = self;
        Ok(Self { producer: target.send(producer, rows).await?, target, marker })
    }

    /// Ends the transaction. What became of it if nothing was heard of its end, is found out.
    ///
    /// # Errors
    /// If the transaction did not come about, or it could not be found out.
    async fn end(self, marker: Option<Marker>) -> Result<Self> {
        let Self { target, producer, .. } = self;
        let error = match target.end(producer, marker).await {
            Ok(producer) => return Ok(Self { target, producer, marker }),
            Err(error) => error,
        };
        let settled = Self::open(target).await?;
        if bugs::is_on(Bug::DoubtIsDone) {
            return Ok(settled);
        }
        let is_done = match marker {
            Some(Marker::Committed(epoch)) => Marker::verdict(settled.marker, Epoch(epoch)) == Verdict::Done,
            // Any marker will do for a job that begins.
            Some(Marker::BeganBehind(_)) => settled.marker.is_some(),
            None => settled.marker.is_none(),
        };
        if is_done { Ok(settled) } else { Err(error) }
    }
}

/// A job begins, behind an epoch: sees to it that its sink has a marker. A new one says that nothing is written by the sink so far: what is
/// decided up to here and not written had a marker, which is lost then.
///
/// # Errors
/// If the system does not answer, or has the rows of later epochs.
pub async fn establish<T: Target>(target: T, behind: Epoch, writers: &Writers<T>) -> Result<()> {
    // What a kept one knows may be old: meanwhile others may have written, and fenced it.
    drop(writers.take(&target));
    let writer = Writer::open(target).await?;
    let writer = match writer.marker {
        None => writer.begin().await?.end(Some(Marker::BeganBehind(behind.0))).await?,
        Some(marker) if marker.epoch() > behind => return Err(writer.target.ahead(marker.epoch(), behind)),
        Some(_) => writer,
    };
    writers.keep(writer);
    Ok(())
}

/// Writes the rows of an epoch, which has some, unless they are there already.
///
/// # Errors
/// If it could not be done, or could not be told whether it was; it is to be tried again.
pub async fn commit<T: Target>(
    target: T,
    epoch: Epoch,
    staged: &mut dyn StagedRows,
    writers: &Writers<T>,
) -> Result<()> {
    let mut writer = match writers.take(&target) {
        Some(kept) => kept,
        None => Writer::open(target).await?,
    };
    match Marker::verdict(writer.marker, epoch) {
        Verdict::Unknown if !bugs::is_on(Bug::MissingMarkerIsDue) => return Err(writer.target.lost(epoch)),
        Verdict::Done => {
            writers.keep(writer);
            return Ok(());
        }
        Verdict::Due | Verdict::Unknown => {}
    }
    writer = writer.begin().await?;
    loop {
        match staged.next().await {
            Ok(Some(rows)) => writer = writer.send(rows).await?,
            Ok(None) => break,
            Err(error) => {
                let Writer { target, producer, .. } = writer;
                target.abandon(producer).await;
                return Err(error);
            }
        }
    }
    writers.keep(writer.end(Some(Marker::Committed(epoch.0))).await?);
    Ok(())
}

/// Ends a transaction that may be open. The marker of a job that was deleted goes.
///
/// # Errors
/// If the system does not answer.
pub async fn discard<T: Target>(target: T, is_deleted: bool, writers: &Writers<T>) -> Result<()> {
    drop(writers.take(&target));
    let writer = Writer::open(target).await?;
    if is_deleted && writer.marker.is_some() {
        writer.begin().await?.end(None).await?;
    }
    Ok(())
}
