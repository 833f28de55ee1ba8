//! TLS between the processes of a cluster and towards its clients: TLS 1.3, both sides with certificates of the cluster's CA.
//!
//! ```text
//!   who                     certificate says            may come in at
//!   coordinator             coordinator.weir.internal   a coordinator's port, as a peer
//!   worker                  worker.weir.internal        a coordinator's port, as a worker; a worker's port
//!   administrator           admin.weir.internal         a coordinator's port, as a client who may do everything
//!   client with a token     nothing: it has none        a coordinator's port, as a client
//! ```
//!
//! What a certificate is for stands among its alternative names, as a name below `weir.internal`: any tool that makes certificates
//! can write these, and no public authority does. Who connects insists on the name of what it connects to, not on the host's: processes
//! may change their addresses, and a worker's certificate cannot pass for a coordinator's.
//!
//! The files are looked at at each handshake, and read again when they have changed. Sessions are not resumed, so that every connection
//! is made with the certificates as they are.

mod connector;
mod explain;
mod files;
mod identity;
mod refuse_plain;
mod stream;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use weir_core::{Error, Result};

pub use connector::Connector;
pub use explain::TlsProblem;
pub use identity::{CertificateRole, PeerCertificate};
pub use refuse_plain::NEEDS_TLS;
pub use stream::Stream;

use self::explain::explain;
use self::files::{Loaded, Stamp};

/// Files in PEM format. A process needs all three, a client the CA's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates of the authorities that the other side's may come from.
    pub ca: PathBuf,
    /// The own certificate, with those that lead to the CA behind it, and its key.
    pub own: Option<OwnFiles>,
}

/// The own certificate and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Makes and takes TLS connections. Clones share it.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: TlsFiles,
    current: Mutex<(Stamp, Loaded)>,
}

/// Whether a client needs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It may show one; or prove by other means who it is.
    Optional,
    /// It must show one.
    Required,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// A user error if one is missing or is not what it should be, or key and certificate do not belong together.
    pub fn open(files: TlsFiles) -> Result<Self> {
        // Before they are read: if they change meanwhile, they are read again.
        let stamp = Stamp::of(&files);
        let loaded = Loaded::read(&files)?;
        Ok(Self(Arc::new(Shared { files, current: Mutex::new((stamp, loaded)) })))
    }

    /// Whether it has a certificate of its own.
    ///
    /// # Errors
    /// A user error if not: a process that others connect to needs one.
    pub fn require_own(&self, role: CertificateRole) -> Result<()> {
        let Some(own) = &self.0.files.own else {
            return Err(Error::user(format!("a {role} needs a certificate of its own"))
                .with_help("--tls-cert and --tls-key; `weir cluster init-security` makes them"));
        };
        let loaded = self.loaded();
        if loaded.roles().contains(&role) {
            return Ok(());
        }
        Err(Error::user(format!("the certificate {} is not that of a {role}", own.certificate.display()))
            .with_help(format!("among its alternative names (SANs) has to be {}", role.name())))
    }

    /// The certificates as the files have them now. Files that cannot be used leave them as they were.
    fn loaded(&self) -> Loaded {
        let stamp = Stamp::of(&self.0.files);
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != stamp {
            match Loaded::read(&self.0.files) {
                Ok(loaded) => {
                    tracing::info!(ca = %self.0.files.ca.display(), "certificates were read again");
                    current.1 = loaded;
                }
                // One file was replaced and another not yet, perhaps: the next change is looked at again.
                Err(error) => tracing::warn!(
                    error = error.report(),
                    "certificates have changed and cannot be used; those from before stay in use"
                ),
            }
            current.0 = stamp;
        }
        current.1.clone()
    }

    /// Makes a TLS connection over a TCP connection to somebody whose certificate has that role.
    ///
    /// # Errors
    /// If the other side is somebody else, does not speak TLS, or does not take this side's certificate.
    pub async fn connect(&self, tcp: TcpStream, role: CertificateRole) -> io::Result<Stream> {
        let connector = TlsConnector::from(self.loaded().client);
        let name = ServerName::try_from(role.name()).map_err(io::Error::other)?;
        match connector.connect(name, tcp).await {
            Ok(stream) => Ok(Stream::tls(stream.into())),
            Err(error) => Err(explain(error)),
        }
    }

    /// Takes a TLS connection from whoever has connected; with it comes what its certificate says, if it has shown one.
    ///
    /// # Errors
    /// If it does not speak TLS, has no certificate though it must, or one that is not of the CA or has expired.
    pub async fn accept(
        &self,
        tcp: TcpStream,
        certificate: ClientCertificate,
    ) -> io::Result<(Stream, Option<PeerCertificate>)> {
        refuse_plain::refuse_plain(&tcp).await?;
        let loaded = self.loaded();
        let server = match certificate {
            ClientCertificate::Optional => loaded.server,
            ClientCertificate::Required => loaded.mutual,
        };
        let server = server.ok_or_else(|| io::Error::other("there is no certificate to show"))?;
        let stream = TlsAcceptor::from(server).accept(tcp).await.map_err(explain)?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(PeerCertificate::read);
        Ok((Stream::tls(stream.into()), shown))
    }
}
