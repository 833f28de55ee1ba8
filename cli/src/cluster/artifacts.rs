//! Files of plugins in the cluster: beside the checkpoints, in a folder in which each has its hash as its name. They are sent to the
//! coordinators in pieces; a file that is there is not sent again; the leader removes those that no job needs.

use std::sync::Arc;

use weir_core::{Error, Result};
use weir_proto::client::{ArtifactPiece, ClientRequest, ClientResponse, artifacts};

use super::client::{Client, expect_answer};
use crate::plugin::PluginFile;

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
/// What goes wrong with it, or if the files cannot be sent.
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
/// If the cluster does not take them.
pub async fn put(files: &[Arc<PluginFile>], client: &mut Client) -> Result<()> {
    for file in files {
        put_one(file, client).await.map_err(|error| {
            error.context(format!("cannot put the plugin {} into the cluster's storage", file.artifact))
        })?;
    }
    Ok(())
}

/// How often the cluster may turn out to have less of a file than before: pieces may be taken for those of a file that nothing needs.
const RESTARTS: usize = 3;

async fn put_one(file: &PluginFile, client: &mut Client) -> Result<()> {
    let size = file.content.len() as u64;
    if size > artifacts::LARGEST {
        let (size, most) = (mebibytes(size), mebibytes(artifacts::LARGEST));
        return Err(Error::user(format!("the file has {size} MiB, and may have {most}"))
            .with_help("build it with `cargo build --release`, and strip it"));
    }
    let mut restarts = 0;
    // The first question is how much of it is there.
    let (mut here, mut length) = (0, 0);
    loop {
        let sent = usize::try_from(here).unwrap_or(usize::MAX);
        let rest = file.content.get(sent..).unwrap_or_default();
        let bytes = rest[..rest.len().min(length)].to_vec().into();
        let piece = ArtifactPiece { hash: file.artifact.hash.clone(), size, offset: here, bytes };
        let answer = client.call(ClientRequest::PutArtifact(piece)).await?;
        let now = expect_answer!(answer, ClientResponse::ArtifactHere { bytes } => bytes)?;
        if now >= size {
            return Ok(());
        }
        restarts += usize::from(length > 0 && now <= here);
        if restarts > RESTARTS {
            return Err(Error::environment("others remove its pieces meanwhile").with_help("submit it again"));
        }
        (here, length) = (now, artifacts::PIECE);
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}
