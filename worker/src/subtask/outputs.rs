//! Where the elements that leave a subtask's operators go: into its sink, or over its edges.

use std::sync::Arc;

use tokio::time::Instant;
use weir_core::connector::COMMITTABLE_BYTES;
use weir_core::{Batch, Element, Epoch, Error, Marker, OperatorUid, OutputPort, Result, Sink, Watermark};

use super::Interrupt;
use crate::chain::Emission;
use crate::exchange::{Router, estimated_bytes};
use crate::metrics::{CheckpointMetrics, OperatorMetrics, SubtaskMetrics};
use crate::staging::{StagedPart, Stager};

/// All ways out of a subtask.
pub struct Outputs {
    /// The sink at the chain's end.
    pub sink: Option<SinkStage>,
    /// Edges from the main output of the chain's last node.
    pub main: Vec<Router>,
    /// Edges from side outputs of any node of the chain.
    pub side: Vec<SideOutput>,
    /// Figures of the subtask.
    pub metrics: Arc<SubtaskMetrics>,
}

/// A sink at the end of a chain.
pub struct SinkStage {
    /// Identity of its node.
    pub uid: OperatorUid,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Takes what it stages.
    pub stager: Stager,
    /// Its counters.
    pub metrics: Arc<OperatorMetrics>,
}

/// An edge from a side output.
pub struct SideOutput {
    /// Position of the node in the chain.
    pub position: usize,
    /// Which of its outputs.
    pub port: OutputPort,
    /// The edge.
    pub router: Router,
}

/// What a sink leaves for the commit of an epoch.
pub struct Prepared {
    /// Identity of its node.
    pub uid: OperatorUid,
    /// In the connector's own words.
    pub committable: Option<Vec<u8>>,
    /// Rows that come back then.
    pub staged: StagedPart,
}

impl Outputs {
    /// Sends what the chain has emitted, and leaves `emissions` empty.
    pub async fn deliver(&mut self, emissions: &mut Vec<Emission>) -> Result<(), Interrupt> {
        for emission in emissions.drain(..) {
            match emission {
                Emission::Rows { port: OutputPort::Main, batch, .. } => self.rows(batch).await?,
                Emission::Rows { position, port, batch } => self.side_rows(position, port, batch).await?,
                Emission::Watermark(watermark) => self.watermark(watermark).await?,
            }
        }
        Ok(())
    }

    /// Rows of the main output.
    pub async fn rows(&mut self, batch: Batch) -> Result<(), Interrupt> {
        if let Some(stage) = &mut self.sink {
            stage.metrics.count_in(batch.num_rows());
            stage.metrics.count_bytes(estimated_bytes(batch.records()));
            self.metrics.backpressured(stage.sink.write(batch)).await?;
            self.metrics.backpressured(stage.stager.add(stage.sink.take_staged())).await?;
            return Ok(());
        }
        if let Some((last, others)) = self.main.split_last_mut() {
            for router in others {
                send(&self.metrics, router, Element::Batch(batch.clone())).await?;
            }
            send(&self.metrics, last, Element::Batch(batch)).await?;
        }
        Ok(())
    }

    /// Rows of a side output. Where nobody reads it they were counted, and that is all.
    pub async fn side_rows(&mut self, position: usize, port: OutputPort, batch: Batch) -> Result<(), Interrupt> {
        for side in self.side.iter_mut().filter(|side| side.position == position && side.port == port) {
            send(&self.metrics, &mut side.router, Element::Batch(batch.clone())).await?;
        }
        Ok(())
    }

    async fn watermark(&mut self, watermark: Watermark) -> Result<(), Interrupt> {
        if let Some(stage) = &self.sink {
            match watermark {
                Watermark::At(time) => stage.metrics.set_watermark(time),
                Watermark::Idle => stage.metrics.set_idle(),
            }
        }
        self.control(Element::Watermark(watermark)).await
    }

    /// Sends a watermark, marker or end over every edge.
    pub async fn control(&mut self, element: Element) -> Result<(), Interrupt> {
        let metrics = self.metrics.clone();
        for router in self.routers() {
            send(&metrics, router, element.clone()).await?;
        }
        Ok(())
    }

    /// A marker has done its work here: it is sent on.
    pub async fn passed(&mut self, marker: Marker, checkpoints: &CheckpointMetrics) -> Result<(), Interrupt> {
        self.metrics.passed(marker);
        if self.sink.is_some() {
            checkpoints.arrived(marker);
        }
        self.control(Element::Marker(marker)).await
    }

    /// Says over every edge that nothing follows, and waits until all of it has arrived in the process of its reader.
    pub async fn end(&mut self) -> Result<(), Interrupt> {
        self.control(Element::End).await?;
        let metrics = self.metrics.clone();
        for router in self.routers() {
            metrics.backpressured(router.arrived()).await?;
        }
        Ok(())
    }

    /// Lets the sink prepare what was written for `epoch`.
    pub async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Prepared>> {
        let Some(stage) = &mut self.sink else { return Ok(None) };
        let committable = self.metrics.backpressured(stage.sink.prepare(epoch)).await?;
        if let Some(length) = committable.as_ref().map(Vec::len).filter(|length| *length > COMMITTABLE_BYTES) {
            return Err(too_large(length));
        }
        self.metrics.backpressured(stage.stager.add(stage.sink.take_staged())).await?;
        Ok(Some(Prepared { uid: stage.uid.clone(), committable, staged: stage.stager.take(epoch) }))
    }

    /// When the first lingering row has to be sent; `None` if there is none.
    pub fn deadline(&self) -> Option<Instant> {
        let side = self.side.iter().map(|side| &side.router);
        self.main.iter().chain(side).filter_map(Router::deadline).min()
    }

    /// Sends lingering rows.
    pub async fn flush(&mut self) -> Result<(), Interrupt> {
        let metrics = self.metrics.clone();
        for router in self.routers() {
            metrics.backpressured(router.flush()).await?;
            metrics.count_sent(router.take_sent_bytes());
        }
        Ok(())
    }

    fn routers(&mut self) -> impl Iterator<Item = &mut Router> {
        self.main.iter_mut().chain(self.side.iter_mut().map(|side| &mut side.router))
    }
}

/// Sends over one edge. To wait for room there is backpressure.
async fn send(metrics: &SubtaskMetrics, router: &mut Router, element: Element) -> Result<(), Interrupt> {
    metrics.backpressured(router.send(element)).await?;
    metrics.count_sent(router.take_sent_bytes());
    Ok(())
}

/// It would pass through the coordinators, and stay in the manifest.
fn too_large(length: usize) -> Error {
    Error::user(format!(
        "what the sink has to commit for one checkpoint takes {length} bytes to tell, and may take {COMMITTABLE_BYTES}"
    ))
    .with_help("checkpoint more often, or let the sink write fewer files at a time: fewer partitions, or larger files")
}

#[cfg(test)]
mod tests;
