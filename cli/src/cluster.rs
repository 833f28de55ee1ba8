//! Commands that talk to a cluster: `weir submit`, `jobs`, `workers`, `checkpoints`, `sinks`, `catalog`, `namespaces`, `cluster`.
//!
//! ```text
//!   command line ─▶ requests ─▶ Client ─▶ any coordinator
//!                                 │
//!        table or JSON (stdout) ◀─┴─▶ follow: look twice a second until a goal is reached (stderr)
//! ```

pub mod args;
mod artifacts;
mod autoscale;
mod catalog;
mod checkpoints;
mod client;
mod follow;
mod goal;
mod init_security;
mod jobs;
mod live;
mod members;
mod moved_state;
mod namespaces;
mod preparation;
pub mod request;
pub mod result_folder;
pub mod role_bindings;
mod rows;
mod select;
mod show;
mod sinks;
mod submission;
mod submit;
#[cfg(test)]
mod tests;
pub mod tokens;
mod workers;

use std::sync::Arc;

use serde::Serialize;
use weir_core::{Error, Result};
use weir_proto::client::{ClientRequest, ClientResponse};

use self::args::{
    CatalogArguments, CheckpointsArguments, ClusterArguments, ClusterCommand, ClusterCommandArguments, JobsArguments,
    NamespacesArguments, SinksArguments, SubmitArguments, WorkersArguments,
};
use self::client::{Client, expect_answer};
use self::role_bindings::RoleBindingsArguments;
use self::tokens::TokensArguments;
use crate::exit::Exit;
use crate::settings::registry;
use crate::terminal::Screen;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// `weir submit`.
    Submit(Box<SubmitArguments>),
    /// `weir jobs`.
    Jobs(JobsArguments),
    /// `weir workers`.
    Workers(WorkersArguments),
    /// `weir checkpoints`.
    Checkpoints(CheckpointsArguments),
    /// `weir sinks`.
    Sinks(SinksArguments),
    /// `weir catalog`.
    Catalog(CatalogArguments),
    /// `weir namespaces`.
    Namespaces(NamespacesArguments),
    /// `weir tokens`.
    Tokens(TokensArguments),
    /// `weir role-bindings`.
    RoleBindings(RoleBindingsArguments),
    /// `weir cluster`.
    Cluster(ClusterCommandArguments),
}

/// Does it.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: Command, screen: &Arc<Screen>) -> Result<Exit> {
    match command {
        Command::Submit(arguments) => submit::submit(&arguments, screen).await,
        Command::Jobs(arguments) => jobs::execute(arguments.command, client(&arguments.cluster)?, screen).await,
        Command::Workers(arguments) => workers::execute(arguments.command, client(&arguments.cluster)?, screen).await,
        Command::Checkpoints(arguments) => {
            checkpoints::execute(arguments.command, client(&arguments.cluster)?, screen).await
        }
        Command::Sinks(arguments) => sinks::execute(arguments.command, client(&arguments.cluster)?, screen).await,
        Command::Catalog(CatalogArguments { command, namespace, cluster }) => {
            catalog::execute(command, namespace, client(&cluster)?, screen).await
        }
        Command::Namespaces(arguments) => {
            namespaces::execute(arguments.command, client(&arguments.cluster)?, screen).await
        }
        Command::Tokens(arguments) => tokens::execute(arguments.command, client(&arguments.cluster)?, screen).await,
        Command::RoleBindings(arguments) => {
            role_bindings::execute(arguments.command, client(&arguments.cluster)?, screen).await
        }
        Command::Cluster(arguments) => match arguments.command {
            ClusterCommand::InitSecurity(arguments) => init_security::execute(&arguments, screen),
            command => members::execute(command, client(&arguments.cluster)?, screen).await,
        },
    }
}

/// The catalog of a namespace.
///
/// # Errors
/// If there is no such namespace, or the cluster does not answer.
pub async fn catalog_of(cluster: &ClusterArguments, namespace: &str) -> Result<Vec<String>> {
    Ok(catalog::of(&mut client(cluster)?, namespace).await?.statements)
}

/// Names of all jobs of a namespace, the ended ones too.
///
/// # Errors
/// If the cluster does not answer.
pub async fn names_of_jobs(cluster: &ClusterArguments, namespace: &str) -> Result<Vec<String>> {
    let request = ClientRequest::ListJobs { namespace: Some(namespace.to_owned()), all: true };
    let answer = client(cluster)?.call(request).await?;
    let jobs = expect_answer!(answer, ClientResponse::Jobs(jobs) => jobs)?;
    Ok(jobs.into_iter().map(|job| job.name).collect())
}

/// A client of the cluster that is meant.
fn client(arguments: &ClusterArguments) -> Result<Client> {
    let default = registry::find(registry::COORDINATORS).map_or("", |setting| setting.default.describe());
    Client::new(arguments.coordinators.as_deref().unwrap_or(default), arguments.timeout, arguments.credentials()?)
}

/// Tells the user what was done, on stderr.
fn said(screen: &Screen, text: &str) -> Result<Exit> {
    screen.message(&format!("{text}\n"));
    Ok(Exit::Ok)
}

/// Writes text to stdout.
fn print(screen: &Screen, text: &str) -> Result<Exit> {
    match screen.write_results(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::environment("cannot write to standard output").with_source(error))
        }
        _ => Ok(Exit::Ok),
    }
}

/// Writes a value to stdout as JSON.
fn print_json<T: Serialize>(screen: &Screen, value: &T) -> Result<Exit> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("the answer cannot be written as JSON").with_source(error))?;
    print(screen, &format!("{json}\n"))
}
