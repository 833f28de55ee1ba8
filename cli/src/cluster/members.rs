//! `weir cluster`: the coordinators, and how full the cluster is.

use std::sync::Arc;

use weir_core::{CoordinatorId, Error, Result};
use weir_proto::client::{ClientRequest, ClientResponse};

use super::args::ClusterCommand;
use super::client::{Client, expect_answer};
use super::{print, print_json, said, show};
use crate::exit::Exit;
use crate::terminal::Screen;

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: ClusterCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    match command {
        ClusterCommand::InitSecurity(_) => Err(Error::internal("certificates are not made by the cluster")),
        ClusterCommand::Status { format } => {
            let answer = client.call(ClientRequest::DescribeCluster).await?;
            let cluster = expect_answer!(answer, ClientResponse::Cluster(cluster) => cluster)?;
            match format.json {
                true => print_json(screen, &cluster),
                false => print(screen, &show::cluster(&cluster, screen.results_size())?),
            }
        }
        ClusterCommand::Add { id, address } => {
            let request = ClientRequest::AddCoordinator { id: CoordinatorId(id), address: address.clone(), log: 0 };
            client.call(request).await?;
            said(screen, &format!("coordinator {id} at {address} follows, and votes once it has caught up"))
        }
        ClusterCommand::Remove { id } => {
            client.call(ClientRequest::RemoveCoordinator { id: CoordinatorId(id) }).await?;
            said(screen, &format!("coordinator {id} is out; its number is not used again"))
        }
        ClusterCommand::TransferLeadership { to } => {
            client.call(ClientRequest::TransferLeadership { to: to.map(CoordinatorId) }).await?;
            said(screen, "accepted; `weir cluster status` shows who leads")
        }
    }
}
