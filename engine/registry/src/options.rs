//! Options of a registry. Their names are those of Flink's format `avro-confluent`, with the format's name in front.

use weir_connectors::formats::registered::SchemaKind;
use weir_connectors::options::Options;
use weir_core::{Error, Location, Result};

/// Who we are to the registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// Nobody.
    None,
    /// A user and a password.
    Basic(String, String),
    /// Whoever has the token.
    Bearer(String),
}

/// Without what is secret.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Basic(user, _) => write!(f, "Basic({user})"),
            Self::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

/// How a registry is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryOptions {
    /// What schemas it is asked for.
    pub kind: SchemaKind,
    /// Addresses, of which one that answers is asked.
    pub urls: Vec<String>,
    /// Who we are.
    pub auth: Auth,
    /// What the schema of written messages is registered under; `None`: what follows from the topic.
    pub subject: Option<String>,
}

impl RegistryOptions {
    /// The options of a table, or those of them that begin as `options` says, for a format with such schemas.
    ///
    /// # Errors
    /// A user error that names the wrong option.
    pub fn read(options: &Options<'_>, kind: SchemaKind) -> Result<Self> {
        let [url_option, subject, user, token] = ["url", "subject", "basic-auth.user-info", "bearer-auth.token"]
            .map(|name| format!("{}.{name}", kind.format()));
        let urls: Vec<String> = options.required(&url_option)?.split(',').map(|url| url.trim().to_owned()).collect();
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !urls.iter().all(is_url) {
            return Err(options.error(&url_option, "not a list of addresses like 'https://registry:8081'"));
        }
        let auth = match (options.text(&user), options.text(&token)) {
            (None, None) => Auth::None,
            (None, Some(text)) => Auth::Bearer(text.to_owned()),
            (Some(_), Some(_)) => return Err(options.error(&token, format!("given beside '{}'", options.name(&user)))),
            (Some(both), None) => match both.split_once(':') {
                Some((name, password)) => Auth::Basic(name.to_owned(), password.to_owned()),
                None => return Err(options.error(&user, "not a user and a password with ':' between them")),
            },
        };
        Ok(Self { kind, urls, auth, subject: options.text(&subject).map(str::to_owned) })
    }
}

/// The hosts of a list of addresses, as the client reads them.
///
/// # Errors
/// A user error if one is no address over HTTP. It does not repeat it: it may have a password in it.
pub fn hosts(urls: &str) -> Result<Vec<Location>> {
    let host = |url: &str| {
        let url = reqwest::Url::parse(url.trim()).ok().filter(|url| ["http", "https"].contains(&url.scheme()))?;
        let name = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        Some(Location::Host(name.to_owned(), url.port_or_known_default()?))
    };
    let known = |url| host(url).ok_or_else(|| Error::user("the address of a registry cannot be understood"));
    urls.split(',').map(known).collect()
}
