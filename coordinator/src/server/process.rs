//! From a configuration to a coordinator that runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use weir_core::{CoordinatorId, Error, Result};
use weir_object_storage::ObjectStorages;
use weir_proto::client::Authenticator;
use weir_proto::tls::{CertificateRole, Tls};
use weir_state::CountedStorages;

use super::audit::Audit;
use super::grpc::{self, Api, GrpcConfig};
use super::handle::{INBOX, LeaderPlace, NodeHandle};
use super::introduction;
use super::monitor::CoordinatorMonitor;
use super::node_loop::{NodeLoop, Surroundings};
use super::peers::Peers;
use super::storage::CheckpointStorages;
use super::workforce::{self, WorkerScaler};
use crate::founding::Founding;
use crate::leader::LeaderConfig;
use crate::node::{Node, NodeConfig};
use crate::raft::{Identity, LogId, LogStore, Raft, RaftConfig, RedbStore, Status};

/// What a coordinator is told.
pub struct CoordinatorConfig {
    /// Which of the coordinators this is.
    pub id: CoordinatorId,
    /// Name of the cluster. Coordinators of another name are refused.
    pub cluster: String,
    /// Where the log is kept.
    pub data_dir: PathBuf,
    /// The founding members and their addresses; empty: this one is added to a cluster that is there.
    pub members: BTreeMap<CoordinatorId, String>,
    /// URL of where checkpoints are kept, for founding.
    pub storage: String,
    /// How a leader goes about its duties.
    pub leader: LeaderConfig,
    /// Time between two ticks.
    pub tick: Duration,
    /// A follower that hears nothing of a leader for so long, or up to twice as long, tries to become one.
    pub election_timeout: Duration,
    /// Time between heartbeats of the leader to the others.
    pub heartbeat: Duration,
    /// Entries of the log between two snapshots.
    pub snapshot_after_entries: u64,
    /// Milliseconds since 1970.
    pub wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Drawn when the process starts.
    pub seed: u64,
    /// What is served over HTTP beside gRPC, on the same port.
    pub api: Option<Api>,
    /// Certificates; without, connections are plain.
    pub tls: Option<Tls>,
    /// Who knows clients by tokens that the cluster has not made, if anybody does.
    pub issuer: Option<Arc<dyn Authenticator>>,
    /// Who has workers started and ended, if anybody does.
    pub scaler: Option<Arc<dyn WorkerScaler>>,
}

/// The file of the log.
const LOG: &str = "log.redb";
/// Bytes of entries in one message to a peer, and of one command.
const MAX_MESSAGE_BYTES: u64 = 16 << 20;
/// Messages with entries under way to one follower.
const MAX_INFLIGHT: usize = 64;
/// How long a leader that goes away waits for another to take over.
const HAND_OVER: Duration = Duration::from_secs(2);

/// Runs a coordinator on `listener` until `shutdown` is true. `monitor` tells how it does.
///
/// # Errors
/// If the log cannot be opened or written, or the port cannot be served.
pub async fn run(
    config: CoordinatorConfig,
    listener: TcpListener,
    monitor: Arc<CoordinatorMonitor>,
    shutdown: watch::Receiver<bool>,
) -> Result<()> {
    let _ = monitor.log.set(config.data_dir.join(LOG));
    if let Some(tls) = &config.tls {
        tls.require_own(CertificateRole::Coordinator)?;
    }
    let mut store = open(&config)?;
    let log = store.log();
    let audit = Audit::open(&config.data_dir.join("audit"))?;
    let (inbox_sender, mut inbox) = mpsc::channel(INBOX);
    let (view_sender, view) = watch::channel(Status::unknown(config.id));
    let handle = NodeHandle::new(inbox_sender, view);
    let _ = monitor.node.set(handle.clone());
    let address = match (config.members.get(&config.id), listener.local_addr()) {
        (Some(address), _) => address.clone(),
        (None, Ok(address)) => address.to_string(),
        (None, Err(error)) => return Err(Error::environment("the port has no address").with_source(error)),
    };
    let (workforce, wanted) = watch::channel(None);
    let telling = async {
        match &config.scaler {
            Some(scaler) => workforce::tell(scaler.clone(), wanted, monitor.told.clone()).await,
            None => std::future::pending().await,
        }
    };
    let work = async {
        if store.load()?.is_empty() && !config.members.is_empty() {
            let founding = Founding::new(config.id, log, config.members.clone())?;
            introduction::found(founding, &config.cluster, config.tls.as_ref(), &mut store, &mut inbox).await?;
        }
        let node = Node::new(
            node_config(&config, monitor.spans().are_wanted()),
            Raft::open(raft_config(&config, log), store)?,
        );
        view_sender.send_replace(node.status().clone());
        let mut peers = Peers::new(config.cluster.clone(), address, config.tls.clone(), handle.clone());
        peers.members(node.status());
        let surroundings = Surroundings {
            inbox,
            view: view_sender,
            peers,
            storages: CheckpointStorages::new(Arc::new(CountedStorages::new(
                ObjectStorages::default(),
                monitor.storage.clone(),
            ))),
            tick: config.tick,
            wall_clock: config.wall_clock.clone(),
            audit: audit.clone(),
            spans: monitor.spans().clone(),
            workforce,
        };
        NodeLoop::new(node, surroundings).run().await
    };
    // Streams stay open while leadership is handed over; they end with the process.
    let grpc_config = GrpcConfig {
        tls: config.tls.clone(),
        audit: audit.clone(),
        issuer: config.issuer.clone(),
        wall_clock: config.wall_clock.clone(),
        ..GrpcConfig::new(config.cluster.clone(), log)
    };
    let serve = grpc::serve(listener, handle.clone(), grpc_config, config.api.as_ref(), std::future::pending());
    tokio::select! {
        ended = work => ended,
        served = serve => served,
        () = leave(handle.clone(), shutdown) => Ok(()),
        () = telling => Ok(()),
    }
}

fn raft_config(config: &CoordinatorConfig, log: LogId) -> RaftConfig {
    let ticks = |duration: Duration| usize::try_from(duration.div_duration_f64(config.tick).ceil() as u64).unwrap_or(1);
    RaftConfig {
        id: config.id,
        log,
        election_ticks: ticks(config.election_timeout),
        heartbeat_ticks: ticks(config.heartbeat),
        max_message_bytes: MAX_MESSAGE_BYTES,
        max_inflight: MAX_INFLIGHT,
        snapshot_after_entries: config.snapshot_after_entries,
        seed: config.seed,
    }
}

fn node_config(config: &CoordinatorConfig, traces: bool) -> NodeConfig {
    NodeConfig {
        leader: LeaderConfig { traces, ..config.leader.clone() },
        cluster: format!("{}-{:08x}", config.cluster, config.seed & 0xffff_ffff),
        storage: config.storage.trim_end_matches('/').to_owned(),
        incarnation: config.seed & 0xff_ffff_ffff,
    }
}

/// Waits for the end, then lets somebody else lead.
async fn leave(handle: NodeHandle, mut shutdown: watch::Receiver<bool>) {
    // The sender is gone only when the process is ending anyway.
    let _ = shutdown.wait_for(|ending| *ending).await;
    if handle.leader() != LeaderPlace::Here || handle.view().borrow().membership.voters.len() == 1 {
        return;
    }
    handle.leave().await;
    let mut view = handle.view();
    let handed_over = view.wait_for(|view| view.leader.is_some_and(|leader| leader != view.id));
    // If nobody takes over in time, they elect one when this one is gone.
    let _ = tokio::time::timeout(HAND_OVER, handed_over).await;
}

fn open(config: &CoordinatorConfig) -> Result<RedbStore> {
    weir_state::create_folder(&config.data_dir)?;
    let fresh = LogId(config.seed.max(1));
    let identity = Identity { cluster: config.cluster.clone(), coordinator: config.id, fresh };
    RedbStore::open(&config.data_dir.join(LOG), &identity)
}

/// Opens the port of a coordinator.
///
/// # Errors
/// If it is taken, or may not be used.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Error::environment(format!("cannot listen on {address}")).with_source(error))
}
