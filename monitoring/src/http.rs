//! The answers over HTTP.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use weir_core::{Error, Result};

use crate::connections::Limited;
use crate::{CONTENT_TYPE, Monitor, encode};

/// Serves until the future is dropped.
///
/// # Errors
/// If the server cannot go on.
pub async fn serve(listener: TcpListener, monitor: Monitor) -> Result<()> {
    axum::serve(Limited::new(listener), router(monitor))
        .await
        .map_err(|error| Error::environment("the HTTP server cannot go on").with_source(error))
}

fn router(monitor: Monitor) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(monitor)
}

async fn metrics(State(monitor): State<Monitor>) -> Response {
    match encode(monitor.samples().await) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.report()).into_response(),
    }
}

/// Who starts the process anew when it does not answer cannot mend anything else by that: a lost majority, say.
async fn live() -> &'static str {
    "live\n"
}

async fn ready(State(monitor): State<Monitor>) -> Response {
    let readiness = monitor.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}
