//! Whom the coordinator's port lets in where. Every call passes here before anything of it is read.
//!
//! With TLS, what comes from coordinators and workers needs their certificates: a worker cannot write into the log of the coordinators,
//! and a client can neither. Without TLS the network is trusted.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use weir_proto::client::{Authenticator, Caller, ClientError, ClientErrorKind, Identity, Token};
use weir_proto::grpc::to_status;
use weir_proto::tls::{CertificateRole, PeerCertificate};
use weir_proto::version::CALLER_HEADER;

use super::super::audit::Audit;
use super::connection::ConnectionInfo;

/// What is behind a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Of coordinators, for coordinators.
    Peers,
    /// For workers.
    Workers,
    /// For clients, and for coordinators that pass their requests on.
    Clients,
}

/// What is behind a path; `None`: nothing that anybody has thought of.
pub(super) fn door(path: &str) -> Option<Door> {
    let (service, _call) = path.strip_prefix('/')?.split_once('/')?;
    match service {
        "weir.peer.v1.Peer" => Some(Door::Peers),
        "weir.worker.v1.Workers" => Some(Door::Workers),
        "weir.client.v1.Cluster" | "api" => Some(Door::Clients),
        _ => None,
    }
}

/// What a call shows.
#[derive(Debug, Default)]
pub(super) struct Shown<'a> {
    /// The certificate of its connection.
    pub(super) certificate: Option<&'a PeerCertificate>,
    /// The header `authorization`.
    pub(super) authorization: Option<&'a str>,
    /// For whom it is passed on.
    pub(super) passed_on: Option<&'a [u8]>,
    /// Where it comes from.
    pub(super) from: Option<String>,
}

/// Who calls, as far as that is known without asking anybody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// This one.
    Known(Caller),
    /// Whom the issuer knows by this token.
    Issued(Token),
}

/// Who calls, if it may come in there.
///
/// # Errors
/// Why not.
pub(super) fn admit(door: Door, secure: bool, shown: &Shown<'_>) -> Result<Admission, ClientError> {
    let is = |role| shown.certificate.is_some_and(|certificate| certificate.is(role));
    let caller = |identity| Ok(Admission::Known(Caller { identity, from: shown.from.clone() }));
    let wanted = match door {
        _ if !secure && door != Door::Clients => return Ok(Admission::Known(Caller::trusted())),
        Door::Peers => CertificateRole::Coordinator,
        Door::Workers => CertificateRole::Worker,
        Door::Clients => CertificateRole::Admin,
    };
    if door != Door::Clients {
        return if is(wanted) { caller(Identity::Nobody) } else { Err(refused(wanted, shown.certificate)) };
    }
    // Coordinators pass on what they were asked. Who they are themselves is shown by their certificate.
    if let Some(passed_on) = shown.passed_on.filter(|_| !secure || is(CertificateRole::Coordinator)) {
        return serde_json::from_slice(passed_on)
            .map(Admission::Known)
            .map_err(|_| ClientError::new(ClientErrorKind::Invalid, "it cannot be read for whom this is passed on"));
    }
    if let Some(authorization) = shown.authorization {
        let token = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.and_then(|(_, token)| Token::read(token)).ok_or_else(|| {
            ClientError::new(ClientErrorKind::Unauthenticated, "the authorization is not of the form 'Bearer TOKEN'")
        })?;
        return if token.is_jwt() { Ok(Admission::Issued(token)) } else { caller(Identity::Token(token.sha256())) };
    }
    match shown.certificate {
        Some(certificate) if is(CertificateRole::Admin) || is(CertificateRole::Coordinator) => {
            caller(Identity::Certificate(certificate.fingerprint.clone()))
        }
        _ if !secure => caller(Identity::Trusted),
        None => Err(ClientError::new(ClientErrorKind::Unauthenticated, "it is not known who asks")
            .with_help("give a token with --token-file or in WEIR_TOKEN, or an administrator's certificate")),
        Some(_) => Err(refused(wanted, shown.certificate)),
    }
}

fn refused(wanted: CertificateRole, certificate: Option<&PeerCertificate>) -> ClientError {
    let (kind, why) = match certificate {
        None => (ClientErrorKind::Unauthenticated, "none is shown"),
        Some(_) => (ClientErrorKind::Denied, "the one that is shown is for something else"),
    };
    let message = format!("this call needs the certificate of the role {wanted}, and {why}");
    let help = format!("a certificate is for that if {} is among its alternative names", wanted.name());
    ClientError::new(kind, message).with_help(help)
}

/// What the gate goes by.
pub(super) struct Gate {
    pub(super) secure: bool,
    pub(super) audit: Audit,
    /// Who knows tokens that the cluster has not made, if anybody does.
    pub(super) issuer: Option<Arc<dyn Authenticator>>,
    /// Milliseconds since 1970.
    pub(super) wall_clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// The gate itself. What has passed has its [`Caller`] among its extensions.
pub(super) async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match gate.judge(&parts).await {
        Ok(caller) => {
            request = Request::from_parts(parts, body);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => *refusal,
    }
}

impl Gate {
    async fn judge(&self, request: &Parts) -> Result<Caller, Box<Response>> {
        let info = request.extensions.get::<ConnectionInfo>();
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let shown = Shown {
            certificate: info.and_then(|info| info.certificate.as_ref()),
            authorization: header("authorization"),
            // Whatever it is: one that cannot be read would be the coordinator's own call if it were left out.
            passed_on: request.headers.get(CALLER_HEADER).map(|value| value.as_bytes()),
            from: info.map(|info| info.remote.to_string()),
        };
        // What nobody has thought of is a client's: nothing is served to those of whom it is not known who they are.
        let door = door(request.uri.path()).unwrap_or(Door::Clients);
        let admitted = match admit(door, self.secure, &shown) {
            Ok(Admission::Known(caller)) => Ok(caller),
            Ok(Admission::Issued(token)) => self.authenticate(&token, shown.from.clone()).await,
            Err(error) => Err(error),
        };
        admitted.map_err(|error| {
            self.audit.refused((self.wall_clock)(), shown.from.as_deref(), request.uri.path(), &error);
            let is_grpc = header("content-type").is_some_and(|kind| kind.starts_with("application/grpc"));
            Box::new(if is_grpc { to_status(&error).into_http() } else { problem(&error) })
        })
    }

    /// Checks a token of the issuer.
    async fn authenticate(&self, token: &Token, from: Option<String>) -> Result<Caller, ClientError> {
        let Some(issuer) = &self.issuer else {
            let message = "the token is one of an OpenID Connect issuer, and this coordinator knows none";
            return Err(ClientError::new(ClientErrorKind::Unauthenticated, message)
                .with_help("an administrator names one with --oidc-issuer-url, at all coordinators"));
        };
        let subject = issuer.authenticate(token).await?;
        Ok(Caller { identity: Identity::Subject(subject), from })
    }
}

/// The error for those who speak no gRPC: problem details, RFC 9457, as the REST API has them.
fn problem(error: &ClientError) -> Response {
    let (status, kind) = match error.kind {
        ClientErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        ClientErrorKind::Denied => (StatusCode::FORBIDDEN, "denied"),
        ClientErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::BAD_REQUEST, "invalid"),
    };
    let body = serde_json::json!({
        "kind": kind, "status": status.as_u16(), "detail": error.message, "help": error.help,
    });
    let headers =
        [(header::CONTENT_TYPE, "application/problem+json"), (header::WWW_AUTHENTICATE, "Bearer realm=\"weir\"")];
    (status, headers, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Every call that the wire has, as a path.
    fn all_calls() -> Vec<String> {
        let files = [
            include_str!("../../../../proto/proto/weir/client/v1/client.proto"),
            include_str!("../../../../proto/proto/weir/peer/v1/peer.proto"),
            include_str!("../../../../proto/proto/weir/worker/v1/worker.proto"),
        ];
        let calls = files.into_iter().flat_map(|text| {
            let word = |line: &str, after: &str| {
                let rest = line.trim().strip_prefix(after)?;
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '.')).unwrap_or(rest.len());
                Some(rest[..end].to_owned())
            };
            let package = text.lines().find_map(|line| word(line, "package ")).unwrap();
            let service = text.lines().find_map(|line| word(line, "service ")).unwrap();
            let calls: Vec<String> = text.lines().filter_map(|line| word(line, "rpc ")).collect();
            calls.into_iter().map(move |call| format!("/{package}.{service}/{call}"))
        });
        calls.collect()
    }

    fn of(certificate: &PeerCertificate) -> Shown<'_> {
        Shown { certificate: Some(certificate), ..Shown::default() }
    }

    #[test]
    fn each_call_is_for_those_that_it_is_made_for() {
        use CertificateRole::{Admin, Coordinator, Worker};
        let calls = all_calls();
        assert!(calls.len() > 24, "{calls:?}");
        let kind = |admitted: Result<Admission, ClientError>| admitted.unwrap_err().kind;
        for path in calls {
            let Some(door) = door(&path) else { panic!("nobody has said who may call {path}") };
            let allowed: &[CertificateRole] = match door {
                Door::Peers => &[Coordinator],
                Door::Workers => &[Worker],
                Door::Clients => &[Coordinator, Admin],
            };
            for role in CertificateRole::ALL {
                let certificate = PeerCertificate { roles: vec![role], fingerprint: "00".into() };
                let admitted = admit(door, true, &of(&certificate));
                assert_eq!(admitted.is_ok(), allowed.contains(&role), "{path} {role}");
            }
            let nothing = PeerCertificate { roles: Vec::new(), fingerprint: "00".into() };
            assert_eq!(kind(admit(door, true, &of(&nothing))), ClientErrorKind::Denied, "{path}");
            assert_eq!(kind(admit(door, true, &Shown::default())), ClientErrorKind::Unauthenticated, "{path}");
            let with_token = Shown { authorization: Some("Bearer x"), ..Shown::default() };
            assert_eq!(admit(door, true, &with_token).is_ok(), door == Door::Clients, "a token opens no other door");
            assert!(admit(door, false, &Shown::default()).is_ok());
        }
        for nothing in [
            "/",
            "",
            "/weir.client.v1.Cluster",
            "/weir.client.v1.Clusters/ListJobs",
            "/x/y",
            "//weir.peer.v1.Peer/Deliver",
        ] {
            assert_eq!(door(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_client_is_whom_it_shows_and_only_coordinators_speak_for_others() {
        let identity = |secure, shown: &Shown<'_>| {
            admit(Door::Clients, secure, shown).map(|admission| match admission {
                Admission::Known(caller) => caller.identity,
                Admission::Issued(token) => panic!("{token:?} was asked about"),
            })
        };
        let jwt = Shown { authorization: Some("Bearer e30.e30.AA"), ..Shown::default() };
        let issued = Admission::Issued(Token::read("e30.e30.AA").unwrap());
        assert_eq!(admit(Door::Clients, true, &jwt), Ok(issued));
        let sha256 = Token::read("x").unwrap().sha256();
        let other = serde_json::to_string(&Caller { identity: Identity::Token("f00".into()), from: None }).unwrap();
        let certificate = |role| PeerCertificate { roles: vec![role], fingerprint: "00".into() };
        let (admin, coordinator) = (certificate(CertificateRole::Admin), certificate(CertificateRole::Coordinator));
        for text in ["Bearer x", "bearer x", "Bearer  x "] {
            let shown = Shown { authorization: Some(text), ..Shown::default() };
            assert_eq!(identity(true, &shown), Ok(Identity::Token(sha256.clone())), "{text}");
        }
        for text in ["x", "Basic x", "Bearer ", "Bearer a b", ""] {
            let shown = Shown { authorization: Some(text), ..of(&admin) };
            assert_eq!(identity(true, &shown).unwrap_err().kind, ClientErrorKind::Unauthenticated, "{text}");
        }
        assert_eq!(identity(true, &of(&admin)), Ok(Identity::Certificate("00".into())));
        let speaks = |by| Shown { passed_on: Some(other.as_bytes()), ..of(by) };
        assert_eq!(identity(true, &speaks(&coordinator)), Ok(Identity::Token("f00".into())));
        assert_eq!(identity(true, &speaks(&admin)), Ok(Identity::Certificate("00".into())), "it speaks for itself");
        let nobody = Shown { passed_on: Some(other.as_bytes()), ..Shown::default() };
        assert_eq!(identity(true, &nobody).unwrap_err().kind, ClientErrorKind::Unauthenticated);
        for garbled in [&b"{"[..], b"", b"\xff"] {
            let shown = Shown { passed_on: Some(garbled), ..of(&coordinator) };
            assert_eq!(identity(true, &shown).unwrap_err().kind, ClientErrorKind::Invalid, "{garbled:?}");
        }
        assert_eq!(identity(false, &Shown::default()), Ok(Identity::Trusted));
    }
}
