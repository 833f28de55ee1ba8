//! `weir worker`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use weir_core::{Incarnation, Result};
use weir_functions::Functions;
use weir_monitoring::Observed;
use weir_worker::agent::Ending;
use weir_worker::process::{self, WorkerConfig, WorkerMonitor};

use super::allow::AllowArguments;
use super::http::{self, HttpArguments};
use super::otlp::OtlpArguments;
use super::{SAY_SO, check_reachability, connectors};
use crate::cluster::args::{duration, size};
use crate::exit::Exit;
use crate::figures;
use crate::random::random;
use crate::signals::{Interrupt, Signals};
use crate::terminal::Screen;
use crate::tls::TlsArguments;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir worker --coordinators 127.0.0.1:7420
      a worker on the coordinators' machine, with a slot for each core
  weir worker --name w1 --coordinators 10.0.0.1:7420,10.0.0.2:7420,10.0.0.3:7420 \\
      --listen 0.0.0.0:7430 --advertise 10.0.0.11:7430 --insecure --data-dir /var/lib/weir --slots 8

A slot runs one subtask of every operator of a job; a job takes as many slots as it has parallelism. The worker finds the leader
by itself, and goes on working while there is none.

SIGTERM and ^C move its work to other workers first, for --drain-timeout at most; a second signal ends it at once. What was
not moved away is then restarted elsewhere from its last checkpoint, and the exit code is 143 (SIGTERM) or 130 (^C) instead of 0.";

/// `weir worker`.
#[derive(Debug, Args)]
pub struct WorkerArguments {
    /// The coordinators.
    #[arg(
        long,
        env = "WEIR_COORDINATORS",
        default_value = "127.0.0.1:7420",
        value_name = "HOST:PORT,…",
        value_delimiter = ','
    )]
    pub coordinators: Vec<String>,

    /// Its name, the same across restarts; made up and kept in the data directory if not given.
    #[arg(long)]
    pub name: Option<String>,

    /// How many slots it offers; the number of cores if not given.
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,

    /// Threads that run operators; the number of cores if not given.
    #[arg(long, value_name = "N")]
    pub compute_threads: Option<usize>,

    /// Where other workers come in; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// How other workers reach it, if not as it listens. Of one that listens on all addresses (0.0.0.0) it is the address by which it
    /// reaches the coordinators.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// What it keeps across restarts; nothing if not given.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// How long its work may take to be moved away when it is told to go.
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = duration)]
    pub drain_timeout: Duration,

    /// Size of the state files to keep in the data directory, such as 10gb, so that a restart here reads them from the local
    /// disk; 1gb if not given, and none where checkpoints are kept in a folder anyway.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub local_runs_bytes: Option<u64>,

    /// Where it is asked how it does.
    #[command(flatten)]
    pub http: HttpArguments,

    /// Where traces and metrics are sent.
    #[command(flatten)]
    pub otlp: OtlpArguments,

    /// Listen on an address that other machines reach without TLS, so that nothing is encrypted or authenticated.
    #[arg(long)]
    pub insecure: bool,

    /// Folder of the secrets that table options refer to as ${file:NAME}. ${env:WEIR_SECRET_…} refers to variables.
    #[arg(long, env = crate::secrets::FOLDER, value_name = "DIR")]
    pub secrets_dir: Option<PathBuf>,

    /// What tables may reach.
    #[command(flatten)]
    pub allow: AllowArguments,

    /// Certificates; with them coordinators and other workers have to prove who they are.
    #[command(flatten)]
    pub tls: TlsArguments,
}

/// Runs a worker until it is told to go.
///
/// # Errors
/// If the cluster does not take it, or it cannot start.
pub async fn run(arguments: &WorkerArguments, screen: &Screen) -> Result<Exit> {
    let tls = arguments.tls.open()?;
    check_reachability(arguments.listen, tls.is_some() || arguments.insecure, SAY_SO)?;
    let mut signals = Signals::listen()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let otlp = arguments.otlp.open("weir-worker")?;
    let config = WorkerConfig {
        name: arguments.name.clone(),
        incarnation: Incarnation(random()?),
        data_dir: arguments.data_dir.clone(),
        listen: arguments.listen,
        advertise: arguments.advertise.clone(),
        slots: arguments.slots.unwrap_or(u32::try_from(cores).unwrap_or(u32::MAX)),
        coordinators: arguments.coordinators.clone(),
        compute_threads: arguments.compute_threads.unwrap_or(cores),
        drain_timeout: arguments.drain_timeout,
        local_runs_bytes: arguments.local_runs_bytes,
        tls,
        secrets: crate::secrets::below(arguments.secrets_dir.clone()),
        allowed: arguments.allow.allowed(),
    };
    let http = arguments.http.open(http::WORKER, arguments.insecure).await?;
    let monitor = Arc::new(WorkerMonitor::tracing(otlp.spans()));
    let parts: Vec<Arc<dyn Observed>> = vec![monitor.clone(), Arc::new(otlp.spans())];
    let mut otlp = std::pin::pin!(otlp.run(parts.clone()));
    let mut http = std::pin::pin!(http.serve(parts));
    screen.message(&format!("worker with {} slots, looking for {}\n", config.slots, config.coordinators.join(", ")));
    let (sender, shutdown) = mpsc::channel(2);
    let mut worker = std::pin::pin!(process::run(config, connectors(), Functions::built_in(), monitor, shutdown));
    let patience = figures::duration(arguments.drain_timeout);
    let mut told = None;
    loop {
        tokio::select! {
            ended = &mut worker => return ended.map(|ending| {
                let (text, exit) = outcome(&ending, &patience, told);
                screen.message(&format!("{text}\n"));
                exit
            }),
            served = &mut http => return served.map(|()| Exit::Ok),
            () = &mut otlp => return Ok(Exit::Ok),
            signal = signals.next() => {
                screen.message(&match told {
                    None => format!("moving work away, for {patience} at most; once more ends at once\n"),
                    Some(_) => "ending at once\n".to_owned(),
                });
                told = Some(signal);
                // A full channel means that it has been told twice.
                let _ = sender.try_send(());
            }
        }
    }
}

/// What is told of a worker's end, and how the program ends.
fn outcome(ending: &Ending, patience: &str, told: Option<Interrupt>) -> (String, Exit) {
    let restarted = "jobs that ran here go on elsewhere from their last checkpoint";
    let interrupted = told.map_or(Exit::Terminated, Interrupt::exit);
    match ending {
        Ending::Released => ("the worker has ended; it ran nothing any more".into(), Exit::Ok),
        Ending::Late => (
            format!("the worker has ended, but its work was not moved away within {patience}: {restarted}"),
            interrupted,
        ),
        Ending::Forced => (format!("the worker was ended before its work was moved away: {restarted}"), interrupted),
        // Told as errors.
        Ending::Refused { .. } | Ending::OtherCluster { .. } => {
            ("the cluster does not take the worker".into(), Exit::User)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worker_that_ran_nothing_any_more_has_ended_in_order() {
        let exit = |ending| outcome(&ending, "60 s", Some(Interrupt::Keyboard)).1;
        assert_eq!(exit(Ending::Released), Exit::Ok);
        assert_eq!(exit(Ending::Late), Exit::Interrupted);
        assert_eq!(exit(Ending::Forced), Exit::Interrupted);
        assert_eq!(outcome(&Ending::Forced, "60 s", Some(Interrupt::Terminate)).1, Exit::Terminated);
    }
}
