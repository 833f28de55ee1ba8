//! The `weir` binary: reads the command line, runs what it asks for, and reports errors once, here.

mod args;
mod clock;
mod cluster;
mod exit;
mod explain;
mod figures;
mod listing;
mod logging;
mod new;
mod pager;
mod plugin;
mod result;
mod run;
mod script;
mod server;
mod shell;
mod signals;
mod stats;
mod status;
mod terminal;
mod test;
mod tls;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use weir_core::{Error, Result};
use weir_embedded::{blocking, connectors, job, leftovers, planning, random, secrets, settings};

use args::{Arguments, Command, HostPluginArguments};
use exit::Exit;
use server::coordinator::CoordinatorCommand;
use terminal::Screen;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nowhere to report that the usage could not be printed.
            let _ = error.print();
            if let Some(tip) = args::tip(&error) {
                Screen::of_process().message(&tip);
            }
            return if error.use_stderr() { Exit::User.into() } else { Exit::Ok.into() };
        }
    };
    let screen = Arc::new(Screen::of_process());
    let logging =
        logging::start(&screen, arguments.log_level.as_deref(), arguments.log_format, arguments.default_level());
    let outcome = logging.and_then(|()| execute(arguments, &screen));
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            screen.message(&exit::render(&error, screen.layout().colour));
            Exit::from(error.kind()).into()
        }
    }
}

fn execute(arguments: Arguments, screen: &Arc<Screen>) -> Result<Exit> {
    let text = match arguments.command {
        Command::Run(arguments) => return on_threads(run::run(&arguments, screen)),
        Command::Sql(arguments) => return on_threads(shell::run(&arguments, screen)),
        Command::Local(arguments) => return on_threads(server::local::run(&arguments, screen)),
        Command::Coordinator(arguments) => {
            return match arguments.command {
                Some(CoordinatorCommand::Recover(recover)) => server::recover::run(&recover, screen),
                None => on_threads(server::coordinator::run(&arguments.run, screen)),
            };
        }
        Command::Worker(arguments) => return on_threads(server::worker::run(&arguments, screen)),
        Command::Submit(arguments) => return in_cluster(cluster::Command::Submit(Box::new(arguments)), screen),
        Command::Jobs(arguments) => return in_cluster(cluster::Command::Jobs(arguments), screen),
        Command::Workers(arguments) => return in_cluster(cluster::Command::Workers(arguments), screen),
        Command::Checkpoints(arguments) => return in_cluster(cluster::Command::Checkpoints(arguments), screen),
        Command::Sinks(arguments) => return in_cluster(cluster::Command::Sinks(arguments), screen),
        Command::Catalog(arguments) => return in_cluster(cluster::Command::Catalog(arguments), screen),
        Command::Namespaces(arguments) => return in_cluster(cluster::Command::Namespaces(arguments), screen),
        Command::Tokens(arguments) => return in_cluster(cluster::Command::Tokens(arguments), screen),
        Command::RoleBindings(arguments) => return in_cluster(cluster::Command::RoleBindings(arguments), screen),
        Command::Cluster(arguments) => return in_cluster(cluster::Command::Cluster(arguments), screen),
        Command::Test(arguments) => return on_threads(test::run(&arguments, screen)),
        Command::Explain(arguments) => on_threads(explain::explain(&arguments, screen))?,
        Command::New(arguments) => new::create(&arguments)?,
        Command::DescribePlugin(arguments) => plugin::describe(&arguments),
        Command::HostPlugin(HostPluginArguments { file, parent, memory_limit }) => {
            return weir_worker::isolated::serve(&file, parent, memory_limit).map(|()| Exit::Ok);
        }
        Command::Options { json: false } => listing::settings(),
        Command::Options { json: true } => listing::settings_json(),
        Command::Connectors { name, format } => {
            let registry = connectors::builtin();
            match name {
                None => listing::connectors(&registry),
                Some(name) => listing::connector(&registry, &name, format.as_deref())?,
            }
        }
        Command::Completions { shell } => completions(shell),
    };
    match screen.write_results(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::environment("cannot write to standard output").with_source(error))
        }
        _ => Ok(Exit::Ok),
    }
}

/// Runs what waits for files, sockets and signals.
fn on_threads<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("weir-io")
        .build()
        .map_err(|error| Error::environment("cannot start threads").with_source(error))?;
    let outcome = runtime.block_on(work);
    // A thread that waits for a slow reader of stdout, or for a disk, must not keep the process alive.
    runtime.shutdown_background();
    outcome
}

/// Commands that only talk to others need one thread.
fn in_cluster(command: cluster::Command, screen: &Arc<Screen>) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::environment("cannot wait for the network").with_source(error))?;
    let exit = runtime.block_on(cluster::execute(command, screen));
    // As in `on_threads`: rows may wait for a reader who never comes back.
    runtime.shutdown_background();
    exit
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "weir", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
