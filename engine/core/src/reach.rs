//! What a table has a process open or connect to, for those who limit it.
//!
//! A connector says it of the options of a table. Texts that two programs could read differently are refused, so that nothing is
//! connected to that was taken for something else.

use std::path::PathBuf;

use crate::{Error, Result};

/// A place that a table names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// A file, or a folder and what is below it; a pattern with `*`, `?` and `[…]` stands for what matches.
    Path(PathBuf),
    /// A place in an object store, as a URL without options: `s3://bucket/folder`. A pattern as with paths.
    Url(String),
    /// A host: a name or an address without brackets, and its port, if one is given.
    Host(String, Option<u16>),
}

impl Reach {
    /// The hosts in a list like `broker:9092, [::1]:9093` or `https://user:password@registry:8081/path`. They are in front of the first
    /// slash behind the scheme.
    ///
    /// # Errors
    /// A user error if one cannot be understood. It does not repeat it: it may have a password in it.
    pub fn hosts(list: &str) -> Result<Vec<Self>> {
        let places = list.split(',').map(str::trim).filter(|place| !place.is_empty());
        let host = |place| host(place).ok_or_else(|| Error::user("the address of a host cannot be understood"));
        places.map(host).collect()
    }
}

fn host(place: &str) -> Option<Reach> {
    let behind_scheme = match place.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.".contains(&byte)) => {
            rest
        }
        Some(_) => return None,
        None => place,
    };
    let authority = behind_scheme.split('/').next()?;
    // Of two at signs programs take different ones, and some take these for the end of the host.
    if authority.contains(|letter: char| "\\?#".contains(letter) || letter.is_whitespace() || letter.is_control()) {
        return None;
    }
    let address = match authority.split_once('@') {
        Some((_, address)) if address.contains('@') => return None,
        Some((_, address)) => address,
        None => authority,
    };
    let (name, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            name.parse::<std::net::Ipv6Addr>().ok()?;
            (name, port)
        }
        None => {
            let end = address.find(':').unwrap_or(address.len());
            let (name, port) = address.split_at(end);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                return None;
            }
            (name, port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(port) => Some(port.parse().ok()?),
    };
    Some(Reach::Host(name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(name: &str, port: impl Into<Option<u16>>) -> Vec<Reach> {
        vec![Reach::Host(name.to_owned(), port.into())]
    }

    #[test]
    fn hosts_are_found_in_what_clients_are_given() {
        assert_eq!(Reach::hosts("broker:9092").unwrap(), one("broker", 9092));
        assert_eq!(Reach::hosts("SASL_SSL://broker.example").unwrap(), one("broker.example", None));
        assert_eq!(Reach::hosts("http://user:a:b@[2001:db8::1]:81/x/@evil").unwrap(), one("2001:db8::1", 81));
        assert_eq!(Reach::hosts("https://10.0.0.1/path").unwrap(), one("10.0.0.1", None));
        assert_eq!(Reach::hosts(" a:1,, b ").unwrap(), [one("a", 1), one("b", None)].concat());
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for place in [
            "http://good@evil@worse/",
            "http://good\\@evil/",
            "http://good#@evil/",
            "http://good?@evil/",
            "http://go od/",
            "g\u{f6}\u{f6}d:1",
            "good:1:2",
            "[good]:1",
            "[::1",
            "[::1]x",
            "good:99999",
            "ht\u{a0}tp://good",
            ":9092",
            "http:///path",
        ] {
            assert!(Reach::hosts(place).is_err(), "{place}");
        }
    }
}
