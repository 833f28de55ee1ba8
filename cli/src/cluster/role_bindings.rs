//! `weir role-bindings`: what groups of an OpenID Connect issuer may do. The cluster keeps them as tokens whose bearer is a group.

use std::sync::Arc;

use clap::{Args, Subcommand};
use weir_core::{Error, Result};
use weir_proto::client::{Bearer, ClientRequest, TokenInfo};

use super::args::{ClusterArguments, Format};
use super::client::Client;
use super::tokens::{Rights, listed, shown};
use super::{print, print_json, said};
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::terminal::Screen;

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Examples:
  weir role-bindings create platform --group platform-team --role developer@flights --plugins
  weir role-bindings create on-call --group 'streams team' --role operator --expires 30d
  weir role-bindings list
  weir role-bindings delete on-call

Members of a group show tokens of the OpenID Connect issuer that the coordinators are given (--oidc-issuer-url). Whoever is in several groups
may do what any of them may. `weir tokens --help` tells what the roles are.";

/// `weir role-bindings`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RoleBindingsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: RoleBindingsCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with role bindings.
#[derive(Debug, Subcommand)]
pub enum RoleBindingsCommand {
    /// Give roles to a group.
    Create {
        /// Its name, which no token has: by it the binding is listed and deleted.
        name: String,
        /// The group, as the issuer calls it.
        #[arg(long, value_name = "GROUP")]
        group: String,
        /// What is given.
        #[command(flatten)]
        rights: Rights,
    },
    /// List what groups may do.
    List {
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// Take from a group what it was given, from now on.
    Delete {
        /// The binding's name.
        name: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: RoleBindingsCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    match command {
        RoleBindingsCommand::Create { name, group, rights } => create(&name, rights, group, &mut client, screen).await,
        RoleBindingsCommand::List { format } => {
            let mut bindings = listed(&mut client).await?;
            bindings.retain(|token| token.group.is_some());
            match format.json {
                true => print_json(screen, &bindings),
                false => print(screen, &shown("role binding", &bindings, wall_millis(), screen.results_size())?),
            }
        }
        RoleBindingsCommand::Delete { name } => {
            let is_it = |token: &TokenInfo| token.name == name && token.group.is_some();
            if !listed(&mut client).await?.iter().any(is_it) {
                return Err(Error::user(format!("there is no role binding {name}"))
                    .with_help("`weir role-bindings list` shows those that there are"));
            }
            client.call(ClientRequest::RevokeToken { name: name.clone() }).await?;
            said(screen, &format!("{name}: deleted"))
        }
    }
}

/// Gives rights to a group.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn create(name: &str, rights: Rights, group: String, client: &mut Client, screen: &Screen) -> Result<Exit> {
    client.call(rights.given(name, Bearer::Group(group.clone()))).await?;
    said(screen, &format!("{name}: created, for the group {group}"))
}
