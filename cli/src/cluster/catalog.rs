//! `weir catalog`: tables, views and functions that the scripts of a namespace share.

use std::sync::Arc;

use serde::Serialize;
use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;
use weir_proto::client::{CatalogInfo, ClientRequest, ClientResponse};
use weir_sql::shared::{self, Declaration};

use super::args::{CatalogCommand, CatalogScript};
use super::artifacts;
use super::client::{Client, expect_answer};
use super::{print, print_json, said, show};
use crate::exit::Exit;
use crate::plugin::{FunctionPlugins, PluginFile};
use crate::script;
use crate::terminal::Screen;

/// Carries the command out.
///
/// # Errors
/// What is wrong with a script; what the cluster answers, or that it does not.
pub async fn execute(
    command: CatalogCommand,
    namespace: String,
    mut client: Client,
    screen: &Arc<Screen>,
) -> Result<Exit> {
    let known = of(&mut client, &namespace).await?;
    match command {
        CatalogCommand::List { format } => {
            let declared = shared::declarations(&known.statements);
            let listed: Vec<Listed> = declared.iter().map(Listed::of).collect();
            match format.json {
                true => print_json(screen, &listed),
                false => print(screen, &show::catalog(&declared, screen.results_size())?),
            }
        }
        CatalogCommand::Show { name } => {
            let declared = shared::declarations(&known.statements);
            let is_meant = |declaration: &&Declaration| {
                name.as_ref().is_none_or(|name| declaration.name.eq_ignore_ascii_case(name))
            };
            let texts: Vec<String> =
                declared.iter().filter(is_meant).map(|declaration| format!("{};\n", declaration.shown())).collect();
            if let (Some(name), true) = (name, texts.is_empty()) {
                return Err(Error::user(format!("there is no `{name}` in the catalog of namespace {namespace}"))
                    .with_help("`weir catalog list` shows what there is"));
            }
            print(screen, &texts.join("\n"))
        }
        CatalogCommand::Apply(CatalogScript { file, execute }) => {
            let text = match (execute, file) {
                (Some(text), _) => text,
                (None, Some(file)) => script::read_file(&file)?,
                (None, None) => {
                    return Err(Error::user("there is no script").with_help("name a file, or give SQL with -e"));
                }
            };
            let (text, files) = with_plugins(text, &mut client).await?;
            let connectors: Arc<dyn ConnectorRegistry> = Arc::new(crate::connectors::builtin());
            let before = shared::declarations(&known.statements);
            let after = shared::changed(&known.statements, &text, &connectors, &Functions::built_in())?;
            let statements = after.iter().map(Declaration::kept).collect();
            let request = ClientRequest::ReplaceCatalog { namespace, version: known.version, statements };
            let replace = async |client: &mut Client| client.call(request).await;
            artifacts::with_files(&files, &mut client, replace).await?;
            said(screen, &changes(&before, &after))
        }
    }
}

/// A script with the signatures of the functions of plugins that it declares, and their files.
async fn with_plugins(text: String, client: &mut Client) -> Result<(String, Vec<Arc<PluginFile>>)> {
    let script = weir_sql::parse(&text)?;
    let mut plugins = FunctionPlugins::default();
    plugins.look_into(&script).await?;
    let files = plugins.files();
    if files.is_empty() {
        return Ok((text, files));
    }
    let folder = artifacts::folder(client).await?;
    Ok((plugins.written_into(&script, Some(&folder))?, files))
}

/// The catalog of a namespace.
///
/// # Errors
/// If there is no such namespace, or the cluster does not answer.
pub(super) async fn of(client: &mut Client, namespace: &str) -> Result<CatalogInfo> {
    let answer = client.call(ClientRequest::ShowCatalog { namespace: namespace.to_owned(), to_change: false }).await?;
    expect_answer!(answer, ClientResponse::Catalog(catalog) => catalog)
}

/// A declaration, for programs.
#[derive(Debug, Serialize)]
struct Listed {
    kind: &'static str,
    name: String,
    statement: String,
}

impl Listed {
    fn of(declaration: &Declaration) -> Self {
        Self { kind: declaration.kind.name(), name: declaration.name.clone(), statement: declaration.shown() }
    }
}

/// What has been created, replaced and dropped, a line each.
fn changes(before: &[Declaration], after: &[Declaration]) -> String {
    let find = |all: &[Declaration], wanted: &Declaration| {
        all.iter().find(|known| known.kind == wanted.kind && known.name == wanted.name).cloned()
    };
    let line =
        |what: &str, declaration: &Declaration| format!("{what} {} {}", declaration.kind.name(), declaration.name);
    let dropped = before.iter().filter(|known| find(after, known).is_none()).map(|known| line("dropped", known));
    let others = after.iter().filter_map(|known| match find(before, known) {
        None => Some(line("created", known)),
        Some(earlier) if earlier.statement != known.statement => Some(line("replaced", known)),
        Some(_) => None,
    });
    let lines: Vec<String> = dropped.chain(others).collect();
    if lines.is_empty() { "nothing has changed".to_owned() } else { lines.join("\n") }
}
