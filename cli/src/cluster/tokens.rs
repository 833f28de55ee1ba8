//! `weir tokens`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use weir_core::Result;
use weir_proto::client::{Bearer, ClientRequest, ClientResponse, Grant, NewToken, Token, TokenInfo};

use super::args::{ClusterArguments, Format, patience};
use super::client::{Client, expect_answer};
use super::{init_security, print, print_json, said, show};
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::random::secret;
use crate::terminal::Screen;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir tokens create ci --role developer@flights --expires 90d --out ci.token
  weir tokens create grafana --role viewer                  printed once, and kept nowhere
  weir tokens create release --role developer --plugins     may also submit jobs in Rust: native code
  weir tokens create platform --group platform-team --role operator
      for all whom the OpenID Connect issuer of the coordinators (--oidc-issuer-url) has in that group: they show its tokens
  weir tokens list
  weir tokens revoke ci
  weir jobs list --token-file ci.token                      or with the token in WEIR_TOKEN

Roles, in one namespace (ROLE@NAMESPACE) or in all (ROLE):
  viewer      sees jobs, checkpoints, the catalog
  developer   and submits, stops, restarts and deletes jobs, and changes the catalog
  operator    sees, stops, restarts and rescales jobs, takes savepoints; in all namespaces: drains workers
  admin       everything there; in all namespaces: namespaces, coordinators, tokens

The cluster keeps the SHA-256 of a token alone. It counts where the coordinators have certificates (--tls-ca): without them the network
is trusted, and whoever reaches it may do everything.";

/// `weir tokens`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TokensArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: TokensCommand,
    /// Where.
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Make a token, and print it; or give rights to a group.
    Create {
        /// Its name: by it the token is listed and revoked, and what is done with it is told.
        name: String,
        /// What it is good for. May be repeated.
        #[arg(long = "role", required = true, value_name = "ROLE[@NAMESPACE]")]
        roles: Vec<Grant>,
        /// It may be used to submit plugins: native code that runs in the workers.
        #[arg(long)]
        plugins: bool,
        /// Make no token, but give this to a group of the OpenID Connect issuer.
        #[arg(long, value_name = "GROUP", conflicts_with = "out")]
        group: Option<String>,
        /// How long it is good for, such as 90d; until it is revoked if not given.
        #[arg(long, value_name = "DURATION", value_parser = patience)]
        expires: Option<Duration>,
        /// Write the token to this file, which nobody else may read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the tokens, but for the tokens themselves.
    List {
        /// How.
        #[command(flatten)]
        format: Format,
    },
    /// A token is good for nothing any more, from now on.
    Revoke {
        /// Its name.
        name: String,
    },
}

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: TokensCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    match command {
        TokensCommand::Create { name, roles, plugins, group, expires, out } => {
            let token = Token::new(secret()?);
            let bearer = match &group {
                Some(group) => Bearer::Group(group.clone()),
                None => Bearer::Secret(token.sha256()),
            };
            let expires_at =
                expires.map(|after| wall_millis().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)));
            let new = NewToken { name: name.clone(), bearer, grants: roles, plugins, expires_at };
            client.call(ClientRequest::CreateToken(new)).await?;
            if let Some(group) = group {
                return said(screen, &format!("{name}: created, for the group {group}"));
            }
            let text = format!("{}\n", token.reveal());
            match out {
                None => print(screen, &text),
                Some(path) => {
                    init_security::write(&path, text.as_bytes(), 0o600)?;
                    said(screen, &format!("{name}: created, in {}", path.display()))
                }
            }
        }
        TokensCommand::List { format } => {
            let answer = client.call(ClientRequest::ListTokens).await?;
            let tokens: Vec<TokenInfo> = expect_answer!(answer, ClientResponse::Tokens(tokens) => tokens)?;
            match format.json {
                true => print_json(screen, &tokens),
                false => print(screen, &show::tokens(&tokens, wall_millis(), screen.results_size())?),
            }
        }
        TokensCommand::Revoke { name } => {
            client.call(ClientRequest::RevokeToken { name: name.clone() }).await?;
            said(screen, &format!("{name}: revoked"))
        }
    }
}
