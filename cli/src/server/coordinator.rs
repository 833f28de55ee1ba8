//! `weir coordinator`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use tokio::sync::watch;
use weir_coordinator::leader::LeaderConfig;
use weir_coordinator::server::{self, CoordinatorConfig, CoordinatorMonitor};
use weir_core::{CoordinatorId, Error, Result};
use weir_monitoring::{Observed, Spans};
use weir_object_storage::ObjectStorages;
use weir_proto::client::Authenticator;
use weir_state::Storages;

use super::allow::AllowArguments;
use super::http::{self, HttpArguments};
use super::oidc::OidcArguments;
use super::otlp::OtlpArguments;
use super::recover::{self, RecoverArguments};
use super::workforce::ScaleArguments;
use super::{SAY_SO, api, check_reachability, listen, oidc};
use crate::clock::wall_millis;
use crate::cluster::args::duration;
use crate::exit::Exit;
use crate::random::random;
use crate::signals::Signals;
use crate::terminal::Screen;
use crate::tls::TlsArguments;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir coordinator --data-dir /var/lib/weir/1 --storage file:///var/lib/weir/checkpoints
      a cluster with one coordinator, on this machine
  weir coordinator --id 1 --listen 10.0.0.1:7420 --insecure --storage file:///shared/checkpoints \\
      --members 1=10.0.0.1:7420,2=10.0.0.2:7420,3=10.0.0.3:7420
      one of three; the others are started with the same --members and --storage, and their own --id and --listen
  weir coordinator --data-dir /var/lib/weir/1 --storage s3://bucket/weir
      one whose checkpoints are in a bucket (also gs:// and az://), with credentials from the environment
  weir coordinator --listen 0.0.0.0:7420 --advertise c1.example.org:7420 --insecure
      one that listens on all addresses, and is reached under that name
  weir coordinator --id 4 --listen 10.0.0.4:7420 --insecure --join
      one that `weir cluster add 4 10.0.0.4:7420` takes into a cluster that is there

Coordinators agree on everything by majority: of three, one may be lost, of five, two. They hold no data: results and state
are with the workers and in the checkpoint storage, which all coordinators and workers must reach under the same URL.

The founding members all have to be up once, together: only then is the cluster there, and from then on a majority is enough. One
that waits says for whom. A coordinator is known by its log: one that has lost its data directory is not let in again under its
number, also not with the same command. Take it out with `weir cluster remove ID`, and start another with --join, a number that was
never used and an empty --data-dir; `weir cluster add` takes it in. Only if the cluster has never been there yet, end all founding
members, empty their data directories, and start them again.

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

    /// How workers and other coordinators reach it, if not as it listens; --members says it for each of several.
    #[arg(long, value_name = "HOST:PORT", value_parser = reachable, conflicts_with = "members")]
    pub advertise: Option<String>,

    /// The founding members, this one too; only itself if not given.
    #[arg(long, value_name = "ID=HOST:PORT,…", value_delimiter = ',', value_parser = member)]
    pub members: Vec<(u64, String)>,

    /// Wait to be taken into a cluster that is there, instead of founding one.
    #[arg(long, conflicts_with = "members")]
    pub join: bool,

    /// Coordinators that were removed since they had lost their log, and the numbers under which they come back, by joining the
    /// cluster that is there. The others take no notice, so all may be given the same.
    #[arg(long, env = "WEIR_REPLACED", value_name = "OLD=NEW,…", value_delimiter = ',', value_parser = replacement)]
    pub replaced: Vec<Option<(u64, u64)>>,

    /// Where the log of the coordinators is kept.
    #[arg(long, default_value = "weir-data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Where checkpoints are kept, s3://…, gs://…, az://… or file:///…; a folder below the data directory if not given.
    #[arg(long, value_name = "URL")]
    pub storage: Option<String>,

    /// What tables may reach, where a job is planned here that came by REST.
    #[command(flatten)]
    pub allow: AllowArguments,

    /// Listen on an address that other machines reach without TLS, so that nothing is encrypted or authenticated.
    #[arg(long)]
    pub insecure: bool,

    /// Certificates; with them everybody who comes in has to prove who it is.
    #[command(flatten)]
    pub tls: TlsArguments,

    /// Who knows clients that have neither a certificate nor a token of the cluster.
    #[command(flatten)]
    pub oidc: OidcArguments,

    /// Where it is asked how it does.
    #[command(flatten)]
    pub http: HttpArguments,

    /// Where traces and metrics are sent.
    #[command(flatten)]
    pub otlp: OtlpArguments,

    /// Who is told how many workers there should be.
    #[command(flatten)]
    pub scale: ScaleArguments,

    /// A worker that says nothing for so long is lost; 100ms at least.
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = silence)]
    pub worker_timeout: Duration,

    /// Another leader is elected after so long without the old one, or up to twice as long; 100ms at least.
    #[arg(long, default_value = "500ms", value_name = "DURATION", value_parser = silence)]
    pub election_timeout: Duration,

    /// How many entries the log grows by before the state is written as a whole and the log is cut.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub snapshot_after: u64,
}

fn member(text: &str) -> Result<(u64, String), String> {
    let wrong = || "write each as ID=HOST:PORT, for example 1=10.0.0.1:7420".to_owned();
    let (id, address) = text.split_once('=').ok_or_else(wrong)?;
    let id = id.trim().parse().ok().filter(|id| *id > 0).ok_or_else(wrong)?;
    Ok((id, reachable(address.trim())?))
}

/// None in an empty text, which a variable may have that is always set.
fn replacement(text: &str) -> Result<Option<(u64, u64)>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let number = |text: &str| text.trim().parse().ok().filter(|id| *id > 0);
    let pair = text.split_once('=').and_then(|(old, new)| Some((number(old)?, number(new)?)));
    pair.filter(|(old, new)| old != new).map(Some).ok_or_else(|| "write each as OLD=NEW, for example 2=4".to_owned())
}

/// An address that others can connect to.
fn reachable(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse().ok());
    match port {
        Some(1_u16..) if text.parse().is_ok_and(|address: SocketAddr| address.ip().is_unspecified()) => {
            Err(format!("nobody reaches a coordinator at {text}: write a name or an address of its machine"))
        }
        Some(1_u16..) => Ok(text.to_owned()),
        _ => Err("write it as HOST:PORT, for example 10.0.0.1:7420".into()),
    }
}

/// How long somebody may be silent.
fn silence(text: &str) -> Result<Duration, String> {
    let silence = duration(text)?;
    if silence < SHORTEST {
        Err("with less than 100ms, a busy machine is taken for a dead one".into())
    } else {
        Ok(silence)
    }
}

/// Time between two ticks of consensus and of a leader's duties.
const TICK: Duration = Duration::from_millis(20);
/// The shortest time after which somebody who is silent is given up: a few ticks.
const SHORTEST: Duration = Duration::from_millis(100);

impl CoordinatorArguments {
    /// The configuration that this means; `address` is where it listens, with the port that it was given, and `spans` where it is told how
    /// long things took.
    ///
    /// # Errors
    /// If it makes no sense.
    pub fn config(&self, address: SocketAddr, spans: Spans) -> Result<CoordinatorConfig> {
        let (id, joins) = self.identity()?;
        let mut members: BTreeMap<CoordinatorId, String> = BTreeMap::new();
        for (id, address) in &self.members {
            if members.insert(CoordinatorId(*id), address.clone()).is_some() {
                return Err(Error::user(format!("--members: {id} is there twice")));
            }
        }
        let several = members.len() > 1;
        if joins {
            members.clear();
        } else if members.is_empty() {
            members.insert(id, self.reached_at(address)?);
        }
        let data_dir = std::path::absolute(&self.data_dir)
            .map_err(|error| Error::environment("the working directory is not there").with_source(error))?;
        let storage = match &self.storage {
            Some(url) => url.clone(),
            None if several => {
                return Err(Error::user("several coordinators need a checkpoint storage that all of them reach")
                    .with_help("name it with --storage s3://bucket/prefix or --storage file:///…"));
            }
            None => format!("file://{}", data_dir.join("checkpoints").display()),
        };
        if !joins {
            ObjectStorages::default().open(&storage)?;
        }
        Ok(CoordinatorConfig {
            id,
            cluster: self.cluster.clone(),
            data_dir: data_dir.join(format!("coordinator-{id}")),
            members,
            storage,
            leader: LeaderConfig {
                worker_timeout: self.worker_timeout,
                heartbeat_interval: self.worker_timeout / 10,
                ..LeaderConfig::default()
            },
            tick: TICK,
            election_timeout: self.election_timeout,
            heartbeat: self.election_timeout / 5,
            snapshot_after_entries: self.snapshot_after,
            wall_clock: Arc::new(wall_millis),
            seed: random()?,
            api: Some(api(address, self.tls.is_given(), self.allow.allowed(), spans)),
            tls: None,
            issuer: None,
            scaler: None,
        })
    }

    /// Its number, and whether it joins a cluster instead of founding one.
    fn identity(&self) -> Result<(CoordinatorId, bool)> {
        let mut id = self.id;
        // One may have been replaced more than once.
        for _ in 0..=self.replaced.len() {
            let Some((_, new)) = self.replaced.iter().flatten().find(|(old, _)| *old == id) else {
                return Ok((CoordinatorId(id), self.join || id != self.id));
            };
            if self.members.iter().any(|(founding, _)| founding == new) {
                return Err(Error::user(format!("--replaced: {id} cannot come back as {new}, a founding member"))
                    .with_help("give it a number that was never used"));
            }
            id = *new;
        }
        Err(Error::user(format!("--replaced: {id} is replaced by itself")))
    }

    /// Where others reach it, if it listens there.
    fn reached_at(&self, address: SocketAddr) -> Result<String> {
        match &self.advertise {
            Some(advertised) => Ok(advertised.clone()),
            None if address.ip().is_unspecified() => {
                Err(Error::user(format!("workers and other coordinators cannot find a coordinator at {address}"))
                    .with_help("say how they reach it: --advertise host:port, or --members"))
            }
            None => Ok(address.to_string()),
        }
    }

    /// What is said when it starts.
    fn greeting(&self, config: &CoordinatorConfig, address: SocketAddr) -> String {
        let CoordinatorConfig { id, cluster, members, .. } = config;
        let greeting = format!("coordinator {id} of cluster {cluster} on {address}");
        if !members.is_empty() {
            return greeting;
        }
        let replaced = self.members.iter().find(|(id, _)| *id == self.id).map(|(_, reached)| reached.clone());
        let reached = replaced.map_or_else(|| self.reached_at(address), Ok);
        let reached = reached.unwrap_or_else(|_| format!("HOST:{}", address.port()));
        format!("{greeting}; if it is no member yet, take it in with: weir cluster add {id} {reached}")
    }
}

/// Runs a coordinator until a signal.
///
/// # Errors
/// If it cannot start, or its log cannot be written any more.
pub async fn run(arguments: &CoordinatorArguments, screen: &Screen) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let tls = arguments.tls.open()?;
    check_reachability(arguments.listen, tls.is_some() || arguments.insecure, SAY_SO)?;
    let issuer = arguments.oidc.open(arguments.listen, tls.is_some())?;
    let (listener, address) = listen(arguments.listen).await?;
    let otlp = arguments.otlp.open("weir-coordinator")?;
    let mut config = CoordinatorConfig { tls, ..arguments.config(address, otlp.spans())? };
    if let Some((workforce, scaler)) = arguments.scale.open()? {
        config.leader.workforce = Some(workforce);
        config.scaler = Some(scaler);
    }
    config.issuer = issuer.clone().map(|issuer| -> Arc<dyn Authenticator> { issuer });
    let http = arguments.http.open(http::COORDINATOR, arguments.insecure).await?;
    screen.message(&format!("{}\n", arguments.greeting(&config, address)));
    let (stop, stopped) = watch::channel(false);
    let monitor = Arc::new(CoordinatorMonitor::tracing(otlp.spans()));
    let parts: Vec<Arc<dyn Observed>> = vec![monitor.clone(), Arc::new(otlp.spans())];
    let mut otlp = std::pin::pin!(otlp.run(parts.clone()));
    let mut http = std::pin::pin!(http.serve(parts));
    let mut coordinator = std::pin::pin!(server::run(config, listener, monitor, stopped));
    let mut issuer = std::pin::pin!(oidc::run(issuer));
    tokio::select! {
        ended = &mut coordinator => return ended.map(|()| Exit::Ok),
        served = &mut http => return served.map(|()| Exit::Ok),
        () = &mut issuer => {}
        () = &mut otlp => {}
        _ = signals.next() => {}
    }
    stop.send_replace(true);
    tokio::select! {
        ended = &mut coordinator => ended.map(|()| Exit::Ok),
        served = &mut http => served.map(|()| Exit::Ok),
        () = &mut otlp => Ok(Exit::Ok),
        second = signals.next() => Ok(second.exit()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::Parser;

    use super::*;
    use crate::args::{Arguments, Command};

    /// What these arguments mean and what is said, or what is wrong with them.
    fn configured(arguments: &[&str]) -> Result<(CoordinatorConfig, String), String> {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = ["--data-dir", folder.path().to_str().unwrap()];
        let all = [&["weir", "coordinator"], arguments, &data_dir].concat();
        let parsed = Arguments::try_parse_from(all).map_err(|error| error.to_string())?;
        let Command::Coordinator(command) = parsed.command else { panic!("{arguments:?}") };
        let run = command.run;
        let config = run.config(run.listen, Spans::nowhere()).map_err(|error| error.report())?;
        let greeting = run.greeting(&config, run.listen);
        Ok((config, greeting))
    }

    /// Where others reach a founding member with these arguments, or what is wrong with them.
    fn reached(arguments: &[&str]) -> Result<String, String> {
        configured(arguments).map(|(config, _)| config.members.get(&config.id).cloned().unwrap_or_default())
    }

    #[test]
    fn a_member_has_an_address_that_others_can_reach() {
        let anywhere = ["--listen", "0.0.0.0:7420", "--insecure"];
        let with = |more: &[&str]| reached(&[&anywhere, more].concat());
        assert_eq!(reached(&["--listen", "127.0.0.1:7421"]).unwrap(), "127.0.0.1:7421");
        assert_eq!(with(&["--advertise", "c1:7420"]).unwrap(), "c1:7420");
        assert_eq!(with(&["--members", "1=c1:7420"]).unwrap(), "c1:7420");
        assert_eq!(with(&["--join"]).unwrap(), "", "`weir cluster add` says it");
        assert!(with(&[]).unwrap_err().contains("--advertise host:port"));
        for wrong in [["--advertise", "0.0.0.0:7420"], ["--members", "1=[::]:7420"]] {
            assert!(with(&wrong).unwrap_err().contains("nobody reaches a coordinator at"), "{wrong:?}");
        }
        assert!(with(&["--advertise", "c1"]).unwrap_err().contains("HOST:PORT"));
        assert!(with(&["--advertise", "c1:7420", "--members", "1=c1:7420"]).is_err());
    }

    #[test]
    fn one_that_lost_its_log_joins_under_another_number() {
        let founding = ["--members", "1=c1:7420,2=c2:7420,3=c3:7420", "--storage", "file:///tmp", "--insecure"];
        let with =
            |id: &str, replaced: &str| configured(&[&["--id", id, "--replaced", replaced], &founding[..]].concat());
        let (config, said) = with("2", "2=4").unwrap();
        assert_eq!((config.id, config.members.len()), (CoordinatorId(4), 0));
        assert!(config.data_dir.ends_with("coordinator-4"), "{:?}", config.data_dir);
        assert!(said.ends_with("weir cluster add 4 c2:7420"), "{said}");
        assert_eq!(with("2", "4=5,2=4").unwrap().0.id, CoordinatorId(5), "replaced twice");
        let (other, _) = with("1", "2=4").unwrap();
        assert_eq!((other.id, other.members.len()), (CoordinatorId(1), 3));
        assert!(with("2", "2=4,4=5,5=4").err().unwrap().contains("by itself"));
        for founding in ["2=3", "2=4,4=3", "2=4,4=2"] {
            assert!(with("2", founding).err().unwrap().contains("a founding member"), "{founding}");
        }
        assert_eq!(with("1", "2=3").unwrap().0.id, CoordinatorId(1), "it is not about this one");
        for none in ["", " ", ",", "4=5,"] {
            assert_eq!(with("2", none).unwrap().0.id, CoordinatorId(2), "{none:?}");
        }
        assert!(with("2", "2=2").err().unwrap().contains("OLD=NEW"));
    }

    #[test]
    fn timeouts_have_a_unit_and_leave_time_for_a_sign_of_life() {
        for (wrong, why) in [("2000", "with its unit"), ("0s", "less than 100ms"), ("99ms", "less than 100ms")] {
            for flag in ["--worker-timeout", "--election-timeout"] {
                let refused = reached(&[flag, wrong]).unwrap_err();
                assert!(refused.contains(why), "{refused}");
            }
        }
        reached(&["--worker-timeout", "2s", "--election-timeout", "100ms"]).unwrap();
    }
}
