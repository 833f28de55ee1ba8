//! What is allowed, as it is written.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use weir_core::Location;
use weir_object_storage::ObjectStorages;

/// Locations that are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// A file, or a folder and what is below it.
    Path(PathBuf),
    /// A place in an object store, and what is below it.
    Url(String),
    /// Hosts, at this port or at any.
    Host(HostRule, Option<u16>),
}

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// The host of this name, in lower case, or of this address.
    One(String),
    /// The hosts of a domain, which begins with a dot.
    Subdomains(String),
    /// Any host.
    Any,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let local = text.strip_prefix("file://").unwrap_or(text);
        if local.starts_with('/') {
            return match goes_up(Path::new(local)) || has_wildcard(local) {
                true => {
                    Err("a path with '..' or a wildcard: name a file, or a folder with all that is below it".into())
                }
                false => Ok(Self::Path(local.into())),
            };
        }
        if text.contains("://") {
            return match ObjectStorages::is_object_store(text) && is_plain(text) && !has_wildcard(text) {
                true => Ok(Self::Url(text.trim_end_matches('/').to_owned())),
                false => Err("not the URL of a place in an object store, such as s3://bucket/folder".into()),
            };
        }
        host_rule(text).ok_or_else(|| {
            "neither a path, nor a URL like s3://bucket/folder, nor a host like kafka.example:9092".to_owned()
        })
    }
}

fn host_rule(text: &str) -> Option<Rule> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let rule = match host.strip_prefix('*') {
        Some("") => HostRule::Any,
        Some(domain) if domain.starts_with('.') && is_name(&domain[1..]) => HostRule::Subdomains(normalized(domain)),
        Some(_) => return None,
        None if text.starts_with('[') => {
            HostRule::One(host.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6)?.to_string())
        }
        None => HostRule::One(is_name(host).then(|| normalized(host))?),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok()?),
        None => port.is_empty().then_some(None)?,
    };
    Some(Rule::Host(rule, port))
}

impl HostRule {
    fn allows(&self, host: &str) -> bool {
        let host = normalized(host);
        match self {
            Self::Any => true,
            Self::One(name) => match (name.parse::<IpAddr>(), host.parse::<IpAddr>()) {
                (Ok(one), Ok(other)) => one == other,
                _ => *name == host,
            },
            Self::Subdomains(domain) => host.ends_with(domain.as_str()) && host.len() > domain.len(),
        }
    }
}

/// The name of a host in lower case, without a dot at its end.
fn normalized(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl Rule {
    /// Whether a location is allowed by this rule. Blocks on the file system.
    pub(super) fn allows(&self, location: &Location) -> bool {
        match (self, location) {
            (Self::Path(allowed), Location::Path(path)) => {
                let allowed = std::fs::canonicalize(allowed).unwrap_or_else(|_| allowed.clone());
                resolved(path).is_some_and(|path| path.starts_with(allowed))
            }
            (Self::Url(allowed), Location::Url(url)) => {
                let rest = folder_of_pattern(url).strip_prefix(allowed.as_str());
                is_plain(url) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            (Self::Host(host, port), Location::Host(name, at)) => {
                host.allows(name) && port.is_none_or(|port| port == *at)
            }
            _ => false,
        }
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether all programs read a URL of an object store alike.
fn is_plain(url: &str) -> bool {
    let mut parts = url.split('/').skip(2);
    !url.contains(['%', '\\', '#', '@']) && parts.all(|part| part != "." && part != "..")
}

/// The part of a URL in front of the first part with a wildcard.
fn folder_of_pattern(url: &str) -> &str {
    let Some(wildcard) = url.find(['*', '?', '[']) else { return url };
    url[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn goes_up(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// The path without symbolic links, up to the first part with a wildcard. Parts that do not exist yet stand for themselves. `None` if it cannot
/// be told where the path leads.
fn resolved(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() || goes_up(path) {
        return None;
    }
    let is_pattern = |part: &OsStr| part.as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte));
    let literal: PathBuf = path.components().take_while(|part| !is_pattern(part.as_os_str())).collect();
    literal.ancestors().find_map(|ancestor| {
        let there = std::fs::canonicalize(ancestor).ok()?;
        let rest = literal.strip_prefix(ancestor).ok()?;
        // A link that leads nowhere yet may lead anywhere later.
        let is_link = rest.components().next().is_some_and(|next| there.join(next).symlink_metadata().is_ok());
        Some((!is_link).then(|| there.join(rest)))
    })?
}
