//! Two ends of a real connection, with certificates that are as they should be, and with those that are not.
#![allow(clippy::disallowed_methods, reason = "a test ends what it spawns with its runtime, and knows what day it is")]
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::async_trait;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::{CertificateRole, ClientCertificate, OwnFiles, Stream, Tls, TlsFiles};
use crate::client::{ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use crate::grpc::{Call, CallOptions, ClientHandler, ClusterChannel, Credentials, cluster_service};

const SOON: Duration = Duration::from_secs(20);

/// An authority with a folder for what it signs.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate with these names that began and ends so many days from now.
    fn sign(&self, file: &str, names: &[&str], days: (i64, i64)) -> OwnFiles {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
        let at = |days: i64| {
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(now + days * 86_400).unwrap())
        };
        (params.not_before, params.not_after) = (at(days.0), at(days.1));
        let key = KeyPair::generate().unwrap();
        let path = |suffix: &str| self.folder.path().join(format!("{file}.{suffix}"));
        std::fs::write(path("pem"), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        OwnFiles { certificate: path("pem"), key: path("key") }
    }

    fn with(&self, file: &str, names: &[&str], days: (i64, i64)) -> Tls {
        open(&self.ca(), Some(self.sign(file, names, days)))
    }

    fn of(&self, role: CertificateRole) -> Tls {
        self.with(role.name(), &[role.name()], (-1, 1))
    }
}

fn open(ca: &Path, own: Option<OwnFiles>) -> Tls {
    Tls::open(TlsFiles { ca: ca.to_owned(), own }).unwrap()
}

/// What each side has of the other: the client sends a byte and waits for one, so that it hears what the server thinks of it.
async fn meet(
    server: &Tls,
    client: &Tls,
    role: CertificateRole,
    certificate: ClientCertificate,
) -> (io::Result<Vec<CertificateRole>>, io::Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let (mut stream, shown) = server.accept(tcp, certificate).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await?;
        Ok(shown.map(|shown| shown.roles).unwrap_or_default())
    };
    let ask = async {
        let mut stream = client.connect(TcpStream::connect(address).await.unwrap(), role).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, 7);
        Ok(())
    };
    tokio::time::timeout(SOON, async { tokio::join!(serve, ask) }).await.unwrap()
}

fn says<T: std::fmt::Debug>(outcome: io::Result<T>, expected: &str) {
    let said = outcome.unwrap_err().to_string();
    assert!(said.contains(expected), "{said:?} lacks {expected:?}");
}

use CertificateRole::{Admin, Coordinator, Worker};
use ClientCertificate::{Optional, Required};

#[tokio::test]
async fn both_sides_know_what_the_other_is() {
    let authority = Authority::new();
    let (coordinator, worker) = (authority.of(Coordinator), authority.of(Worker));
    let (seen, asked) = meet(&coordinator, &worker, Coordinator, Optional).await;
    asked.unwrap();
    assert_eq!(seen.unwrap(), [Worker]);
    let (seen, asked) = meet(&worker, &worker, Worker, Required).await;
    asked.unwrap();
    assert_eq!(seen.unwrap(), [Worker]);
    // A client with a token has no certificate.
    let (seen, asked) = meet(&coordinator, &open(&authority.ca(), None), Coordinator, Optional).await;
    asked.unwrap();
    assert_eq!(seen.unwrap(), []);
    // Names that are not Weir's mean nothing.
    let other = authority.with("other", &["weir.internal", "admin.weir.internal.example.org"], (-1, 1));
    assert_eq!(meet(&coordinator, &other, Coordinator, Optional).await.0.unwrap(), []);
    let both = authority.with("both", &[Worker.name(), Admin.name()], (-1, 1));
    assert_eq!(meet(&coordinator, &both, Coordinator, Optional).await.0.unwrap(), [Worker, Admin]);
}

#[tokio::test]
async fn a_certificate_that_is_not_as_it_should_be_is_told_to_both_sides() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (coordinator, worker) = (authority.of(Coordinator), authority.of(Worker));

    // A worker cannot pass for a coordinator.
    let (_, asked) = meet(&worker, &worker, Coordinator, Optional).await;
    says(asked, "is for something else: it lacks coordinator.weir.internal, its names are");

    let expired = authority.with("expired", &[Coordinator.name(), Worker.name()], (-3, -1));
    let (served, asked) = meet(&expired, &worker, Coordinator, Optional).await;
    says(asked, "the certificate of the other side has expired");
    says(served, "does not take our certificate: it has expired");
    let (served, asked) = meet(&coordinator, &expired, Coordinator, Optional).await;
    says(served, "the certificate of the other side has expired");
    says(asked, "does not take our certificate: it has expired");

    let early = authority.with("early", &[Worker.name()], (1, 3));
    says(meet(&coordinator, &early, Coordinator, Optional).await.0, "is not valid yet: do the clocks agree?");

    let (served, asked) = meet(&coordinator, &open(&stranger.ca(), None), Coordinator, Optional).await;
    says(asked, "is not of the CA that was given with --tls-ca");
    says(served, "it is not of the CA of that cluster");
    let own = stranger.sign("w", &[Worker.name()], (-1, 1));
    let (served, asked) = meet(&coordinator, &open(&authority.ca(), Some(own)), Coordinator, Optional).await;
    says(served, "is not of the CA that was given with --tls-ca");
    says(asked, "does not take our certificate");

    let (served, asked) = meet(&worker, &open(&authority.ca(), None), Worker, Required).await;
    says(served, "shows no certificate, and has to");
    says(asked, "wants a certificate, and we have none");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_by_name() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("one", &[Worker.name()], (-1, 1)), authority.sign("other", &[], (-1, 1)));
    let open = |ca: &Path, certificate: &Path, key: &Path| {
        let own = Some(OwnFiles { certificate: certificate.to_owned(), key: key.to_owned() });
        Tls::open(TlsFiles { ca: ca.to_owned(), own }).map(|_| ()).map_err(|error| error.report())
    };
    let ca = authority.ca();
    open(&ca, &one.certificate, &one.key).unwrap();
    let mixed = open(&ca, &one.certificate, &other.key).unwrap_err();
    assert!(mixed.contains("one.pem is of another private key"), "{mixed}");
    let missing = open(&ca, &authority.folder.path().join("none.pem"), &one.key).unwrap_err();
    assert!(missing.contains("none.pem cannot be read"), "{missing}");
    let swapped = open(&ca, &one.key, &one.certificate).unwrap_err();
    assert!(swapped.contains("there is no certificate in") && swapped.contains("one.key"), "{swapped}");
    let garbage = authority.folder.path().join("garbage.pem");
    std::fs::write(&garbage, b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    assert!(open(&garbage, &one.certificate, &one.key).unwrap_err().contains("garbage.pem"));
    let tls = authority.of(Worker);
    tls.require_own(Worker).unwrap();
    let wrong = tls.require_own(Coordinator).unwrap_err().report();
    assert!(wrong.contains("is not that of a coordinator") && wrong.contains(Coordinator.name()), "{wrong}");
}

#[tokio::test]
async fn new_certificates_are_used_from_the_next_connection_on() {
    let authority = Authority::new();
    let client = open(&authority.ca(), None);
    let server = authority.with("c", &[Coordinator.name()], (-3, -1));
    says(meet(&server, &client, Coordinator, Optional).await.1, "has expired");
    // In place, as with a mounted secret: no restart, and no new Tls.
    let files = authority.sign("c", &[Coordinator.name()], (-1, 1));
    meet(&server, &client, Coordinator, Optional).await.1.unwrap();
    // What cannot be used leaves the ones before in use.
    std::fs::write(&files.certificate, b"half a file").unwrap();
    meet(&server, &client, Coordinator, Optional).await.1.unwrap();
    // And so it is with what is trusted.
    let other = Authority::new();
    std::fs::copy(other.ca(), authority.ca()).unwrap();
    says(meet(&server, &client, Coordinator, Optional).await.1, "is not of the CA that was given with --tls-ca");
}

/// Answers every request with a list of no workers.
struct Empty;

#[async_trait]
impl ClientHandler for Empty {
    async fn handle(&self, _: ClientRequest, _: Call) -> Result<ClientResponse, ClientError> {
        Ok(ClientResponse::Workers(Vec::new()))
    }
}

async fn ask(address: &str, tls: Option<Tls>) -> Result<ClientResponse, ClientError> {
    let channel = ClusterChannel::connect(address, SOON, &Credentials { tls, token: None }).await?;
    channel.call(&ClientRequest::ListWorkers, CallOptions { timeout: SOON, forwarded: false }).await
}

#[tokio::test]
async fn who_comes_with_tls_to_a_plain_port_or_without_to_the_other_is_told_so() {
    let authority = Authority::new();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_address = plain.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(cluster_service(Arc::new(Empty)));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(plain)));
    ask(&plain_address, None).await.unwrap();
    let error = ask(&plain_address, Some(open(&authority.ca(), None))).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Invalid);
    assert!(error.message.contains("the other side does not speak TLS"), "{error}");

    let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = secure.local_addr().unwrap().to_string();
    let tls = authority.of(Coordinator);
    let incoming = futures::stream::unfold(secure, move |secure| {
        let tls = tls.clone();
        async move {
            loop {
                let (tcp, _) = secure.accept().await.unwrap();
                if let Ok((stream, _)) = tls.accept(tcp, Optional).await {
                    return Some((Ok::<_, io::Error>(Served(stream)), secure));
                }
            }
        }
    });
    let server = Server::builder().add_service(cluster_service(Arc::new(Empty)));
    tokio::spawn(server.serve_with_incoming(incoming));
    ask(&address, Some(open(&authority.ca(), None))).await.unwrap();
    let error = ask(&address, None).await.unwrap_err();
    assert_eq!(error.kind, ClientErrorKind::Invalid, "{error:?}");
    assert_eq!(error.message, format!("the coordinator at {address} speaks TLS only"));
    let mut http1 = TcpStream::connect(&address).await.unwrap();
    http1.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await.unwrap();
    http1.shutdown().await.unwrap();
    let mut answer = String::new();
    http1.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("use https://"), "{answer}");
}

/// As tonic wants a connection.
struct Served(Stream);

impl tonic::transport::server::Connected for Served {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl tokio::io::AsyncRead for Served {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl tokio::io::AsyncWrite for Served {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<io::Result<usize>> {
        std::pin::Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(context)
    }
}
