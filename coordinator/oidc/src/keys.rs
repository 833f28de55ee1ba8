//! The keys by which an issuer's signatures are checked (RFC 7517, RFC 7518, RFC 8037).

use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use crate::jws::{Algorithm, Jws, decoded};

/// How many keys of an issuer are kept: a token that names none is tried with each.
const MOST: usize = 64;

/// What an issuer has published.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    name: Option<String>,
    /// The one algorithm that it is for, if that is said.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    /// Modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Those of a key set that signatures can be checked by; others are passed over, as issuers have keys for more than that.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn read(document: &[u8]) -> Result<Self, String> {
        let set: KeySet = serde_json::from_slice(document).map_err(|error| format!("they are no key set: {error}"))?;
        let keys = set.keys.into_iter().filter_map(|key| Key::read(serde_json::from_value(key).ok()?));
        let keys: Vec<Key> = keys.take(MOST).collect();
        if keys.is_empty() {
            return Err("there is none among them by which a signature can be checked".into());
        }
        Ok(Self(keys))
    }

    /// Those that may have signed a token.
    fn of<'a>(&'a self, jws: &Jws<'_>) -> impl Iterator<Item = &'a Key> {
        let (named, algorithm) = (jws.key.clone(), jws.algorithm);
        self.0.iter().filter(move |key| {
            named.as_ref().is_none_or(|named| key.name.as_ref() == Some(named)) && key.is_for(algorithm)
        })
    }

    /// Whether there is a key that may have signed it.
    pub(crate) fn contains_candidate(&self, jws: &Jws<'_>) -> bool {
        self.of(jws).next().is_some()
    }

    /// Whether its signature is one of theirs.
    pub(crate) fn verify(&self, jws: &Jws<'_>) -> bool {
        self.of(jws).any(|key| key.verify(jws))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    fn read(jwk: Jwk) -> Option<Self> {
        let bytes = |text: Option<String>| decoded(&text?);
        let point = |x: Option<String>, y: Option<String>| Some([vec![4], decoded(&x?)?, decoded(&y?)?].concat());
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa(bytes(jwk.n)?, bytes(jwk.e)?),
            ("EC", Some("P-256")) => Material::P256(point(jwk.x, jwk.y)?),
            ("EC", Some("P-384")) => Material::P384(point(jwk.x, jwk.y)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(jwk.x)?),
            _ => return None,
        };
        if jwk.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let only = match jwk.alg {
            Some(name) => Some(Algorithm::named(&name)?),
            None => None,
        };
        Some(Self { name: jwk.kid, only, material })
    }

    /// The kind of the key decides which algorithms may be used with it, and never the token.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = match &self.material {
            Material::Rsa(..) => algorithm.of_rsa().is_some(),
            Material::P256(_) => algorithm == Algorithm::Es256,
            Material::P384(_) => algorithm == Algorithm::Es384,
            Material::Ed25519(_) => algorithm == Algorithm::EdDsa,
        };
        fits && self.only.is_none_or(|only| only == algorithm)
    }

    fn verify(&self, jws: &Jws<'_>) -> bool {
        match &self.material {
            Material::Rsa(n, e) => jws
                .algorithm
                .of_rsa()
                .is_some_and(|how| RsaPublicKeyComponents { n, e }.verify(how, jws.signed, &jws.signature).is_ok()),
            Material::P256(key) | Material::P384(key) | Material::Ed25519(key) => jws
                .algorithm
                .of_bytes()
                .is_some_and(|how| UnparsedPublicKey::new(how, key).verify(jws.signed, &jws.signature).is_ok()),
        }
    }
}
