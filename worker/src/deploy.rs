//! From a job graph to running subtasks: wires the exchange, restores state, opens sources and sinks, spawns, and
//! watches over what it has spawned.

mod kept;
mod opener;
mod part;
mod restore;
mod supervisor;
mod wiring;

pub use kept::kept_states;
pub use part::Part;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use futures::{FutureExt, TryFutureExt};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use weir_core::{
    Attempt, ConnectorRegistry, Epoch, JobGraph, JobId, JobIdentity, Marker, NodeId, OperatorSpec, OperatorUid,
    Parallelism, PlacedWorker, Result, SinkSpec, TableSpec,
};
use weir_functions::Functions;
use weir_state::{Manifest, Storage};

use self::opener::{Opened, Opener, Place, Seat};
use self::restore::Restorer;
use self::supervisor::Supervisor;
use self::wiring::{Plan, Wiring};
use crate::blocking::{self, Blocking};
use crate::clock::Clock;
use crate::exchange::ExchangeLimits;
use crate::exchange::network::{Membership, Network};
use crate::metrics::{CheckpointMetrics, JobMetrics, Position, Subtask, vertex_names};
use crate::plugins::HeldPlugins;
use crate::snapshot::{Snapshots, SubtaskSnapshot};
use crate::staging::StagingArea;
use crate::staging::pace::Standing;
use crate::subtask::{Command, IdleSubtask, WorkerEvent};

/// What to run and how.
pub struct Deployment {
    /// Which job.
    pub job: JobId,
    /// Its identity, for what its sinks write.
    pub identity: JobIdentity,
    /// What it computes. The same for all parts of the job.
    pub graph: Arc<JobGraph>,
    /// Sources and sinks.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// What its operators may call.
    pub functions: Arc<Functions>,
    /// The slots that run here.
    pub part: Part,
    /// Tells the files that this part writes for a checkpoint from those of other parts.
    pub part_name: String,
    /// This execution.
    pub attempt: Attempt,
    /// The checkpoint to go on from.
    pub restore: Option<Manifest>,
    /// Where checkpoints are, and what sinks stage.
    pub storage: Arc<dyn Storage>,
    /// Whether operators keep state in checkpoints; if not, nothing of it outlives this process.
    pub keeps_state: bool,
    /// Rows that sources put into a batch.
    pub batch_rows: usize,
    /// Bytes that the state of one slot may take in memory; `None`: as many as it wants. Where no state is kept there is no place
    /// for the rest, and so no limit.
    pub memory_budget: Option<u64>,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// The runtime that subtasks run on, apart from the caller's.
    pub compute: Handle,
    /// Where state is read and written.
    pub blocking: Arc<dyn Blocking>,
    /// How much may wait between subtasks.
    pub limits: ExchangeLimits,
    /// From one checkpoint to the next, where they come at intervals: sinks keep pace with them.
    pub checkpoint_interval: Option<Duration>,
}

/// A part of a job that is ready to run: its state is restored, its sources and sinks are open. Dropping it undoes that;
/// it has not done anything.
pub struct OpenedJob {
    /// Before the subtasks: calls that do not return are ended by it, and an operator that is dropped waits for its calls.
    plugins: HeldPlugins,
    subtasks: Vec<Opened>,
    sources: usize,
    compute: Handle,
    markers: Vec<mpsc::Sender<Marker>>,
    completed: Vec<watch::Sender<Epoch>>,
    standings: Vec<watch::Sender<Standing>>,
    exhausted: mpsc::Receiver<()>,
    snapshots: mpsc::Receiver<SubtaskSnapshot>,
    uploads: Snapshots,
    events: mpsc::Receiver<WorkerEvent>,
    metrics: Arc<JobMetrics>,
    network: Option<Arc<Network>>,
    peers: Vec<PlacedWorker>,
    membership: Option<Membership>,
}

/// A running part of a job. Dropping it stops every subtask where it stands.
pub struct JobHandle {
    _plugins: HeldPlugins,
    commands: SourceCommands,
    events: mpsc::Receiver<WorkerEvent>,
    metrics: Arc<JobMetrics>,
    supervisor: JoinHandle<()>,
}

/// Restores a part of a job, opens its sources and sinks, and is ready for the channels that other workers open into it.
/// Nothing runs and nothing is sent before [`OpenedJob::start`], which is for when all parts are open: a job that cannot
/// start has not done anything.
///
/// # Errors
/// If a source or sink cannot be opened, the checkpoint does not fit the job, or a newer attempt of the job is here.
pub async fn open(deployment: Deployment) -> Result<OpenedJob> {
    let plugins = HeldPlugins::new(deployment.functions.shared_plugins());
    let graph = &deployment.graph;
    let restorer = restorer(&deployment).await?;
    let chains = graph.chains();
    let parallelism = deployment.part.parallelism();
    let Deployment { job, attempt, part, limits, .. } = &deployment;
    let membership = part.network().map(|network| network.join(*job, *attempt)).transpose()?;
    let plan = Plan { job: *job, attempt: *attempt, graph, part, membership: membership.as_ref(), limits: *limits };
    let mut wiring = Wiring::new(&plan, &chains);
    let network = part.network().cloned();
    let peers = wiring.peers();
    let (event_sender, events) = mpsc::channel(limits.control_messages);
    let (exhausted_sender, exhausted) = mpsc::channel(limits.control_messages);
    let (snapshot_sender, snapshots) = mpsc::channel(limits.control_messages);
    let opener = Opener {
        restorer,
        deployment: &deployment,
        exhausted: exhausted_sender,
        events: event_sender.clone(),
        snapshots: snapshot_sender.clone(),
    };
    let mut metrics = JobMetrics::default();
    let names = vertex_names(graph);
    let (mut markers, mut completed, mut standings) = (Vec::new(), Vec::new(), Vec::new());
    let standing = Standing::behind(deployment.restored_epoch());
    let mut sources = 0;
    let mut opening = Vec::new();
    for chain in &chains {
        let count = wiring::subtasks(graph, chain, parallelism);
        for index in (0..count).filter(|index| deployment.part.has(*index)) {
            let place = Place { graph, chain, index, count };
            let (marker_sender, marker_receiver) = mpsc::channel(limits.control_messages);
            markers.extend(place.is_discovery().then_some(marker_sender));
            // A channel for each: several who wait at one are woken up in random order, and a simulation could not be repeated.
            let (completed_sender, completed_receiver) = watch::channel(Epoch(0));
            completed.extend(place.is_source().then_some(completed_sender));
            let (standing_sender, standing_receiver) = watch::channel(standing);
            standings.extend(place.is_sink().then_some(standing_sender));
            sources += usize::from(place.is_source());
            let position = |id: NodeId| Position { vertex: names[id.0].clone(), subtask: index };
            let subtask = metrics.register_subtask(position(chain.head()));
            let nodes = chain.nodes.iter().map(|id| (*id, graph.node(*id)));
            let operators = nodes.map(|(id, node)| {
                let subtask = Subtask { metrics: subtask.clone(), begins: id == chain.head() };
                metrics.register(position(id), subtask, &node.uid, &node.spec.operator)
            });
            let operators = operators.collect();
            let ends = wiring.take(chain, index);
            subtask.watch(ends.gate.watch());
            opening.push(opener.open(Seat {
                place,
                ends,
                operators,
                subtask,
                checkpoints: metrics.checkpoints().clone(),
                markers: marker_receiver,
                completed: completed_receiver,
                standing: standing_receiver,
            }));
        }
    }
    let (plugins, mut subtasks) = open_all(opening, plugins).await?;
    if subtasks.is_empty() {
        let (marker_sender, marker_receiver) = mpsc::channel(limits.control_messages);
        markers.push(marker_sender);
        subtasks.push(IdleSubtask { markers: marker_receiver, snapshots: snapshot_sender }.run().boxed());
    }
    let stores = opener.restorer.stores();
    drop(opener);
    let (sinks, checkpoints) = (sinks(graph), metrics.checkpoints().clone());
    let area = deployment.staging_area();
    let Deployment { keeps_state, compute, .. } = deployment;
    let uploads =
        Snapshots { subtasks: subtasks.len(), area, keeps_state, sinks, stores, checkpoints, events: event_sender };
    Ok(OpenedJob {
        plugins,
        subtasks,
        sources,
        compute,
        markers,
        completed,
        standings,
        exhausted,
        snapshots,
        uploads,
        events,
        metrics: Arc::new(metrics),
        network,
        peers,
        membership,
    })
}

/// Opens all subtasks. If one cannot be opened, or nobody waits any more, the plugins are given up before operators are dropped.
async fn open_all(
    opening: Vec<impl Future<Output = Result<Opened>>>,
    plugins: HeldPlugins,
) -> Result<(HeldPlugins, Vec<Opened>)> {
    let failing = plugins.shared();
    let mut opening = pin!(try_join_all(opening.into_iter().map(|opened| opened.inspect_err(|_| failing.give_up()))));
    // Declared behind them, and so dropped before.
    let held = plugins;
    let opened = opening.as_mut().await?;
    Ok((held, opened))
}

/// Access to the checkpoint. Operators are made to see what they keep, which takes a process to start where plugins are isolated.
async fn restorer(deployment: &Deployment) -> Result<Restorer> {
    let Deployment { graph, functions, restore, storage, blocking, attempt, .. } = deployment;
    let job = (graph.clone(), functions.clone());
    let (restore, storage, reads) = (restore.clone(), storage.clone(), blocking.clone());
    let limits = (*attempt, deployment.memory_budget.filter(|_| deployment.keeps_state));
    let open = move || Restorer::new(job, restore, storage, reads, limits);
    if graph.isolation().is_none() { open() } else { blocking::run(blocking, open).await }
}

impl Deployment {
    /// What the operators of one subtask may call.
    fn functions_of_subtask(&self) -> Result<Arc<Functions>> {
        match self.functions.plugins().of_subtask() {
            Some(plugins) if !self.graph.functions().is_empty() => {
                Ok(Arc::new(self.functions.of_job(&self.graph, plugins)?))
            }
            _ => Ok(self.functions.clone()),
        }
    }

    /// The epoch of the checkpoint that it goes on from.
    fn restored_epoch(&self) -> Epoch {
        self.restore.as_ref().map_or(Epoch(0), |manifest| manifest.epoch)
    }

    /// Where what this part stores goes, and under which names.
    fn staging_area(&self) -> StagingArea {
        let Deployment { storage, blocking, attempt, part_name, limits, .. } = self;
        StagingArea {
            storage: storage.clone(),
            blocking: blocking.clone(),
            attempt: *attempt,
            part_name: part_name.clone(),
            limits: *limits,
        }
    }
}

fn sinks(graph: &JobGraph) -> BTreeMap<OperatorUid, TableSpec> {
    let sinks = graph.nodes().iter().filter_map(|node| match &node.spec.operator {
        OperatorSpec::Sink(SinkSpec { table }) => Some((node.uid.clone(), table.clone())),
        _ => None,
    });
    sinks.collect()
}

impl OpenedJob {
    /// The part's figures.
    pub fn metrics(&self) -> &Arc<JobMetrics> {
        &self.metrics
    }

    /// Lets the subtasks run. The supervisor and the uploads run on the caller's runtime.
    pub fn start(self) -> JobHandle {
        if let Some(network) = &self.network {
            self.peers.iter().for_each(|peer| network.connect(peer));
        }
        for sink in &self.standings {
            sink.send_modify(Standing::begins);
        }
        let mut tasks = JoinSet::new();
        for subtask in self.subtasks {
            tasks.spawn_on(subtask, &self.compute);
        }
        let events = self.uploads.events.clone();
        let mut uploads = JoinSet::new();
        uploads.spawn(self.uploads.run(self.snapshots));
        let supervisor = Supervisor {
            tasks,
            sources: self.sources,
            uploads,
            exhausted: self.exhausted,
            membership: self.membership,
            events,
        };
        JobHandle {
            _plugins: self.plugins,
            commands: SourceCommands {
                markers: self.markers,
                completed: self.completed,
                standings: self.standings,
                checkpoints: self.metrics.checkpoints().clone(),
            },
            events: self.events,
            metrics: self.metrics,
            #[expect(clippy::disallowed_methods, reason = "the handle owns it: dropping the handle aborts it")]
            supervisor: tokio::spawn(supervisor.run()),
        }
    }
}

/// The way to the subtasks of a part.
#[derive(Clone)]
pub struct SourceCommands {
    markers: Vec<mpsc::Sender<Marker>>,
    completed: Vec<watch::Sender<Epoch>>,
    standings: Vec<watch::Sender<Standing>>,
    checkpoints: Arc<CheckpointMetrics>,
}

impl SourceCommands {
    /// Tells the sinks of the part that a marker is going to be sent. To be called as soon as that is known: sources may have no room for it
    /// before the sinks know.
    pub fn ordered(&self, marker: Marker) {
        for sink in &self.standings {
            sink.send_if_modified(|standing| standing.ordered(marker));
        }
    }

    /// Tells the subtasks of the part, and waits until each has room for it. Whoever waits has to hear the part's
    /// [events](JobHandle::event) meanwhile: a subtask may be waiting for that. One that is gone has failed, and the supervisor
    /// says so.
    pub async fn send(&self, command: Command) {
        match command {
            Command::Marker(marker) => {
                self.ordered(marker);
                self.checkpoints.given(marker);
                for subtask in &self.markers {
                    let _ = subtask.send(marker).await;
                }
            }
            Command::Completed(epoch) => {
                for source in &self.completed {
                    source.send_replace(epoch);
                }
                for sink in &self.standings {
                    sink.send_modify(|standing| standing.completed(epoch));
                }
            }
        }
    }
}

impl JobHandle {
    /// The way to the part's sources.
    pub fn commands(&self) -> SourceCommands {
        self.commands.clone()
    }

    /// Tells every source of this part.
    pub async fn command(&self, command: Command) {
        self.commands.send(command).await;
    }

    /// Waits for the next event; `None` after [`WorkerEvent::Finished`] or [`WorkerEvent::Failed`].
    pub async fn event(&mut self) -> Option<WorkerEvent> {
        self.events.recv().await
    }

    /// The part's counters.
    pub fn metrics(&self) -> &Arc<JobMetrics> {
        &self.metrics
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// Subtasks of a node with this parallelism in a job of `parallelism`.
pub(crate) fn count_of(node: Parallelism, parallelism: usize) -> usize {
    match node {
        Parallelism::Job => parallelism,
        Parallelism::Single => 1,
    }
}

#[cfg(test)]
mod tests;
