//! What the scripts of a namespace know without saying it: tables, views and functions.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;
use weir_proto::client::{CatalogInfo, ClientRequest, ClientResponse};

use crate::extract::{Body, Names};
use crate::scripts;
use crate::{Api, Problem, Shared, State, answer};

/// The catalog of a namespace, secrets masked.
#[utoipa::path(get, path = "/namespaces/{namespace}/catalog", tag = "catalog", params(("namespace", description = "The namespace.")),
    responses((status = 200, body = CatalogInfo), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(State(api): Shared, Names(namespace): Names<String>) -> Result<Json<CatalogInfo>, Problem> {
    shown(&api, &namespace).await
}

/// Without secrets, as they are shown.
async fn shown(api: &Api, namespace: &str) -> Result<Json<CatalogInfo>, Problem> {
    let mut catalog = scripts::catalog(api, namespace).await?;
    catalog.statements.iter_mut().for_each(|statement| *statement = api.serving.scripts.shown(statement));
    Ok(Json(catalog))
}

/// Statements that change a catalog.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// `CREATE`, `DROP` and `ALTER` statements.
    sql: String,
}

/// Carries statements out that create, drop or alter what a catalog holds: all of them, or none.
#[utoipa::path(post, path = "/namespaces/{namespace}/catalog", tag = "catalog", params(("namespace", description = "The namespace.")),
    request_body = Change, responses((status = 200, body = CatalogInfo, description = "The catalog as it is now."),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn replace(
    State(api): Shared,
    Names(namespace): Names<String>,
    Body(change): Body<Change>,
) -> Result<Json<CatalogInfo>, Problem> {
    let known = scripts::catalog_to_change(&api, &namespace).await?;
    let statements = scripts::changed(&api, known.statements, change.sql).await?;
    let request = ClientRequest::ReplaceCatalog { namespace: namespace.clone(), version: known.version, statements };
    answer!(api.ask(request).await?, ClientResponse::Accepted => ())?;
    shown(&api, &namespace).await
}
