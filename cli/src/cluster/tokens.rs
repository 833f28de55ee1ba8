//! `weir tokens`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use weir_core::Result;
use weir_proto::client::{Bearer, ClientRequest, ClientResponse, Grant, NewToken, Token, TokenInfo};

use super::args::{ClusterArguments, Format, patience};
use super::client::{Client, expect_answer};
use super::show::{Terminal, since, table, text};
use super::{init_security, print, print_json, role_bindings, said};
use crate::clock::wall_millis;
use crate::exit::Exit;
use crate::figures::duration;
use crate::random::secret;
use crate::terminal::Screen;

/// What `--help` says at its end.
pub const AFTER_HELP: &str = "\
Examples:
  weir tokens create ci --role developer@flights --expires 90d --out ci.token
  weir tokens create grafana --role viewer                  printed once, and kept nowhere
  weir tokens create release --role developer --plugins     may also submit jobs in Rust: native code
  weir tokens list
  weir tokens revoke ci
  weir jobs list --token-file ci.token                      or with the token in WEIR_TOKEN

Roles, in one namespace (ROLE@NAMESPACE) or in all (ROLE):
  viewer      sees jobs, checkpoints, the catalog
  developer   and submits, stops, restarts and deletes jobs, and changes the catalog
  operator    sees, stops, restarts and rescales jobs, takes savepoints; in all namespaces: drains workers
  admin       everything there; in all namespaces: namespaces, coordinators, tokens

The cluster keeps the SHA-256 of a token alone. It counts where the coordinators have certificates (--tls-ca): without them the network
is trusted, and whoever reaches it may do everything. What groups of an OpenID Connect issuer may do: `weir role-bindings`.";

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
    /// Make a token, and print it.
    Create {
        /// Its name: by it the token is listed and revoked, and what is done with it is told.
        name: String,
        /// What it is good for.
        #[command(flatten)]
        rights: Rights,
        /// Make no token, but do as `weir role-bindings create` does.
        #[arg(long, value_name = "GROUP", conflicts_with = "out", hide = true)]
        group: Option<String>,
        /// Write the token to this file, which nobody else may read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the tokens, but for the tokens themselves; role bindings too.
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

/// What somebody is given.
#[derive(Debug, Args)]
pub struct Rights {
    /// What it is good for. May be repeated.
    #[arg(long = "role", required = true, value_name = "ROLE[@NAMESPACE]")]
    pub roles: Vec<Grant>,
    /// It may be used to submit plugins: native code that runs in the workers.
    #[arg(long)]
    pub plugins: bool,
    /// How long it is good for, such as 90d; until it is taken back if not given.
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    pub expires: Option<Duration>,
}

impl Rights {
    /// The request that gives them.
    pub fn given(self, name: &str, bearer: Bearer) -> ClientRequest {
        let Self { roles, plugins, expires } = self;
        let expires_at =
            expires.map(|after| wall_millis().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)));
        ClientRequest::CreateToken(NewToken { name: name.to_owned(), bearer, grants: roles, plugins, expires_at })
    }
}

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: TokensCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    match command {
        TokensCommand::Create { name, rights, group: Some(group), .. } => {
            role_bindings::create(&name, rights, group, &mut client, screen).await
        }
        TokensCommand::Create { name, rights, group: None, out } => {
            let token = Token::new(secret()?);
            client.call(rights.given(&name, Bearer::Secret(token.sha256()))).await?;
            let line = format!("{}\n", token.reveal());
            match out {
                None => print(screen, &line),
                Some(path) => {
                    init_security::write(&path, line.as_bytes(), 0o600)?;
                    said(screen, &format!("{name}: created, in {}", path.display()))
                }
            }
        }
        TokensCommand::List { format } => {
            let tokens = listed(&mut client).await?;
            match format.json {
                true => print_json(screen, &tokens),
                false => print(screen, &shown("token", &tokens, wall_millis(), screen.results_size())?),
            }
        }
        TokensCommand::Revoke { name } => {
            client.call(ClientRequest::RevokeToken { name: name.clone() }).await?;
            said(screen, &format!("{name}: revoked"))
        }
    }
}

/// The tokens and role bindings that whoever asks may see.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn listed(client: &mut Client) -> Result<Vec<TokenInfo>> {
    let answer = client.call(ClientRequest::ListTokens).await?;
    expect_answer!(answer, ClientResponse::Tokens(tokens) => tokens)
}

/// Tokens, or role bindings, as people read them.
///
/// # Errors
/// A defect.
pub(super) fn shown(what: &'static str, tokens: &[TokenInfo], now: i64, terminal: Terminal) -> Result<String> {
    let roles = |token: &TokenInfo| {
        let plugins = token.plugins.then(|| "plugins".to_owned());
        token.grants.iter().map(ToString::to_string).chain(plugins).collect::<Vec<_>>().join(", ")
    };
    let expires = |token: &TokenInfo| match token.expires_at {
        None => "never".to_owned(),
        Some(end) if end <= now => "has expired".to_owned(),
        Some(end) => format!("in {}", duration(since(end, now))),
    };
    let columns = vec![
        text(what, tokens, |token| token.name.clone()),
        text("of group", tokens, |token| token.group.clone().unwrap_or_default()),
        text("good for", tokens, roles),
        text("made by", tokens, |token| token.created_by.clone().unwrap_or_default()),
        text("made", tokens, |token| format!("{} ago", duration(since(now, token.created_at)))),
        text("expires", tokens, expires),
    ];
    table(columns, terminal)
}
