//! `weir namespaces`.

use std::sync::Arc;

use weir_core::{Error, Result};
use weir_proto::client::{ClientRequest, ClientResponse, NamespaceInfo, QuotaInfo};

use super::args::{Limits, NamespacesCommand};
use super::client::{Client, expect_answer};
use super::{print, print_json, said, show};
use crate::exit::Exit;
use crate::terminal::Screen;

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: NamespacesCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    let client = &mut client;
    match command {
        NamespacesCommand::List { format } => {
            let namespaces = list_namespaces(client).await?;
            match format.json {
                true => print_json(screen, &namespaces),
                false => print(screen, &show::namespaces(&namespaces, screen.results_size())?),
            }
        }
        NamespacesCommand::Create { namespace, limits } => {
            if list_namespaces(client).await?.iter().any(|known| known.namespace == namespace) {
                return Err(Error::user(format!("there is a namespace '{namespace}' already"))
                    .with_help(format!("`weir namespaces set {namespace}` changes its limits")));
            }
            let quota = limited(QuotaInfo::default(), limits);
            client.call(ClientRequest::SetNamespace { namespace: namespace.clone(), quota }).await?;
            said(screen, &format!("{namespace}: created"))
        }
        NamespacesCommand::Set { namespace, limits } => {
            let known = list_namespaces(client).await?.into_iter().find(|known| known.namespace == namespace);
            let known = known.ok_or_else(|| {
                Error::user(format!("there is no namespace '{namespace}'"))
                    .with_help(format!("`weir namespaces create {namespace}` creates it"))
            })?;
            let quota = limited(known.quota, limits);
            client.call(ClientRequest::SetNamespace { namespace: namespace.clone(), quota }).await?;
            said(screen, &format!("{namespace}: changed"))
        }
        NamespacesCommand::Delete { namespace } => {
            client.call(ClientRequest::DropNamespace { namespace: namespace.clone() }).await?;
            said(screen, &format!("{namespace}: deleted"))
        }
    }
}

async fn list_namespaces(client: &mut Client) -> Result<Vec<NamespaceInfo>> {
    let answer = client.call(ClientRequest::ListNamespaces).await?;
    expect_answer!(answer, ClientResponse::Namespaces(namespaces) => namespaces)
}

/// The limits with those changed that are given.
pub(super) fn limited(quota: QuotaInfo, limits: Limits) -> QuotaInfo {
    QuotaInfo {
        slots: limits.slots.map_or(quota.slots, |limit| limit.0),
        jobs: limits.jobs.map_or(quota.jobs, |limit| limit.0),
        state_bytes: limits.state_bytes.map_or(quota.state_bytes, |limit| limit.0),
    }
}
