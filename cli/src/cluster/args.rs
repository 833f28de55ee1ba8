//! The command line of everything that talks to a cluster.

mod help;
mod scaling;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use weir_connectors::options::{parse_bytes, parse_duration};
use weir_core::{JobId, Result};
use weir_proto::client::JobRef;
use weir_proto::grpc::{Credentials, TokenSource};

pub use self::scaling::{AutoscaleArguments, Slots};
use super::init_security::{self, InitSecurityArguments};
use crate::args::{OutputArgument, ScriptArguments};
use crate::server::otlp::CollectorArguments;
use crate::settings::{Layers, Origin, registry};
use crate::tls::TlsArguments;

/// Where the cluster is.
#[derive(Debug, Clone, Args)]
pub struct ClusterArguments {
    /// Coordinators to ask, any of them; 127.0.0.1:7420 if nothing is said.
    #[arg(long, global = true, value_name = "HOST:PORT,…", env = "WEIR_COORDINATORS")]
    pub coordinators: Option<String>,

    /// How long to try to get an answer.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = patience)]
    pub timeout: Duration,

    /// How it is reached.
    #[command(flatten)]
    pub tls: TlsArguments,

    /// A file with the token by which the cluster knows who asks, the cluster's own or one of an OpenID Connect issuer; the token itself may
    /// be in WEIR_TOKEN. The file is read again for every request.
    #[arg(long, global = true, value_name = "FILE", env = "WEIR_TOKEN_FILE", help_heading = "TLS")]
    pub token_file: Option<PathBuf>,

    /// The token. Not on the command line, which everybody on the machine can read.
    #[arg(skip = std::env::var_os("WEIR_TOKEN").map(Secret))]
    pub token: Option<Secret>,
}

/// What is printed nowhere.
#[derive(Clone)]
pub struct Secret(OsString);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ClusterArguments {
    /// What proves who asks.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub fn credentials(&self) -> Result<Credentials> {
        Ok(Credentials { tls: self.tls.open()?, token: self.token()? })
    }

    fn token(&self) -> Result<Option<TokenSource>> {
        match (&self.token_file, &self.token) {
            (Some(path), _) => TokenSource::file(path).map(Some),
            (None, Some(Secret(text))) if !text.is_empty() => {
                TokenSource::given(&text.to_string_lossy(), "WEIR_TOKEN").map(Some)
            }
            (None, _) => Ok(None),
        }
    }
}

/// `weir submit`.
#[derive(Debug, Args)]
#[command(after_help = help::SUBMIT)]
pub struct SubmitArguments {
    /// The script and its settings.
    #[command(flatten)]
    pub script: ScriptArguments,

    /// Name of the job; the name of the script's file, or of the plugin's crate, if not given.
    #[arg(long)]
    pub name: Option<String>,

    /// Namespace of the job.
    #[arg(long, default_value = "default")]
    pub namespace: String,

    /// Return when the job is submitted.
    #[arg(long)]
    pub detach: bool,

    /// What of the catalog stands before the script, if that is known.
    #[arg(skip)]
    pub beginning: Option<String>,

    /// Whether results that change are shown, on a terminal, as the rows that there are.
    #[arg(skip)]
    pub is_live: bool,

    /// The fewest slots of a job that decides on them itself: with `-p auto`, or by load.
    #[arg(long, value_name = "N")]
    pub min_parallelism: Option<String>,

    /// The most slots of such a job.
    #[arg(long, value_name = "N")]
    pub max_parallelism: Option<String>,

    /// Start the job with the state that `weir run`, or an application that embeds the engine, has kept of it in this folder. The
    /// folder is of no use to them from then on.
    #[arg(long, value_name = "DIR")]
    pub move_state: Option<PathBuf>,

    /// ^C stops the job with a savepoint instead of leaving it running.
    #[arg(long, conflicts_with = "detach")]
    pub stop_on_interrupt: bool,

    /// How rows of a SELECT are printed; a table on a terminal and JSON lines elsewhere if not given.
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<OutputArgument>,

    /// Print no status line.
    #[arg(long, short)]
    pub quiet: bool,

    /// Who is told how long planning and uploading took.
    #[command(flatten)]
    pub collector: CollectorArguments,

    /// Where to.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

impl SubmitArguments {
    /// What file and command line set.
    ///
    /// # Errors
    /// If they set what does not exist or cannot be.
    pub fn layers(&self) -> Result<Layers> {
        let mut layers = self.script.layers()?;
        let bounds = [
            (registry::MIN_PARALLELISM, &self.min_parallelism, "--min-parallelism"),
            (registry::MAX_PARALLELISM, &self.max_parallelism, "--max-parallelism"),
        ];
        for (key, value, flag) in bounds {
            if let Some(value) = value {
                layers.set_on_command_line(key, value, Origin::Flag(flag))?;
            }
        }
        if let Some(output) = self.output {
            output.set(&mut layers)?;
        }
        if self.quiet {
            layers.set_on_command_line(registry::QUIET, "true", Origin::Flag("--quiet"))?;
        }
        Ok(layers)
    }
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

/// Which job.
#[derive(Debug, Clone, Args)]
pub struct JobArgument {
    /// Number, name, or namespace/name of the job.
    pub job: String,

    /// Namespace of a job that is given by its name alone.
    #[arg(long, default_value = "default")]
    pub namespace: String,
}

impl JobArgument {
    /// What the cluster is asked for.
    pub fn reference(&self) -> JobRef {
        if let Ok(number) = self.job.parse() {
            return JobRef::Id(JobId(number));
        }
        let (namespace, name) = self.job.split_once('/').unwrap_or((&self.namespace, &self.job));
        JobRef::Name { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// `weir jobs`.
#[derive(Debug, Args)]
#[command(after_help = help::JOBS)]
pub struct JobsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: JobsCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List the jobs that have not ended, and those that have failed.
    List {
        /// Of this namespace only.
        #[arg(long)]
        namespace: Option<String>,
        /// Also jobs that have finished, or were stopped or cancelled.
        #[arg(long, short)]
        all: bool,
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Show all about a job: how it does, where it runs, its checkpoints.
    Describe {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Show how far in event time each part of a job is.
    Watermarks {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Say why a job gives no output, or less than it should, and what to do about it.
    Doctor {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Stop a job with a savepoint, from which `restart` goes on.
    Stop {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// Let all windows fire first: the input counts as ended.
        #[arg(long)]
        drain: bool,
        /// Return at once instead of when it has stopped.
        #[arg(long)]
        detach: bool,
    },
    /// End a job at once, keeping its last checkpoint.
    Cancel {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// Return at once instead of when it has ended.
        #[arg(long)]
        detach: bool,
        /// What it does without --detach.
        #[arg(long, hide = true)]
        wait: bool,
    },
    /// Run a job again that has ended, or take a running one back to a checkpoint.
    Restart {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// The checkpoint to start from instead of the newest.
        #[arg(long, value_name = "EPOCH")]
        from: Option<u64>,
        /// Return at once instead of when it runs.
        #[arg(long)]
        detach: bool,
    },
    /// Give a job another number of slots.
    Rescale {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// How many subtasks each operator runs as; `auto`: as many as there are slots for it, from now on.
        #[arg(long, short, value_name = "N", value_parser = scaling::slots)]
        parallelism: Slots,
        /// If slots are missing, wait until they are there.
        #[arg(long)]
        wait: bool,
        /// Return at once instead of when it runs.
        #[arg(long, conflicts_with = "wait")]
        detach: bool,
    },
    /// Show who decides how many slots a job has and what was decided, or change it.
    #[command(after_help = help::AUTOSCALE)]
    Autoscale {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// The change.
        #[command(flatten)]
        change: AutoscaleArguments,
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Take a savepoint: a checkpoint that is kept until it is deleted.
    Savepoint {
        /// Of which.
        #[command(flatten)]
        job: JobArgument,
        /// Return when it is on its way instead of when it is complete.
        #[arg(long)]
        detach: bool,
    },
    /// Forget a job that has ended, and delete its checkpoints.
    Delete {
        /// Which.
        #[command(flatten)]
        job: JobArgument,
        /// Also if results that are decided are not visible yet: they are thrown away, for good.
        #[arg(long)]
        discard_results: bool,
    },
}

/// `weir workers`.
#[derive(Debug, Args)]
#[command(after_help = help::WORKERS)]
pub struct WorkersArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: WorkersCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with workers.
#[derive(Debug, Subcommand)]
pub enum WorkersCommand {
    /// List the workers and what they run.
    List {
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Move the work of a worker to others, and give it no more.
    Drain {
        /// Its name.
        worker: String,
        /// Return when it runs nothing any more.
        #[arg(long)]
        wait: bool,
        /// How long --wait waits; then the exit code is 4, and the worker goes on being drained.
        #[arg(long, requires = "wait", value_name = "DURATION", default_value = "10m", value_parser = patience)]
        wait_timeout: Duration,
    },
    /// Give a worker work again.
    Undrain {
        /// Its name.
        worker: String,
    },
}

/// `weir checkpoints`.
#[derive(Debug, Args)]
#[command(after_help = help::CHECKPOINTS)]
pub struct CheckpointsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: CheckpointsCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with checkpoints.
#[derive(Debug, Subcommand)]
pub enum CheckpointsCommand {
    /// List the checkpoints of a job that are kept, oldest first.
    List {
        /// Of which job.
        #[command(flatten)]
        job: JobArgument,
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Delete a checkpoint or savepoint.
    Delete {
        /// Of which job.
        #[command(flatten)]
        job: JobArgument,
        /// Which one.
        epoch: u64,
    },
}

/// `weir sinks`.
#[derive(Debug, Args)]
#[command(after_help = help::SINKS)]
pub struct SinksArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: SinksCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with the sinks of a job.
#[derive(Debug, Subcommand)]
pub enum SinksCommand {
    /// Ask the systems that a job writes how far its sinks have come, and compare.
    Audit {
        /// Of which job.
        #[command(flatten)]
        job: JobArgument,
        /// How.
        #[command(flatten)]
        format: Format,
    },
}

/// `weir catalog`.
#[derive(Debug, Args)]
#[command(after_help = help::CATALOG)]
pub struct CatalogArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: CatalogCommand,
    /// Whose scripts share it.
    #[arg(long, global = true, default_value = "default")]
    pub namespace: String,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with a catalog.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// List the tables, views and functions.
    List {
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Print the statements that create them, secrets masked.
    Show {
        /// Of this one only.
        name: Option<String>,
    },
    /// Carry out CREATE and DROP statements: all of them, or none if one is wrong.
    Apply(CatalogScript),
}

/// Statements that change a catalog.
#[derive(Debug, Default, Args)]
pub struct CatalogScript {
    /// File with the statements; `-` is standard input.
    pub file: Option<PathBuf>,
    /// The statements themselves.
    #[arg(long, short, value_name = "SQL", conflicts_with = "file", allow_hyphen_values = true)]
    pub execute: Option<String>,
}

/// `weir namespaces`.
#[derive(Debug, Args)]
#[command(after_help = help::NAMESPACES)]
pub struct NamespacesArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: NamespacesCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// Limits as they are given: `Some(None)` lifts one.
#[derive(Debug, Clone, Copy, Args)]
pub struct Limits {
    /// Slots that its jobs may have together; `none`: no limit.
    #[arg(long, value_name = "N", value_parser = limit)]
    pub slots: Option<Limit<u32>>,
    /// Jobs that it may have; `none`: no limit.
    #[arg(long, value_name = "N", value_parser = limit)]
    pub jobs: Option<Limit<u32>>,
    /// State that its jobs may have together, such as 10gb (powers of 1024); `none`: no limit.
    #[arg(long, value_name = "SIZE", value_parser = size_limit)]
    pub state_bytes: Option<Limit<u64>>,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<T>(pub Option<T>);

/// What to do with namespaces.
#[derive(Debug, Subcommand)]
pub enum NamespacesCommand {
    /// List the namespaces, their limits, and what they use.
    List {
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Create a namespace.
    Create {
        /// Its name.
        namespace: String,
        /// Its limits.
        #[command(flatten)]
        limits: Limits,
    },
    /// Change the limits of a namespace that are named; the others stay.
    Set {
        /// Its name.
        namespace: String,
        /// Its limits.
        #[command(flatten)]
        limits: Limits,
    },
    /// Delete a namespace that has no jobs.
    Delete {
        /// Its name.
        namespace: String,
    },
}

/// `weir cluster`.
#[derive(Debug, Args)]
#[command(after_help = help::CLUSTER)]
pub struct ClusterCommandArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: ClusterCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with the cluster itself.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Show who leads, the coordinators, and how full the cluster is.
    Status {
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Let another coordinator take part.
    Add {
        /// Its number, which no coordinator has had before.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
        /// Where the others reach it, host:port.
        address: String,
    },
    /// Take a coordinator out for good.
    Remove {
        /// Its number.
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Let another coordinator lead.
    TransferLeadership {
        /// Its number; whichever knows most if not given.
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
    },
    /// Make a CA and certificates for the coordinators, the workers and an administrator, or renew them.
    #[command(after_help = init_security::AFTER_HELP)]
    InitSecurity(InitSecurityArguments),
}

/// A duration on the command line. It has a unit: a bare number is seconds to one and milliseconds to another.
///
/// # Errors
/// What to write instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).filter(|_| text.ends_with(char::is_alphabetic));
    duration.ok_or_else(|| "write a duration with its unit, such as '500ms', '10s' or '1min'".into())
}

/// The same, for what makes no sense without any time.
///
/// # Errors
/// What to write instead.
pub fn patience(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|patience| if patience.is_zero() { Err("more than no time".into()) } else { Ok(patience) })
}

fn limit(text: &str) -> Result<Limit<u32>, String> {
    match text {
        "none" => Ok(Limit(None)),
        _ => text.parse().map(|limit| Limit(Some(limit))).map_err(|_| "write a number, or 'none'".into()),
    }
}

fn size_limit(text: &str) -> Result<Limit<u64>, String> {
    match text {
        "none" => Ok(Limit(None)),
        _ => size(text).map(|limit| Limit(Some(limit))).map_err(|help| format!("{help}, or 'none'")),
    }
}

/// A size on the command line.
///
/// # Errors
/// What to write instead.
pub fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "write a size such as '500mb' or '10gb', in powers of 1024".into())
}
