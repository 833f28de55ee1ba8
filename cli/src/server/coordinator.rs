//! `weir coordinator`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::sync::watch;
use weir_coordinator::leader::LeaderConfig;
use weir_coordinator::server::{self, CoordinatorConfig};
use weir_core::{CoordinatorId, Error, Result};

use super::recover::{self, RecoverArguments};
use super::{check_reachability, listen, random};
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::signals::Signals;
use crate::terminal::Screen;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir coordinator --data-dir /var/lib/weir/1 --storage file:///var/lib/weir/checkpoints
      a cluster with one coordinator, on this machine
  weir coordinator --id 1 --listen 10.0.0.1:7420 --insecure --storage file:///shared/checkpoints \\
      --members 1=10.0.0.1:7420,2=10.0.0.2:7420,3=10.0.0.3:7420
      one of three; the others are started with the same --members and --storage, and their own --id and --listen
  weir coordinator --id 4 --listen 10.0.0.4:7420 --insecure --join
      one that `weir cluster add 4 10.0.0.4:7420` takes into a cluster that is there

Coordinators agree on everything by majority: of three, one may be lost, of five, two. They hold no data: results and state
are with the workers and in the checkpoint storage, which all coordinators and workers must reach under the same URL.

SIGTERM and ^C hand leadership over, then end the process. No job is restarted by that.

If the logs of a majority are lost, `weir coordinator recover` rebuilds the cluster from the storage.";

/// `weir coordinator`, with a command or without.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CoordinatorCommandArguments {
    /// What to do instead of running one.
    #[command(subcommand)]
    pub command: Option<CoordinatorCommand>,

    /// How to run one.
    #[command(flatten)]
    pub run: CoordinatorArguments,
}

/// What to do instead of running a coordinator.
#[derive(Debug, Subcommand)]
pub enum CoordinatorCommand {
    /// Rebuild a cluster whose coordinators' logs are lost from its checkpoint storage.
    #[command(after_help = recover::AFTER_HELP)]
    Recover(RecoverArguments),
}

/// `weir coordinator`.
#[derive(Debug, Args)]
pub struct CoordinatorArguments {
    /// Which of the coordinators this is, from 1.
    #[arg(long, default_value_t = 1)]
    pub id: u64,

    /// Name of the cluster.
    #[arg(long, default_value = "weir", value_name = "NAME")]
    pub cluster: String,

    /// Where clients, workers and other coordinators come in.
    #[arg(long, default_value = "127.0.0.1:7420", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// The founding members, this one too; only itself if not given.
    #[arg(long, value_name = "ID=HOST:PORT,…", value_delimiter = ',', value_parser = member)]
    pub members: Vec<(u64, String)>,

    /// Wait to be taken into a cluster that is there, instead of founding one.
    #[arg(long, conflicts_with = "members")]
    pub join: bool,

    /// Where the log of the coordinators is kept.
    #[arg(long, default_value = "weir-data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Where checkpoints are kept, file:///…; a folder below the data directory if not given.
    #[arg(long, value_name = "URL")]
    pub storage: Option<String>,

    /// Listen on an address that other machines reach, though nothing is encrypted or authenticated.
    #[arg(long)]
    pub insecure: bool,

    /// A worker that says nothing for so many milliseconds is lost.
    #[arg(long, default_value_t = 5000, value_name = "MS")]
    pub worker_timeout: u64,

    /// Another leader is elected after so many milliseconds without the old one, or up to twice as many.
    #[arg(long, default_value_t = 500, value_name = "MS")]
    pub election_timeout: u64,

    /// How many entries the log grows by before the state is written as a whole and the log is cut.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub snapshot_after: u64,
}

fn member(text: &str) -> Result<(u64, String), String> {
    let parsed = text.split_once('=').and_then(|(id, address)| Some((id.trim().parse().ok()?, address.trim())));
    match parsed {
        Some((id, address)) if id > 0 && address.contains(':') => Ok((id, address.to_owned())),
        _ => Err("write each as ID=HOST:PORT, for example 1=10.0.0.1:7420".into()),
    }
}

/// Time between two ticks of consensus and of a leader's duties.
const TICK: Duration = Duration::from_millis(20);

impl CoordinatorArguments {
    /// The configuration that this means; `address` is where it listens, with the port that it was given.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn config(&self, address: SocketAddr) -> Result<CoordinatorConfig> {
        let mut members: BTreeMap<CoordinatorId, String> = BTreeMap::new();
        for (id, address) in &self.members {
            if members.insert(CoordinatorId(*id), address.clone()).is_some() {
                return Err(Error::user(format!("--members: {id} is there twice")));
            }
        }
        if members.is_empty() && !self.join {
            members.insert(CoordinatorId(self.id), address.to_string());
        }
        let data_dir = std::path::absolute(&self.data_dir)
            .map_err(|error| Error::environment("the working directory is not there").with_source(error))?;
        let storage = match &self.storage {
            Some(url) => url.clone(),
            None if members.len() > 1 => {
                return Err(Error::user("several coordinators need a checkpoint storage that all of them reach")
                    .with_help("name it with --storage file:///…"));
            }
            None => format!("file://{}", data_dir.join("checkpoints").display()),
        };
        if !self.join {
            weir_state::open_url(&storage)?;
        }
        let heartbeat = Duration::from_millis(self.election_timeout) / 5;
        Ok(CoordinatorConfig {
            id: CoordinatorId(self.id),
            cluster: self.cluster.clone(),
            data_dir: data_dir.join(format!("coordinator-{}", self.id)),
            members,
            storage,
            leader: LeaderConfig {
                worker_timeout: Duration::from_millis(self.worker_timeout),
                heartbeat_interval: Duration::from_millis(self.worker_timeout / 10),
                ..LeaderConfig::default()
            },
            tick: TICK,
            election_timeout: Duration::from_millis(self.election_timeout),
            heartbeat,
            snapshot_after_entries: self.snapshot_after,
            wall_clock: Arc::new(wall_millis),
            seed: random()?,
        })
    }
}

/// Runs a coordinator until a signal.
///
/// # Errors
/// If it cannot start, or its log cannot be written any more.
pub async fn run(arguments: &CoordinatorArguments, screen: &Screen) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    check_reachability(arguments.listen, arguments.insecure)?;
    let (listener, address) = listen(arguments.listen).await?;
    let config = arguments.config(address)?;
    screen.message(&format!("coordinator {} of cluster {} on {address}\n", config.id, config.cluster));
    let (stop, stopped) = watch::channel(false);
    let mut coordinator = std::pin::pin!(server::run(config, listener, stopped));
    tokio::select! {
        ended = &mut coordinator => return ended.map(|()| Exit::Ok),
        _ = signals.next() => {}
    }
    stop.send_replace(true);
    tokio::select! {
        ended = &mut coordinator => ended.map(|()| Exit::Ok),
        second = signals.next() => Ok(second.exit()),
    }
}
