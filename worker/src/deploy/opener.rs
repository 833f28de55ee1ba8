//! Opens subtasks: restores their operators, opens their sources and sinks, and puts them together. Nothing runs yet.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tracing::Instrument;
use weir_core::connector::{Boundedness, DiscoveryContext, SinkContext, SourceContext};
use weir_core::lookup::LookupContext;
use weir_core::{
    Chain, ChangelogKind, Connector, DiscoverSpec, Epoch, Error, HashRange, InputWatermarks, JobGraph, Marker, NodeId,
    OperatorSpec, OperatorUid, Result, SinkSpec, SourceSpec, SplitWatermarks, TableSpec,
};
use weir_functions::Functions;
use weir_operators::{LookupSide, Scan};

use super::Deployment;
use super::restore::Restorer;
use super::wiring::Ends;
use crate::announcements::DiscoveryState;
use crate::chain::OperatorChain;
use crate::exchange::{ChannelSender, Gate};
use crate::lookup::Lookup;
use crate::metrics::{CheckpointMetrics, OperatorMetrics, SubtaskMetrics};
use crate::snapshot::SubtaskSnapshot;
use crate::source_state::SourceState;
use crate::staging::Stager;
use crate::staging::pace::{Pace, Standing};
use crate::subtask::{
    DiscoverySubtask, Interrupt, OperatorSubtask, Outputs, Presence, RateLimit, SideOutput, SinkStage, SourceSubtask,
    WorkerEvent,
};

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
    /// Where markers are asked for.
    pub events: mpsc::Sender<WorkerEvent>,
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
    pub operators: Vec<Arc<OperatorMetrics>>,
    /// Its own figures.
    pub subtask: Arc<SubtaskMetrics>,
    /// Figures of the job's checkpoints.
    pub checkpoints: Arc<CheckpointMetrics>,
    /// Where a discovery gets its markers from.
    pub markers: mpsc::Receiver<Marker>,
    /// Where a source hears of completed checkpoints.
    pub completed: watch::Receiver<Epoch>,
    /// Where a sink hears how far its checkpoints are.
    pub standing: watch::Receiver<Standing>,
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

    /// Whether it finds splits.
    pub fn is_discovery(&self) -> bool {
        matches!(self.head(), OperatorSpec::Discover(_))
    }

    /// Whether it ends with a sink.
    pub fn is_sink(&self) -> bool {
        matches!(self.graph.node(self.chain.tail()).spec.operator, OperatorSpec::Sink(_))
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
        let Seat { place, ends, operators: metrics, subtask, checkpoints, markers, completed, standing } = seat;
        let range = HashRange::of_subtask(place.index, place.count);
        let functions = self.deployment.functions_of_subtask()?;
        let mut stages = self.restorer.stages(place.chain, range, &metrics, &functions).await?;
        for stage in &mut stages {
            stage.lookup = self.lookup(&place, stage.uid.clone(), &functions).await?;
        }
        let chain = OperatorChain::new(stages, usize::from(place.is_source()));
        let pace = Pace::new(standing, self.deployment.checkpoint_interval);
        let sink = self.sink(&place, metrics.last(), pace).await?;
        let side = ends.side.into_iter().map(|(position, port, router)| SideOutput { position, port, router });
        let outputs = Outputs { sink, main: ends.main, side: side.collect(), metrics: subtask.clone() };
        match place.head() {
            OperatorSpec::Discover(spec) => {
                let readers = Readers { reports: ends.gate, readers: ends.senders, outputs, markers };
                let discovery = self.discovery(&place, spec, readers).await?;
                return Ok(self.framed(&place, name, subtask, discovery.run()));
            }
            OperatorSpec::Source(spec) => {
                let reports = ends.report.ok_or_else(|| Error::internal("a source is behind no discovery"))?;
                let metrics = metrics[0].clone();
                let discovery = ends.gate;
                let parts = Source { discovery, reports, chain, outputs, metrics, checkpoints, completed, functions };
                let source = self.source(&place, spec, parts).await?;
                return Ok(self.framed(&place, name, subtask, source.run()));
            }
            _ => {}
        }
        let restored = self.restorer.watermark(&place.graph.node(place.chain.head()).uid);
        let operator = OperatorSubtask {
            watermarks: InputWatermarks::new(ends.senders.len(), restored),
            gate: ends.gate,
            ordinals: ends.senders.into_iter().map(|(ordinal, _)| ordinal).collect(),
            chain,
            outputs,
            checkpoints,
            snapshots: self.snapshots.clone(),
            clock: self.deployment.clock.clone(),
        };
        Ok(self.framed(&place, name, subtask, operator.run()))
    }

    /// The subtask as it is run.
    fn framed(
        &self,
        place: &Place<'_>,
        name: String,
        metrics: Arc<SubtaskMetrics>,
        subtask: impl Future<Output = Result<(), Interrupt>> + Send + 'static,
    ) -> Opened {
        let Deployment { job, attempt, .. } = self.deployment;
        let vertex = &*place.graph.node(place.chain.head()).spec.name;
        // Where nothing is logged that is as bad as an error, there is no span.
        let span = tracing::error_span!("subtask", %job, %attempt, vertex, subtask = place.index);
        framed(name, metrics, subtask).instrument(span).boxed()
    }

    /// What the operator of that node looks rows up in.
    async fn lookup(&self, place: &Place<'_>, uid: OperatorUid, functions: &Arc<Functions>) -> Result<Option<Lookup>> {
        let mut nodes = place.chain.nodes.iter().map(|id| place.graph.node(*id));
        let node = nodes.find(|node| node.uid == uid);
        let Some(OperatorSpec::LookupJoin(spec)) = node.map(|node| &node.spec.operator) else { return Ok(None) };
        let table = &spec.source.table;
        let context = LookupContext {
            keys: spec.on.iter().map(|(_, key)| spec.read_as(*key)).collect(),
            batch_rows: self.deployment.batch_rows,
            attempt: self.deployment.attempt,
        };
        let table = self.connector(table)?.open_lookup(table, context).await?;
        let side = LookupSide::new(spec.clone(), functions.clone());
        Ok(Some(Lookup::new(table, side, self.deployment.blocking.clone())))
    }

    /// The sink at the end of the chain, if there is one.
    async fn sink(
        &self,
        place: &Place<'_>,
        metrics: Option<&Arc<OperatorMetrics>>,
        pace: Pace,
    ) -> Result<Option<SinkStage>> {
        let node = place.graph.node(place.chain.tail());
        let (OperatorSpec::Sink(SinkSpec { table }), Some(metrics)) = (&node.spec.operator, metrics) else {
            return Ok(None);
        };
        let connector = self.connector(table)?;
        for input in place.graph.inputs_of(place.chain.tail())? {
            check_taken(&*connector, table, &input.changelog)?;
        }
        let Deployment { identity, attempt, .. } = self.deployment;
        let epoch = self.deployment.restored_epoch();
        let context =
            SinkContext { job: *identity, uid: node.uid.clone(), subtask: place.index, attempt: *attempt, epoch };
        let sink = connector.open_sink(table, context).await?;
        let (area, schema) = (self.deployment.staging_area(), connector.staged_schema(table));
        let stager = Stager::new(area, &node.uid, place.index, table, schema, epoch).at(pace);
        Ok(Some(SinkStage { uid: node.uid.clone(), sink, stager, metrics: metrics.clone() }))
    }

    async fn discovery(&self, place: &Place<'_>, spec: &DiscoverSpec, parts: Readers) -> Result<DiscoverySubtask> {
        let uid = place.graph.node(place.chain.head()).uid.clone();
        let state = DiscoveryState::restored(self.restorer.announced(&uid).await?);
        let known = state.announced().map(|announced| announced.split.clone()).collect();
        let context = DiscoveryContext { known, attempt: self.deployment.attempt };
        let discovery = self.connector(&spec.table)?.open_discovery(&spec.table, context).await?;
        Ok(DiscoverySubtask {
            uid,
            discovery,
            state,
            reports: parts.reports,
            readers: parts.readers,
            outputs: parts.outputs,
            markers: parts.markers,
            snapshots: self.snapshots.clone(),
        })
    }

    async fn source(&self, place: &Place<'_>, spec: &SourceSpec, parts: Source) -> Result<SourceSubtask> {
        let node = place.graph.node(place.chain.head());
        let restored = self.restorer.splits(&node.uid).await?;
        let emitted = self.restorer.watermark(&node.uid);
        let rows = self.deployment.batch_rows;
        let context = SourceContext {
            subtask: place.index,
            parallelism: place.count,
            batch_rows: spec.rows_per_second.map_or(rows, |limit| RateLimit::batch_rows(limit, place.count, rows)),
        };
        let connector = self.connector(&spec.table)?;
        let source = connector.open_source(&spec.table, context).await?;
        let watermarks = spec.watermark.as_ref().map(|watermark| {
            // Nothing of a table that ends may be late because something else of it took its time.
            let is_bounded = connector.boundedness(&spec.table) == Boundedness::Bounded;
            let idle_after = watermark.idle_timeout_ms.filter(|_| !is_bounded).map(Duration::from_millis);
            let max_drift = watermark.max_drift_ms.map(Duration::from_millis);
            SplitWatermarks::new(emitted, idle_after).aligned(max_drift)
        });
        Ok(SourceSubtask {
            uid: node.uid.clone(),
            table: spec.table.name.clone(),
            place: (place.index, place.count),
            discovery: parts.discovery,
            reports: parts.reports,
            source,
            scan: Scan::new(spec, node.spec.schema.clone(), &parts.functions)?,
            limit: spec.rows_per_second.map(|limit| RateLimit::new(limit, place.count)),
            watermarks,
            listened: Duration::ZERO,
            presence: Presence::default(),
            state: SourceState::restored(restored),
            metrics: parts.metrics,
            checkpoints: parts.checkpoints,
            chain: parts.chain,
            outputs: parts.outputs,
            exhausted: self.exhausted.clone(),
            events: self.events.clone(),
            completed: parts.completed,
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

/// The planner has asked as well. But what arrives here is a job that somebody has sent, and a sink that does not know of
/// weights would write what is taken back as added.
fn check_taken(connector: &dyn Connector, table: &TableSpec, stream: &ChangelogKind) -> Result<()> {
    if connector.takes(table, stream) {
        return connector.check_stream(table, stream);
    }
    Err(Error::internal(format!(
        "table {} was given a stream of the kind {stream}, which its connector '{}' does not take",
        table.name, table.connector
    )))
}

/// What a discovery's subtask is made of, beside the discovery.
struct Readers {
    reports: Gate,
    readers: Vec<(usize, usize)>,
    outputs: Outputs,
    markers: mpsc::Receiver<Marker>,
}

/// What a source subtask is made of, beside the source.
struct Source {
    discovery: Gate,
    reports: ChannelSender,
    chain: OperatorChain,
    outputs: Outputs,
    metrics: Arc<OperatorMetrics>,
    checkpoints: Arc<CheckpointMetrics>,
    completed: watch::Receiver<Epoch>,
    functions: Arc<Functions>,
}

/// What an error of a subtask, and a log event of it, says of where it happened.
async fn framed(
    name: String,
    metrics: Arc<SubtaskMetrics>,
    subtask: impl Future<Output = Result<(), Interrupt>>,
) -> Result<(), Interrupt> {
    metrics.running(subtask).await.map_err(|interrupt| match interrupt {
        Interrupt::Failed(error) => Interrupt::Failed(error.context(format!("{name} failed"))),
        Interrupt::Disconnected => Interrupt::Disconnected,
    })
}
