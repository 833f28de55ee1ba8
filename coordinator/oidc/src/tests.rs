//! Every way in which a token can be wrong, and issuers that do not do as they should. A real one: `cli/tests/it/oidc.rs`.
#![allow(clippy::unwrap_used)]

mod issuers;
mod tokens;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::claims::Expected;
use crate::jws::Jws;
use crate::keys::Keys;
use weir_proto::client::{ClientError, Subject};

/// Seconds since 1970.
const NOW: i64 = 1_800_000_000;

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A key of an issuer's, ES256.
struct Signer {
    name: &'static str,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new(name: &'static str) -> Self {
        let (random, how) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(how, &random).unwrap();
        Self { name, pair: EcdsaKeyPair::from_pkcs8(how, document.as_ref(), &random).unwrap() }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.name, "x": encoded(x), "y": encoded(y)})
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "ES256", "kid": self.name, "typ": "JWT"}), claims)
    }

    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature))
    }
}

fn expected() -> Expected {
    Expected {
        issuer: "https://issuer.example".into(),
        audience: "weir".into(),
        user: "sub".into(),
        groups: "groups".into(),
        prefix: "https://issuer.example".into(),
    }
}

/// What a good token claims, and what is put over that.
fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.example", "aud": "weir", "sub": "alice", "exp": NOW + 60, "groups": ["platform", "dev team"],
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn keys(of: &[&Value]) -> Keys {
    Keys::read(json!({ "keys": of }).to_string().as_bytes()).unwrap()
}

/// Of whom a token is, if the issuer has these keys.
fn checked(token: &str, keys: &Keys, expected: &Expected, now: i64) -> Result<Subject, ClientError> {
    let jws = Jws::read(token)?;
    expected.is_issuer(&jws.claims)?;
    if !keys.verify(&jws) {
        return Err(crate::claims::refused("the token's signature is wrong"));
    }
    expected.subject(&jws.claims, now)
}

fn groups(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A key of an issuer's, EdDSA.
fn ed25519() -> (Ed25519KeyPair, Value) {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(pair.public_key())});
    (pair, jwk)
}
