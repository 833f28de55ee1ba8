//! At least once: rows are sent as they come, and a marker passes behind them when they have arrived. What was sent behind the last
//! checkpoint is sent again after a failure.

use async_trait::async_trait;
use weir_connectors::blocking::blocking;
use weir_core::connector::SinkContext;
use weir_core::{Batch, Epoch, Error, Result, Sink};

use super::options::SinkOptions;
use super::producer::Producer;
use super::topics;
use crate::client::AWAY;

/// Without a producer it has failed, or its last call was given up: what has arrived is not known then.
struct DirectSink {
    options: SinkOptions,
    producer: Option<Producer>,
}

/// Opens a subtask's part.
pub(super) async fn open(options: SinkOptions, context: &SinkContext) -> Result<Box<dyn Sink>> {
    if context.subtask == 0 {
        topics::require(&options).await?;
    }
    let opening = options.clone();
    let producer = blocking(move || Producer::open(&opening, None)).await?;
    Ok(Box::new(DirectSink { options, producer: Some(producer) }))
}

impl DirectSink {
    async fn working(&mut self, step: impl FnOnce(&mut Producer) -> Result<()> + Send + 'static) -> Result<()> {
        let producer = self.producer.take();
        let mut producer = producer.ok_or_else(|| Error::internal("a Kafka sink was used after it had failed"))?;
        self.producer = Some(blocking(move || step(&mut producer).map(|()| producer)).await?);
        Ok(())
    }
}

#[async_trait]
impl Sink for DirectSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        let (columns, topic) = (self.options.columns.clone(), self.options.topic.clone());
        self.working(move |producer| producer.send(&topic, &columns.encode(&batch)?)).await
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        self.working(|producer| producer.flush(AWAY)).await.map(|()| None)
    }
}
