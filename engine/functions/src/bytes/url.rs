//! `URL_ENCODE` and `URL_DECODE` as for forms, and `PARSE_URL`.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use crate::definition::{Definition, Parameter, Text, plan_error, unchecked};
use crate::output::{parts, texts};

pub(crate) const URL_ENCODE: Definition = Definition {
    name: "url_encode",
    usage: "URL_ENCODE(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let text = Text::of(&arguments[0])?;
        texts(rows, |row, value| {
            let Some(text) = text.at(row) else { return Ok(false) };
            push_encoded(text, value.text());
            Ok(true)
        })
    },
};

/// Null where a `%` stands before other than two digits. What is no UTF-8 becomes U+FFFD.
pub(crate) const URL_DECODE: Definition = Definition {
    name: "url_decode",
    usage: "URL_DECODE(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let text = Text::of(&arguments[0])?;
        let mut bytes = Vec::new();
        texts(rows, |row, value| {
            bytes.clear();
            if text.at(row).and_then(|text| decoded(text, &mut bytes)).is_none() {
                return Ok(false);
            }
            value.push_str(&String::from_utf8_lossy(&bytes))?;
            Ok(true)
        })
    },
};

pub(crate) const PARSE_URL: Definition = Definition {
    name: "parse_url",
    usage: "PARSE_URL(url, 'HOST' | 'PATH' | 'QUERY' | 'REF' | 'PROTOCOL' | 'FILE' | 'AUTHORITY' | 'USERINFO'[, key])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| check_part(constants),
    compute: parse_url,
};

fn push_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                super::hex::push_hex(out, &[byte], b"0123456789ABCDEF");
            }
        }
    }
}

fn decoded(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit()?, digit()?);
                high << 4 | low
            }
            _ => byte,
        });
    }
    Some(())
}

/// Parts of a URL as Java's `URL` has them; no other scheme than those it knows makes one.
struct Url<'a> {
    protocol: &'a str,
    user: Option<&'a str>,
    authority: Option<&'a str>,
    host: &'a str,
    /// Path and query.
    file: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    reference: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (protocol, rest) = text.trim().split_once(':')?;
        let known = ["http", "https", "ftp", "file", "jar", "mailto"];
        if !known.iter().any(|known| known.eq_ignore_ascii_case(protocol)) {
            return None;
        }
        let (rest, reference) = match rest.split_once('#') {
            Some((rest, reference)) => (rest, Some(reference)),
            None => (rest, None),
        };
        let (authority, file) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let (user, place) = match authority.unwrap_or_default().rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority.unwrap_or_default()),
        };
        let port = place.rfind(':').filter(|colon| !place[*colon..].contains(']'));
        let host = &place[..port.unwrap_or(place.len())];
        let port = port.map_or("", |colon| &place[colon + 1..]);
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (path, query) = match file.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (file, None),
        };
        Some(Self { protocol, user, authority, host, file, path, query, reference })
    }

    fn part(&self, part: Part) -> Option<&'a str> {
        match part {
            Part::Protocol => Some(self.protocol),
            Part::UserInfo => self.user,
            Part::Authority => self.authority,
            Part::Host => Some(self.host),
            Part::File => Some(self.file),
            Part::Path => Some(self.path),
            Part::Query => self.query,
            Part::Reference => self.reference,
        }
    }

    /// The first value of `key` in the query.
    fn value(&self, key: &str) -> Option<&'a str> {
        self.query?.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Protocol,
    UserInfo,
    Authority,
    Host,
    File,
    Path,
    Query,
    Reference,
}

impl Part {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "PROTOCOL" => Part::Protocol,
            "USERINFO" => Part::UserInfo,
            "AUTHORITY" => Part::Authority,
            "HOST" => Part::Host,
            "FILE" => Part::File,
            "PATH" => Part::Path,
            "QUERY" => Part::Query,
            "REF" => Part::Reference,
            _ => return None,
        })
    }
}

fn check_part(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.get(1).copied().flatten().and_then(|name| name.try_as_str().flatten()) {
        Some(name) if Part::of(name).is_none() => {
            plan_error(format!("`{name}` is no part of a URL: {}", PARSE_URL.usage))
        }
        _ => Ok(()),
    }
}

/// Null where there is no URL, or not that part.
fn parse_url(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (urls, names) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let keys = arguments.get(2).map(Text::of).transpose()?;
    parts(rows, |row| {
        let (url, part) = (Url::of(urls.at(row)?)?, Part::of(names.at(row)?)?);
        match &keys {
            None => url.part(part),
            Some(keys) if part == Part::Query => url.value(keys.at(row)?),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_as_java_has_them() {
        let url = Url::of("http://user:pw@example.com:8080/path/p.php?query=1&k=v%20w#Ref").unwrap();
        let parts = ["PROTOCOL", "USERINFO", "AUTHORITY", "HOST", "FILE", "PATH", "QUERY", "REF"];
        let found: Vec<_> = parts.iter().map(|name| url.part(Part::of(name).unwrap()).unwrap()).collect();
        let expected = ["http", "user:pw", "user:pw@example.com:8080", "example.com", "/path/p.php?query=1&k=v%20w"];
        assert_eq!(found[..5], expected);
        assert_eq!(found[5..], ["/path/p.php", "query=1&k=v%20w", "Ref"]);
        assert_eq!(url.value("k"), Some("v%20w"));
        assert_eq!(url.value("uery"), None);
        assert_eq!(Url::of("mailto:a@b.c").map(|url| (url.host, url.path)), Some(("", "a@b.c")));
        assert_eq!(Url::of("http://a.b/?e=#").unwrap().part(Part::Reference), Some(""));
        for text in ["not a url", "//host/path?x=y", "http://a:b/", "gopher://a"] {
            assert!(Url::of(text).is_none(), "{text}");
        }
    }

    #[test]
    fn forms_are_encoded_and_decoded() {
        let mut text = String::new();
        push_encoded("a b+c/ü*", &mut text);
        assert_eq!(text, "a+b%2Bc%2F%C3%BC*");
        let mut bytes = Vec::new();
        decoded(&text, &mut bytes).unwrap();
        assert_eq!(bytes, "a b+c/ü*".as_bytes());
        assert_eq!(decoded("100%", &mut bytes), None);
        assert_eq!(decoded("%zz", &mut bytes), None);
    }
}
