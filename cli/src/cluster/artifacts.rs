//! Files of plugins in the cluster: beside the checkpoints, in a folder in which each has its hash as its name. A file that is there is not
//! sent again; the leader removes those that no job needs.

use weir_core::{Error, Result};
use weir_object_storage::ObjectStorages;
use weir_proto::client::{ClientRequest, ClientResponse, artifacts};
use weir_state::Storages;

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
        if !ObjectStorages::default().is_there(root)? {
            return Err(Error::environment("there is no such folder on this machine").with_help(NOT_REACHED));
        }
        let storage = ObjectStorages::default().open(&folder).map_err(|error| error.with_help(NOT_REACHED))?;
        let name = artifact.hash.as_str();
        if storage.list(name)?.iter().any(|known| known == name) {
            return Ok(());
        }
        storage.put(name, &content)
    });
    sent.await
        .map_err(|error| error.context(format!("cannot put the plugin {} into the cluster's storage", plugin.artifact)))
}
