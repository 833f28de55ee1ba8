//! Files of plugins in the cluster: beside the checkpoints, in a folder in which each has its hash as its name. A file that is there is not
//! sent again; one that no job needs goes with the last that did.

use weir_core::plugin::Artifact;
use weir_core::{Error, ErrorKind, JobGraph, Result};
use weir_proto::client::{ClientRequest, ClientResponse, JobRef, artifacts};
use weir_state::{Storages, UrlStorages};

use super::client::{Client, expect_answer};
use crate::blocking::blocking;
use crate::plugin::PluginJob;

const NOT_REACHED: &str =
    "run `weir submit` on a machine that reaches this folder, such as that of a coordinator or a worker";

/// Where the plugin of a job is to be kept.
///
/// # Errors
/// If the cluster does not answer.
pub async fn place(plugin: &mut PluginJob, client: &mut Client) -> Result<()> {
    let answer = client.call(ClientRequest::DescribeCluster).await?;
    let cluster = expect_answer!(answer, ClientResponse::Cluster(cluster) => cluster)?;
    plugin.keep_in(artifacts::folder(&cluster.storage, &cluster.cluster));
    Ok(())
}

/// Puts the file there.
///
/// # Errors
/// If the storage is not reached from here.
pub async fn upload(plugin: &PluginJob) -> Result<()> {
    let (artifact, content) = (plugin.artifact.clone(), plugin.content.clone());
    let Some(folder) = artifact.folder.clone() else {
        return Err(Error::internal("it is not known where a plugin is kept"));
    };
    let sent = blocking(move || {
        let root = artifacts::storage_of(&folder);
        if !UrlStorages.is_there(root)? {
            return Err(Error::environment("there is no such folder on this machine").with_help(NOT_REACHED));
        }
        let storage = UrlStorages.open(&folder).map_err(|error| error.with_help(NOT_REACHED))?;
        let name = artifact.hash.as_str();
        if storage.list(name)?.iter().any(|known| known == name) {
            return Ok(());
        }
        storage.put(name, &content)
    });
    sent.await
        .map_err(|error| error.context(format!("cannot put the plugin {} into the cluster's storage", plugin.artifact)))
}

/// The plugins that a job needs.
///
/// # Errors
/// If there is no such job.
pub async fn named_by(client: &mut Client, job: JobRef) -> Result<Vec<Artifact>> {
    let answer = client.call(ClientRequest::DescribeJob { job, graph: true }).await?;
    let job = expect_answer!(answer, ClientResponse::Job(job) => *job)?;
    Ok(job.graph.as_deref().map(JobGraph::artifacts).unwrap_or_default().into_iter().cloned().collect())
}

/// Removes those of the files that no job needs.
///
/// # Errors
/// If it cannot be told, or they cannot be removed.
pub async fn collect(client: &mut Client, mut artifacts: Vec<Artifact>) -> Result<()> {
    if artifacts.is_empty() {
        return Ok(());
    }
    let answer = client.call(ClientRequest::ListJobs { namespace: None, all: true }).await?;
    for job in expect_answer!(answer, ClientResponse::Jobs(jobs) => jobs)? {
        let needed = match named_by(client, JobRef::Id(job.job)).await {
            Ok(needed) => needed,
            // It was deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::User => continue,
            Err(error) => return Err(error),
        };
        artifacts.retain(|artifact| !needed.iter().any(|needed| needed.hash == artifact.hash));
    }
    let removed = blocking(move || {
        artifacts.iter().try_for_each(|artifact| match &artifact.folder {
            Some(folder) => UrlStorages.open(folder)?.delete(artifact.hash.as_str()),
            None => Ok(()),
        })
    });
    removed.await
}
