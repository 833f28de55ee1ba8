//! A worker as a process of a cluster: drives the [`Agent`](crate::agent::Agent) over the network, and runs what it says.
//!
//! ```text
//!   control runtime          I/O runtime                              compute runtime
//!   ┌──────────────┐ Start   ┌───────────────────────────────────┐    ┌──────────┐
//!   │ agent        │────────▶│ attempts   open, events, markers  │───▶│ subtasks │
//!   │ session with │ Marker  │ errands    commits, merges        │    └──────────┘
//!   │ the leader   │◀────────│ exchange with other workers       │
//!   └──────────────┘ events  └───────────────────────────────────┘
//! ```
//!
//! The control runtime, which is that of the caller of [`run`], does nothing else: a worker whose compute threads are all
//! busy, or whose disk hangs, still sends its heartbeats. What blocks a thread, reading state and storing checkpoints, goes
//! to a [`Blocking`].
//!
//! Everything that the loop needs from outside is in [`Surroundings`], so that a simulation can put its own in their place and
//! run it on one thread, on tokio's paused time.
//!
//! | task | owner | ends |
//! |---|---|---|
//! | the loop ([`drive`]) | the caller | when the agent says so |
//! | a session | the loop | when the agent leaves it, or it breaks |
//! | an attempt | the loop | when the agent closes it; a panic ends it alone |
//! | a commit, a merge, a note in the data directory | the loop | by itself, or with the loop |
//! | subtasks, uploads | the attempt's `JobHandle` | with it |

mod agent_loop;
mod attempt;
mod coordinators;
mod data_dir;
mod engine;
mod errands;
mod isolation;
mod monitor;
mod pulse;
mod runtimes;
mod storages;
#[cfg(test)]
mod tests;

pub use agent_loop::drive;
pub use coordinators::{Coordinators, GrpcCoordinators, Session};
pub use data_dir::DataDir;
pub use engine::{
    Engine, FiguresSource, JobEngine, JobEngineConfig, MarkerSender, OpenPart, OrderedMarkers, RunningPart,
};
pub use isolation::Isolation;
pub use monitor::WorkerMonitor;
pub use pulse::Pulse;
pub use storages::CopiedStorages;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use weir_core::{ConnectorRegistry, Error, Incarnation, Result, WorkerId};
use weir_functions::Functions;
use weir_proto::tls::{CertificateRole, Tls};
use weir_state::Storages;

use self::runtimes::Runtimes;
use crate::ExchangeLimits;
use crate::agent::{AgentConfig, Ending};
use crate::allowed::{Allowed, Limited};
use crate::blocking::{Blocking, BlockingThreads};
use crate::clock::{Clock, SystemClock};
use crate::plugins::PluginFiles;
use crate::secrets::{Resolving, Secrets};

/// A worker's settings.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Its name, the same across restarts. Without, the one in the data directory, or one that follows from the incarnation.
    pub name: Option<String>,
    /// This process: a random number.
    pub incarnation: Incarnation,
    /// What the worker keeps across restarts; without, it keeps nothing.
    pub data_dir: Option<PathBuf>,
    /// Where it listens for other workers.
    pub listen: SocketAddr,
    /// How other workers reach it, `host:port`, if not as it listens.
    pub advertise: Option<String>,
    /// How many slots it offers.
    pub slots: u32,
    /// Addresses of coordinators, `host:port`.
    pub coordinators: Vec<String>,
    /// Threads that subtasks run on.
    pub compute_threads: usize,
    /// How long it waits for its work to be moved away before it goes anyway.
    pub drain_timeout: Duration,
    /// Bytes of run files that are kept in the data directory. Without, 1 GiB, and only of storages that are not folders.
    pub local_runs_bytes: Option<u64>,
    /// Certificates; without, connections are plain.
    pub tls: Option<Tls>,
    /// Where what table options refer to is found.
    pub secrets: Secrets,
    /// What tables may reach.
    pub allowed: Allowed,
}

/// Everything that a worker needs from outside.
pub struct Surroundings {
    /// The way to the coordinators.
    pub coordinators: Arc<dyn Coordinators>,
    /// What runs attempts.
    pub engine: Arc<dyn Engine>,
    /// Where checkpoints are.
    pub storages: Arc<dyn Storages>,
    /// What commits.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// Files of plugins whose sinks are committed.
    pub plugins: Arc<PluginFiles>,
    /// What operators may call.
    pub functions: Arc<Functions>,
    /// Where blocking work is done.
    pub blocking: Arc<dyn Blocking>,
    /// What is kept across restarts.
    pub data_dir: Option<Arc<DataDir>>,
    /// The runtime that attempts and errands run on.
    pub io: Handle,
    /// Whether a coordinator has taken the worker, for who looks from outside.
    pub isolation: Arc<Isolation>,
    /// Whether the agent's loop goes on, for the same.
    pub pulse: Arc<Pulse>,
}

/// Runs a worker until it is told to go. Each message of `shutdown` is one such word: the first lets it wait for its work to be
/// moved away, the second does not. `monitor` tells how it does.
///
/// # Errors
/// A user error if the cluster does not take the worker, or the settings are wrong; an environment error if its port or its
/// data directory cannot be used.
pub async fn run(
    config: WorkerConfig,
    connectors: Arc<dyn ConnectorRegistry>,
    functions: Arc<Functions>,
    monitor: Arc<WorkerMonitor>,
    shutdown: mpsc::Receiver<()>,
) -> Result<Ending> {
    if config.coordinators.is_empty() {
        return Err(Error::user("a worker needs the address of a coordinator").with_help("--coordinators host:port"));
    }
    if let Some(tls) = &config.tls {
        tls.require_own(CertificateRole::Worker)?;
    }
    let _ = monitor.slots.set(config.slots);
    let connectors: Arc<dyn ConnectorRegistry> =
        Arc::new(Resolving::new(Limited::over(connectors, config.allowed.clone()), config.secrets.clone()));
    let data_dir = config.data_dir.as_ref().map(DataDir::open).transpose()?.map(Arc::new);
    let worker = name(&config, data_dir.as_deref())?;
    let runtimes = Runtimes::start(config.compute_threads)?;
    let (transport, address) = engine::listen(&config, &runtimes.io()).await?;
    let blocking: Arc<dyn Blocking> = Arc::new(BlockingThreads);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let storages: Arc<dyn Storages> = Arc::new(CopiedStorages::new(
        data_dir.as_deref().map(DataDir::path),
        config.local_runs_bytes,
        monitor.storage.clone(),
    ));
    let plugins = Arc::new(match &data_dir {
        Some(data_dir) => PluginFiles::new(data_dir.path().join("plugins")),
        None => PluginFiles::default(),
    });
    let engine = JobEngine::new(JobEngineConfig {
        worker: worker.clone(),
        incarnation: config.incarnation,
        connectors: connectors.clone(),
        functions: functions.clone(),
        storages: storages.clone(),
        plugins: plugins.clone(),
        clock,
        compute: runtimes.compute(),
        io: runtimes.io(),
        blocking: blocking.clone(),
        transport,
        limits: ExchangeLimits::default(),
        running: monitor.running.clone(),
        spans: monitor.spans.clone(),
    });
    let _ = monitor.network.set(engine.network());
    let cluster = data_dir.as_ref().map(|data_dir| data_dir.cluster()).transpose()?.flatten();
    let agent = AgentConfig {
        worker,
        incarnation: config.incarnation,
        slots: config.slots,
        address,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster,
        coordinators: config.coordinators,
        drain_timeout: config.drain_timeout,
        seed: config.incarnation.0,
    };
    let surroundings = Surroundings {
        coordinators: Arc::new(GrpcCoordinators { tls: config.tls }),
        engine: Arc::new(engine),
        storages,
        connectors,
        plugins,
        functions,
        blocking,
        data_dir,
        io: runtimes.io(),
        isolation: monitor.isolation.clone(),
        pulse: monitor.pulse.clone(),
    };
    outcome(drive(agent, surroundings, shutdown).await)
}

fn name(config: &WorkerConfig, data_dir: Option<&DataDir>) -> Result<WorkerId> {
    let drawn = || format!("worker-{}", config.incarnation);
    let name = match (&config.name, data_dir) {
        (Some(name), Some(data_dir)) => data_dir.name(name, Some(name))?,
        (None, Some(data_dir)) => data_dir.name(&drawn(), None)?,
        (Some(name), None) => name.clone(),
        (None, None) => drawn(),
    };
    Ok(WorkerId(name))
}

/// What a worker's end means to who started it.
fn outcome(ending: Ending) -> Result<Ending> {
    match ending {
        Ending::Released | Ending::Forced | Ending::Late => Ok(ending),
        Ending::Refused { reason } => Err(Error::user(format!("the cluster does not take this worker: {reason}"))),
        Ending::OtherCluster { own, theirs } => Err(Error::user(format!(
            "this worker belongs to the cluster {own}, and the coordinators that it was given are of {theirs}"
        ))
        .with_help("correct --coordinators; or, to move the worker to this cluster, give it another --data-dir")),
    }
}
