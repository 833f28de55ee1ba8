//! Certificates and keys as they are in files, and what rustls makes of them.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use weir_core::{Error, Result};

use super::identity::roles_of;
use super::{CertificateRole, OwnFiles, TlsFiles};

/// By which it is seen that files have changed: modification time, size and inode of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(i64, i64, u64, u64)>>);

impl Stamp {
    pub(super) fn of(files: &TlsFiles) -> Self {
        let own = files.own.iter().flat_map(|own| [&own.certificate, &own.key]);
        let of = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.mtime(), metadata.mtime_nsec(), metadata.size(), metadata.ino()))
        };
        Self([&files.ca].into_iter().chain(own).map(|path| of(path)).collect())
    }
}

/// What the files say.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// For connections that this side makes.
    pub(super) client: Arc<ClientConfig>,
    /// For connections from those who may have a certificate; not without an own one.
    pub(super) server: Option<Arc<ServerConfig>>,
    /// For connections from those who must have one.
    pub(super) mutual: Option<Arc<ServerConfig>>,
    own: Option<CertificateDer<'static>>,
}

impl Loaded {
    pub(super) fn read(files: &TlsFiles) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots(&files.ca)?);
        let own = files.own.as_ref().map(own).transpose()?;
        Ok(Self {
            client: Arc::new(client(&provider, &roots, own.as_ref(), files)?),
            server: own.as_ref().map(|own| server(&provider, &roots, own, files, false)).transpose()?.map(Arc::new),
            mutual: own.as_ref().map(|own| server(&provider, &roots, own, files, true)).transpose()?.map(Arc::new),
            own: own.and_then(|(chain, _)| chain.into_iter().next()),
        })
    }

    /// What the own certificate is for.
    pub(super) fn roles(&self) -> Vec<CertificateRole> {
        self.own.as_ref().map(roles_of).unwrap_or_default()
    }
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn unusable(what: &str, path: &Path) -> impl Fn(pem::Error) -> Error {
    let (what, path) = (what.to_owned(), path.display().to_string());
    move |error| match error {
        pem::Error::Io(error) => Error::user(format!("the {what} {path} cannot be read")).with_source(error),
        pem::Error::NoItemsFound => Error::user(format!("there is no {what} in {path}"))
            .with_help("the file has to be in PEM format, with lines such as -----BEGIN CERTIFICATE-----"),
        error => Error::user(format!("the {what} {path} is not in PEM format")).with_source(error.to_string()),
    }
}

fn certificates(what: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let failed = unusable(what, path);
    let read = CertificateDer::pem_file_iter(path).map_err(&failed)?;
    let read = read.collect::<Result<Vec<_>, _>>().map_err(&failed)?;
    if read.is_empty() { Err(failed(pem::Error::NoItemsFound)) } else { Ok(read) }
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA certificate", path)? {
        roots.add(certificate).map_err(|error| {
            Error::user(format!("a certificate in {} cannot be that of an authority", path.display()))
                .with_source(error)
        })?;
    }
    Ok(roots)
}

fn own(files: &OwnFiles) -> Result<Own> {
    let chain = certificates("certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unusable("private key", &files.key))?;
    Ok((chain, key))
}

/// Certificate and key do not fit, or are of a kind that cannot be used.
fn unfit(files: &TlsFiles) -> impl Fn(rustls::Error) -> Error {
    let path = files.own.as_ref().map_or(&files.ca, |own| &own.certificate).display().to_string();
    move |error| match error {
        rustls::Error::InconsistentKeys(_) => Error::user(format!("the certificate {path} is of another private key"))
            .with_help("--tls-cert and --tls-key have to belong together"),
        error => Error::user(format!("the certificate {path} cannot be used")).with_source(error),
    }
}

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    own: Option<&Own>,
    files: &TlsFiles,
) -> Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit(files))?
        .with_root_certificates(roots.clone());
    let mut config = match own {
        Some((chain, key)) => config.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(unfit(files))?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    (chain, key): &Own,
    files: &TlsFiles,
    mutual: bool,
) -> Result<ServerConfig> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = if mutual { verifier } else { verifier.allow_unauthenticated() };
    let verifier = verifier.build().map_err(|error| {
        Error::user(format!("the CA certificate {} cannot be used", files.ca.display())).with_source(error)
    })?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(unfit(files))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(unfit(files))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
