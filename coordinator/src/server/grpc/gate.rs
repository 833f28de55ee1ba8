//! Whom the coordinator's port lets in where. Every call passes here before anything of it is read.
//!
//! With TLS, what comes from coordinators and workers needs their certificates: a worker cannot write into the log of the coordinators,
//! and a client can neither. Without TLS the network is trusted.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tonic::Status;
use weir_proto::client::{ClientError, ClientErrorKind};
use weir_proto::grpc::to_status;
use weir_proto::tls::{CertificateRole, PeerCertificate};

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

/// Whether whoever shows this certificate, or none, may come in there.
///
/// # Errors
/// Why not.
pub(super) fn admit(door: Option<Door>, certificate: Option<&PeerCertificate>) -> Result<(), Status> {
    let is = |role| certificate.is_some_and(|certificate| certificate.is(role));
    let wanted = match door {
        None => return Err(Status::unimplemented("there is no such call")),
        Some(Door::Peers) => CertificateRole::Coordinator,
        Some(Door::Workers) => CertificateRole::Worker,
        Some(Door::Clients) if is(CertificateRole::Coordinator) || is(CertificateRole::Admin) => return Ok(()),
        Some(Door::Clients) => CertificateRole::Admin,
    };
    if is(wanted) {
        return Ok(());
    }
    match certificate {
        None => Err(refused(ClientErrorKind::Unauthenticated, wanted, "none is shown")),
        Some(_) => Err(refused(ClientErrorKind::Denied, wanted, "the one that is shown is for something else")),
    }
}

fn refused(kind: ClientErrorKind, wanted: CertificateRole, why: &str) -> Status {
    let message = format!("this call needs the certificate of the role {wanted}, and {why}");
    let help = format!("a certificate is for that if {} is among its alternative names", wanted.name());
    to_status(&ClientError::new(kind, message).with_help(help))
}

/// The gate itself.
pub(super) async fn pass(State(secure): State<bool>, request: Request, next: Next) -> Response {
    if secure {
        let info = request.extensions().get::<ConnectionInfo>();
        let certificate = info.and_then(|info| info.certificate.as_ref());
        if let Err(refused) = admit(door(request.uri().path()), certificate) {
            let (path, remote) = (request.uri().path(), info.map(|info| info.remote));
            tracing::debug!(path, ?remote, refused = refused.message(), "a call was refused");
            return refused.into_http();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use tonic::Code;

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

    #[test]
    fn each_call_is_for_those_that_it_is_made_for() {
        use CertificateRole::{Admin, Coordinator, Worker};
        let calls = all_calls();
        assert!(calls.len() > 24, "{calls:?}");
        for path in calls {
            let Some(door) = door(&path) else { panic!("nobody has said who may call {path}") };
            let allowed: &[CertificateRole] = match door {
                Door::Peers => &[Coordinator],
                Door::Workers => &[Worker],
                Door::Clients => &[Coordinator, Admin],
            };
            for role in CertificateRole::ALL {
                let certificate = PeerCertificate { roles: vec![role], fingerprint: "00".into() };
                let admitted = admit(Some(door), Some(&certificate));
                assert_eq!(admitted.is_ok(), allowed.contains(&role), "{path} {role}");
            }
            let nothing = PeerCertificate { roles: Vec::new(), fingerprint: "00".into() };
            assert_eq!(admit(Some(door), Some(&nothing)).unwrap_err().code(), Code::PermissionDenied, "{path}");
            assert_eq!(admit(Some(door), None).unwrap_err().code(), Code::Unauthenticated, "{path}");
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
}
