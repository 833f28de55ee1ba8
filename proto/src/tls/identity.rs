//! What a certificate says about who holds it.

use std::fmt;

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CertificateRole {
    /// A coordinator of the cluster.
    Coordinator,
    /// A worker of the cluster.
    Worker,
    /// A client who may do everything.
    Admin,
}

impl CertificateRole {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Coordinator, Self::Worker, Self::Admin];

    /// The alternative name (SAN, a DNS name) by which a certificate says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator.weir.internal",
            Self::Worker => "worker.weir.internal",
            Self::Admin => "admin.weir.internal",
        }
    }
}

impl fmt::Display for CertificateRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
            Self::Admin => "administrator",
        })
    }
}

/// The certificate of the other side. That it is of the cluster's CA and valid was checked before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// What it is for; maybe nothing.
    pub roles: Vec<CertificateRole>,
    /// The first 16 digits of its SHA-256, by which it is told from others.
    pub fingerprint: String,
}

impl PeerCertificate {
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Self {
        let digest = Sha256::digest(certificate.as_ref());
        let fingerprint = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { roles: roles_of(certificate), fingerprint }
    }

    /// Whether it is for that.
    pub fn is(&self, role: CertificateRole) -> bool {
        self.roles.contains(&role)
    }
}

/// The roles that stand in a certificate.
pub(super) fn roles_of(certificate: &CertificateDer<'_>) -> Vec<CertificateRole> {
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return Vec::new() };
    let says = |role: &CertificateRole| {
        ServerName::try_from(role.name()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    CertificateRole::ALL.into_iter().filter(says).collect()
}
