//! Opens subtasks: restores their operators, opens their sources and sinks, and puts them together. Nothing runs yet.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use weir_core::connector::{SinkContext, SourceContext};
use weir_core::{
    Chain, Connector, Epoch, Error, EventTime, HashRange, InputWatermarks, JobGraph, NodeId, OperatorSpec, Result,
    SinkSpec, SourceSpec, SplitWatermarks, TableSpec,
};
use weir_operators::Scan;

use super::Deployment;
use super::restore::Restorer;
use super::wiring::Ends;
use crate::chain::OperatorChain;
use crate::metrics::OperatorMetrics;
use crate::snapshot::SubtaskSnapshot;
use crate::source_state::SourceState;
use crate::staging::Stager;
use crate::subtask::{Command, Interrupt, OperatorSubtask, Outputs, SideOutput, SinkStage, SourceSubtask};

/// A subtask that is open and waits to be run.
pub type Opened = BoxFuture<'static, Result<(), Interrupt>>;

/// What all subtasks of a part share.
pub struct Opener<'a> {
    /// The job.
    pub deployment: &'a Deployment,
    /// The checkpoint.
    pub restorer: Restorer,
    /// Where sources say that they are exhausted.
    pub exhausted: mpsc::Sender<()>,
    /// Where snapshots go.
    pub snapshots: mpsc::Sender<SubtaskSnapshot>,
}

/// What one subtask has been given.
pub struct Seat<'a> {
    /// Which subtask.
    pub place: Place<'a>,
    /// Its ends of channels.
    pub ends: Ends,
    /// Counters of each of its nodes.
    pub metrics: Vec<Arc<OperatorMetrics>>,
    /// What the driver says to it.
    pub commands: mpsc::Receiver<Command>,
}

/// Where a subtask stands in its job.
pub struct Place<'a> {
    /// The job.
    pub graph: &'a JobGraph,
    /// Its chain.
    pub chain: &'a Chain,
    /// Which subtask of the chain.
    pub index: usize,
    /// How many there are.
    pub count: usize,
}

impl Place<'_> {
    /// What the chain begins with.
    pub fn head(&self) -> &OperatorSpec {
        &self.graph.node(self.chain.head()).spec.operator
    }

    /// Whether it begins with a source.
    pub fn is_source(&self) -> bool {
        matches!(self.head(), OperatorSpec::Source(_))
    }

    /// For errors.
    fn name(&self) -> String {
        let names: Vec<&str> = self.chain.nodes.iter().map(|id: &NodeId| &*self.graph.node(*id).spec.name).collect();
        format!("{} (subtask {} of {})", names.join(" -> "), self.index + 1, self.count)
    }
}

impl Opener<'_> {
    /// Opens the subtask of a seat.
    ///
    /// # Errors
    /// If its state does not fit it, or its source or sink cannot be opened.
    pub async fn open(&self, seat: Seat<'_>) -> Result<Opened> {
        let name = seat.place.name();
        let opened = self.subtask(seat, name.clone()).await;
        opened.map_err(|error| error.context(format!("{name} could not start")))
    }

    async fn subtask(&self, seat: Seat<'_>, name: String) -> Result<Opened> {
        let Seat { place, ends, metrics, commands } = seat;
        let range = HashRange::of_subtask(place.index, place.count);
        let stages = self.restorer.stages(place.chain, range, &metrics).await?;
        let chain = OperatorChain::new(stages, usize::from(place.is_source()));
        let sink = self.sink(&place, metrics.last()).await?;
        let side = ends.side.into_iter().map(|(position, port, router)| SideOutput { position, port, router });
        let outputs = Outputs { sink, main: ends.main, side: side.collect() };
        if let OperatorSpec::Source(spec) = place.head() {
            let source = self.source(&place, spec, Source { chain, outputs, commands, metrics: metrics[0].clone() });
            return Ok(framed(name, source.await?.run()).boxed());
        }
        let restored = self.restorer.watermark(&place.graph.node(place.chain.head()).uid);
        let operator = OperatorSubtask {
            watermarks: InputWatermarks::new(ends.ordinals.len(), restored),
            gate: ends.gate,
            ordinals: ends.ordinals,
            chain,
            outputs,
            snapshots: self.snapshots.clone(),
            clock: self.deployment.clock.clone(),
        };
        Ok(framed(name, operator.run()).boxed())
    }

    /// The sink at the end of the chain, if there is one.
    async fn sink(&self, place: &Place<'_>, metrics: Option<&Arc<OperatorMetrics>>) -> Result<Option<SinkStage>> {
        let node = place.graph.node(place.chain.tail());
        let (OperatorSpec::Sink(SinkSpec { table }), Some(metrics)) = (&node.spec.operator, metrics) else {
            return Ok(None);
        };
        let Deployment { attempt, restore, .. } = self.deployment;
        let epoch = restore.as_ref().map_or(Epoch(0), |manifest| manifest.epoch);
        let context = SinkContext { uid: node.uid.clone(), subtask: place.index, attempt: *attempt, epoch };
        let sink = self.connector(table)?.open_sink(table, context).await?;
        let stager = Stager::new(self.deployment.staging_area(), &node.uid, place.index, table.clone(), epoch);
        Ok(Some(SinkStage { uid: node.uid.clone(), sink, stager, metrics: metrics.clone() }))
    }

    async fn source(&self, place: &Place<'_>, spec: &SourceSpec, parts: Source) -> Result<SourceSubtask> {
        let node = place.graph.node(place.chain.head());
        let restored = self.restorer.splits(&node.uid).await?;
        let emitted = self.restorer.watermark(&node.uid);
        let context = SourceContext {
            subtask: place.index,
            parallelism: place.count,
            restored: restored.iter().map(|state| state.position.clone()).collect(),
            batch_rows: self.deployment.batch_rows,
        };
        let source = self.connector(&spec.table)?.open_source(&spec.table, context).await?;
        Ok(SourceSubtask {
            uid: node.uid.clone(),
            table: spec.table.name.clone(),
            source,
            scan: Scan::new(spec, node.spec.schema.clone())?,
            watermarks: split_watermarks(spec, emitted),
            listened: Duration::ZERO,
            state: SourceState::restored(&restored),
            restored,
            metrics: parts.metrics,
            chain: parts.chain,
            outputs: parts.outputs,
            commands: parts.commands,
            exhausted: self.exhausted.clone(),
            snapshots: self.snapshots.clone(),
            clock: self.deployment.clock.clone(),
            emitted,
        })
    }

    fn connector(&self, table: &TableSpec) -> Result<Arc<dyn Connector>> {
        self.deployment.connectors.get(&table.connector).ok_or_else(|| {
            Error::user(format!("table {} has the connector '{}', which is not here", table.name, table.connector))
        })
    }
}

/// What a source subtask is made of, beside the source.
struct Source {
    chain: OperatorChain,
    outputs: Outputs,
    commands: mpsc::Receiver<Command>,
    metrics: Arc<OperatorMetrics>,
}

async fn framed(name: String, subtask: impl Future<Output = Result<(), Interrupt>>) -> Result<(), Interrupt> {
    subtask.await.map_err(|interrupt| match interrupt {
        Interrupt::Failed(error) => Interrupt::Failed(error.context(format!("{name} failed"))),
        Interrupt::Disconnected => Interrupt::Disconnected,
    })
}

fn split_watermarks(spec: &SourceSpec, emitted: EventTime) -> Option<SplitWatermarks> {
    let watermark = spec.watermark.as_ref()?;
    let idle_after = watermark.idle_timeout_ms.map(Duration::from_millis);
    Some(SplitWatermarks::new(emitted, idle_after))
}
