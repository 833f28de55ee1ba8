//! Options of a registry. Their names are those of Flink's format `avro-confluent`.

use weir_connectors::options::Options;
use weir_core::Result;

const URL: &str = "avro-confluent.url";
const SUBJECT: &str = "avro-confluent.subject";
const USER: &str = "avro-confluent.basic-auth.user-info";
const TOKEN: &str = "avro-confluent.bearer-auth.token";

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
    /// Addresses, of which one that answers is asked.
    pub urls: Vec<String>,
    /// Who we are.
    pub auth: Auth,
    /// What the schema of written messages is registered under; `None`: what follows from the topic.
    pub subject: Option<String>,
}

impl RegistryOptions {
    /// The options of a table, or those of them that begin as `options` says.
    ///
    /// # Errors
    /// A user error that names the wrong option.
    pub fn read(options: &Options<'_>) -> Result<Self> {
        let urls: Vec<String> = options.required(URL)?.split(',').map(|url| url.trim().to_owned()).collect();
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !urls.iter().all(is_url) {
            return Err(options.error(URL, "not a list of addresses like 'https://registry:8081'"));
        }
        let auth = match (options.text(USER), options.text(TOKEN)) {
            (None, None) => Auth::None,
            (None, Some(token)) => Auth::Bearer(token.to_owned()),
            (Some(_), Some(_)) => return Err(options.error(TOKEN, format!("given beside '{}'", options.name(USER)))),
            (Some(user), None) => match user.split_once(':') {
                Some((user, password)) => Auth::Basic(user.to_owned(), password.to_owned()),
                None => return Err(options.error(USER, "not a user and a password with ':' between them")),
            },
        };
        Ok(Self { urls, auth, subject: options.text(SUBJECT).map(str::to_owned) })
    }
}
