//! What tables of jobs may reach, where whoever runs a worker limits it: `weir worker --allow /data --allow 'kafka.example:9092'`.
//!
//! ```text
//!   options of a table ─▶ secrets looked up ─▶ Connector::reaches ─▶ Allowed::check ─▶ Connector::open…, commit, …
//! ```
//!
//! It holds for what a connector is told to open or to connect to. Whom that sends it on to, as a Kafka broker does to others of its cluster
//! and a symbolic link to a file, is for those who run what is allowed. Code of plugins is not looked at: to submit it is a right of its own.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use weir_core::{Error, Reach, Result, TableSpec};

/// Those places, and all others not; without any rule every place.
#[derive(Debug, Clone, Default)]
pub struct Allowed(Arc<[Rule]>);

/// Places that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A file, or a folder and what is below it.
    Path(PathBuf),
    /// What begins with this URL.
    Url(String),
    /// A host, at this port or at any.
    Host(HostRule, Option<u16>),
}

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// The one of this name, in small letters, or of this address.
    One(String),
    /// Those in the domain of this name, which begins with a dot.
    Below(String),
    /// Any.
    Any,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text.starts_with('/') {
            let path = PathBuf::from(text);
            return match goes_up(&path) {
                true => Err("a path with '..'".into()),
                false => Ok(Self::Path(path)),
            };
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match ["http", "https"].contains(&scheme) || rest.is_empty() || !is_plain(text) {
                true => Err("not the URL of a place in an object store, such as s3://bucket/folder".into()),
                false => Ok(Self::Url(text.trim_end_matches('/').to_owned())),
            };
        }
        let unclear =
            || "neither a path, nor a URL like s3://bucket/folder, nor a host like kafka.example:9092".to_owned();
        let (pattern, any) = match text.strip_prefix('*') {
            // What stands in for the star is not looked at.
            Some(rest) => (format!("x{rest}"), true),
            None => (text.to_owned(), false),
        };
        let hosts = Reach::hosts(&pattern).map_err(|_| unclear())?;
        let [Reach::Host(name, port)] = hosts.as_slice() else { return Err(unclear()) };
        if text.contains(['/', '@', ',']) {
            return Err(unclear());
        }
        let host = match (any, name.strip_prefix('x')) {
            (true, Some("")) => HostRule::Any,
            (true, Some(domain)) if domain.len() > 1 && domain.starts_with('.') => HostRule::Below(plain_name(domain)),
            (true, _) => return Err(unclear()),
            (false, _) => HostRule::One(plain_name(name)),
        };
        Ok(Self::Host(host, *port))
    }
}

impl HostRule {
    fn takes(&self, host: &str) -> bool {
        let host = plain_name(host);
        match self {
            Self::Any => true,
            Self::One(name) => match (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
                (Ok(one), Ok(other)) => one == other,
                _ => *name == host,
            },
            Self::Below(domain) => host.ends_with(domain.as_str()) && host.len() > domain.len(),
        }
    }
}

/// A host's name as all write it.
fn plain_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl Rule {
    fn takes(&self, reach: &Reach) -> bool {
        match (self, reach) {
            (Self::Path(allowed), Reach::Path(path)) => resolved(path)
                .is_some_and(|path| path.starts_with(std::fs::canonicalize(allowed).as_ref().unwrap_or(allowed))),
            (Self::Url(allowed), Reach::Url(url)) => {
                let place = folder_of_pattern(url);
                let rest = place.strip_prefix(allowed.as_str());
                is_plain(url) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            (Self::Host(host, port), Reach::Host(name, at)) => {
                host.takes(name) && port.is_none_or(|port| *at == Some(port))
            }
            _ => false,
        }
    }
}

/// Whether all programs read a URL of an object store alike.
fn is_plain(url: &str) -> bool {
    let parts = url.split('/').skip(2);
    !url.contains(['%', '\\', '#', '@']) && parts.clone().all(|part| part != "." && part != "..")
}

/// The part of a URL in front of the first part with a wildcard.
fn folder_of_pattern(url: &str) -> &str {
    let Some(wildcard) = url.find(['*', '?', '[']) else { return url };
    url[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn goes_up(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// The path without symbolic links, as far as it is there, up to the first part with a wildcard; `None` if it is none that can be told.
fn resolved(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() || goes_up(path) {
        return None;
    }
    let has_wildcard = |part: &OsStr| part.as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte));
    let literal: PathBuf = path.components().take_while(|part| !has_wildcard(part.as_os_str())).collect();
    literal.ancestors().find_map(|ancestor| {
        let there = std::fs::canonicalize(ancestor).ok()?;
        Some(there.join(literal.strip_prefix(ancestor).ok()?))
    })
}

impl Allowed {
    /// These places alone; every place if there is no rule.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into())
    }

    /// Whether the table reaches allowed places alone.
    ///
    /// # Errors
    /// A user error that names the place that is not.
    pub(crate) fn check(&self, table: &TableSpec, reaches: impl FnOnce() -> Result<Vec<Reach>>) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(other) = reaches()?.into_iter().find(|reach| !self.0.iter().any(|rule| rule.takes(reach))) else {
            return Ok(());
        };
        let place = match other {
            Reach::Path(path) => format!("'{}'", path.display()),
            Reach::Url(url) => format!("'{url}'"),
            Reach::Host(name, None) => format!("the host '{name}'"),
            Reach::Host(name, Some(port)) => format!("the host '{name}' at port {port}"),
        };
        Err(Error::user(format!("table '{}' must not reach {place}", table.name))
            .with_help("who runs the workers says with `--allow` what tables may reach"))
    }
}

#[cfg(test)]
mod tests;
