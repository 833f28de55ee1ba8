//! `JSON_VALUE`, `JSON_QUERY`, `JSON_EXISTS`, and the operators `->` and `->>`.
//!
//! A document is checked as a whole and then walked as text, so that numbers keep every digit. A document that is no
//! JSON has no values: the result is null (`NULL ON ERROR`, Flink's default).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use serde::de::IgnoredAny;

use super::definition::{Definition, Parameter, Text, plan_error, unchecked};

const TEXTS: &[Parameter] = &[Parameter::Text, Parameter::Text];

pub(super) const JSON_VALUE: Definition = Definition {
    name: "json_value",
    usage: "JSON_VALUE(json, '$.path')",
    parameters: TEXTS,
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: check_path,
    compute: |arguments, rows| texts(arguments, rows, parse_path, scalar_text),
};

pub(super) const JSON_QUERY: Definition = Definition {
    name: "json_query",
    usage: "JSON_QUERY(json, '$.path')",
    parameters: TEXTS,
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: check_path,
    compute: |arguments, rows| texts(arguments, rows, parse_path, container_text),
};

pub(super) const JSON_EXISTS: Definition = Definition {
    name: "json_exists",
    usage: "JSON_EXISTS(json, '$.path')",
    parameters: TEXTS,
    required: 2,
    returns: |_, _| DataType::Boolean,
    check: check_path,
    compute: json_exists,
};

/// `json -> 'key'`: the value as JSON.
pub(super) const JSON_GET: Definition = Definition {
    name: "json_get",
    usage: "json -> 'key'",
    parameters: TEXTS,
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| texts(arguments, rows, one_step, |raw| Some(compact(raw))),
};

/// `json ->> 'key'`: the value as text.
pub(super) const JSON_GET_TEXT: Definition = Definition {
    name: "json_get_text",
    usage: "json ->> 'key'",
    parameters: TEXTS,
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| texts(arguments, rows, one_step, |raw| scalar_text(raw).or_else(|| container_text(raw))),
};

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// `$.key.'other key'[0]['third key']`.
fn parse_path(path: &str) -> Result<Vec<Step>> {
    let wrong = || plan_error(format!("`{path}` is no JSON path; write it like '$.key[0].other'"));
    let trimmed = path.trim();
    let Some(mut rest) = trimmed.strip_prefix("lax ").unwrap_or(trimmed).trim_start().strip_prefix('$') else {
        return wrong();
    };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(key) = rest.strip_prefix('.') {
            let end = key.find(['.', '[']).unwrap_or(key.len());
            if end == 0 || key[..end].contains(['*', '?', '(', ' ']) {
                return wrong();
            }
            steps.push(Step::Key(key[..end].to_owned()));
            rest = &key[end..];
        } else if let Some(inner) = rest.strip_prefix('[') {
            let quote = inner.chars().next().filter(|quote| ['\'', '"'].contains(quote));
            if let Some(quote) = quote {
                let Some(end) = inner[1..].find(quote) else { return wrong() };
                let Some(after) = inner[end + 2..].strip_prefix(']') else { return wrong() };
                steps.push(Step::Key(inner[1..=end].to_owned()));
                rest = after;
            } else {
                let Some((number, after)) = inner.split_once(']') else { return wrong() };
                let Ok(index) = number.trim().parse() else { return wrong() };
                steps.push(Step::Index(index));
                rest = after;
            }
        } else {
            return wrong();
        }
    }
    Ok(steps)
}

/// The right side of `->`: a key, or an index if it is a number.
fn one_step(step: &str) -> Result<Vec<Step>> {
    Ok(vec![step.parse().map_or_else(|_| Step::Key(step.to_owned()), Step::Index)])
}

fn check_path(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.get(1) {
        Some(Some(value)) => value.try_as_str().flatten().map_or(Ok(()), |path| parse_path(path).map(|_| ())),
        _ => Ok(()),
    }
}

type ParsePath = fn(&str) -> Result<Vec<Step>>;

/// Finds the value of each row, as JSON text, and hands it to `take`; the outer `None` is a null argument.
fn walk(
    arguments: &[ColumnarValue],
    rows: usize,
    parse: ParsePath,
    mut take: impl FnMut(Option<Option<&str>>),
) -> Result<()> {
    let (documents, paths) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let mut parsed: Option<(&str, Vec<Step>)> = None;
    for row in 0..rows {
        let (Some(document), Some(path)) = (documents.at(row), paths.at(row)) else {
            take(None);
            continue;
        };
        let (_, steps) = match &mut parsed {
            Some(current) if current.0 == path => current,
            slot => slot.insert((path, parse(path)?)),
        };
        let valid = serde_json::from_str::<IgnoredAny>(document).is_ok();
        take(Some(if valid { find(document, steps) } else { None }));
    }
    Ok(())
}

fn texts(
    arguments: &[ColumnarValue],
    rows: usize,
    parse: ParsePath,
    convert: fn(&str) -> Option<String>,
) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    walk(arguments, rows, parse, |found| builder.append_option(found.flatten().and_then(convert)))?;
    Ok(Arc::new(builder.finish()))
}

fn json_exists(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let mut exists: Vec<Option<bool>> = Vec::with_capacity(rows);
    walk(arguments, rows, parse_path, |found| exists.push(found.map(|value| value.is_some())))?;
    Ok(Arc::new(BooleanArray::from(exists)))
}

/// Text of a string, number or truth value; nothing of null, objects and arrays.
fn scalar_text(raw: &str) -> Option<String> {
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.to_owned()),
    }
}

/// Text of an object or array.
fn container_text(raw: &str) -> Option<String> {
    raw.starts_with(['{', '[']).then(|| compact(raw))
}

/// Without white space between its parts.
fn compact(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let (mut quoted, mut escaped) = (false, false);
    for character in raw.chars() {
        if quoted || !character.is_ascii_whitespace() {
            text.push(character);
        }
        (quoted, escaped) = match (quoted, escaped, character) {
            (true, false, '\\') => (true, true),
            (true, false, '"') => (false, false),
            (true, ..) => (true, false),
            (false, _, '"') => (true, false),
            (false, ..) => (false, false),
        };
    }
    text
}

/// The value at the end of the path, in a document that is known to be JSON.
fn find<'a>(document: &'a str, steps: &[Step]) -> Option<&'a str> {
    let mut value = document.trim();
    for step in steps {
        value = match step {
            // Of a key that is there twice the last one counts, as everywhere.
            Step::Key(key) => members(value, '{').filter(|(name, _)| name.as_deref() == Some(key)).last()?.1,
            Step::Index(index) => members(value, '[').nth(*index)?.1,
        };
    }
    Some(value)
}

/// Members of an object with their keys, or elements of an array; nothing of anything else.
fn members(value: &str, open: char) -> impl Iterator<Item = (Option<String>, &str)> {
    let inner = value.strip_prefix(open).and_then(|rest| rest.get(..rest.len().checked_sub(1)?));
    let mut rest = inner.unwrap_or_default().trim();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut key = None;
        if open == '{' {
            let end = end_of_value(rest);
            key = serde_json::from_str(&rest[..end]).ok();
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
    use super::*;

    fn value(document: &str, path: &str) -> Option<String> {
        find(document, &parse_path(path).unwrap()).and_then(scalar_text)
    }

    #[test]
    fn paths_find_values() {
        let document = r#" { "a": { "b" : [ 1, "two \"x\", y", {"c": true} ], "big": 12345678901234567890.10 },
                             "k.d": null, "é": "ü\u0041", "a2" : {} } "#;
        for (path, expected) in [
            ("$.a.b[0]", Some("1")),
            ("$.a.b[1]", Some("two \"x\", y")),
            ("$.a.b[2].c", Some("true")),
            ("lax $.a.big", Some("12345678901234567890.10")),
            ("$['k.d']", None),
            ("$.é", Some("üA")),
            ("$.a", None),
            ("$.a.b[3]", None),
            ("$.missing.b", None),
            ("$.a2.x", None),
        ] {
            assert_eq!(value(document, path).as_deref(), expected, "{path}");
        }
        assert_eq!(value("7", "$").as_deref(), Some("7"));
        assert_eq!(value(r#"{"a":1,"a":2}"#, "$.a").as_deref(), Some("2"));
        let query = find(document, &parse_path("$.a.b").unwrap()).and_then(container_text);
        assert_eq!(query.as_deref(), Some(r#"[1,"two \"x\", y",{"c":true}]"#));
    }

    #[test]
    fn wrong_paths_are_refused() {
        for path in ["a.b", "$.", "$.a[", "$.a[x]", "$..a", "$.*", "$x", "$['a", ""] {
            assert!(parse_path(path).is_err(), "{path}");
        }
    }
}
