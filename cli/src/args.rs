//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ContextKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use weir_core::Result;

use crate::cluster::args::{
    CatalogArguments, CheckpointsArguments, ClusterArguments, ClusterCommandArguments, JobsArguments,
    NamespacesArguments, SinksArguments, SubmitArguments, WorkersArguments,
};
use crate::cluster::role_bindings::RoleBindingsArguments;
use crate::cluster::tokens::TokensArguments;
use crate::logging::{DefaultLevel, LogFormat};
use crate::plugin;
use crate::server::coordinator::{self, CoordinatorCommandArguments};
use crate::server::local::{self, LocalArguments};
use crate::server::worker::{self, WorkerArguments};
use crate::settings::{Layers, Origin, registry};
use crate::test::{self, TestArguments};

const AFTER_HELP: &str = "\
First steps:
  weir run query.sql                        run a script and print or write its results
  weir run query.sql --state-dir state      the same, surviving ^C and crashes
  weir explain query.sql                    show the dataflow without running it
  weir test tests/                          check queries against what they have to come to
  weir sql                                  type statements

In a cluster:
  weir submit query.sql                     run it there; `weir jobs list` shows what runs

`weir run --help` explains scripts, settings, results and exit codes.";

const SQL_AFTER_HELP: &str = "\
Examples:
  weir sql                                  a prompt; \\? helps there
  weir sql -i tables.sql                    the same, with tables that a file declares
  weir sql -f checks.sql                    the statements of a file; the first that fails ends it
  weir sql -e \"SHOW FUNCTIONS LIKE 'json%'\"
  echo 'SELECT …;' | weir sql -i tables.sql --output csv
  weir sql --cluster                        the same in a cluster

Statements are carried out one by one: what one declares or sets, those behind it see. A SELECT or an INSERT runs in this process
until its input ends, or until ^C; it keeps no state. `weir run` makes one job of a whole script, and can go on where it stopped.
In a cluster CREATE and DROP change the catalog that all scripts of the namespace share, an INSERT is submitted as a job that goes on
by itself, and SHOW JOBS, DESCRIBE JOB 'name', SHOW WATERMARKS FOR JOB 'name' and STOP JOB 'name' see to them. What -i declares is for this session alone.
A result that is longer than the screen goes to the pager, `less` or what PAGER says; \\pset pager off has it printed.
The keys are those of readline; the history is in ~/.local/state/weir/sql_history.";

const RUN_AFTER_HELP: &str = "\
Examples:
  weir run delays.sql                       rows of a SELECT appear on stdout
  weir run delays.sql --output csv > delays.csv
  weir run delays.sql | jq .origin          away from a terminal rows are JSON lines
  cat delays.sql | weir run -               the script from standard input
  weir run delays.sql --state-dir state     ^C takes a savepoint; the same command goes on from there,
  weir run delays.sql --state-dir state --parallelism 8                          also at another parallelism
  weir run delays.sql -D execution.checkpointing.interval=1s
  weir run target/release/libdelays.so --arg input=/data        a job in Rust: a plugin, which says what its arguments are

Secrets:
  A table option may say ${env:WEIR_SECRET_NAME} or ${file:NAME}, a file below the folder WEIR_SECRETS_DIR.

Scripts:
  CREATE TABLE, CREATE VIEW, SET, and then either one SELECT, whose rows are printed, or any number of
  INSERT INTO … SELECT, which run as one job.

Settings:
  `weir options` lists them. From the weakest to the strongest:
    the built-in default
    --config FILE.toml                      [execution.checkpointing]
                                            interval = \"1s\"
    SET in the script                       SET 'execution.checkpointing.interval' = '1s';
    -D key=value and flags such as --parallelism; these two must not contradict each other
  SET concerns the whole job, wherever it stands in the script. Relative paths start from the working directory.

Results:
  Rows of a SELECT without INSERT go to stdout, and nothing else does: messages and the status line go to stderr.
  They are printed as they come. With --state-dir and stdout not a terminal, rows appear when the checkpoint that holds
  them completes (execution.checkpointing.interval), so that a crash and a resume print none of them twice.

Stopping:
  ^C or SIGTERM takes a savepoint if there is a --state-dir, and says how to resume; without one nothing is kept.
  A second one ends the program at once; a resume then starts from the last checkpoint.

Exit codes:
  0    finished, or stopped with a savepoint; also when the reader of stdout went away, as in `weir … | head`
  1    internal error: a defect of Weir
  2    the query, a setting or the command line is wrong
  3    the data is not what the query says it is: a record that cannot be decoded, a damaged file
  4    the environment failed: a full disk, a missing permission
  130  stopped by ^C without a savepoint (143: by SIGTERM)";

/// A stream processor that runs SQL over unbounded data and gets every result out exactly once.
#[derive(Debug, Parser)]
#[command(name = "weir", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What to log on stderr: error, warn, info, debug, trace, or directives as in RUST_LOG; info if not given for coordinators,
    /// workers and `weir local`, warn for all else.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// How to log: text for people, or JSON, an object to a line.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t, env = "WEIR_LOG_FORMAT")]
    pub log_format: LogFormat,
}

impl Arguments {
    /// What is logged if nothing is said.
    pub fn default_level(&self) -> DefaultLevel {
        match &self.command {
            Command::Local(_) | Command::Worker(_) => DefaultLevel::Info,
            Command::Coordinator(arguments) if arguments.command.is_none() => DefaultLevel::Info,
            _ => DefaultLevel::Warn,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a SQL script, or a job in Rust, in this process until its input ends or ^C.
    #[command(after_help = RUN_AFTER_HELP)]
    Run(RunArguments),
    /// Type SQL statements, or carry out those of a file one by one.
    #[command(after_help = SQL_AFTER_HELP)]
    Sql(SqlArguments),
    /// Show the dataflow of a SQL script, or of a job in Rust, without running it.
    Explain(ScriptArguments),
    /// Run test files: SQL, the rows that come in, and what has to come out.
    #[command(after_help = test::AFTER_HELP)]
    Test(TestArguments),
    /// Run a SQL script, or a job in Rust, as a job of a cluster.
    Submit(SubmitArguments),
    /// List, describe, stop, restart, rescale the jobs of a cluster.
    Jobs(JobsArguments),
    /// List and drain the workers of a cluster.
    Workers(WorkersArguments),
    /// List and delete the checkpoints of a job.
    Checkpoints(CheckpointsArguments),
    /// Compare what a job has written with what the cluster holds to be committed.
    Sinks(SinksArguments),
    /// Declare tables, views and functions once, for many jobs.
    Catalog(CatalogArguments),
    /// Keep the jobs of different people apart, and bound what they use.
    Namespaces(NamespacesArguments),
    /// Make, list and revoke tokens, with which clients show who they are.
    Tokens(TokensArguments),
    /// Say what groups of an OpenID Connect issuer may do.
    RoleBindings(RoleBindingsArguments),
    /// See to the cluster itself: its coordinators and their leader.
    Cluster(ClusterCommandArguments),
    /// Run a whole cluster in this process.
    #[command(after_help = local::AFTER_HELP)]
    Local(LocalArguments),
    /// Run a coordinator of a cluster.
    #[command(after_help = coordinator::AFTER_HELP)]
    Coordinator(Box<CoordinatorCommandArguments>),
    /// Run a worker of a cluster.
    #[command(after_help = worker::AFTER_HELP)]
    Worker(WorkerArguments),
    /// Make a crate with a job in Rust, which builds, has a test and runs.
    New(NewArguments),
    /// List every setting with its default and what it does.
    Options {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the connectors, or the options of one.
    Connectors {
        /// The connector whose options to list.
        name: Option<String>,
        /// A format, to list its options along with the connector's.
        #[arg(long, requires = "name")]
        format: Option<String>,
    },
    /// Load a plugin and print its job: what `weir run` has done in a process of its own.
    #[command(hide = true)]
    DescribePlugin(DescribePluginArguments),
    /// Carry out what a worker asks of a plugin, over standard input and output.
    #[command(hide = true)]
    HostPlugin(HostPluginArguments),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  weir completions bash > ~/.local/share/bash-completion/completions/weir")]
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

/// `weir run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The script and its settings.
    #[command(flatten)]
    pub script: ScriptArguments,

    /// Keep state here, and go on from there if an earlier run left any.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// How rows of a SELECT are printed; a table on a terminal and JSON lines elsewhere if not given.
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<OutputArgument>,

    /// Print no status line and no summary.
    #[arg(long, short)]
    pub quiet: bool,

    /// Write figures about the run to this file when it ends, as JSON: rows, seconds, memory, checkpoints.
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,

    /// Serve metrics and health over HTTP here while it runs: /metrics, /health/live, /health/ready.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http_listen: Option<SocketAddr>,
}

/// `weir sql`.
#[derive(Debug, Clone, Args)]
pub struct SqlArguments {
    /// Carry out the statements of this file and end; - is standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "execute")]
    pub file: Option<PathBuf>,

    /// Carry out these statements and end.
    #[arg(long, short, value_name = "SQL", allow_hyphen_values = true)]
    pub execute: Option<String>,

    /// Carry out the statements of this file first: declarations that every session wants.
    #[arg(long, short, value_name = "FILE")]
    pub init: Option<PathBuf>,

    /// How many subtasks each operator runs as; `auto`: as many as a cluster has slots for it, or the machine has cores.
    #[arg(long, short, value_name = "N")]
    pub parallelism: Option<String>,

    /// Set anything that `weir options` lists. May be repeated.
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = key_value)]
    pub define: Vec<(String, String)>,

    /// A TOML file with settings.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// How rows are printed; a table on a terminal and JSON lines elsewhere if not given.
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    pub output: Option<OutputArgument>,

    /// Print no status line and no summary.
    #[arg(long, short)]
    pub quiet: bool,

    /// Declare in the catalog of a cluster, and run jobs there.
    #[arg(long)]
    pub cluster: bool,

    /// Namespace of the catalog and of the jobs.
    #[arg(long, default_value = "default")]
    pub namespace: String,

    /// Where the cluster is.
    #[command(flatten)]
    pub coordinators: ClusterArguments,
}

/// A script and what it is planned with.
#[derive(Debug, Args)]
pub struct ScriptArguments {
    /// The SQL script, or a job in Rust: a plugin's file, as in target/release/libmy_job.so; - is a script on standard input.
    #[arg(required_unless_present = "execute", conflicts_with = "execute")]
    pub file: Option<PathBuf>,

    /// The script itself instead of a file.
    // It may begin with a comment: two hyphens.
    #[arg(long, short, value_name = "SQL", allow_hyphen_values = true)]
    pub execute: Option<String>,

    /// An argument of the job, if it is a plugin's. May be repeated.
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = plugin::argument, conflicts_with = "execute")]
    pub arguments: Vec<(String, String)>,

    /// How many subtasks each operator runs as; `auto`: as many as a cluster has slots for it, or the machine has cores.
    #[arg(long, short, value_name = "N")]
    pub parallelism: Option<String>,

    /// Where the code of plugins runs: operators, functions, sources and sinks.
    #[arg(long, value_enum, value_name = "WHERE")]
    pub isolation: Option<IsolationMode>,

    /// Set anything that `weir options` lists. May be repeated.
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = key_value)]
    pub define: Vec<(String, String)>,

    /// A TOML file with settings.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
}

/// `weir new`.
#[derive(Debug, Args)]
pub struct NewArguments {
    /// Folder of the crate; its last part is the crate's name.
    pub path: PathBuf,

    /// Where the SDK is, the folder `jobs` of Weir's sources; where this program was built, if not given.
    #[arg(long, value_name = "PATH")]
    pub sdk: Option<PathBuf>,
}

/// `weir describe-plugin`.
#[derive(Debug, Args)]
pub struct DescribePluginArguments {
    /// The plugin.
    pub file: PathBuf,

    /// An argument of its job.
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = plugin::argument)]
    pub arguments: Vec<(String, String)>,

    /// Say which functions it exports, and not what its job is.
    #[arg(long, conflicts_with = "arguments")]
    pub functions: bool,
}

/// `weir host-plugin`.
#[derive(Debug, Args)]
pub struct HostPluginArguments {
    /// The plugin.
    pub file: PathBuf,

    /// The process that asks, with which this one ends.
    #[arg(long)]
    pub parent: u32,

    /// Bytes that the plugin may allocate.
    #[arg(long)]
    pub memory_limit: Option<u64>,
}

/// Where the code of plugins runs.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum IsolationMode {
    /// In the process that runs the job.
    None,
    /// In child processes of it, each subtask's by itself.
    Process,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OutputArgument {
    /// Aligned columns.
    Table,
    /// A JSON object a line.
    Json,
    /// Comma-separated values with a header.
    Csv,
}

/// A word more about a command line that clap has refused.
pub fn tip(error: &clap::Error) -> Option<String> {
    let word = error.get(ContextKind::InvalidSubcommand)?.to_string();
    word.ends_with(".sql").then(|| format!("\n  tip: to run a script, write: weir run {word}\n"))
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write it as KEY=VALUE, for example -D parallelism.default=4".into()),
    }
}

impl ScriptArguments {
    /// What file and command line set.
    ///
    /// # Errors
    /// If they set what does not exist or cannot be.
    pub fn layers(&self) -> Result<Layers> {
        let mut layers = layers(self.config.as_deref(), &self.define, self.parallelism.as_deref())?;
        if let Some(isolation) = self.isolation {
            let isolation = match isolation {
                IsolationMode::None => "none",
                IsolationMode::Process => "process",
            };
            layers.set_on_command_line(registry::PLUGIN_ISOLATION, isolation, Origin::Flag("--isolation"))?;
        }
        Ok(layers)
    }
}

impl SqlArguments {
    /// What file and command line set.
    ///
    /// # Errors
    /// If they set what does not exist or cannot be.
    pub fn layers(&self) -> Result<Layers> {
        let mut layers = layers(self.config.as_deref(), &self.define, self.parallelism.as_deref())?;
        if let Some(output) = self.output {
            output.set(&mut layers)?;
        }
        if self.quiet {
            layers.set_on_command_line(registry::QUIET, "true", Origin::Flag("--quiet"))?;
        }
        Ok(layers)
    }
}

fn layers(config: Option<&Path>, define: &[(String, String)], parallelism: Option<&str>) -> Result<Layers> {
    let mut layers = Layers::default();
    if let Some(path) = config {
        layers.add_file(path)?;
    }
    for (key, value) in define {
        layers.set_on_command_line(key, value, Origin::Define)?;
    }
    if let Some(parallelism) = parallelism {
        layers.set_on_command_line(registry::PARALLELISM, parallelism, Origin::Flag("--parallelism"))?;
    }
    Ok(layers)
}

impl OutputArgument {
    /// Adds it to what the command line says.
    ///
    /// # Errors
    /// If the command line says something else elsewhere.
    pub fn set(self, layers: &mut Layers) -> Result<()> {
        let word = match self {
            OutputArgument::Table => "table",
            OutputArgument::Json => "json",
            OutputArgument::Csv => "csv",
        };
        layers.set_on_command_line(registry::OUTPUT, word, Origin::Flag("--output"))
    }
}

impl RunArguments {
    /// What file and command line set.
    ///
    /// # Errors
    /// If they set what does not exist or cannot be.
    pub fn layers(&self) -> Result<Layers> {
        let mut layers = self.script.layers()?;
        if let Some(directory) = &self.state_dir {
            let directory = directory.to_str().ok_or_else(|| {
                weir_core::Error::user(format!("--state-dir: {} is not valid UTF-8", directory.display()))
            })?;
            layers.set_on_command_line(registry::STATE_DIR, directory, Origin::Flag("--state-dir"))?;
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
