//! From a job graph to running subtasks: wires the exchange, restores state, opens sources and sinks, spawns, and
//! watches over what it has spawned.

mod restore;
mod wiring;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use weir_core::connector::{SinkContext, SourceContext};
use weir_core::{
    Attempt, Chain, ConnectorRegistry, Epoch, Error, HashRange, InputWatermarks, JobGraph, NodeId, OperatorSpec,
    OperatorUid, Parallelism, Result, SourceSpec, SplitWatermarks, TableSpec,
};
use weir_operators::Scan;
use weir_state::{Manifest, Storage};

use self::restore::Restorer;
use self::wiring::Wiring;
use crate::chain::OperatorChain;
use crate::clock::Clock;
use crate::metrics::JobMetrics;
use crate::snapshot::Snapshots;
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
    let Deployment { graph, connectors, parallelism, attempt, restore, storage, batch_rows, clock, compute } =
        deployment;
    let chains = graph.chains();
    let mut wiring = Wiring::new(&graph, &chains, parallelism);
    let mut metrics = JobMetrics::default();
    let epoch = restore.as_ref().map_or(Epoch(0), |manifest| manifest.epoch);
    let restorer = Restorer::new(graph.clone(), restore, storage.clone());

    let (event_sender, events) = mpsc::channel(CONTROL_QUEUE);
    let (exhausted_sender, exhausted) = mpsc::channel(CONTROL_QUEUE);
    let (snapshot_sender, snapshots) = mpsc::channel(CONTROL_QUEUE);
    let mut commands = Vec::new();
    let mut subtasks: Vec<BoxFuture<'static, Result<(), Interrupt>>> = Vec::new();
    let mut sinks: BTreeMap<OperatorUid, TableSpec> = BTreeMap::new();

    for chain in &chains {
        let count = wiring::subtasks(&graph, chain, parallelism);
        for index in 0..count {
            let place = Place { graph: &graph, chain, index, count };
            let range = HashRange::of_subtask(index, count);
            let first = usize::from(matches!(place.head(), OperatorSpec::Source(_)));
            let registered: Vec<_> = chain
                .nodes
                .iter()
                .map(|id| metrics.register(&graph.node(*id).uid, &graph.node(*id).spec.operator))
                .collect();
            let stages = restorer.stages(chain, range, &registered).await.map_err(|error| place.frame(error))?;
            let operators = OperatorChain::new(stages, first);
            let (main, side) = wiring.routers(chain, index);
            let side = side.into_iter().map(|(position, port, router)| SideOutput { position, port, router });
            let mut outputs = Outputs { sink: None, main, side: side.collect() };
            let tail = graph.node(chain.tail());
            if let OperatorSpec::Sink(sink) = &tail.spec.operator {
                let context = SinkContext { uid: tail.uid.clone(), subtask: index, attempt, epoch };
                let connector = connector(&*connectors, &sink.table)?;
                let opened = connector.open_sink(&sink.table, context).await.map_err(|error| place.frame(error))?;
                let metrics = registered[registered.len() - 1].clone();
                outputs.sink = Some(SinkStage { uid: tail.uid.clone(), sink: opened, metrics });
                sinks.insert(tail.uid.clone(), sink.table.clone());
            }
            let name = place.name();
            if let OperatorSpec::Source(spec) = place.head() {
                let head = graph.node(chain.head());
                let (command_sender, command_receiver) = mpsc::channel(CONTROL_QUEUE);
                commands.push(command_sender);
                let restored = restorer.splits(&head.uid).await?;
                let emitted = restorer.watermark(&head.uid);
                let context = SourceContext {
                    subtask: index,
                    parallelism: count,
                    restored: restored.iter().map(|state| state.position.clone()).collect(),
                    batch_rows,
                };
                let connector = connector(&*connectors, &spec.table)?;
                let source = connector.open_source(&spec.table, context).await.map_err(|error| place.frame(error))?;
                let subtask = SourceSubtask {
                    uid: head.uid.clone(),
                    table: spec.table.name.clone(),
                    source,
                    scan: Scan::new(spec, head.spec.schema.clone())?,
                    watermarks: split_watermarks(spec, emitted),
                    state: SourceState::restored(&restored),
                    restored,
                    metrics: registered[0].clone(),
                    chain: operators,
                    outputs,
                    commands: command_receiver,
                    exhausted: exhausted_sender.clone(),
                    snapshots: snapshot_sender.clone(),
                    clock: clock.clone(),
                    emitted,
                };
                subtasks.push(framed(name, subtask.run()).boxed());
            } else {
                let (gate, ordinals) = wiring.gate(chain, index);
                let subtask = OperatorSubtask {
                    watermarks: InputWatermarks::new(ordinals.len(), restorer.watermark(&graph.node(chain.head()).uid)),
                    gate,
                    ordinals,
                    chain: operators,
                    outputs,
                    snapshots: snapshot_sender.clone(),
                    clock: clock.clone(),
                };
                subtasks.push(framed(name, subtask.run()).boxed());
            }
        }
    }
    // Nothing runs before everything is open: a job that cannot start has not done anything.
    let mut tasks = JoinSet::new();
    for subtask in subtasks {
        tasks.spawn_on(subtask, &compute);
    }
    let uploads = Snapshots { subtasks: tasks.len(), storage, attempt, sinks, events: event_sender.clone() };
    let uploads = tokio::spawn(uploads.run(snapshots));
    let supervisor = tokio::spawn(supervise(tasks, commands.len(), exhausted, event_sender));
    Ok(JobHandle { commands, events, metrics: Arc::new(metrics), supervisor, uploads })
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

    fn frame(&self, error: Error) -> Error {
        error.context(format!("{} could not start", self.name()))
    }
}

async fn framed(name: String, subtask: impl Future<Output = Result<(), Interrupt>>) -> Result<(), Interrupt> {
    subtask.await.map_err(|interrupt| match interrupt {
        Interrupt::Failed(error) => Interrupt::Failed(error.context(format!("{name} failed"))),
        Interrupt::Disconnected => Interrupt::Disconnected,
    })
}

fn connector(connectors: &dyn ConnectorRegistry, table: &TableSpec) -> Result<Arc<dyn weir_core::Connector>> {
    connectors.get(&table.connector).ok_or_else(|| {
        Error::user(format!("table {} has the connector '{}', which is not here", table.name, table.connector))
    })
}

fn split_watermarks(spec: &SourceSpec, emitted: weir_core::EventTime) -> Option<SplitWatermarks> {
    let watermark = spec.watermark.as_ref()?;
    let idle_after = watermark.idle_timeout_ms.map(std::time::Duration::from_millis);
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
