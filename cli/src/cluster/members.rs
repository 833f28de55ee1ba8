//! `weir cluster`: the coordinators, and how full the cluster is.

use std::sync::Arc;

use weir_core::{CoordinatorId, Error, Result};
use weir_proto::client::{ClientRequest, ClientResponse, ClusterInfo, JobSummary, WorkerInfo, status};

use super::args::ClusterCommand;
use super::client::{Client, expect_answer};
use super::{print, print_json, said, show};
use crate::exit::Exit;
use crate::terminal::Screen;

/// What the cluster lacks, a line each; nothing if it is whole.
pub(super) fn missing(cluster: &ClusterInfo, workers: &[WorkerInfo], jobs: &[JobSummary]) -> Vec<String> {
    let coordinators = cluster.coordinators.iter().filter(|coordinator| show::is_silent(coordinator));
    let coordinators =
        coordinators.map(|coordinator| format!("coordinator {} at {}", coordinator.id, coordinator.address));
    let workers = workers.iter().filter(|worker| !worker.connected);
    let workers = workers.map(|worker| match &worker.lost_because {
        Some(reason) => format!("worker {}: {reason}", worker.worker),
        None => format!("worker {}, which may come back", worker.worker),
    });
    let jobs = jobs.iter().filter(|job| job.status != status::RUNNING);
    let jobs = jobs.map(|job| format!("job {}, which is {}", job.full_name(), job.status));
    coordinators.chain(workers).chain(jobs).collect()
}

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
            let answer = client.call(ClientRequest::ListWorkers).await?;
            let workers = expect_answer!(answer, ClientResponse::Workers(workers) => workers)?;
            let answer = client.call(ClientRequest::ListJobs { namespace: None, all: false }).await?;
            let jobs = expect_answer!(answer, ClientResponse::Jobs(jobs) => jobs)?;
            let missing = missing(&cluster, &workers, &jobs);
            match format.json {
                true => print_json(screen, &cluster)?,
                false => print(screen, &show::cluster(&cluster, &missing, screen.results_size())?)?,
            };
            Ok(if missing.is_empty() { Exit::Ok } else { Exit::Impaired })
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
