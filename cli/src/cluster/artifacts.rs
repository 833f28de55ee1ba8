//! Files of plugins in the cluster: beside the checkpoints, in a folder in which each has its hash as its name. A file that is there is not
//! sent again; the leader removes those that no job needs.

use std::sync::Arc;

use weir_core::{Error, Result};
use weir_object_storage::ObjectStorages;
use weir_proto::client::{ClientRequest, ClientResponse, artifacts};
use weir_state::Storages;

use super::client::{Client, expect_answer};
use crate::blocking::blocking;
use crate::plugin::PluginFile;

const NOT_REACHED: &str =
    "run `weir submit` on a machine that reaches this folder, such as that of a coordinator or a worker";

/// The folder in which plugins are kept, as a URL.
///
/// # Errors
/// If the cluster does not answer.
pub async fn folder(client: &mut Client) -> Result<String> {
    let answer = client.call(ClientRequest::DescribeCluster).await?;
    let cluster = expect_answer!(answer, ClientResponse::Cluster(cluster) => cluster)?;
    Ok(artifacts::folder(&cluster.storage, &cluster.cluster))
}

/// Does what makes the cluster need plugins, with their files in the folder. One that nothing needs yet may be taken for one that nothing
/// needs any more: so they are put there before and behind it.
///
/// # Errors
/// What goes wrong with it, or if the storage is not reached from here.
pub async fn with_files<T>(
    files: &[Arc<PluginFile>],
    client: &mut Client,
    needs: impl AsyncFnOnce(&mut Client) -> Result<T>,
) -> Result<T> {
    put(files, client).await?;
    let outcome = needs(client).await?;
    put(files, client).await?;
    Ok(outcome)
}

/// Puts files into the folder that are not there.
///
/// # Errors
/// If the cluster does not answer, or its storage is not reached from here.
pub async fn put(files: &[Arc<PluginFile>], client: &mut Client) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let folder = folder(client).await?;
    for file in files {
        upload_one(file.clone(), folder.clone()).await.map_err(|error| {
            error.context(format!("cannot put the plugin {} into the cluster's storage", file.artifact))
        })?;
    }
    Ok(())
}

async fn upload_one(file: Arc<PluginFile>, folder: String) -> Result<()> {
    let sent = blocking(move || {
        let root = artifacts::storage_of(&folder);
        if !ObjectStorages::default().is_there(root)? {
            return Err(Error::environment("there is no such folder on this machine").with_help(NOT_REACHED));
        }
        let storage = ObjectStorages::default().open(&folder).map_err(|error| error.with_help(NOT_REACHED))?;
        let name = file.artifact.hash.as_str();
        if storage.list(name)?.iter().any(|known| known == name) {
            return Ok(());
        }
        storage.put(name, &file.content)
    });
    sent.await
}
