//! `weir local`: a whole cluster in one process, the same code as on many machines, over the loopback interface.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::{mpsc, watch};
use weir_coordinator::server::{self, CoordinatorMonitor};
use weir_core::{Incarnation, Result};
use weir_functions::Functions;
use weir_monitoring::Observed;
use weir_worker::allowed::Allowed;
use weir_worker::process::{self, WorkerConfig, WorkerMonitor};

use super::allow::AllowArguments;
use super::coordinator::CoordinatorArguments;
use super::http::{self, HttpArguments};
use super::oidc::OidcArguments;
use super::otlp::OtlpArguments;
use super::workforce::ScaleArguments;
use super::{check_reachability, connectors, listen};
use crate::exit::Exit;
use crate::random::random;
use crate::signals::Signals;
use crate::terminal::Screen;
use crate::tls::TlsArguments;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir local                                a cluster on this machine; then, in another terminal:
  weir submit query.sql                     run a script there
  weir jobs list                            see how it does

Jobs, their state and their checkpoints are kept in the data directory: when it is started again, jobs go on.

Table options may refer to secrets: ${env:WEIR_SECRET_NAME}, or ${file:NAME} for a file below the folder WEIR_SECRETS_DIR.";

/// `weir local`.
#[derive(Debug, Args)]
pub struct LocalArguments {
    /// Where clients come in.
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// Where everything is kept.
    #[arg(long, default_value = "weir-data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Where it is asked how it does.
    #[command(flatten)]
    pub http: HttpArguments,

    /// Where traces and metrics are sent.
    #[command(flatten)]
    pub otlp: OtlpArguments,

    /// How many slots the worker offers; twice the number of cores if not given.
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,
}

/// What to do about an address that others reach.
const THIS_MACHINE: &str =
    "`weir local` is for this machine: listen on 127.0.0.1; for others, start `weir coordinator` and `weir worker`";

/// How long work may take to be moved away; there is nowhere to move it to.
const DRAIN: Duration = Duration::ZERO;

/// Runs the cluster until a signal.
///
/// # Errors
/// If a part cannot start, or ends.
pub async fn run(arguments: &LocalArguments, screen: &Screen) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let coordinator = CoordinatorArguments {
        id: 1,
        cluster: "local".into(),
        listen: arguments.listen,
        members: Vec::new(),
        join: false,
        replaced: Vec::new(),
        data_dir: arguments.data_dir.clone(),
        storage: None,
        advertise: None,
        insecure: false,
        allow: AllowArguments::default(),
        tls: TlsArguments::default(),
        oidc: OidcArguments::default(),
        http: HttpArguments::default(),
        otlp: OtlpArguments::default(),
        scale: ScaleArguments::default(),
        worker_timeout: Duration::from_secs(5),
        election_timeout: Duration::from_millis(100),
        snapshot_after: 10_000,
    };
    check_reachability(arguments.listen, coordinator.insecure, THIS_MACHINE)?;
    let (listener, address) = listen(arguments.listen).await?;
    let otlp = arguments.otlp.open("weir-local")?;
    let config = coordinator.config(address, otlp.spans())?;
    let http = arguments.http.open(http::COORDINATOR, coordinator.insecure).await?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = WorkerConfig {
        name: Some("local".into()),
        incarnation: Incarnation(random()?),
        data_dir: Some(arguments.data_dir.join("worker")),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertise: None,
        slots: arguments.slots.unwrap_or(u32::try_from(cores * 2).unwrap_or(u32::MAX)),
        coordinators: vec![address.to_string()],
        compute_threads: cores,
        drain_timeout: DRAIN,
        local_runs_bytes: None,
        tls: None,
        secrets: crate::secrets::of_process(),
        allowed: Allowed::default(),
    };
    screen.message(&format!("a local cluster on {address}; submit jobs with: weir submit query.sql\n"));
    let (stop, stopped) = watch::channel(false);
    let (leave, leaving) = mpsc::channel(2);
    let coordinates = Arc::new(CoordinatorMonitor::tracing(otlp.spans()));
    let works = Arc::new(WorkerMonitor::tracing(otlp.spans()));
    let parts: Vec<Arc<dyn Observed>> = vec![coordinates.clone(), works.clone(), Arc::new(otlp.spans())];
    let mut otlp = std::pin::pin!(otlp.run(parts.clone()));
    let mut http = std::pin::pin!(http.serve(parts));
    #[expect(clippy::disallowed_methods, reason = "the process ends with this function, and the task with it")]
    let coordinator = tokio::spawn(server::run(config, listener, coordinates, stopped));
    let mut coordinator = coordinator;
    let mut worker = std::pin::pin!(process::run(worker, connectors(), Functions::built_in(), works, leaving));
    let ended = |joined: std::result::Result<Result<()>, tokio::task::JoinError>| match joined {
        Ok(ended) => ended,
        Err(panic) => Err(weir_core::Error::internal("the coordinator panicked").with_source(panic)),
    };
    tokio::select! {
        joined = &mut coordinator => return ended(joined).map(|()| Exit::Ok),
        outcome = &mut worker => return outcome.map(|_| Exit::Ok),
        served = &mut http => return served.map(|()| Exit::Ok),
        () = &mut otlp => return Ok(Exit::Ok),
        _ = signals.next() => {}
    }
    // Jobs are not stopped: they go on from their last checkpoint when the cluster is started again.
    let _ = leave.send(()).await;
    let _ = leave.send(()).await;
    stop.send_replace(true);
    let outcome = worker.await.map(|_| Exit::Ok);
    coordinator.abort();
    outcome
}
