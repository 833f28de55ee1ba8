//! Who asks, and what it may.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tonic::async_trait;
use utoipa::ToSchema;

use super::ClientError;

/// What somebody is in a namespace, or in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees jobs, their figures and the catalog.
    Viewer,
    /// And submits jobs, changes the catalog, stops and restarts jobs.
    Developer,
    /// Sees, stops, restarts, rescales, takes savepoints; of all namespaces: drains workers. Submits nothing.
    Operator,
    /// Everything; of all namespaces: namespaces, coordinators and tokens too.
    Admin,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Operator, Self::Admin];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.to_string() == text);
        found.ok_or_else(|| format!("'{text}' is no role: viewer, developer, operator or admin"))
    }
}

/// A role somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// In which namespace; `None`: in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// `ROLE`, or `ROLE@NAMESPACE`.
impl FromStr for Grant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('@') {
            None => Ok(Self { role: text.parse()?, namespace: None }),
            Some((_, "")) => Err(format!("'{text}': the namespace is missing; write ROLE or ROLE@NAMESPACE")),
            Some((role, namespace)) => Ok(Self { role: role.parse()?, namespace: Some(namespace.to_owned()) }),
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            None => self.role.fmt(f),
            Some(namespace) => write!(f, "{}@{namespace}", self.role),
        }
    }
}

/// By what somebody shows that a token is theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bearer {
    /// By the token itself. Whoever makes it draws it, and keeps it: the cluster is told its SHA-256 alone, as 64 digits.
    #[serde(rename = "sha256")]
    Secret(String),
    /// By a token of the OpenID Connect issuer, which says that they are in this group.
    #[serde(rename = "group")]
    Group(String),
}

impl Bearer {
    /// The group, if it is one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Secret(_) => None,
            Self::Group(group) => Some(group),
        }
    }
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// By which it is listed and revoked, and under which what is done with it is told.
    pub name: String,
    /// Whose it is.
    #[serde(flatten)]
    pub bearer: Bearer,
    /// What it is good for.
    pub grants: Vec<Grant>,
    /// Whether jobs with plugins may be submitted with it: native code.
    pub plugins: bool,
    /// When it ends, in milliseconds since 1970; `None`: when it is revoked.
    pub expires_at: Option<i64>,
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// The group of the OpenID Connect issuer whose members have it; `None`: whoever has the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What it is good for.
    pub grants: Vec<Grant>,
    /// Whether jobs with plugins may be submitted with it.
    pub plugins: bool,
    /// Who made it.
    pub created_by: Option<String>,
    /// When.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: Option<i64>,
}

/// A token. What prints it prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// How every token of the cluster begins, so that a search for lost secrets finds it.
const PREFIX: &str = "weir_";
/// How a JWT begins: `{"`, in base64url.
const JWT: &str = "eyJ";
/// The longest that somebody may show: issuers write much into theirs, and all headers of a request have 16 KiB together.
const LONGEST: usize = 8 << 10;

impl Token {
    /// A token of 256 bits of randomness.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.iter().fold(PREFIX.to_owned(), |text, byte| format!("{text}{byte:02x}")))
    }

    /// A token that somebody has; `None` if it cannot be one: empty, very long, or with characters that no header takes.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it has the form of a signed JWT, as issuers make them: three parts, with dots between them. No token of the cluster has it.
    pub fn is_jwt(&self) -> bool {
        !self.0.starts_with(PREFIX) && self.0.split('.').count() == 3
    }

    /// Whether it has all parts that its beginning promises: what begins as a JWT does has three, and none is empty. One that has not was
    /// read while it was written.
    pub fn is_complete(&self) -> bool {
        !self.0.starts_with(JWT) || (self.is_jwt() && self.0.split('.').all(|part| !part.is_empty()))
    }

    /// By which the cluster knows it.
    pub fn sha256(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// How somebody has shown who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// Not at all.
    #[default]
    Nobody,
    /// It need not: the network is trusted.
    Trusted,
    /// By a certificate of an administrator, with this fingerprint.
    Certificate(String),
    /// By the token of this SHA-256, which has still to be looked up.
    Token(String),
    /// By a token of the OpenID Connect issuer, which was checked.
    Subject(Subject),
}

/// Whom a token of the OpenID Connect issuer is about: a person, or a service account. Names have printable ASCII characters alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Under which it is known what it does: `oidc:ISSUER#USER`. No token and no certificate has such a name.
    pub name: String,
    /// The groups that it is in.
    pub groups: BTreeSet<String>,
    /// When the token ends, in milliseconds since 1970.
    pub expires_at: i64,
}

/// Knows tokens that the cluster has not made.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Who shows this token. Called for each call that shows one, before anything of it is read.
    ///
    /// # Errors
    /// Why it is not believed; or that it cannot be checked just now.
    async fn authenticate(&self, token: &Token) -> Result<Subject, ClientError>;
}

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// How it has shown who it is.
    pub identity: Identity,
    /// Where it asks from.
    pub from: Option<String>,
}

impl Caller {
    /// Whoever reaches the port of a cluster whose network is trusted.
    pub fn trusted() -> Self {
        Self { identity: Identity::Trusted, from: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_grants_are_read_as_they_are_written() {
        let token = Token::new([0xab; 32]);
        assert_eq!(token.reveal(), format!("weir_{}", "ab".repeat(32)));
        assert_eq!(Token::read(&format!(" {}\n", token.reveal())), Some(token.clone()));
        assert!(!format!("{token:?}").contains("ab"));
        // `printf weir_… | sha256sum`
        assert_eq!(Token::read("weir_x").map(|token| token.sha256().len()), Some(64));
        for wrong in ["", " ", "a b", "ä", &"x".repeat(LONGEST + 1)] {
            assert_eq!(Token::read(wrong), None, "{wrong}");
        }
        let is_jwt = |text: &str| Token::read(text).is_some_and(|token| token.is_jwt());
        assert!(is_jwt("e30.e30.AA") && is_jwt("e30.e30."));
        for other in [token.reveal(), "weir_a.b.c", "a.b", "a.b.c.d.e", "x"] {
            assert!(!is_jwt(other), "{other}");
        }
        let is_complete = |text: &str| Token::read(text).is_some_and(|token| token.is_complete());
        assert!(is_complete("eyJh.eyJi.AA") && is_complete(token.reveal()) && is_complete("x"));
        for cut in ["eyJh", "eyJh.", "eyJh.eyJi", "eyJh.eyJi.", "eyJh..AA", "eyJh.eyJi.AA.", "eyJh.eyJi.AA.A.A"] {
            assert!(!is_complete(cut), "{cut}");
        }
        for text in ["viewer", "admin", "developer@flights", "operator@a"] {
            assert_eq!(text.parse::<Grant>().map(|grant| grant.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "root", "Admin", "viewer@", "@a"] {
            assert!(wrong.parse::<Grant>().is_err(), "{wrong}");
        }
    }
}
