//! `JSON_VALUE`, `JSON_QUERY`, `JSON_EXISTS`, `IS JSON`, and the operators `->` and `->>`, as in standard SQL and in Flink.
//!
//! A document is checked as a whole and then walked as text, so that numbers keep every digit. What comes of a document that is no
//! JSON, of a path that leads nowhere and of a value of another kind is said by `ON EMPTY` and `ON ERROR`; without them it is null.

pub(super) mod aggregate;
pub(super) mod construct;
mod document;
mod encode;
mod path;
mod write;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use self::document::{Found, find};
use self::path::{Parsed, Path, Step, check_path, path};
use self::write::{push_number, push_value};
use super::definition::{Definition, Parameter, Text, plan_error, unchecked};
use super::output::texts;
use super::per_thread::Last;

pub(super) const JSON_VALUE: Definition = Definition {
    name: "json_value",
    usage: "JSON_VALUE(json, '$.path' [RETURNING type] [NULL | ERROR | DEFAULT x ON EMPTY] [… ON ERROR])",
    parameters: &[Parameter::Text; 6],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, arguments| {
        check_path(arguments).and_then(|()| check_words(arguments, &[2, 4], &["null", "error", "default"]))
    },
    compute: json_value,
};

pub(super) const JSON_QUERY: Definition = Definition {
    name: "json_query",
    usage: "JSON_QUERY(json, '$.path' [WITH WRAPPER] [NULL | EMPTY ARRAY | EMPTY OBJECT | ERROR ON EMPTY] [… ON ERROR])",
    parameters: &[Parameter::Text; 5],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, arguments| {
        check_path(arguments)?;
        check_words(arguments, &[2], &["without", "conditional", "unconditional"])?;
        check_words(arguments, &[3, 4], &["null", "error", "empty array", "empty object"])
    },
    compute: json_query,
};

pub(super) const JSON_EXISTS: Definition = Definition {
    name: "json_exists",
    usage: "JSON_EXISTS(json, '$.path' [TRUE | FALSE | UNKNOWN | ERROR ON ERROR])",
    parameters: &[Parameter::Text; 3],
    required: 2,
    returns: |_, _| DataType::Boolean,
    check: |_, arguments| {
        check_path(arguments).and_then(|()| check_words(arguments, &[2], &["true", "false", "unknown", "error"]))
    },
    compute: json_exists,
};

/// `text IS JSON kind`.
pub(super) const IS_JSON: Definition = Definition {
    name: "is_json",
    usage: "text IS JSON [VALUE | SCALAR | ARRAY | OBJECT]",
    parameters: &[Parameter::Text; 2],
    required: 2,
    returns: |_, _| DataType::Boolean,
    check: |_, arguments| check_words(arguments, &[1], &["value", "scalar", "array", "object"]),
    compute: is_json,
};

/// `json -> 'key'`: the value as JSON.
pub(super) const JSON_GET: Definition = Definition {
    name: "json_get",
    usage: "json -> 'key'",
    parameters: &[Parameter::Text; 2],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| member(arguments, rows, |out, value| push_value(out, value, 0)),
};

/// `json ->> 'key'`: the value as text.
pub(super) const JSON_GET_TEXT: Definition = Definition {
    name: "json_get_text",
    usage: "json ->> 'key'",
    parameters: &[Parameter::Text; 2],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        member(arguments, rows, |out, value| match value {
            "null" => None,
            _ if is_container(value) => push_value(out, value, 0),
            _ => push_scalar(out, value),
        })
    },
};

/// What a document comes to at a path.
enum At<'a> {
    Value(Found<'a>),
    /// No value, or JSON's null.
    Nothing,
    Error,
}

/// What the document of a row comes to at the path of that row.
fn at<'a>(document: &'a str, path: &Path) -> At<'a> {
    let value = document::value(document);
    match value.map(|value| find(value, path)) {
        Some(Some(Found::One("null"))) => At::Nothing,
        Some(Some(found)) => At::Value(found),
        _ if path.strict => At::Error,
        Some(None) if !path.is_definite() => At::Value(Found::Many(Vec::new())),
        _ => At::Nothing,
    }
}

/// Documents and paths, row by row.
struct Documents<'a> {
    documents: Text<'a>,
    paths: Text<'a>,
    last: Last<Parsed>,
}

impl<'a> Documents<'a> {
    fn of(arguments: &'a [ColumnarValue]) -> Result<Self> {
        Ok(Self { documents: Text::of(&arguments[0])?, paths: Text::of(&arguments[1])?, last: Last::new() })
    }

    /// What the row comes to, and whether its path is strict; nothing if an argument is null.
    fn at(&mut self, row: usize) -> Result<Option<(At<'a>, bool)>> {
        let (Some(document), Some(text)) = (self.documents.at(row), self.paths.at(row)) else { return Ok(None) };
        match &*self.last.of(text, path) {
            Parsed::Path(path) => Ok(Some((at(document, path), path.strict))),
            Parsed::Invalid => Ok(Some((At::Error, true))),
            Parsed::Unsupported(why) => {
                Err(DataFusionError::Execution(format!("the JSON path `{text}` cannot be used: {why}")))
            }
        }
    }
}

fn json_value(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let mut documents = Documents::of(arguments)?;
    let clauses = arguments[2..].iter().map(Text::of).collect::<Result<Vec<_>>>()?;
    texts(rows, |row, value| {
        let Some((at, strict)) = documents.at(row)? else { return Ok(false) };
        let missing = match at {
            At::Value(Found::One(scalar)) if !is_container(scalar) => {
                return Ok(push_scalar(value.text(), scalar).is_some());
            }
            At::Value(_) if strict => 2,
            At::Error => 2,
            At::Value(_) | At::Nothing => 0,
        };
        match clauses.get(missing).and_then(|word| word.at(row)) {
            Some("default") => match clauses.get(missing + 1).and_then(|default| default.at(row)) {
                Some(default) => value.push_str(default).map(|()| true),
                None => Ok(false),
            },
            Some("error") => Err(no_value("JSON_VALUE")),
            _ => Ok(false),
        }
    })
}

fn json_query(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let mut documents = Documents::of(arguments)?;
    let clauses = arguments[2..].iter().map(Text::of).collect::<Result<Vec<_>>>()?;
    texts(rows, |row, value| {
        let Some((at, strict)) = documents.at(row)? else { return Ok(false) };
        let wrapper = clauses.first().and_then(|wrapper| wrapper.at(row)).unwrap_or("without");
        let (missing, found) = match at {
            At::Error => (2, None),
            At::Nothing => (1, None),
            At::Value(found) => {
                let is_array =
                    matches!(&found, Found::Many(_)) || matches!(&found, Found::One(one) if one.starts_with('['));
                let wrapped = wrapper == "unconditional" || wrapper == "conditional" && !is_array;
                let kept = wrapped
                    || matches!(&found, Found::Many(_))
                    || matches!(&found, Found::One(one) if is_container(one));
                (if strict { 2 } else { 1 }, kept.then_some((found, wrapped)))
            }
        };
        if let Some((found, wrapped)) = found {
            if push_found(value.text(), &found, wrapped).is_some() {
                return Ok(true);
            }
            value.text().clear();
        }
        match clauses.get(missing).and_then(|word| word.at(row)) {
            Some("empty array") => value.push_str("[]").map(|()| true),
            Some("empty object") => value.push_str("{}").map(|()| true),
            Some("error") => Err(no_value("JSON_QUERY")),
            _ => Ok(false),
        }
    })
}

fn push_found(out: &mut String, found: &Found<'_>, wrapped: bool) -> Option<()> {
    if wrapped {
        out.push('[');
    }
    match found {
        Found::One(one) => push_value(out, one, 0)?,
        Found::Many(many) => {
            out.push('[');
            for (index, one) in many.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_value(out, one, 0)?;
            }
            out.push(']');
        }
    }
    if wrapped {
        out.push(']');
    }
    Some(())
}

fn json_exists(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let mut documents = Documents::of(arguments)?;
    let on_error = arguments.get(2).map(Text::of).transpose()?;
    let mut exists: Vec<Option<bool>> = Vec::with_capacity(rows);
    for row in 0..rows {
        let word = on_error.as_ref().and_then(|word| word.at(row)).unwrap_or("false");
        exists.push(match documents.at(row)?.map(|(at, _)| at) {
            None => None,
            Some(At::Value(_)) => Some(true),
            Some(At::Nothing) => Some(false),
            Some(At::Error) => match word {
                "true" => Some(true),
                "unknown" => None,
                "error" => return Err(no_value("JSON_EXISTS")),
                _ => Some(false),
            },
        });
    }
    Ok(Arc::new(BooleanArray::from(exists)))
}

/// Never null: no text is no JSON.
fn is_json(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (documents, kinds) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let is = |row| {
        let Some(value) = documents.at(row).and_then(document::value) else { return Some(false) };
        Some(match kinds.at(row)? {
            "scalar" => !is_container(value),
            "array" => value.starts_with('['),
            "object" => value.starts_with('{'),
            _ => true,
        })
    };
    Ok(Arc::new((0..rows).map(is).collect::<BooleanArray>()))
}

/// The member of that name, or the element of that number.
fn member(arguments: &[ColumnarValue], rows: usize, push: fn(&mut String, &str) -> Option<()>) -> Result<ArrayRef> {
    let (documents, keys) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    texts(rows, |row, value| {
        let (Some(document), Some(key)) = (documents.at(row), keys.at(row)) else { return Ok(false) };
        let step = key.parse::<u32>().map_or_else(|_| Step::Key(key.to_owned()), |index| Step::Index(index.into()));
        let path = Path { strict: false, steps: vec![step] };
        let found = document::value(document).and_then(|document| find(document, &path));
        Ok(match found {
            Some(Found::One(found)) => push(value.text(), found).is_some(),
            _ => false,
        })
    })
}

fn is_container(value: &str) -> bool {
    value.starts_with(['{', '['])
}

/// Text of a string, number or truth value.
fn push_scalar(out: &mut String, value: &str) -> Option<()> {
    match value.as_bytes().first()? {
        b'"' => out.push_str(&serde_json::from_str::<String>(value).ok()?),
        b't' | b'f' => out.push_str(value),
        _ => push_number(out, value),
    }
    Some(())
}

fn no_value(function: &str) -> DataFusionError {
    DataFusionError::Execution(format!("{function} has no value where ERROR ON EMPTY or ERROR ON ERROR wants one"))
}

/// Refuses words that clauses do not have, of a call that is not written with clauses.
fn check_words(arguments: &[Option<&ScalarValue>], places: &[usize], words: &[&str]) -> Result<()> {
    for place in places {
        if let Some(given) = arguments.get(*place) {
            let word = given.and_then(|word| word.try_as_str().flatten());
            if !word.is_some_and(|word| words.contains(&word)) {
                return plan_error(
                    "write the clauses of a JSON function in words, as in `JSON_VALUE(j, '$.a' DEFAULT 'x' ON EMPTY)`",
                );
            }
        }
    }
    Ok(())
}
