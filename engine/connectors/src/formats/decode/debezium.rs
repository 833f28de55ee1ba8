//! Debezium's JSON: an envelope that says what became of a row of a database, with the row before it and after it.
//!
//! | `op` | | |
//! |---|---|---|
//! | `c`, `r` | a row has come; was there when Debezium began | `after` |
//! | `u` | a row is another one now | `after`; if `before` has another key, that one is gone |
//! | `d` | a row is gone | `before`, of which the key is enough |
//! | `t` | all rows are gone | nothing says which |
//!
//! PostgreSQL does not log a long value that an update leaves as it is; Debezium puts a text in its place, which is no value of the row.

use arrow::datatypes::FieldRef;

use super::json::{JsonRecords, scan};
use super::{Column, quoted};

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is this row of its key.
    Row,
    /// There is no row of this key any more; all other columns are fillers.
    Deletion,
    /// Both, the deletion first: the key of a row has changed.
    Move,
    /// There is no row of any key any more. It has added nothing.
    Truncation,
}

/// What stands in place of a value that the database has not logged, unless Debezium's `unavailable.value.placeholder` is set.
const UNAVAILABLE: &str = "__debezium_unavailable_value";
/// The same where it is one of bytes, as Base64, and in hexadecimal digits.
const UNAVAILABLE_BYTES: [&str; 2] =
    ["X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==", "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565"];

/// Whether there is no value: a text, bytes, a list of one of them or of the text's bytes as numbers, or a map of the text.
fn is_unavailable(value: &str) -> bool {
    let is_text = |value: &str| {
        let text = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        text.is_some_and(|text| text == UNAVAILABLE || UNAVAILABLE_BYTES.contains(&text))
    };
    match value.as_bytes().first() {
        Some(b'"') => is_text(value),
        Some(b'[') => {
            let items = value[1..value.len() - 1].trim();
            let numbers = || items.split(',').map(|item| item.trim().parse().ok());
            is_text(items) || numbers().eq(UNAVAILABLE.bytes().map(|byte| Some(f64::from(byte))))
        }
        Some(b'{') => value[1..].trim_start().strip_prefix('"').is_some_and(|rest| rest.starts_with(UNAVAILABLE)),
        _ => false,
    }
}

fn is_there(value: &str) -> Result<(), String> {
    match is_unavailable(value) {
        false => Ok(()),
        true => Err("the update has not changed it, and the database has not logged it, so nothing says what it is; PostgreSQL logs all \
                     values with ALTER TABLE … REPLICA IDENTITY FULL"
            .to_owned()),
    }
}

/// What is beside its schema, where Kafka Connect writes one to each message; else the message itself.
pub(super) fn payload(text: &str) -> &str {
    if !begins_with_schema(text) {
        return text;
    }
    Parts::of(text).ok().and_then(|parts| parts.payload).unwrap_or(text)
}

/// Whether there is nothing beside the schema: a `payload` that is null.
pub(super) fn is_schema_of_nothing(text: &str) -> bool {
    begins_with_schema(text) && Parts::of(text).is_ok_and(|parts| parts.has_payload && parts.payload.is_none())
}

fn begins_with_schema(text: &str) -> bool {
    let first = text.trim_start().strip_prefix('{').map(str::trim_start);
    first.is_some_and(|first| first.starts_with("\"schema\""))
}

/// Reads envelopes.
pub(super) struct Envelopes {
    rows: JsonRecords,
    /// Which fields tell rows apart.
    key: Vec<bool>,
    /// Whether the envelope is within one more, beside its schema; `None`: as each message has it.
    with_schema: Option<bool>,
}

/// Where the parts of an envelope stand.
#[derive(Default)]
struct Parts<'a> {
    op: Option<&'a str>,
    before: Option<&'a str>,
    after: Option<&'a str>,
    schema: Option<&'a str>,
    payload: Option<&'a str>,
    /// It may be null.
    has_payload: bool,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        let mut parts = Self::default();
        let start = scan::skip_blank(text.as_bytes(), 0);
        let fault = |fault: scan::Fault| format!("invalid JSON at its byte {}: {}", fault.at + 1, fault.what);
        let end = scan::members(text, start, 0, |name, begin, end| {
            parts.has_payload |= name == "payload";
            let part = match name {
                "op" => &mut parts.op,
                "before" => &mut parts.before,
                "after" => &mut parts.after,
                "schema" => &mut parts.schema,
                "payload" => &mut parts.payload,
                _ => return Ok::<(), scan::Fault>(()),
            };
            *part = Some(&text[begin..end]).filter(|value| *value != "null");
            Ok(())
        })
        .map_err(fault)?;
        match scan::skip_blank(text.as_bytes(), end) {
            end if end == text.len() => Ok(parts),
            at => Err(fault(scan::Fault { at, what: "there is more behind the object" })),
        }
    }
}

impl Envelopes {
    /// Of rows that have `fields`. `lenient`: a value that is not of its column's type is null.
    pub(super) fn new(fields: &[FieldRef], with_schema: Option<bool>, lenient: bool) -> Self {
        Self { rows: JsonRecords::new(fields, false, lenient), key: vec![false; fields.len()], with_schema }
    }

    /// These fields tell rows apart.
    pub(super) fn set_key(&mut self, key: impl Fn(&str) -> bool, fields: &[FieldRef]) {
        self.key = fields.iter().map(|field| key(field.name())).collect();
    }

    /// Adds what a message says; `settle` is told when a row is complete.
    ///
    /// # Errors
    /// What is wrong with it. A row may be there in part.
    pub(super) fn decode(
        &mut self,
        text: &str,
        (fields, columns): (&[FieldRef], &mut [Column]),
        mut settle: impl FnMut(),
    ) -> Result<Change, String> {
        let mut parts = Parts::of(text)?;
        match (self.with_schema, parts.op, parts.payload) {
            (Some(true), _, None) => return Err("there is no 'payload', as there is beside a schema".to_owned()),
            (Some(true), _, Some(payload)) | (None, None, Some(payload)) => parts = Parts::of(payload)?,
            (Some(false), None, Some(_)) if parts.schema.is_some() => {
                return Err("its schema stands beside it, and 'debezium-json.schema-include' is 'false'".to_owned());
            }
            _ => {}
        }
        let Parts { op, before, after, .. } = parts;
        let wanted = |part: Option<&'_ str>, name: &str| match part {
            Some(_) => Ok(()),
            None => Err(format!("its '{name}' is missing")),
        };
        match op {
            Some("\"c\"" | "\"r\"") => wanted(after, "after")?,
            Some("\"u\"") => {
                wanted(after, "after")?;
                let moved = match (before, after) {
                    (Some(before), Some(after)) => self.has_other_key(before, after)?,
                    _ => false,
                };
                if let (true, Some(before)) = (moved, before) {
                    self.rows.decode_some(before, &self.key, fields, columns)?;
                    settle();
                    self.rows.decode_checked(after.unwrap_or_default(), fields, columns, is_there)?;
                    settle();
                    return Ok(Change::Move);
                }
            }
            Some("\"d\"") => {
                // The key of the message may say it all.
                if before.is_none() && self.key.contains(&true) {
                    return Err("it says that a row is gone, and its 'before', which would say which, is missing; the database has to \
                                log keys of deleted rows (PostgreSQL: ALTER TABLE … REPLICA IDENTITY)"
                        .to_owned());
                }
                let named = |reason| format!("in its 'before', {reason}");
                self.rows.decode_some(before.unwrap_or("{}"), &self.key, fields, columns).map_err(named)?;
                settle();
                return Ok(Change::Deletion);
            }
            Some("\"t\"") => return Ok(Change::Truncation),
            Some(other) => {
                return Err(format!(
                    "its 'op' is {}, which is none of \"c\", \"r\", \"u\", \"d\", \"t\"",
                    quoted(other)
                ));
            }
            None => return Err("there is no 'op': it is no message of Debezium's".to_owned()),
        }
        self.rows.decode_checked(after.unwrap_or_default(), fields, columns, is_there)?;
        settle();
        Ok(Change::Row)
    }

    /// Whether the row before an update has another key. What is written otherwise and means the same does no harm.
    fn has_other_key(&mut self, before: &str, after: &str) -> Result<bool, String> {
        let old = self.rows.values_of(before, &self.key)?;
        if old.iter().any(|value| value.is_empty() || value == "null") {
            return Err("its 'before' has not the whole primary key, so nothing says whether the row had another one; the database has to log these \
                        columns (PostgreSQL: ALTER TABLE … REPLICA IDENTITY)"
                .to_owned());
        }
        Ok(old != self.rows.values_of(after, &self.key)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, Field, Int64Type};

    use super::super::message::{MessageDecoder, MessageFormat};
    use super::*;
    use crate::options::Options;

    fn decoder(options: &[(&str, &str)]) -> MessageDecoder {
        let given = [("format", "debezium-json")].iter().chain(options);
        let values: BTreeMap<String, String> =
            given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let format = MessageFormat::read(&Options::new("t", &values)).unwrap().unwrap();
        assert!(format.tells_changes() && !format.reads_null());
        let fields: Vec<FieldRef> = vec![
            Arc::new(Field::new("name", DataType::Utf8View, false)),
            Arc::new(Field::new("id", DataType::Int64, false)),
        ];
        format.check(&fields).unwrap();
        MessageDecoder::new(&format, &fields, fields.clone()).unwrap().keyed_by(|name| name == "id")
    }

    /// What messages come to: `-id` for a deletion, `id name` for a row.
    fn read(decoder: &mut MessageDecoder, messages: &[&str]) -> String {
        let mut deletions = Vec::new();
        for message in messages {
            let before = decoder.rows();
            let change = decoder.push_change(message.as_bytes()).unwrap();
            let said: &[bool] = match change {
                Change::Row => &[false],
                Change::Deletion => &[true],
                Change::Move => &[true, false],
                Change::Truncation => &[],
            };
            assert_eq!(decoder.rows() - before, said.len(), "{message}");
            deletions.extend_from_slice(said);
        }
        let columns = decoder.finish().unwrap();
        let (names, ids) = (columns[0].as_string_view(), columns[1].as_primitive::<Int64Type>());
        assert_eq!((names.len(), ids.len()), (deletions.len(), deletions.len()));
        let row = |(row, gone): (usize, &bool)| match gone {
            true => format!("-{}", ids.value(row)),
            false => format!("{} {}", ids.value(row), names.value(row)),
        };
        deletions.iter().enumerate().map(row).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn what_became_of_rows_is_read() {
        let messages = [
            r#"{"before":null,"after":{"id":1,"name":"a","more":{}},"source":{"lsn":5},"op":"c","ts_ms":1}"#,
            r#" {"op":"r", "after": {"name":"b","id":2}} "#,
            r#"{"before":{"id":2,"name":"b"},"after":{"id":2,"name":"c"},"op":"u"}"#,
            r#"{"before":null,"after":{"id":2,"name":"d"},"op":"u"}"#,
            // A database that logs keys alone says nothing of other columns, or that they are null.
            r#"{"before":{"id":1,"name":null},"after":{"id":1,"name":"e"},"op":"u"}"#,
            r#"{"before":{"id":1},"after":null,"op":"d"}"#,
            r#"{"before":{"id":2,"name":null},"op":"d"}"#,
            r#"{"before":{"id":3,"name":"x"},"after":{"id":4,"name":"x"},"op":"u"}"#,
        ];
        assert_eq!(read(&mut decoder(&[]), &messages), "1 a, 2 b, 2 c, 2 d, 1 e, -1, -2, -3, 4 x");
        assert_eq!(decoder(&[]).push_change(br#"{"before":null,"after":null,"op":"t"}"#), Ok(Change::Truncation));
    }

    #[test]
    fn a_schema_may_stand_beside_it() {
        let message = r#"{"schema":{"type":"struct"},"payload":{"after":{"id":1,"name":"a"},"op":"c"}}"#;
        let bare = r#"{"after":{"id":1,"name":"a"},"op":"c"}"#;
        assert_eq!(read(&mut decoder(&[]), &[message, bare]), "1 a, 1 a");
        assert_eq!(read(&mut decoder(&[("debezium-json.schema-include", "true")]), &[message]), "1 a");
        let refused = |include: &str, message: &str| {
            decoder(&[("debezium-json.schema-include", include)]).push_change(message.as_bytes()).unwrap_err()
        };
        assert!(refused("true", bare).contains("there is no 'payload'"));
        assert!(refused("false", message).contains("'debezium-json.schema-include' is 'false'"));
    }

    #[test]
    fn what_stands_for_a_value_that_was_not_logged_is_none_in_any_type() {
        let bytes: Vec<String> = UNAVAILABLE.bytes().map(|byte| byte.to_string()).collect();
        let numbers = format!("[{}]", bytes.join(", "));
        for value in [
            r#""__debezium_unavailable_value""#,
            r#""X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==""#,
            r#""5f5f646562657a69756d5f756e617661696c61626c655f76616c7565""#,
            r#"["__debezium_unavailable_value"]"#,
            r#"{"__debezium_unavailable_value":"__debezium_unavailable_value"}"#,
            &numbers,
        ] {
            assert!(is_there(value).unwrap_err().ends_with("REPLICA IDENTITY FULL"), "{value}");
        }
        let (fewer, more) = (format!("[{}]", bytes[1..].join(",")), format!("[{},1]", bytes.join(",")));
        for value in [
            r#""""#,
            r#""a __debezium_unavailable_value""#,
            "[]",
            r#"["a"]"#,
            "[95]",
            &fewer,
            &more,
            "{}",
            "null",
            "95",
        ] {
            assert!(is_there(value).is_ok(), "{value}");
        }
        // A column that is not read may be what it likes.
        let message = r#"{"after":{"id":1,"name":"a","more":"__debezium_unavailable_value"},"op":"u"}"#;
        assert_eq!(read(&mut decoder(&[]), &[message]), "1 a");
        let moved = r#"{"before":{"id":1},"after":{"id":2,"name":"__debezium_unavailable_value"},"op":"u"}"#;
        assert!(decoder(&[]).push_change(moved.as_bytes()).unwrap_err().starts_with("column 'name': the update"));
    }

    #[test]
    fn what_cannot_be_followed_says_why_and_leaves_fillers() {
        let mut decoder = decoder(&[]);
        let cases = [
            ("", "invalid JSON at its byte 1: an object '{…}' is expected"),
            ("{\"op\":\"c\"} x", "invalid JSON at its byte 12: there is more behind the object"),
            (r#"{"id":1,"name":"a"}"#, "there is no 'op': it is no message of Debezium's"),
            (r#"{"op":"c","after":null}"#, "its 'after' is missing"),
            (r#"{"op":"u","before":{"id":1}}"#, "its 'after' is missing"),
            (
                r#"{"op":"d","before":null}"#,
                "it says that a row is gone, and its 'before', which would say which, is missing",
            ),
            (r#"{"op":"d","before":{"name":"a"}}"#, "in its 'before', there is no field 'id'"),
            (r#"{"op":"m"}"#, "its 'op' is '\"m\"', which is none of"),
            (r#"{"op":"c","after":{"id":"x","name":"a"}}"#, "column 'id': '\"x\"' is not a valid BIGINT"),
            (r#"{"op":"c","after":{"id":1}}"#, "there is no field 'name'"),
            (r#"{"op":"c","after":{"ID":1,"name":"a"}}"#, "there is no field 'id'"),
            (r#"{"op":"c","after":{"id":null,"name":"a"}}"#, "column 'id': it is NOT NULL and has no value"),
            (
                r#"{"op":"d","before":{"id":null,"name":"a"}}"#,
                "in its 'before', column 'id': it is NOT NULL and has no value",
            ),
            (
                r#"{"op":"u","before":{"id":null,"name":"a"},"after":{"id":1,"name":"b"}}"#,
                "its 'before' has not the whole primary key",
            ),
            (r#"{"op":"u","before":{"name":"a"},"after":{"id":1,"name":"b"}}"#, "its 'before' has not the whole"),
            (
                r#"{"op":"u","after":{"id":1,"name":"__debezium_unavailable_value"}}"#,
                "column 'name': the update has not changed it, and the database has not logged it",
            ),
            (r#"{"op":"u","before":{"id":1},"after":{"id":2,"name":null}}"#, "column 'name': it is NOT NULL"),
        ];
        let mut rows = 0;
        for (message, expected) in cases {
            let error = decoder.push_change(message.as_bytes()).unwrap_err();
            assert!(error.starts_with(expected), "{message}: {error}");
            // The deletion that comes with a move was there already.
            rows += if message.contains("null}}") && message.contains(r#"{"id":2"#) { 2 } else { 1 };
            assert_eq!(decoder.rows(), rows, "{message}");
        }
        let columns = decoder.finish().unwrap();
        assert!(columns.iter().all(|column| column.len() == rows && column.null_count() == 0));
    }
}
