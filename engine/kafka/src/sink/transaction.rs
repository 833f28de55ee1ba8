//! The transactions of a sink, one at a time, of whichever process commits.
//!
//! Once `init_transactions` has returned, nobody else who has the transactional id can finish a transaction, and those that were begun
//! are finished or undone. So what the marker says then stays true until this producer writes it, or another one fences it; and a
//! producer that was fenced finishes nothing.

use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer as _};
use weir_connectors::marker::{Marker, Verdict};
use weir_core::{Batch, Epoch, Error, JobIdentity, Result};

use super::marker::{self, Found};
use super::options::SinkOptions;
use super::producer::{PATIENCE, Producer};

/// How long the last records of an epoch may take. A cluster lets another worker commit after a minute.
const SENDING: Duration = Duration::from_secs(60);

/// A producer that has fenced all others of its sink, and what the marker says.
pub(crate) struct Writer {
    pub(crate) options: SinkOptions,
    pub(crate) id: String,
    job: JobIdentity,
    /// Of the topic of the markers, where its own is.
    partition: i32,
    producer: Producer,
    pub(crate) marker: Option<Marker>,
}

impl Writer {
    /// Fences all others, and finds out what they have written. Waits for the network.
    ///
    /// # Errors
    /// If the cluster does not answer, or refuses.
    pub(crate) fn open(options: SinkOptions, id: String, job: JobIdentity) -> Result<Self> {
        let producer = Producer::open(&options, Some(&id))?;
        producer
            .inner()
            .init_transactions(PATIENCE)
            .map_err(|error| producer.failed(&format!("transactional id '{id}' cannot be used"), error))?;
        let Found { partition, marker } = marker::read(&options, &id, job)?;
        Ok(Self { options, id, job, partition, producer, marker })
    }

    /// What is to be done about an epoch.
    pub(crate) fn verdict(&self, epoch: Epoch) -> Verdict {
        Marker::verdict(self.marker, epoch)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// If the producer has been fenced, or has failed.
    pub(crate) fn begin(&self) -> Result<()> {
        let begun = self.producer.inner().begin_transaction();
        begun.map_err(|error| self.producer.failed("a transaction cannot be begun", error))
    }

    /// Adds rows to the transaction.
    ///
    /// # Errors
    /// If one could not be sent, or not delivered.
    pub(crate) fn send(&mut self, rows: &Batch) -> Result<()> {
        let records = self.options.columns.encode(rows)?;
        self.producer.send(&self.options.topic, &records)
    }

    /// Writes the marker (`None`: it goes), and ends the transaction. What became of it if nothing was heard of its end, is found out.
    ///
    /// # Errors
    /// If the transaction did not come about, or it could not be found out.
    pub(crate) fn finish(mut self, marker: Option<Marker>) -> Result<Self> {
        let Err(error) = self.end(marker) else {
            self.marker = marker;
            return Ok(self);
        };
        let Self { options, id, job, producer, .. } = self;
        drop(producer);
        let settled = Self::open(options, id, job)?;
        let is_done = match marker {
            Some(Marker::Committed(epoch)) => settled.verdict(Epoch(epoch)) == Verdict::Done,
            // Any marker will do for a job that begins.
            Some(Marker::BeganBehind(_)) => settled.marker.is_some(),
            None => settled.marker.is_none(),
        };
        if is_done { Ok(settled) } else { Err(error) }
    }

    fn end(&self, marker: Option<Marker>) -> Result<()> {
        let Self { options, id, partition, producer, .. } = self;
        let value = marker.map(|marker| serde_json::to_vec(&marker)).transpose();
        let value = value.map_err(|error| Error::internal("a marker cannot be written").with_source(error))?;
        let mut record = BaseRecord::<[u8], [u8]>::to(&options.commits).key(id.as_bytes());
        record.payload = value.as_deref();
        record.partition = Some(*partition);
        producer.enqueue(record, id.len())?;
        producer.flush(SENDING)?;
        let committed = producer.inner().commit_transaction(PATIENCE);
        committed.map_err(|error| producer.failed("a transaction could not be committed", error))
    }

    /// Gives up a transaction, so that nobody who reads has to wait for its end.
    pub(crate) fn abandon(self) {
        // If that fails, the next `init_transactions` ends it, or its timeout.
        if let Err(error) = self.producer.inner().abort_transaction(PATIENCE) {
            tracing::debug!(%error, id = self.id, "a transaction could not be aborted");
        }
    }
}
