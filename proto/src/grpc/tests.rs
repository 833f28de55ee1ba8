//! What a client of this version never sends, over a real connection: a newer protocol, and more than is allowed.
#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime")]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, async_trait};
use weir_core::WorkerId;

use super::{Call, CallOptions, ClientHandler, ClusterChannel, Credentials, cluster_service};
use crate::client::{Caller, ClientError, ClientErrorKind, ClientRequest, ClientResponse, Identity, Subject};
use crate::generated::client::v1 as wire;
use crate::generated::client::v1::cluster_client::ClusterClient;
use crate::{PROTOCOL, limits};

/// Accepts everything.
struct Accepting;

#[async_trait]
impl ClientHandler for Accepting {
    async fn handle(&self, request: ClientRequest, call: Call) -> Result<ClientResponse, ClientError> {
        assert!(call.timeout.is_none_or(|timeout| timeout > Duration::ZERO));
        Ok(if request.is_read() { ClientResponse::Workers(Vec::new()) } else { ClientResponse::Accepted })
    }
}

/// Its address. It lives as long as the test's runtime.
async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(cluster_service(Arc::new(Accepting)));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

fn list(protocol: Option<&'static str>) -> Request<wire::ListWorkersRequest> {
    let mut request = Request::new(wire::ListWorkersRequest {});
    if let Some(protocol) = protocol {
        request.metadata_mut().insert("weir-protocol", protocol.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_newer_client_is_refused_and_an_older_one_or_none_of_ours_is_not() {
    let mut client = ClusterClient::connect(format!("http://{}", start().await)).await.unwrap();
    let newer: &'static str = (PROTOCOL + 1).to_string().leak();
    let refused = client.list_workers(list(Some(newer))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(Err(refused.message().to_owned()), crate::version::check("client", PROTOCOL + 1));
    let error = super::from_status(&refused, "here:1");
    assert_eq!((error.kind, error.message.as_str()), (ClientErrorKind::Conflict, refused.message()));
    let nonsense = client.list_workers(list(Some("new"))).await.unwrap_err();
    assert_eq!(nonsense.code(), Code::InvalidArgument);
    for known in [None, Some("1")] {
        assert!(client.list_workers(list(known)).await.is_ok(), "{known:?}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_on_both_sides_and_the_connection_lives() {
    let address = start().await;
    let mut client = ClusterClient::connect(format!("http://{address}")).await.unwrap();
    let drain = |size| wire::DrainWorkerRequest { worker: "w".repeat(size), draining: true };
    assert!(client.drain_worker(drain(limits::CLIENT_MESSAGE - 100)).await.is_ok());
    let refused = client.drain_worker(drain(limits::CLIENT_MESSAGE)).await.unwrap_err();
    let error = super::from_status(&refused, &address);
    assert_eq!(error.kind, ClientErrorKind::Invalid);
    assert_eq!(error.message, "the request takes 4.0 MiB, and may take 4.0 MiB");
    let refused = client.drain_worker(drain(limits::SUBMITTED_JOB)).await.unwrap_err();
    let error = super::from_status(&refused, &address);
    assert_eq!(error.kind, ClientErrorKind::Invalid);
    assert!(error.message.contains("too large"), "{error}");
    assert!(client.list_workers(list(None)).await.is_ok());

    // A client of ours does not even send it.
    let channel = ClusterChannel::connect(&address, Duration::from_secs(20), &Credentials::default()).await.unwrap();
    let options = CallOptions { timeout: Duration::from_secs(20), forwarded: false };
    let worker = WorkerId("w".repeat(limits::CLIENT_MESSAGE));
    let error = channel.call(&ClientRequest::DrainWorker { worker, draining: true }, options).await.unwrap_err();
    assert_eq!(error.message, "the request takes 4.0 MiB, and may take 4.0 MiB");
}

/// A call that does not say for whom is the coordinator's own, which may do everything.
#[tokio::test]
async fn what_is_passed_on_says_for_whom_or_is_not_passed_on() {
    let address = start().await;
    let channel = ClusterChannel::connect(&address, Duration::from_secs(20), &Credentials::default()).await.unwrap();
    let caller = |name: &str| {
        let subject = Subject { name: name.into(), groups: ["a \"group\"".to_owned()].into(), expires_at: 1 };
        Call { caller: Caller { identity: Identity::Subject(subject), from: None }, ..Call::default() }
    };
    let (alice, other) = (caller("oidc:i#alice"), caller("oidc:i#älice"));
    let patience = Duration::from_secs(20);
    channel.pass_on(&ClientRequest::ListWorkers, patience, &alice).await.unwrap();
    let error = channel.pass_on(&ClientRequest::ListWorkers, patience, &other).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Internal);
    assert!(error.message.contains("cannot be passed on"), "{}", error.message);

    // The protocol is the caller's too: the coordinator that passes it on may speak a newer one than the leader.
    for (protocol, is_understood) in
        [(None, true), (Some(1), true), (Some(PROTOCOL), true), (Some(PROTOCOL + 1), false)]
    {
        let passed = channel.pass_on(&ClientRequest::ListWorkers, patience, &Call { protocol, ..alice.clone() }).await;
        assert_eq!(passed.is_ok(), is_understood, "{protocol:?}: {passed:?}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_and_one_where_nobody_is() {
    for address in ["", "here", "http://here:1", "here:1/x", "here:99999"] {
        let error =
            ClusterChannel::connect(address, Duration::from_secs(1), &Credentials::default()).await.unwrap_err();
        assert_eq!(error.kind, ClientErrorKind::Invalid, "{address}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = ClusterChannel::connect(&gone, Duration::from_secs(1), &Credentials::default()).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Unavailable);
    assert!(error.message.starts_with(&format!("no coordinator answers at {gone}: ")), "{error}");
}
