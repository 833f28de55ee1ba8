//! What comes with a request; what cannot be read becomes a [`Problem`].

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::Problem;

/// The body, as JSON. An empty one is `{}`.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let declared = request.headers().contains_key(axum::http::header::CONTENT_TYPE);
        if !declared {
            let bytes = axum::body::Bytes::from_request(request, state).await;
            let bytes = bytes
                .map_err(|rejection| Problem { detail: rejection.body_text(), ..too_large(rejection.status()) })?;
            // Browsers let any page send a body that says nothing of itself.
            if !bytes.is_empty() {
                return Err(not_json());
            }
            let empty = serde_json::from_slice(b"{}");
            return empty.map(Body).map_err(|error| Problem::invalid(format!("the body cannot be read: {error}")));
        }
        let read = Json::<T>::from_request(request, state).await;
        read.map(|Json(value)| Body(value)).map_err(|rejection| match rejection {
            JsonRejection::BytesRejection(rejection) => {
                Problem { detail: rejection.body_text(), ..too_large(rejection.status()) }
            }
            JsonRejection::MissingJsonContentType(_) => not_json(),
            other => Problem::invalid(other.body_text()),
        })
    }
}

fn not_json() -> Problem {
    let detail = "the body has to be JSON, and to say so: content-type: application/json";
    Problem { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, ..Problem::invalid(detail) }
}

fn too_large(status: StatusCode) -> Problem {
    let kind = if status == StatusCode::PAYLOAD_TOO_LARGE { "too-large" } else { "invalid" };
    Problem::new(status, kind, String::new())
}

/// What stands behind the question mark.
pub(crate) struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(value)| Self(value)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// What the path names.
pub(crate) struct Names<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Names<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(value)| Self(value)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}
