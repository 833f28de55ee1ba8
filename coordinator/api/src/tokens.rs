//! Tokens, and what groups of an OpenID Connect issuer may do.
//!
//! A token that is drawn here is in the answer to whoever asked for it, once, and nowhere else: the cluster is told its SHA-256. As a client
//! shows none to another machine without TLS, none is told to another machine without TLS.

use std::net::SocketAddr;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use weir_proto::client::{Bearer, Caller, ClientRequest, ClientResponse, Grant, NewToken, Role, Token, TokenInfo};

use crate::extract::{Body, Names, Parameters};
use crate::page::{Page, PageOf};
use crate::{Api, Problem, Shared, State, answer};

/// The tokens and the rights of groups that whoever asks may see, by name; without the tokens themselves.
#[utoipa::path(get, path = "/tokens", tag = "access", params(PageOf), responses((status = 200, body = Page<TokenInfo>),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): Shared,
    Parameters(page): Parameters<PageOf>,
) -> Result<Json<Page<TokenInfo>>, Problem> {
    let mut all = answer!(api.ask(ClientRequest::ListTokens).await?, ClientResponse::Tokens(all) => all)?;
    all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let name = |token: &TokenInfo| token.name.clone();
    page.cut(all, name, |text| Some(text.to_owned()), name).map(Json)
}

/// A role somewhere.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrant {
    /// The role.
    role: Role,
    /// In which namespace; in all if not given.
    namespace: Option<String>,
}

/// A token to be made, or what is given to a group. At most one of `group` and `sha256` is given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenToMake {
    /// Its name: by it the token is listed and revoked, and what is done with it is told.
    name: String,
    /// What it is good for.
    grants: Vec<NewGrant>,
    /// Whether jobs with plugins may be submitted with it: native code that runs in the workers.
    #[serde(default)]
    plugins: bool,
    /// When it ends, in milliseconds since 1970; when it is revoked if not given.
    expires_at: Option<i64>,
    /// Make no token, but give this to a group of the OpenID Connect issuer.
    group: Option<String>,
    /// Draw no token, since whoever asks has drawn one: its SHA-256, as 64 digits. The token begins with `weir_` and has 256 random bits.
    sha256: Option<String>,
}

/// A token that was made.
// Nothing prints it: it has no `Debug`.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenMade {
    /// Its name.
    name: String,
    /// The token, if it was drawn here: it is told this once, and kept nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Makes a token, or gives rights to a group of the OpenID Connect issuer. The same once more changes nothing if it has `group` or `sha256`;
/// if not, another token would be drawn, and the name is taken: when an answer was lost, revoke the token and make another.
#[utoipa::path(post, path = "/tokens", tag = "access", request_body = TokenToMake, responses((status = 201, body = TokenMade),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn create(State(api): Shared, Body(wanted): Body<TokenToMake>) -> Result<impl IntoResponse, Problem> {
    let TokenToMake { name, grants, plugins, expires_at, group, sha256 } = wanted;
    let (bearer, token) = match (group, sha256) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid("`group` and `sha256` exclude each other: a group has no token"));
        }
        (Some(group), None) => (Bearer::Group(group), None),
        (None, Some(sha256)) => (Bearer::Secret(sha256), None),
        (None, None) => {
            let token = drawn(&api)?;
            (Bearer::Secret(token.sha256()), Some(token))
        }
    };
    let grants = grants.into_iter().map(|NewGrant { role, namespace }| Grant { role, namespace }).collect();
    let new = NewToken { name: name.clone(), bearer, grants, plugins, expires_at };
    answer!(api.ask(ClientRequest::CreateToken(new)).await?, ClientResponse::Accepted => ())?;
    let made = TokenMade { name, token: token.map(|token| token.reveal().to_owned()) };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(made)))
}

/// A token that nobody has had, if nobody on the way reads the answer.
fn drawn(api: &Api) -> Result<Token, Problem> {
    if !api.serving.encrypted && !is_here(&api.caller) {
        return Err(Problem::invalid(
            "a token is not sent to another machine without TLS: others could read it on the way",
        )
        .with_help("draw it where it is used and give its `sha256`; or have the coordinators use certificates"));
    }
    Ok(Token::new((api.serving.secret)()?))
}

/// Whether it asks from this machine.
fn is_here(caller: &Caller) -> bool {
    let from = caller.from.as_ref().and_then(|from| from.parse::<SocketAddr>().ok());
    from.is_some_and(|from| from.ip().to_canonical().is_loopback())
}

/// A token is good for nothing any more, or a group may do less, from now on.
#[utoipa::path(delete, path = "/tokens/{token}", tag = "access", params(("token", description = "Its name.")), responses((status = 202),
    (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn revoke(State(api): Shared, Names(token): Names<String>) -> Result<StatusCode, Problem> {
    api.tell(ClientRequest::RevokeToken { name: token }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_from_this_machine_is_here() {
        let is_here = |from: Option<&str>| is_here(&Caller { from: from.map(str::to_owned), ..Caller::trusted() });
        for here in ["127.0.0.1:1", "127.8.0.1:65535", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(is_here(Some(here)), "{here}");
        }
        for elsewhere in [Some("10.0.0.1:1"), Some("[2001:db8::1]:1"), Some("localhost"), Some(""), None] {
            assert!(!is_here(elsewhere), "{elsewhere:?}");
        }
    }

    #[test]
    fn what_is_misspelt_gives_no_more_than_was_meant() {
        let read = |text: &str| serde_json::from_str::<TokenToMake>(text).map_err(|error| error.to_string());
        let wrong = read(r#"{"name":"ci","grants":[{"role":"admin","namspace":"flights"}]}"#).unwrap_err();
        assert!(wrong.contains("namspace"), "{wrong}");
        let wrong = read(r#"{"name":"ci","grants":[],"expires":1}"#).unwrap_err();
        assert!(wrong.contains("`expires`"), "{wrong}");
        let wrong = read(r#"{"name":"ci","grants":[{"role":"root"}]}"#).unwrap_err();
        assert!(wrong.contains("root"), "{wrong}");
    }
}
