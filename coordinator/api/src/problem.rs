//! Errors as the API tells them: problem details, RFC 9457.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use weir_core::{Error, ErrorKind};
use weir_proto::client::{ClientError, ClientErrorKind, ClientResponse};

/// Why a request was not done. Programs go by `kind`, which keeps its meaning; the texts are for people and may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Short name of the kind: `not-found`, `conflict`, `quota`, `invalid`, `unknown` (it is not known whether it was done),
    /// `unavailable` (nothing was done: ask again), `too-large`, `incomplete` (the body did not come to its end), `internal`,
    /// `unauthenticated` (it is not known who asks), `denied` (who asks may not).
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// The HTTP status.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    pub status: StatusCode,
    /// What happened.
    pub detail: String,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem without advice.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, status, detail: detail.into(), help: None }
    }

    /// The request is wrong.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    /// Nothing was done; it may be later.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// What was begun could not be brought to its end.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail)
    }

    /// Adds what can be done about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The answer is of a kind that the question does not have.
    pub(crate) fn unexpected(answer: &ClientResponse) -> Self {
        let detail = format!("the coordinator gave the answer {} to another question", answer.name());
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        let (status, kind) = match error.kind {
            ClientErrorKind::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            ClientErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            ClientErrorKind::Quota => (StatusCode::FORBIDDEN, "quota"),
            ClientErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
            ClientErrorKind::Unknown => (StatusCode::GATEWAY_TIMEOUT, "unknown"),
            ClientErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ClientErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            ClientErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
            ClientErrorKind::Denied => (StatusCode::FORBIDDEN, "denied"),
        };
        Self { kind, status, detail: error.message, help: error.help }
    }
}

/// Of a script that cannot be planned or run.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, kind) = match error.kind() {
            ErrorKind::User | ErrorKind::Data => (StatusCode::BAD_REQUEST, "invalid"),
            ErrorKind::Environment => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Self { kind, status, detail: error.chain(), help: error.help().map(str::to_owned) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, again) = (self.status, self.kind == "unavailable");
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if again {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not-found", format!("there is nothing at {}", uri.path()))
        .with_help("GET /api/v1/openapi.json lists what there is")
}

pub(crate) async fn no_such_method(uri: Uri) -> Problem {
    let detail = format!("{} does not take this method", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "invalid", detail)
}
