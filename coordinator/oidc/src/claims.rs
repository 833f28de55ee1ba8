//! What a token claims, once it is known that the issuer has said so: of whom it is, for whom, and until when.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use weir_proto::client::{ClientError, ClientErrorKind, Subject};

/// How far the issuer's clock may be from this one, in seconds.
const LEEWAY: i64 = 30;
/// Longest name of a user or a group.
const LONGEST: usize = 256;
/// Most groups that a subject may be in: the leader looks up each of them for every call.
pub(crate) const MOST_GROUPS: usize = 200;

/// What a token has to claim, and what is taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The issuer, letter by letter as it calls itself.
    pub issuer: String,
    /// For whom tokens have to be: the client's id at the issuer.
    pub audience: String,
    /// Where the user's name stands.
    pub user: String,
    /// Where its groups stand.
    pub groups: String,
    /// In front of the user's name, with a `#` between them.
    pub prefix: String,
}

/// Somebody is not let in.
pub(crate) fn refused(why: impl Into<String>) -> ClientError {
    ClientError::new(ClientErrorKind::Unauthenticated, why.into())
}

/// Whether it can be the name of a user or a group.
fn is_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

impl Expected {
    /// Whether a token claims to be the issuer's. Before its signature is checked that says nothing, but that no key is to be looked for if not.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn is_issuer(&self, claims: &Map<String, Value>) -> Result<(), ClientError> {
        if claims.get("iss").and_then(Value::as_str) == Some(&self.issuer) {
            return Ok(());
        }
        Err(refused("the token is of another issuer than the cluster's")
            .with_help("get one of the issuer that --oidc-issuer-url of the coordinators names, letter by letter"))
    }

    /// Of whom a token is whose signature was checked. `now` is in seconds since 1970.
    ///
    /// # Errors
    /// Why it is good for nothing.
    pub(crate) fn subject(&self, claims: &Map<String, Value>, now: i64) -> Result<Subject, ClientError> {
        self.is_issuer(claims)?;
        let is_for_us = match claims.get("aud") {
            Some(Value::String(one)) => *one == self.audience,
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(&self.audience)),
            _ => false,
        };
        if !is_for_us {
            return Err(refused(format!("the token is for another audience than '{}'", self.audience))
                .with_help("get one for the client that --oidc-client-id of the coordinators names"));
        }
        let ends = seconds(claims, "exp")?.ok_or_else(|| refused("the token does not say when it expires"))?;
        if now >= ends.saturating_add(LEEWAY) {
            return Err(refused("the token has expired").with_help("get a new one of the issuer"));
        }
        if seconds(claims, "nbf")?.is_some_and(|begins| now < begins.saturating_sub(LEEWAY)) {
            return Err(refused("the token is not good yet")
                .with_help("compare the clocks of the issuer and of the coordinators"));
        }
        // Security event tokens, such as those of a logout, have it, and say nothing about who calls.
        if claims.contains_key("events") {
            return Err(refused("the token reports events, and is not for logging in"));
        }
        self.check_email(claims)?;
        let user = claims.get(&self.user).and_then(Value::as_str);
        // Without spaces, unlike a group's: it stands in logs.
        let user = user.filter(|user| is_name(user) && !user.contains(' ')).ok_or_else(|| {
            refused(format!(
                "the claim '{}' of the token is no name of 1 to {LONGEST} printable ASCII characters without spaces",
                self.user
            ))
            .with_help("name another one with --oidc-username-claim of the coordinators")
        })?;
        let name = format!("oidc:{}#{user}", self.prefix);
        let expires_at = ends.saturating_add(LEEWAY).saturating_mul(1000);
        Ok(Subject { name, groups: self.groups(claims)?, expires_at })
    }

    /// An address that somebody can write into their account is no name of theirs, and opens nothing.
    fn check_email(&self, claims: &Map<String, Value>) -> Result<(), ClientError> {
        let verified = claims.get("email_verified");
        let is_verified = verified == Some(&Value::Bool(true));
        if self.groups == "email" && !is_verified {
            return Err(refused("the issuer does not say that it has verified the token's e-mail address, which is its group")
                .with_help("have the issuer put \"email_verified\": true into its tokens, or name another claim with --oidc-groups-claim of the coordinators"));
        }
        if self.user == "email" && verified.is_some() && !is_verified {
            return Err(refused("the issuer has not verified the token's e-mail address"));
        }
        Ok(())
    }

    /// Groups that can be given rights. Others are left out: as nobody can give them any, nothing is lost.
    fn groups(&self, claims: &Map<String, Value>) -> Result<BTreeSet<String>, ClientError> {
        let wrong = || refused(format!("the claim '{}' of the token is no list of groups", self.groups));
        let names = match claims.get(&self.groups) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(all)) => {
                all.iter().map(|one| one.as_str().ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?
            }
            Some(_) => return Err(wrong()),
        };
        let groups: BTreeSet<String> = names.into_iter().filter(|name| is_name(name)).map(str::to_owned).collect();
        if groups.len() > MOST_GROUPS {
            // Some of them alone would be rights that come and go with their order.
            return Err(refused(format!("the token names {} groups, and may name {MOST_GROUPS}", groups.len()))
                .with_help("have the issuer name those alone that have rights in the cluster"));
        }
        Ok(groups)
    }
}

/// A time in seconds since 1970, which may have a fraction (RFC 7519, NumericDate).
fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, ClientError> {
    match claims.get(name) {
        None => Ok(None),
        // What is too large for an integer is the largest.
        Some(Value::Number(number)) => Ok(number.as_f64().map(|seconds| seconds as i64)),
        Some(_) => Err(refused(format!("the claim '{name}' of the token is no time"))),
    }
}
