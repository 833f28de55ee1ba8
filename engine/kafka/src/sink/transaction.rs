//! Kafka's transactions, for what decides about them ([`transactions`](weir_connectors::transactions)). Each step waits for the network, on a
//! blocking thread.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::producer::{BaseRecord, Producer as _};
use weir_connectors::blocking::blocking;
use weir_connectors::marker::Marker;
use weir_connectors::transactions::Target;
use weir_core::{Batch, Epoch, Error, JobIdentity, OperatorUid, Result};

use super::columns::Columns;
use super::marker::{self, Found};
use super::options::SinkOptions;
use super::producer::{PATIENCE, Producer};

/// How long the last records of an epoch may take. A cluster lets another worker commit after a minute.
const SENDING: Duration = Duration::from_secs(60);

/// A sink's way into the cluster.
#[derive(Debug, Clone)]
pub(crate) struct KafkaTarget {
    options: SinkOptions,
    id: String,
    job: JobIdentity,
}

/// A producer with the sink's transactional id.
pub(crate) struct Transacting {
    producer: Producer,
    /// Of the topic of the markers, where the sink's own is.
    partition: i32,
    /// What encodes the rows of the transaction that was begun.
    columns: Option<Columns>,
}

impl KafkaTarget {
    /// What encodes rows, by the schema that the registry or the file has now.
    async fn registered(&self) -> Result<Columns> {
        let mut columns = self.options.columns.clone();
        columns.register().await?;
        Ok(columns)
    }

    pub(crate) fn new(options: SinkOptions, job: JobIdentity, uid: &OperatorUid) -> Self {
        Self { id: options.transactional_id(job, uid), options, job }
    }
}

#[async_trait]
impl Target for KafkaTarget {
    type Producer = Transacting;

    fn id(&self) -> &str {
        &self.id
    }

    fn shares_producers(&self, other: &Self) -> bool {
        self.options.client.is_alike(&other.options.client) && self.options.commits == other.options.commits
    }

    async fn open(&self) -> Result<(Transacting, Option<Marker>)> {
        let Self { options, id, job } = self.clone();
        blocking(move || {
            let producer = Producer::open(&options, Some(&id))?;
            producer
                .inner()
                .init_transactions(PATIENCE)
                .map_err(|error| producer.failed(&format!("transactional id '{id}' cannot be used"), error))?;
            let Found { partition, marker } = marker::read(&options, &id, job)?;
            Ok((Transacting { producer, partition, columns: None }, marker))
        })
        .await
    }

    async fn begin(&self, mut transacting: Transacting) -> Result<Transacting> {
        transacting.columns = None;
        transacting
            .or_abandoned(|Transacting { producer, .. }| {
                let begun = producer.inner().begin_transaction();
                begun.map_err(|error| producer.failed("a transaction cannot be begun", error))
            })
            .await
    }

    async fn send(&self, mut transacting: Transacting, rows: Batch) -> Result<Transacting> {
        // Not before there are rows: an epoch that is there already, and a marker alone, need no schema.
        let columns = match transacting.columns.take() {
            Some(columns) => Ok(columns),
            None => self.registered().await,
        };
        let topic = self.options.topic.clone();
        transacting
            .or_abandoned(move |Transacting { producer, columns: kept, .. }| {
                let columns = kept.insert(columns?);
                producer.send(&topic, &columns.encode(&rows)?)
            })
            .await
    }

    async fn end(&self, transacting: Transacting, marker: Option<Marker>) -> Result<Transacting> {
        let (id, topic) = (self.id.clone(), self.options.commits.clone());
        blocking(move || {
            let Transacting { producer, partition, .. } = &transacting;
            let value = marker.map(|marker| serde_json::to_vec(&marker)).transpose();
            let value = value.map_err(|error| Error::internal("a marker cannot be written").with_source(error))?;
            let mut record = BaseRecord::<[u8], [u8]>::to(&topic).key(id.as_bytes());
            record.payload = value.as_deref();
            record.partition = Some(*partition);
            producer.enqueue(record, id.len())?;
            producer.flush(SENDING)?;
            let committed = producer.inner().commit_transaction(PATIENCE);
            committed.map_err(|error| producer.failed("a transaction could not be committed", error))?;
            Ok(transacting)
        })
        .await
    }

    async fn abandon(&self, transacting: Transacting) {
        let abandoned = blocking(move || {
            transacting.abandon();
            Ok(())
        });
        // Nothing that it does fails.
        let _ = abandoned.await;
    }

    fn lost(&self, epoch: Epoch) -> Error {
        marker::lost(&self.options, &self.id, epoch)
    }

    fn ahead(&self, written: Epoch, behind: Epoch) -> Error {
        let SinkOptions { topic, table, .. } = &self.options;
        Error::user(format!(
            "topic '{topic}' already has the rows of table '{table}' up to epoch {written}, and the job goes on behind epoch {behind}"
        ))
        .with_help("a job that goes back to an older checkpoint would write rows twice: run it as a new job")
    }
}

impl Transacting {
    /// A step of a transaction. One that fails ends it.
    async fn or_abandoned(mut self, step: impl FnOnce(&mut Self) -> Result<()> + Send + 'static) -> Result<Self> {
        blocking(move || match step(&mut self) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        })
        .await
    }

    fn abandon(self) {
        // If that fails, the next `init_transactions` ends it, or its timeout.
        if let Err(error) = self.producer.inner().abort_transaction(PATIENCE) {
            tracing::debug!(%error, "a transaction could not be aborted");
        }
    }
}
