//! Which certificates a command or a process uses.

use std::path::PathBuf;

use clap::Args;
use weir_core::{Error, Result};
use weir_proto::tls::{OwnFiles, Tls, TlsFiles};

/// Certificates, in files in PEM format. They are read again when they change.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArguments {
    /// Certificates of the CA that the other side's certificate has to come from; connections are made with TLS then.
    #[arg(long, global = true, env = "WEIR_TLS_CA", value_name = "FILE", help_heading = "TLS")]
    pub tls_ca: Option<PathBuf>,

    /// The own certificate.
    #[arg(long, global = true, env = "WEIR_TLS_CERT", value_name = "FILE", help_heading = "TLS")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the own certificate.
    #[arg(long, global = true, env = "WEIR_TLS_KEY", value_name = "FILE", help_heading = "TLS")]
    pub tls_key: Option<PathBuf>,
}

impl TlsArguments {
    /// Whether they say anything: then connections are encrypted, or it is refused.
    pub fn is_given(&self) -> bool {
        [&self.tls_ca, &self.tls_cert, &self.tls_key].into_iter().any(|path| given(path).is_some())
    }

    /// What they say; `None`: connections are plain.
    ///
    /// # Errors
    /// If one is missing, or a file cannot be used.
    pub fn open(&self) -> Result<Option<Tls>> {
        let own = match (given(&self.tls_cert), given(&self.tls_key)) {
            (Some(certificate), Some(key)) => Some(OwnFiles { certificate, key }),
            (None, None) => None,
            _ => return Err(Error::user("--tls-cert and --tls-key belong together: one of them is missing")),
        };
        match (given(&self.tls_ca), own) {
            (Some(ca), own) => Tls::open(TlsFiles { ca, own }).map(Some),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::user("a certificate without its CA's: --tls-ca is missing")),
        }
    }
}

/// A variable that is empty names no file.
fn given(path: &Option<PathBuf>) -> Option<PathBuf> {
    path.clone().filter(|path| !path.as_os_str().is_empty())
}
