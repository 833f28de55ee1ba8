//! A JSON document, walked as text, so that numbers keep every digit.

use serde::de::IgnoredAny;

use super::path::{Path, Step};

/// Values inside each other that are looked through or written: beyond it a document has an error. Each is walked once for every one
/// around it.
pub(super) const DEEPEST: usize = 128;

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    One(&'a str),
    /// Of a path that may lead to several values.
    Many(Vec<&'a str>),
}

/// The value that `text` begins with, if it is one; what comes behind it does not count.
pub(super) fn value(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(text[..values.byte_offset()].trim())
}

/// What stands at `path`; nothing if that is an error.
pub(super) fn find<'a>(document: &'a str, path: &Path) -> Option<Found<'a>> {
    if path.is_definite() {
        return path.steps.iter().try_fold(document, |value, step| step_into(value, step)).map(Found::One);
    }
    // Up to the first step that may lead to several values it is an error if there is none.
    let mut values = vec![document];
    let mut definite = true;
    for step in &path.steps {
        match step {
            Step::Key(_) | Step::Index(_) if definite => values = vec![step_into(values[0], step)?],
            Step::Key(_) | Step::Index(_) => {
                values = values.into_iter().filter_map(|value| step_into(value, step)).collect()
            }
            _ => {
                definite = false;
                let mut next = Vec::new();
                values.into_iter().try_for_each(|value| step_into_all(value, step, &mut next, 0))?;
                values = next;
            }
        }
    }
    Some(Found::Many(values))
}

/// The value of a key or an index. Of a key that is there twice the last one counts, as everywhere.
fn step_into<'a>(value: &'a str, step: &Step) -> Option<&'a str> {
    match step {
        Step::Key(key) => members(value, '{').filter(|(name, _)| is_key(name, key)).last().map(|(_, member)| member),
        Step::Index(index @ 0..) => members(value, '[').nth(usize::try_from(*index).ok()?).map(|(_, element)| element),
        Step::Index(index) => {
            let elements: Vec<&str> = members(value, '[').map(|(_, element)| element).collect();
            let back = usize::try_from(index.unsigned_abs()).ok()?;
            elements.len().checked_sub(back).map(|place| elements[place])
        }
        _ => None,
    }
}

/// The values of a step that may lead to several; nothing if they are nested too deep.
fn step_into_all<'a>(value: &'a str, step: &Step, found: &mut Vec<&'a str>, depth: usize) -> Option<()> {
    let elements = || members(value, '[').map(|(_, element)| element);
    match step {
        Step::All => found.extend(parts(value)),
        Step::Indexes(indexes) => {
            found.extend(indexes.iter().filter_map(|index| step_into(value, &Step::Index(*index))));
        }
        Step::Range(from, to) => {
            let elements: Vec<&str> = elements().collect();
            let bound = |bound: i64| match usize::try_from(bound) {
                Ok(bound) => bound.min(elements.len()),
                Err(_) => elements.len().saturating_sub(usize::try_from(bound.unsigned_abs()).unwrap_or(usize::MAX)),
            };
            let (from, to) = (from.map_or(0, bound), to.map_or(elements.len(), bound));
            found.extend(elements.get(from..to).unwrap_or_default());
        }
        Step::Descent => {
            if depth > DEEPEST {
                return None;
            }
            found.push(value);
            parts(value).try_for_each(|part| step_into_all(part, step, found, depth + 1))?;
        }
        Step::Key(_) | Step::Index(_) => {}
    }
    Some(())
}

/// Members of an object, or elements of an array.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let open = if value.starts_with('{') { '{' } else { '[' };
    members(value, open).map(|(_, part)| part)
}

/// Whether a key, as it is written with its quotes, is that one.
fn is_key(written: &str, key: &str) -> bool {
    match written.contains('\\') {
        true => serde_json::from_str::<String>(written).is_ok_and(|written| written == key),
        false => written.get(1..written.len().saturating_sub(1)) == Some(key),
    }
}

/// Members of an object with their keys as written, or elements of an array; nothing of anything else.
pub(super) fn members(value: &str, open: char) -> impl Iterator<Item = (&str, &str)> {
    let inner = value.strip_prefix(open).and_then(|rest| rest.get(..rest.len().checked_sub(1)?));
    let mut rest = inner.unwrap_or_default().trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut key = "";
        if open == '{' {
            let end = end_of_value(rest);
            key = rest[..end].trim_end();
            rest = rest[end..].trim_start().trim_start_matches(':').trim_start();
        }
        let end = end_of_value(rest);
        let member = rest[..end].trim_end();
        let after = rest[end..].trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        Some((key, member))
    })
}

/// Length of the value that `text` begins with. Iterative: documents may be nested as deep as they like.
fn end_of_value(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    quoted = false;
                    if depth == 0 {
                        return index + 1;
                    }
                }
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            b',' | b':' if depth == 0 => return index,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::path::{Parsed, path};
    use super::*;

    fn at(document: &str, text: &str) -> String {
        match &*path(text) {
            Parsed::Path(path) => match find(value(document).unwrap(), path) {
                Some(Found::One(one)) => one.to_owned(),
                Some(Found::Many(many)) => many.join(" | "),
                None => "none".to_owned(),
            },
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn paths_lead_to_values() {
        let document = r#" { "a": { "b" : [ 1, "two \"x\", y", {"c": true} ], "big": 12345678901234567890.10 },
                             "k.d": null, "é": "ü\u0041", "a2" : {}, "\u0061\u0062": 7 } trailing"#;
        for (path, expected) in [
            ("$.a.b[0]", "1"),
            ("$.a.b[1]", r#""two \"x\", y""#),
            ("$.a.b[2].c", "true"),
            ("$.a.b[-1].c", "true"),
            ("$.a.b[-4]", "none"),
            ("lax $.a.big", "12345678901234567890.10"),
            ("$['k.d']", "null"),
            ("$.ab", "7"),
            ("$.a.b[3]", "none"),
            ("$.missing.b", "none"),
            ("$.a.b.c", "none"),
            ("$.a.b[*].c", "true"),
            ("$.a.b[0,2]", r#"1 | {"c": true}"#),
            ("$.a.b[1:]", r#""two \"x\", y" | {"c": true}"#),
            ("$.a.b[:-1]", r#"1 | "two \"x\", y""#),
            ("$..c", "true"),
            ("$.missing[*]", "none"),
            ("$.a2.*", ""),
        ] {
            assert_eq!(at(document, path), expected, "{path}");
        }
        assert_eq!(at(r#"{"a":1,"a":2}"#, "$.a"), "2");
        assert_eq!(value("not json"), None);
        assert_eq!(value(""), None);
        assert!(value(&"[".repeat(100_000)).is_none());
    }
}
