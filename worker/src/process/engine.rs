//! What runs attempts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::time::Instant;
use weir_connectors::plugin::{JobConnectors, PluginTables};
use weir_core::plugin::Plugins;
use weir_core::{ConnectorRegistry, Epoch, Error, Incarnation, JobGraph, Marker, Result, WorkerId};
use weir_functions::Functions;
use weir_monitoring::Spans;
use weir_proto::control::{CheckpointRef, Deploy, VertexFigures};
use weir_state::{Manifest, Storages, layout};

use super::WorkerConfig;
use crate::blocking::{self, Blocking};
use crate::clock::Clock;
use crate::metrics::{AttemptTraces, RunningJobs};
use crate::network::{FRAME_BYTES, Network, NetworkConfig, Process, TcpTransport, Transport};
use crate::plugins::{HeldPlugins, PluginFiles};
use crate::{Command, Deployment, ExchangeLimits, JobHandle, OpenedJob, Part, WorkerEvent};

/// Opens parts of attempts.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The worker has learned which cluster it belongs to. Called before anything is opened, and not again.
    fn joined(&self, cluster: &str);

    /// Restores state, opens sources and sinks. Nothing runs. Dropping the future, or what comes of it, undoes it.
    ///
    /// # Errors
    /// If something could not be opened.
    async fn open(&self, deploy: Arc<Deploy>) -> Result<Box<dyn OpenPart>>;
}

/// A part that is open.
pub trait OpenPart: Send {
    /// Lets it run.
    fn start(self: Box<Self>) -> Box<dyn RunningPart>;
}

/// A part that runs. Dropping it stops it where it stands.
#[async_trait]
pub trait RunningPart: Send {
    /// How to send markers into the dataflow.
    fn markers(&self) -> MarkerSender;

    /// How to tell its sinks that a marker is going to be sent, before sources have room for it.
    fn orders(&self) -> OrderedMarkers;

    /// Tells sources and sinks that an epoch's checkpoint is complete.
    async fn completed(&mut self, epoch: Epoch);

    /// Waits for the next event; `None` when there are no more. Dropping the future loses nothing.
    async fn event(&mut self) -> Option<WorkerEvent>;

    /// How to learn how it does.
    fn figures(&self) -> FiguresSource;
}

/// Sends a marker from every discovery of splits of a part. It may take until the sources have room for it, and they may be waiting for
/// somebody who hears the part's events: so these are listened to meanwhile.
pub type MarkerSender = Arc<dyn Fn(Marker) -> BoxFuture<'static, ()> + Send + Sync>;

/// Tells the sinks of a part that a marker is going to be sent.
pub type OrderedMarkers = Arc<dyn Fn(Marker) + Send + Sync>;

/// Says how the vertices of a part do, at any time.
pub type FiguresSource = Arc<dyn Fn() -> Vec<VertexFigures> + Send + Sync>;

/// What a [`JobEngine`] works with.
pub struct JobEngineConfig {
    /// This worker.
    pub worker: WorkerId,
    /// This process.
    pub incarnation: Incarnation,
    /// Sources and sinks.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// What operators may call.
    pub functions: Arc<Functions>,
    /// Where checkpoints are.
    pub storages: Arc<dyn Storages>,
    /// Files of plugins.
    pub plugins: Arc<PluginFiles>,
    /// Processing time.
    pub clock: Arc<dyn Clock>,
    /// The runtime of subtasks.
    pub compute: Handle,
    /// The runtime of connections between workers.
    pub io: Handle,
    /// Where blocking work is done.
    pub blocking: Arc<dyn Blocking>,
    /// How other workers are reached.
    pub transport: Arc<dyn Transport>,
    /// How much may wait between subtasks.
    pub limits: ExchangeLimits,
    /// Where attempts that run are found.
    pub running: Arc<RunningJobs>,
    /// Where parts of traces go.
    pub spans: Spans,
}

/// Runs jobs.
pub struct JobEngine {
    config: JobEngineConfig,
    network: Arc<OnceLock<Arc<Network>>>,
}

impl JobEngine {
    /// An engine that runs nothing.
    pub fn new(config: JobEngineConfig) -> Self {
        Self { config, network: Arc::default() }
    }

    /// The worker among others, once it is.
    pub fn network(&self) -> Arc<OnceLock<Arc<Network>>> {
        self.network.clone()
    }

    fn part(&self, deploy: &Deploy) -> Result<Part> {
        let network = self.network.get().ok_or_else(|| Error::internal("the worker belongs to no cluster"))?;
        Part::share(deploy.placement.clone(), network.clone())
    }
}

#[async_trait]
impl Engine for JobEngine {
    fn joined(&self, cluster: &str) {
        let JobEngineConfig { worker, incarnation, transport, io, limits, .. } = &self.config;
        let me = Process { worker: worker.clone(), incarnation: *incarnation };
        let _entered = io.enter();
        let config = NetworkConfig { window: limits.credit_bytes as u64, ..NetworkConfig::new(cluster, me) };
        self.network.get_or_init(|| Arc::new(Network::start(config, transport.clone())));
    }

    async fn open(&self, deploy: Arc<Deploy>) -> Result<Box<dyn OpenPart>> {
        let JobEngineConfig { connectors, functions, storages, clock, compute, blocking, worker, limits, .. } =
            &self.config;
        let part = self.part(&deploy)?;
        let (opening, place, files) = (storages.clone(), deploy.clone(), self.config.plugins.clone());
        let is_first = deploy.placement.worker_of(0).is_some_and(|placed| placed.worker == *worker);
        let (storage, restore, plugins) = blocking::run(blocking, move || {
            let storage = opening.open(&place.storage.url)?;
            let plugins = files.of(&place.graph, &*opening)?;
            // Before a sink sweeps away what earlier attempts have prepared, which its first subtask does: who has lost the
            // coordinators' logs has to know that it is gone.
            if is_first {
                let from = place.restore.as_ref().map(|checkpoint| checkpoint.epoch);
                storage.put(&layout::beginning_of_attempt(place.attempt, from), b"begun\n")?;
            }
            let manifest = place
                .restore
                .as_ref()
                .map(|CheckpointRef { manifest, epoch }| Manifest::load(&*storage, manifest, *epoch));
            Ok((storage, manifest.transpose()?, plugins))
        })
        .await?;
        let position = deploy.placement.position(worker).unwrap_or_default();
        let plugins: Arc<dyn Plugins> = Arc::new(plugins);
        let tables = PluginTables::new(plugins.clone()).of_job(&deploy.graph);
        let functions = match deploy.graph.artifacts().is_empty() {
            true => functions.clone(),
            false => bound(functions, &deploy.graph, plugins, blocking).await?,
        };
        let opened = crate::open(Deployment {
            job: deploy.job,
            identity: deploy.identity,
            graph: deploy.graph.clone(),
            connectors: Arc::new(JobConnectors::new(connectors.clone(), tables)),
            functions,
            part,
            part_name: format!("worker-{position}"),
            attempt: deploy.attempt,
            restore,
            storage,
            keeps_state: true,
            batch_rows: usize::try_from(deploy.batch_rows).unwrap_or(usize::MAX),
            memory_budget: deploy.memory_budget,
            clock: clock.clone(),
            compute: compute.clone(),
            blocking: blocking.clone(),
            limits: *limits,
            checkpoint_interval: deploy.checkpoint_interval,
        });
        let opened = opened.await?;
        if self.config.spans.are_wanted() {
            opened.metrics().checkpoints().trace(AttemptTraces {
                spans: self.config.spans.clone(),
                worker: worker.clone(),
                job: deploy.job,
                identity: deploy.identity,
                name: deploy.name.clone(),
                attempt: deploy.attempt,
                anchor: (Instant::now(), clock.now()),
            });
        }
        self.config.running.add(deploy.job, &deploy.name, deploy.attempt, opened.metrics());
        Ok(Box::new(opened))
    }
}

/// What a job may call. To find it takes a process to start where plugins are isolated, and may take for ever.
async fn bound(
    functions: &Arc<Functions>,
    graph: &Arc<JobGraph>,
    plugins: Arc<dyn Plugins>,
    blocking: &Arc<dyn Blocking>,
) -> Result<Arc<Functions>> {
    let held = HeldPlugins::new(plugins.clone());
    let find = {
        let (functions, graph) = (functions.clone(), graph.clone());
        move || functions.of_job(&graph, plugins).map(Arc::new)
    };
    let functions = if graph.isolation().is_none() { find()? } else { blocking::run(blocking, find).await? };
    held.release();
    Ok(functions)
}

impl OpenPart for OpenedJob {
    fn start(self: Box<Self>) -> Box<dyn RunningPart> {
        Box::new(OpenedJob::start(*self))
    }
}

#[async_trait]
impl RunningPart for JobHandle {
    fn markers(&self) -> MarkerSender {
        let commands = self.commands();
        Arc::new(move |marker| {
            let commands = commands.clone();
            async move { commands.send(Command::Marker(marker)).await }.boxed()
        })
    }

    fn orders(&self) -> OrderedMarkers {
        let commands = self.commands();
        Arc::new(move |marker| commands.ordered(marker))
    }

    async fn completed(&mut self, epoch: Epoch) {
        self.command(Command::Completed(epoch)).await;
    }

    async fn event(&mut self) -> Option<WorkerEvent> {
        JobHandle::event(self).await
    }

    fn figures(&self) -> FiguresSource {
        let metrics = self.metrics().clone();
        Arc::new(move || metrics.vertices())
    }
}

/// Opens the port for other workers. Returns it and its address as others know it.
///
/// # Errors
/// If it cannot be opened, or others could not find it.
pub async fn listen(config: &WorkerConfig, io: &Handle) -> Result<(Arc<dyn Transport>, String)> {
    let (address, tls) = (config.listen.to_string(), config.tls.clone());
    // A socket belongs to the runtime on which it was opened.
    let listening = io.spawn(async move { TcpTransport::listen(&address, FRAME_BYTES, tls).await });
    let transport = listening.await.map_err(|error| Error::internal("a task panicked").with_source(error))??;
    let bound = transport.local_address()?;
    let own = match config.advertise.is_none() && bound.ip().is_unspecified() {
        true => own_address(&config.coordinators, io).await,
        false => None,
    };
    let address = advertised(config, bound, own)?;
    Ok((Arc::new(transport), address))
}

/// The address by which this machine reaches a coordinator: others reach it there too, unless something stands in between. Nothing is sent.
async fn own_address(coordinators: &[String], io: &Handle) -> Option<IpAddr> {
    let (here, elsewhere): (Vec<String>, Vec<String>) = coordinators.iter().cloned().partition(|one| is_loopback(one));
    let candidates = if elsewhere.is_empty() { here } else { elsewhere };
    let looked = io.spawn(async move {
        for coordinator in candidates {
            // The name of one that is down may not be known.
            let Ok(targets) = tokio::net::lookup_host(coordinator).await else { continue };
            for target in targets {
                let any: IpAddr =
                    if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
                let socket = UdpSocket::bind((any, 0)).await?;
                if socket.connect(target).await.is_ok() {
                    return Ok(Some(socket.local_addr()?.ip()));
                }
            }
        }
        std::io::Result::Ok(None)
    });
    looked.await.ok()?.ok()?
}

/// How others reach a worker that listens at `bound`; `own` is this machine's address, if `bound` says none and it is known.
fn advertised(config: &WorkerConfig, bound: SocketAddr, own: Option<IpAddr>) -> Result<String> {
    let address = match (&config.advertise, own) {
        (Some(address), _) => address.clone(),
        (None, Some(own)) => SocketAddr::new(own, bound.port()).to_string(),
        (None, None) if bound.ip().is_unspecified() => {
            // Nothing is wrong with the settings: names of coordinators that are about to start may be known in a moment.
            return Err(Error::environment(format!("other workers cannot find a worker at {bound}"))
                .with_source("the names of the coordinators are not known yet, or there is no way to them")
                .with_help("start it again when they are up, or say how others reach it: --advertise host:port"));
        }
        (None, None) => bound.to_string(),
    };
    let elsewhere = config.coordinators.iter().find(|coordinator| !is_loopback(coordinator));
    match elsewhere {
        Some(coordinator) if is_loopback(&address) => Err(Error::user(format!(
            "workers on other machines cannot find a worker at {address}, and the coordinator {coordinator} is not on this one"
        ))
        .with_help("listen where they reach it, --listen ip:port, or say how they do, --advertise host:port")),
        _ => Ok(address),
    }
}

/// Whether `host:port` is on this machine for everybody who says it.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_the_others_would_not_find_is_refused() {
        let advertised = |coordinators: &[&str], listen: &str, advertise: Option<&str>| {
            let config = WorkerConfig {
                name: None,
                incarnation: Incarnation(1),
                data_dir: None,
                listen: listen.parse().unwrap(),
                advertise: advertise.map(str::to_owned),
                slots: 1,
                coordinators: coordinators.iter().map(|address| (*address).to_owned()).collect(),
                compute_threads: 1,
                drain_timeout: std::time::Duration::ZERO,
                local_runs_bytes: None,
                tls: None,
                secrets: crate::secrets::Secrets::none(),
                allowed: crate::allowed::Allowed::default(),
            };
            super::advertised(&config, config.listen, None)
                .map_err(|error| format!("{:?} {}", error.kind(), error.report()))
        };
        let here = ["127.0.0.1:7070", "localhost:7071", "[::1]:7072"];
        assert_eq!(advertised(&here, "127.0.0.1:7080", None).unwrap(), "127.0.0.1:7080");
        let elsewhere = ["127.0.0.1:7070", "10.0.0.1:7070"];
        for (listen, advertise) in
            [("127.0.0.1:7080", None), ("[::1]:7080", None), ("0.0.0.0:7080", Some("localhost:1"))]
        {
            let error = advertised(&elsewhere, listen, advertise).unwrap_err();
            assert!(error.contains("10.0.0.1:7070") && error.contains("--advertise"), "{error}");
        }
        assert!(advertised(&["coordinator:7070"], "127.0.0.1:7080", None).is_err());
        assert_eq!(advertised(&elsewhere, "127.0.0.1:7080", Some("w1:7080")).unwrap(), "w1:7080");
        assert_eq!(advertised(&elsewhere, "10.0.0.2:7080", None).unwrap(), "10.0.0.2:7080");
        let unknown = advertised(&here, "0.0.0.0:7080", None).unwrap_err();
        assert!(
            unknown.starts_with("Environment ") && unknown.contains("--advertise"),
            "it mends by itself: {unknown}"
        );
    }

    #[tokio::test]
    async fn a_worker_on_all_addresses_is_reached_where_it_reaches_a_coordinator() {
        let own = |coordinators: &[&str]| {
            let coordinators: Vec<String> = coordinators.iter().map(|address| (*address).to_owned()).collect();
            async move { own_address(&coordinators, &Handle::current()).await }
        };
        assert_eq!(own(&["localhost:7070"]).await.map(|address| address.is_loopback()), Some(true));
        assert_eq!(own(&["no-such-host.invalid:7070"]).await, None);
        assert!(own(&["no-such-host.invalid:7070", "0.0.0.0:7070"]).await.is_some(), "the first one may be down");
        assert_eq!(own(&[]).await, None);
    }
}
