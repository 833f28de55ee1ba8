//! From a job graph to running subtasks: wires the exchange, restores state, opens sources and sinks, spawns, and
//! watches over what it has spawned.

mod restore;
mod wiring;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use weir_core::connector::{SinkContext, SourceContext};
use weir_core::{
    Attempt, Chain, Connector, ConnectorRegistry, Epoch, Error, EventTime, HashRange, InputWatermarks, JobGraph,
    NodeId, OperatorSpec, OperatorUid, Parallelism, Result, SinkSpec, SourceSpec, SplitWatermarks, TableSpec,
};
use weir_operators::Scan;
use weir_state::{Manifest, Storage};

use self::restore::Restorer;
use self::wiring::Wiring;
use crate::chain::OperatorChain;
use crate::clock::Clock;
use crate::metrics::{JobMetrics, OperatorMetrics};
use crate::snapshot::{Snapshots, SubtaskSnapshot};
use crate::source_state::SourceState;
use crate::subtask::{Command, Interrupt, OperatorSubtask, Outputs, SideOutput, SinkStage, SourceSubtask, WorkerEvent};

/// What to run and how.
pub struct Deployment {
    /// The job.
    pub graph: Arc<JobGraph>,
    /// Sources and sinks.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// Subtasks of each node that does not insist on one.
    pub parallelism: usize,
    /// This execution.
    pub attempt: Attempt,
    /// The checkpoint to go on from.
    pub restore: Option<Manifest>,
    /// Where checkpoints are; without, operators keep no state beyond this process.
    pub storage: Option<Arc<dyn Storage>>,
    /// Rows that sources put into a batch.
    pub batch_rows: usize,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// The runtime that subtasks run on, apart from the caller's.
    pub compute: Handle,
}

/// A running job. Dropping it stops every subtask where it stands.
pub struct JobHandle {
    commands: Vec<mpsc::Sender<Command>>,
    events: mpsc::Receiver<WorkerEvent>,
    metrics: Arc<JobMetrics>,
    supervisor: JoinHandle<()>,
    uploads: JoinHandle<()>,
}

impl JobHandle {
    /// Tells every source. A source that is gone has failed, and the supervisor says so.
    pub async fn command(&self, command: Command) {
        for source in &self.commands {
            let _ = source.send(command).await;
        }
    }

    /// Waits for the next event; `None` after [`WorkerEvent::Finished`] or [`WorkerEvent::Failed`].
    pub async fn event(&mut self) -> Option<WorkerEvent> {
        self.events.recv().await
    }

    /// The job's counters.
    pub fn metrics(&self) -> &Arc<JobMetrics> {
        &self.metrics
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        self.supervisor.abort();
        self.uploads.abort();
    }
}

/// Queue lengths, in messages: each is a handful per epoch.
const CONTROL_QUEUE: usize = 16;

/// Restores and starts a job. Returns when every source and sink is open and every subtask runs.
///
/// # Errors
/// If a source or sink cannot be opened, or the checkpoint does not fit the job.
pub async fn deploy(deployment: Deployment) -> Result<JobHandle> {
    let chains = deployment.graph.chains();
    let (event_sender, events) = mpsc::channel(CONTROL_QUEUE);
    let (exhausted_sender, exhausted) = mpsc::channel(CONTROL_QUEUE);
    let (snapshot_sender, snapshots) = mpsc::channel(CONTROL_QUEUE);
    let mut opener = Opener {
        wiring: Wiring::new(&deployment.graph, &chains, deployment.parallelism),
        restorer: Restorer::new(deployment.graph.clone(), deployment.restore.clone(), deployment.storage.clone()),
        deployment: &deployment,
        exhausted: exhausted_sender,
        snapshots: snapshot_sender,
        metrics: JobMetrics::default(),
        commands: Vec::new(),
        sinks: BTreeMap::new(),
    };
    let mut subtasks = Vec::new();
    for chain in &chains {
        let count = wiring::subtasks(&deployment.graph, chain, deployment.parallelism);
        for index in 0..count {
            let place = Place { graph: &deployment.graph, chain, index, count };
            let subtask = opener.open(&place).await;
            subtasks.push(subtask.map_err(|error| error.context(format!("{} could not start", place.name())))?);
        }
    }
    let Opener { metrics, commands, sinks, .. } = opener;
    // Nothing runs before everything is open: a job that cannot start has not done anything.
    let mut tasks = JoinSet::new();
    for subtask in subtasks {
        tasks.spawn_on(subtask, &deployment.compute);
    }
    let Deployment { storage, attempt, .. } = deployment;
    let uploads = Snapshots { subtasks: tasks.len(), storage, attempt, sinks, events: event_sender.clone() };
    let uploads = tokio::spawn(uploads.run(snapshots));
    let supervisor = tokio::spawn(supervise(tasks, commands.len(), exhausted, event_sender));
    Ok(JobHandle { commands, events, metrics: Arc::new(metrics), supervisor, uploads })
}

type Running = BoxFuture<'static, Result<(), Interrupt>>;

/// Opens subtasks, one after the other.
struct Opener<'a> {
    deployment: &'a Deployment,
    wiring: Wiring,
    restorer: Restorer,
    exhausted: mpsc::Sender<()>,
    snapshots: mpsc::Sender<SubtaskSnapshot>,
    metrics: JobMetrics,
    commands: Vec<mpsc::Sender<Command>>,
    sinks: BTreeMap<OperatorUid, TableSpec>,
}

/// What both kinds of subtasks have.
struct Parts {
    chain: OperatorChain,
    outputs: Outputs,
    metrics: Vec<Arc<OperatorMetrics>>,
}

impl Opener<'_> {
    async fn open(&mut self, place: &Place<'_>) -> Result<Running> {
        let parts = self.parts(place).await?;
        let name = place.name();
        Ok(match place.head() {
            OperatorSpec::Source(spec) => framed(name, self.source(place, spec, parts).await?.run()).boxed(),
            _ => framed(name, self.operator(place, parts).run()).boxed(),
        })
    }

    async fn parts(&mut self, place: &Place<'_>) -> Result<Parts> {
        let nodes = place.chain.nodes.iter().map(|id| place.graph.node(*id));
        let metrics: Vec<_> = nodes.map(|node| self.metrics.register(&node.uid, &node.spec.operator)).collect();
        let range = HashRange::of_subtask(place.index, place.count);
        let stages = self.restorer.stages(place.chain, range, &metrics).await?;
        let first = usize::from(matches!(place.head(), OperatorSpec::Source(_)));
        let (main, side) = self.wiring.routers(place.chain, place.index);
        let side = side.into_iter().map(|(position, port, router)| SideOutput { position, port, router });
        let sink = self.sink(place, metrics.last()).await?;
        let outputs = Outputs { sink, main, side: side.collect() };
        Ok(Parts { chain: OperatorChain::new(stages, first), outputs, metrics })
    }

    /// The sink at the end of the chain, if there is one.
    async fn sink(&mut self, place: &Place<'_>, metrics: Option<&Arc<OperatorMetrics>>) -> Result<Option<SinkStage>> {
        let node = place.graph.node(place.chain.tail());
        let (OperatorSpec::Sink(SinkSpec { table }), Some(metrics)) = (&node.spec.operator, metrics) else {
            return Ok(None);
        };
        let Deployment { attempt, restore, .. } = self.deployment;
        let epoch = restore.as_ref().map_or(Epoch(0), |manifest| manifest.epoch);
        let context = SinkContext { uid: node.uid.clone(), subtask: place.index, attempt: *attempt, epoch };
        let sink = self.connector(table)?.open_sink(table, context).await?;
        self.sinks.insert(node.uid.clone(), table.clone());
        Ok(Some(SinkStage { uid: node.uid.clone(), sink, metrics: metrics.clone() }))
    }

    async fn source(&mut self, place: &Place<'_>, spec: &SourceSpec, parts: Parts) -> Result<SourceSubtask> {
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
        let (command_sender, commands) = mpsc::channel(CONTROL_QUEUE);
        self.commands.push(command_sender);
        Ok(SourceSubtask {
            uid: node.uid.clone(),
            table: spec.table.name.clone(),
            source,
            scan: Scan::new(spec, node.spec.schema.clone())?,
            watermarks: split_watermarks(spec, emitted),
            state: SourceState::restored(&restored),
            restored,
            metrics: parts.metrics[0].clone(),
            chain: parts.chain,
            outputs: parts.outputs,
            commands,
            exhausted: self.exhausted.clone(),
            snapshots: self.snapshots.clone(),
            clock: self.deployment.clock.clone(),
            emitted,
        })
    }

    fn operator(&mut self, place: &Place<'_>, parts: Parts) -> OperatorSubtask {
        let (gate, ordinals) = self.wiring.gate(place.chain, place.index);
        let restored = self.restorer.watermark(&place.graph.node(place.chain.head()).uid);
        OperatorSubtask {
            watermarks: InputWatermarks::new(ordinals.len(), restored),
            gate,
            ordinals,
            chain: parts.chain,
            outputs: parts.outputs,
            snapshots: self.snapshots.clone(),
            clock: self.deployment.clock.clone(),
        }
    }

    fn connector(&self, table: &TableSpec) -> Result<Arc<dyn Connector>> {
        self.deployment.connectors.get(&table.connector).ok_or_else(|| {
            Error::user(format!("table {} has the connector '{}', which is not here", table.name, table.connector))
        })
    }
}

/// Where a subtask stands in its job, for errors.
struct Place<'a> {
    graph: &'a JobGraph,
    chain: &'a Chain,
    index: usize,
    count: usize,
}

impl Place<'_> {
    fn head(&self) -> &OperatorSpec {
        &self.graph.node(self.chain.head()).spec.operator
    }

    fn name(&self) -> String {
        let names: Vec<&str> = self.chain.nodes.iter().map(|id: &NodeId| &*self.graph.node(*id).spec.name).collect();
        format!("{} (subtask {} of {})", names.join(" -> "), self.index + 1, self.count)
    }
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

/// Owns the subtasks: says when the sources are exhausted, when all have ended, and which one failed first; then stops
/// the others.
async fn supervise(
    mut tasks: JoinSet<Result<(), Interrupt>>,
    mut sources: usize,
    mut exhausted: mpsc::Receiver<()>,
    events: mpsc::Sender<WorkerEvent>,
) {
    loop {
        let event = tokio::select! {
            joined = tasks.join_next() => match joined {
                None => WorkerEvent::Finished,
                Some(Ok(Ok(()) | Err(Interrupt::Disconnected))) => continue,
                Some(Ok(Err(Interrupt::Failed(error)))) => WorkerEvent::Failed(error),
                Some(Err(join)) => WorkerEvent::Failed(Error::internal("a subtask panicked").with_source(join)),
            },
            Some(()) = exhausted.recv() => {
                sources -= 1;
                if sources > 0 {
                    continue;
                }
                WorkerEvent::SourcesExhausted
            }
        };
        let last = matches!(event, WorkerEvent::Finished | WorkerEvent::Failed(_));
        // The driver is gone only when the job is being dropped, and then nobody wants to know.
        let _ = events.send(event).await;
        if last {
            tasks.shutdown().await;
            return;
        }
    }
}

/// Subtasks of a node with this parallelism in a job of `parallelism`.
pub(crate) fn count_of(node: Parallelism, parallelism: usize) -> usize {
    match node {
        Parallelism::Job => parallelism,
        Parallelism::Single => 1,
    }
}
