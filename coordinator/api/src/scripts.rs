//! SQL scripts: planned by what the process was given, beside the runtime, since planning takes a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_core::{JobGraph, Result};
use weir_proto::client::{CatalogInfo, ClientRequest, ClientResponse, ClusterInfo, JobRef, SubmitJob};

use crate::extract::{Body, Names};
use crate::{Api, Problem, Shared, State, answer};

/// A script, and how it is run.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The statements. Paths in them start at `/`.
    pub sql: String,
    /// The job's name; if not given, what `SET 'pipeline.name'` says.
    pub name: Option<String>,
    /// How many slots; if not given, what the settings say, or what the job had.
    pub parallelism: Option<u32>,
    /// Settings, as `weir options` lists them. What the script `SET`s counts more.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// A job that can be submitted.
#[derive(Debug)]
pub struct PlannedJob {
    /// The job.
    pub job: SubmitJob,
    /// Behind how many rows a query is over, whatever else its job would read.
    pub last_row: Option<u64>,
    /// Whether nobody said a parallelism.
    pub any_parallelism: bool,
    /// What is odd about the script.
    pub warnings: Vec<String>,
    /// Warnings about results of earlier jobs, if the job is a new one.
    pub earlier_results: Vec<String>,
}

/// What a script would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explained {
    /// The dataflow, as text for people.
    pub plan: String,
}

/// Plans scripts, beside the runtime: it takes processor time, and may read files.
#[async_trait]
pub trait Scripts: Send + Sync + 'static {
    /// The job that a script of `INSERT INTO`s is; `catalog` are the statements that it may build on.
    ///
    /// # Errors
    /// If it cannot run as a stream, with the place; a `SELECT` has nobody to give its rows to.
    async fn job(&self, namespace: &str, script: Script, catalog: Vec<String>) -> Result<PlannedJob>;

    /// Warnings about results of earlier jobs in the tables that a new job writes. Asks the systems that the tables are in.
    ///
    /// # Errors
    /// A user error if a table is not to be written then.
    async fn earlier_results(&self, graph: &JobGraph) -> Result<Vec<String>>;

    /// What a script would do.
    ///
    /// # Errors
    /// Those of [`job`](Self::job).
    async fn explain(&self, script: Script, catalog: Vec<String>) -> Result<String>;

    /// The statements of a catalog once a script was carried out that changes it.
    ///
    /// # Errors
    /// If it cannot be, or would leave what does not fit together.
    async fn changed(&self, catalog: Vec<String>, script: String) -> Result<Vec<String>>;

    /// A script as it is shown: without secrets.
    fn shown(&self, script: &str) -> String;

    /// The job that a `SELECT` is in that cluster, and which of the folders for results its rows come through.
    ///
    /// # Errors
    /// If it cannot run as a stream.
    async fn query(
        &self,
        namespace: &str,
        script: Script,
        catalog: Vec<String>,
        cluster: &ClusterInfo,
    ) -> Result<(PlannedJob, u64)>;

    /// The rows of a file of such a folder, each as a JSON object.
    ///
    /// # Errors
    /// If it is damaged.
    async fn rows(&self, file: Vec<u8>) -> Result<Vec<String>>;
}

/// The catalog of a namespace.
pub(crate) async fn catalog(api: &Api, namespace: &str) -> Result<CatalogInfo, Problem> {
    shown_catalog(api, namespace, false).await
}

/// The catalog of a namespace in which something is about to be changed: only those may go on who have the right to.
pub(crate) async fn catalog_to_change(api: &Api, namespace: &str) -> Result<CatalogInfo, Problem> {
    shown_catalog(api, namespace, true).await
}

async fn shown_catalog(api: &Api, namespace: &str, to_change: bool) -> Result<CatalogInfo, Problem> {
    let request = ClientRequest::ShowCatalog { namespace: namespace.to_owned(), to_change };
    answer!(api.ask(request).await?, ClientResponse::Catalog(catalog) => catalog)
}

/// The job of a script. One whose name is known keeps its parallelism unless another one is asked for.
pub(crate) async fn planned(api: &Arc<Api>, namespace: String, script: Script) -> Result<PlannedJob, Problem> {
    let catalog = catalog_to_change(api, &namespace).await?;
    let mut planned = {
        let _place = api.limits.planning().await;
        api.serving.scripts.job(&namespace, script, catalog.statements).await?
    };
    let named = JobRef::Name { namespace, name: planned.job.name.clone() };
    match api.ask(ClientRequest::DescribeJob { job: named, graph: false }).await {
        Ok(ClientResponse::Job(there)) if planned.any_parallelism => {
            planned.job.parallelism = there.summary.parallelism
        }
        Err(problem) if problem.kind == "not-found" => {
            planned.earlier_results = api.serving.scripts.earlier_results(&planned.job.graph).await?;
        }
        Err(problem) => return Err(problem),
        Ok(_) => {}
    }
    Ok(planned)
}

/// The statements of a catalog behind a script that changes it.
pub(crate) async fn changed(api: &Arc<Api>, statements: Vec<String>, sql: String) -> Result<Vec<String>, Problem> {
    let _place = api.limits.planning().await;
    api.serving.scripts.changed(statements, sql).await.map_err(Problem::from)
}

/// Shows the dataflow that a script would be run as. Nothing is changed.
#[utoipa::path(post, path = "/namespaces/{namespace}/explain", tag = "jobs", params(("namespace", description = "The namespace.")),
    request_body = Script, responses((status = 200, body = Explained),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn explain(
    State(api): Shared,
    Names(namespace): Names<String>,
    Body(script): Body<Script>,
) -> Result<Json<Explained>, Problem> {
    let catalog = catalog(&api, &namespace).await?;
    let _place = api.limits.planning().await;
    let plan = api.serving.scripts.explain(script, catalog.statements).await?;
    Ok(Json(Explained { plan }))
}
