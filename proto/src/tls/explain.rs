//! Errors of TLS in the words of somebody who has to mend them.

use std::error::Error as StdError;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Why two sides do not come together. To try again is of no use until somebody has changed something.
#[derive(Debug)]
pub struct TlsProblem(String);

/// How it begins.
const MARK: &str = "TLS: ";

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}", self.0)
    }
}

impl StdError for TlsProblem {}

impl TlsProblem {
    pub(super) fn new(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }

    /// The problem at the end of a chain of errors, if it is one of TLS. It is known by how it begins: HTTP/2 keeps of an error that
    /// comes up from below only what it says.
    pub fn find(error: &(dyn StdError + 'static)) -> Option<String> {
        let mut last = error;
        while let Some(next) = last.source() {
            last = next;
        }
        let text = last.to_string();
        Some(text[text.find(MARK)? + MARK.len()..].to_owned())
    }
}

/// The error, so that a person knows which side's certificate is wrong, and how.
pub(super) fn explain(error: io::Error) -> io::Error {
    let sentence = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(sentence);
    match sentence {
        Some(sentence) => io::Error::new(error.kind(), TlsProblem(sentence)),
        None => error,
    }
}

fn sentence(error: &Error) -> String {
    match error {
        Error::InvalidMessage(_) => "the other side does not speak TLS".into(),
        Error::NoCertificatesPresented => "the other side shows no certificate, and has to".into(),
        Error::PeerIncompatible(
            PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "the other side does not speak TLS 1.3".into(),
        Error::InvalidCertificate(certificate) => format!("the certificate of the other side {}", theirs(certificate)),
        Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateExpired => {
                "the other side does not take our certificate: it has expired, or is not valid yet".into()
            }
            // The second where two authorities have the same name.
            AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                "the other side does not take our certificate: it is not of the CA of that cluster".into()
            }
            AlertDescription::CertificateRequired => "the other side wants a certificate, and we have none".into(),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied => {
                format!("the other side does not take our certificate ({alert:?})")
            }
            AlertDescription::ProtocolVersion => "the other side does not speak TLS 1.3".into(),
            alert => format!("the other side has ended the TLS connection ({alert:?})"),
        },
        error => error.to_string(),
    }
}

/// What is wrong with the other side's certificate.
fn theirs(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: do the clocks agree?".into()
        }
        // With the right subject and the wrong key it is a signature that does not fit.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is not of the CA that was given with --tls-ca".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = match &presented[..] {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            format!("is for something else: it lacks {}, its names are {presented}", expected.to_str())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not made for this side of a connection (extended key usage)".into()
        }
        error => format!("is refused: {error}"),
    }
}
