//! Files of plugins, which come as the body of a request and go on to the leader in pieces.
//!
//! ```text
//!   PUT ─▶ how much of it is there? ─▶ the body, as far as it makes a piece ─▶ the leader ─▶ storage
//!                                        ▲                                         │
//!                                        └────────── how much is there now? ───────┘
//! ```
//!
//! The body is read no faster than the storage takes pieces, and of each upload one piece is in memory. What has been brought stays when a
//! connection breaks: the next request goes on behind it, or brings it once more.

mod incoming;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use weir_core::JobGraph;
use weir_core::plugin::{Artifact, ArtifactHash};
use weir_proto::client::{ArtifactPiece, ClientRequest, ClientResponse, artifacts};

use self::incoming::Incoming;
use crate::extract::Names;
use crate::{Api, Problem, Shared, State, answer};

/// A plugin's file in the cluster.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PluginFile {
    /// SHA-256 of the file.
    sha256: String,
    /// Whether all of it is here.
    complete: bool,
    /// How many bytes are here, from its beginning, while it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// The folder in which it is kept, for `USING ARTIFACT '…' IN 'FOLDER'`.
    folder: String,
}

async fn file(api: &Api, hash: &ArtifactHash, bytes: Option<u64>) -> Result<Json<PluginFile>, Problem> {
    let (sha256, folder) = (hash.to_string(), folder(api).await?);
    Ok(Json(PluginFile { sha256, complete: bytes.is_none(), bytes, folder }))
}

/// The folder in which files of plugins are kept, as a URL.
async fn folder(api: &Api) -> Result<String, Problem> {
    let cluster = answer!(api.ask(ClientRequest::DescribeCluster).await?, ClientResponse::Cluster(cluster) => cluster)?;
    Ok(artifacts::folder(&cluster.storage, &cluster.cluster))
}

fn read(hash: &str) -> Result<ArtifactHash, Problem> {
    hash.parse().map_err(Problem::from)
}

/// Takes a piece; how many bytes are here then. What does not follow these changes nothing.
async fn put_piece(api: &Api, piece: ArtifactPiece) -> Result<u64, Problem> {
    answer!(api.ask(ClientRequest::PutArtifact(piece)).await?, ClientResponse::ArtifactHere { bytes } => bytes)
}

/// How many bytes of a file are here; `None`: all of them.
async fn here(api: &Api, hash: &ArtifactHash) -> Result<Option<u64>, Problem> {
    // As nobody says how large it is, nothing is put together by that.
    let asks = ArtifactPiece { hash: hash.clone(), size: artifacts::LARGEST, offset: 0, bytes: Bytes::new() };
    let here = put_piece(api, asks).await?;
    Ok((here < artifacts::LARGEST).then_some(here))
}

/// How much of a plugin's file is here: all of it, or where an upload has to go on. Not found: nothing.
#[utoipa::path(get, path = "/artifacts/{sha256}", tag = "plugins", params(("sha256", description = "SHA-256 of the file.")),
    responses((status = 200, body = PluginFile), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn look(State(api): Shared, Names(hash): Names<String>) -> Result<Json<PluginFile>, Problem> {
    let hash = read(&hash)?;
    match here(&api, &hash).await? {
        Some(0) => {
            let detail = format!("nothing of the plugin {} is here", hash.short());
            Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail))
        }
        here => file(&api, &hash, here).await,
    }
}

/// Brings a plugin's file: native code that jobs call. The body is the file, or a part of it behind what is here (`Content-Range`, as in
/// `bytes 1048576-2097151/2097152`). A file that nothing needs may be deleted whenever something else is that needed one: look whether it
/// is still here when the job is submitted.
#[utoipa::path(put, path = "/artifacts/{sha256}", tag = "plugins", params(("sha256", description = "SHA-256 of the file."),
    ("Content-Range" = Option<String>, Header, description = "Which bytes of the file the body has; all if not given.")),
    request_body(content(("application/octet-stream")), description = "The file, of 1 GiB at most."),
    responses((status = 201, body = PluginFile, description = "It has been brought."),
    (status = 200, body = PluginFile, description = "It was here."),
    (status = 202, body = PluginFile, description = "This part has been brought, and others are missing."),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn put(
    State(api): Shared,
    Names(hash): Names<String>,
    request: Request,
) -> Result<(StatusCode, Json<PluginFile>), Problem> {
    // Who does not send before it is told to need not send at all.
    let waits = request.headers().contains_key(header::EXPECT);
    let mut incoming = Incoming::of(request)?;
    let answer = match read(&hash) {
        Ok(hash) => bring(&api, &hash, &mut incoming).await,
        Err(problem) => Err(problem),
    };
    if !waits {
        // Clients that are answered while they still send may lose the answer. Whoever sends too slowly is told the same.
        let _ = incoming.skip_all().await;
    }
    answer
}

async fn bring(
    api: &Api,
    hash: &ArtifactHash,
    incoming: &mut Incoming,
) -> Result<(StatusCode, Json<PluginFile>), Problem> {
    let size = incoming.part().size;
    let piece = |offset, bytes| ArtifactPiece { hash: hash.clone(), size, offset, bytes };
    // Who may not is told before anything is read.
    let mut here = put_piece(api, piece(0, Bytes::new())).await?;
    if here >= size {
        return Ok((StatusCode::OK, file(api, hash, None).await?));
    }
    let _place = api.limits.upload()?;
    while here < size && !incoming.is_over() {
        if here < incoming.position() {
            return Err(gap(here, incoming.position()));
        }
        let bytes = incoming.piece(here).await?;
        if bytes.is_empty() {
            break;
        }
        here = put_piece(api, piece(here, bytes)).await?;
    }
    if here >= size {
        return Ok((StatusCode::CREATED, file(api, hash, None).await?));
    }
    match here < incoming.position() {
        true => Err(gap(here, incoming.position())),
        false => Ok((StatusCode::ACCEPTED, file(api, hash, Some(here)).await?)),
    }
}

/// Nobody has what is between.
fn gap(here: u64, position: u64) -> Problem {
    let detail = format!("{here} bytes of the file are here, and these would begin at {position}");
    Problem::new(StatusCode::CONFLICT, "conflict", detail).with_help("GET tells how many are here: go on behind them")
}

/// The plugins of a dataflow whose files should be here, and are not.
pub(crate) async fn missing(api: &Api, graph: &JobGraph) -> Result<Vec<String>, Problem> {
    let artifacts = graph.artifacts();
    if artifacts.is_empty() {
        return Ok(Vec::new());
    }
    let folder = folder(api).await?;
    let mut missing = Vec::new();
    for Artifact { hash, name, .. } in
        artifacts.into_iter().filter(|artifact| artifact.folder.as_ref() == Some(&folder))
    {
        if here(api, hash).await?.is_some() {
            missing.push(format!("the file of the plugin {name} is not here: PUT it to /api/v1/artifacts/{hash}"));
        }
    }
    Ok(missing)
}

/// Refuses a dataflow whose plugins are not here.
pub(crate) async fn check(api: &Api, graph: &JobGraph) -> Result<(), Problem> {
    if let Some(artifact) = graph.artifacts().into_iter().find(|artifact| artifact.folder.is_none()) {
        return Err(Problem::invalid(format!("it is not said where the file of the plugin {artifact} is"))
            .with_help("write USING ARTIFACT '…' IN 'FOLDER': GET /api/v1/artifacts/{sha256} tells the folder"));
    }
    match missing(api, graph).await?.into_iter().next() {
        None => Ok(()),
        Some(missing) => Err(Problem::new(StatusCode::CONFLICT, "conflict", missing)),
    }
}
