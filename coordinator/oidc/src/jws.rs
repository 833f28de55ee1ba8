//! A token as it is sent: header, claims and signature, each in base64url, with dots between them (RFC 7515, compact serialization).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{self, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::{Map, Value};
use weir_proto::client::ClientError;

use crate::claims::refused;

/// How a token is signed (RFC 7518, RFC 8037): by a private key, each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// How a signature over plain key bytes is checked; `None` for RSA, whose keys are two numbers.
    pub(crate) fn of_bytes(self) -> Option<&'static dyn VerificationAlgorithm> {
        match self {
            Self::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
            Self::EdDsa => Some(&signature::ED25519),
            _ => None,
        }
    }

    /// How a signature with RSA is checked. Keys have 2048 bits at least.
    pub(crate) fn of_rsa(self) -> Option<&'static signature::RsaParameters> {
        match self {
            Self::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
            _ => None,
        }
    }
}

/// A token that can be read. Nothing of it is known to be true.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    /// Which key of the issuer's has signed it, if it says so.
    pub(crate) key: Option<String>,
    /// What is signed.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    pub(crate) claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Jws<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// If it is none, or is signed in a way that is not taken.
    pub(crate) fn read(token: &'a str) -> Result<Self, ClientError> {
        let wrong = || refused("the token is no signed JWT");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(wrong)?;
        let (header, claims) = signed.split_once('.').ok_or_else(wrong)?;
        let header: Header = serde_json::from_slice(&decoded(header).ok_or_else(wrong)?).map_err(|_| wrong())?;
        let algorithm = Algorithm::named(&header.alg).ok_or_else(|| {
            refused("the token is not signed by an algorithm with a public key")
                .with_help("have the issuer sign by RS256, PS256, ES256 or EdDSA; HS256 and none are taken from nobody")
        })?;
        if header.crit.is_some() {
            return Err(refused("the token has an extension that it says must be understood, and is not"));
        }
        if header.typ.is_some_and(|kind| !is_for_access(&kind)) {
            return Err(refused("the token is of a kind that is not for logging in")
                .with_help("show an ID token or an access token of the issuer"));
        }
        let claims = serde_json::from_slice(&decoded(claims).ok_or_else(wrong)?).map_err(|_| wrong())?;
        let signature = decoded(signature).ok_or_else(wrong)?;
        Ok(Self { algorithm, key: header.kid, signed: signed.as_bytes(), signature, claims })
    }
}

/// Whether tokens of a kind are for whoever wants to come in (RFC 8725, section 3.11; RFC 9068). An issuer signs others by the same keys, for
/// the same audience, which tell of a logout or of something else. It is a media type, whose first part may be left out.
fn is_for_access(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// What stands there in base64url.
pub(crate) fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
