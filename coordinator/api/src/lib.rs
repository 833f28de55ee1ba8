//! The REST API of the coordinators: what people's programs, and a browser, ask a cluster.
//!
//! ```text
//!   HTTP ─▶ /api/v1/… ─▶ a ClientRequest ─▶ ClientHandler ─▶ the leader, here or elsewhere
//!                │
//!                └─ a script ─▶ Scripts: planned here, by what the process was given
//! ```
//!
//! Every coordinator serves it, on the port that gRPC has, and passes on to the leader what only that can answer. Paths name things
//! by namespace and name. Errors are problem details (RFC 9457). The OpenAPI document is made of this code, and served at
//! `/api/v1/openapi.json`.
//!
//! Planning SQL takes the planner, and reading rows the checkpoint storage, neither of which a coordinator links: the process hands
//! them in, as [`Scripts`], with all else that it knows and a coordinator does not ([`Serving`]).

mod artifacts;
mod catalog;
mod checkpoints;
mod coordinators;
mod events;
mod extract;
mod jobs;
mod limits;
mod namespaces;
mod origin;
mod page;
mod problem;
mod queries;
mod scaling;
mod scripts;
mod sinks;
mod tokens;
mod workers;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Json, Router};
use tokio::time::Instant;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use weir_monitoring::Spans;
use weir_proto::client::Caller;
use weir_proto::client::{ClientErrorKind, ClientRequest, ClientResponse};
use weir_proto::grpc::{Call, ClientHandler};
use weir_proto::limits::CLIENT_MESSAGE;

use self::limits::Limits;
pub use origin::Hosts;
pub use page::Page;
pub use problem::Problem;
pub use scripts::{Explained, PlannedJob, Script, Scripts};

/// How long a request waits for the coordinators to agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request waits for a leader.
const ELECTION: Duration = Duration::from_secs(5);
/// Pause between two looks for one.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What the process hands in.
#[derive(Clone)]
pub struct Serving {
    /// Plans scripts.
    pub scripts: Arc<dyn Scripts>,
    /// How clients may call this machine.
    pub hosts: Hosts,
    /// Whether nobody on the way reads what is sent.
    pub encrypted: bool,
    /// Draws what nobody can guess.
    pub secret: fn() -> weir_core::Result<[u8; 32]>,
    /// Where it is told how long planning took.
    pub spans: Spans,
    /// Milliseconds since 1970.
    pub wall_clock: fn() -> i64,
}

/// What a handler needs to answer.
struct Api {
    cluster: Arc<dyn ClientHandler>,
    serving: Serving,
    limits: Arc<Limits>,
    /// Who asks.
    caller: Caller,
}

/// The same, for the one who asks: whoever lets requests in puts that among their extensions.
struct State(Arc<Api>);

type Shared = State;

impl FromRequestParts<Arc<Api>> for State {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        let Api { cluster, serving, limits, .. } = &**api;
        let (cluster, serving, limits) = (cluster.clone(), serving.clone(), limits.clone());
        Ok(Self(Arc::new(Api { cluster, serving, limits, caller })))
    }
}

/// Keeps only what the response is expected to be; anything else is a defect.
macro_rules! answer {
    ($answer:expr, $pattern:pat => $value:expr) => {
        match $answer {
            $pattern => Ok($value),
            other => Err($crate::Problem::unexpected(&other)),
        }
    };
}
pub(crate) use answer;

impl Api {
    /// Asks once there is a leader: while one is elected, nothing is done, and the client would only come again. A token that may have been made is
    /// asked for again too: nobody else knows it, and to make it twice comes to the same.
    async fn ask(&self, request: ClientRequest) -> Result<ClientResponse, Problem> {
        let call = Call { caller: self.caller.clone(), timeout: Some(PATIENCE), ..Call::default() };
        let deadline = Instant::now() + ELECTION;
        let is_undone = |kind| match kind {
            ClientErrorKind::Unavailable => true,
            ClientErrorKind::Unknown => matches!(request, ClientRequest::CreateToken(_)),
            _ => false,
        };
        loop {
            match self.cluster.handle(request.clone(), call.clone()).await {
                Err(error) if is_undone(error.kind) && Instant::now() < deadline => {}
                answered => return answered.map_err(Problem::from),
            }
            #[expect(clippy::disallowed_methods, reason = "a pause between two tries")]
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// For requests that have no answer of their own.
    async fn tell(&self, request: ClientRequest) -> Result<axum::http::StatusCode, Problem> {
        answer!(self.ask(request).await?, ClientResponse::Accepted => axum::http::StatusCode::ACCEPTED)
    }
}

/// The document's head.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Weir",
        description = "The REST API of a Weir cluster. Any coordinator answers. Times are milliseconds since 1970 unless their name says otherwise.",
    ),
    tags(
        (name = "jobs", description = "Jobs: submit, watch, stop, rescale, restart."),
        (name = "checkpoints", description = "Checkpoints and savepoints of a job."),
        (name = "queries", description = "SELECTs whose rows come back as they are computed."),
        (name = "catalog", description = "Namespaces, and the tables, views and functions that their scripts share."),
        (name = "plugins", description = "Files of plugins, native code that jobs call."),
        (name = "access", description = "Tokens, and what groups of an OpenID Connect issuer may do."),
        (name = "cluster", description = "Coordinators and workers."),
    )
)]
struct Document;

fn routes() -> OpenApiRouter<Arc<Api>> {
    let api = OpenApiRouter::new()
        .routes(routes!(jobs::list_all))
        .routes(routes!(jobs::list, jobs::submit))
        .routes(routes!(jobs::describe, jobs::delete))
        .routes(routes!(jobs::stop))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::restart))
        .routes(routes!(jobs::rescale))
        .routes(routes!(scaling::put))
        .routes(routes!(events::job_events))
        .routes(routes!(checkpoints::list))
        .routes(routes!(checkpoints::delete))
        .routes(routes!(checkpoints::savepoint))
        .routes(routes!(sinks::audit))
        .routes(routes!(scripts::explain))
        .routes(routes!(queries::query))
        .routes(routes!(namespaces::list))
        .routes(routes!(namespaces::put, namespaces::delete))
        .routes(routes!(catalog::show, catalog::replace))
        .routes(routes!(artifacts::look, artifacts::put))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(workers::list))
        .routes(routes!(workers::change))
        .routes(routes!(coordinators::cluster))
        .routes(routes!(coordinators::add, coordinators::remove))
        .routes(routes!(coordinators::lead));
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api/v1", api)
}

/// The OpenAPI document, as JSON.
///
/// # Panics
/// Never: the document is built of strings.
pub fn document() -> String {
    routes().into_openapi().to_pretty_json().expect("a document of strings is JSON")
}

/// The API, to be served beside gRPC.
pub fn router(cluster: Arc<dyn ClientHandler>, serving: Serving) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = Arc::new(document);
    let served = move || async move { Json((*document).clone()) };
    router
        .route("/api/v1/openapi.json", get(served))
        .route("/api/{*path}", axum::routing::any(problem::no_such_path))
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(CLIENT_MESSAGE))
        .layer(axum::middleware::from_fn_with_state(serving.hosts, origin::refuse_other_pages))
        .with_state(Arc::new(Api { cluster, serving, limits: Arc::default(), caller: Caller::default() }))
}
