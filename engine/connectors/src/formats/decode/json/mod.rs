//! JSON, one object a line.
//!
//! A line is walked once to check its syntax and to note where the values of the wanted columns stand; then each of
//! those is converted. Values of other columns are never copied.

pub(super) mod scan;

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, FieldRef};
use weir_core::Result;

use super::{Column, quoted, sql_name};
use scan::Fault;

/// Reads JSON records.
pub(crate) struct JsonRecords {
    by_name: HashMap<String, usize>,
    fail_on_missing_field: bool,
    /// Members of the last record in their order: most records look like the one before.
    order: Vec<Known>,
    /// Where each column's value stands in the record; an empty span if it is missing.
    spans: Vec<(usize, usize)>,
    values: Values,
}

/// A key that a record had.
struct Known {
    /// As written, with its quotes and the colon behind it.
    written: String,
    column: Option<usize>,
}

impl Known {
    fn key(&self) -> &str {
        &self.written[1..self.written.len() - 2]
    }
}

/// What values are read with.
struct Values {
    scratch: String,
    /// Whether there is an escape in the record.
    has_escapes: bool,
    /// Whether a value that is not of its column's type is null.
    lenient: bool,
}

impl JsonRecords {
    /// A reader of these fields; if `lenient`, a value that is not of its column's type is null.
    pub(crate) fn new(fields: &[FieldRef], fail_on_missing_field: bool, lenient: bool) -> Self {
        Self {
            by_name: fields.iter().enumerate().map(|(index, field)| (field.name().clone(), index)).collect(),
            fail_on_missing_field,
            order: Vec::new(),
            spans: vec![(0, 0); fields.len()],
            values: Values { scratch: String::new(), has_escapes: true, lenient },
        }
    }

    pub(super) fn decode(&mut self, record: &str, fields: &[FieldRef], columns: &mut [Column]) -> Result<(), String> {
        self.decode_checked(record, fields, columns, |_| Ok(()))
    }

    /// Decodes a record if `check` passes the value of each column, as written.
    pub(super) fn decode_checked(
        &mut self,
        record: &str,
        fields: &[FieldRef],
        columns: &mut [Column],
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        self.locate(record).map_err(|fault| explain(&fault, record))?;
        for ((span, field), column) in self.spans.iter().zip(fields).zip(columns) {
            if span.1 > span.0 {
                let value = &record[span.0..span.1];
                check(value)
                    .and_then(|()| append(column, field, value, &mut self.values))
                    .map_err(|reason| format!("column '{}': {reason}", field.name()))?;
            } else if self.fail_on_missing_field || !field.is_nullable() {
                return Err(format!("there is no field '{}'", field.name()));
            } else {
                column.append_null();
            }
        }
        Ok(())
    }

    /// Decodes the columns that are wanted; the others get fillers.
    pub(super) fn decode_some(
        &mut self,
        record: &str,
        wanted: &[bool],
        fields: &[FieldRef],
        columns: &mut [Column],
    ) -> Result<(), String> {
        self.locate(record).map_err(|fault| explain(&fault, record))?;
        for (((span, field), column), wanted) in self.spans.iter().zip(fields).zip(columns).zip(wanted) {
            if !wanted {
                column.append_filler();
            } else if span.1 > span.0 {
                append(column, field, &record[span.0..span.1], &mut self.values)
                    .map_err(|reason| format!("column '{}': {reason}", field.name()))?;
            } else {
                return Err(format!("there is no field '{}'", field.name()));
            }
        }
        Ok(())
    }

    /// The values of the columns that are wanted, as written; empty if one is missing.
    pub(super) fn values_of(&mut self, record: &str, wanted: &[bool]) -> Result<Vec<String>, String> {
        self.locate(record).map_err(|fault| explain(&fault, record))?;
        let wanted = self.spans.iter().zip(wanted).filter(|(_, wanted)| **wanted);
        Ok(wanted.map(|((begin, end), _)| record[*begin..*end].to_owned()).collect())
    }

    fn locate(&mut self, record: &str) -> Result<(), Fault> {
        self.values.has_escapes = memchr::memchr(b'\\', record.as_bytes()).is_some();
        let start = scan::skip_blank(record.as_bytes(), 0);
        if !self.values.has_escapes && self.locate_as_before(record.as_bytes(), start).is_some() {
            return Ok(());
        }
        let Self { by_name, order, spans, values: Values { scratch, .. }, .. } = self;
        spans.fill((0, 0));
        let mut number = 0;
        let end = scan::members(record, start, 0, |key, begin, end| {
            let column = match order.get(number) {
                Some(known) if known.key() == key => known.column,
                _ => {
                    let name = scan::unescape(key, scratch).map_err(|what| Fault { at: begin, what })?;
                    let column = by_name.get(name).copied();
                    order.truncate(number);
                    order.push(Known { written: format!("\"{key}\":"), column });
                    column
                }
            };
            number += 1;
            if let Some(column) = column {
                spans[column] = (begin, end);
            }
            Ok::<(), Fault>(())
        })?;
        order.truncate(number);
        match scan::skip_blank(record.as_bytes(), end) {
            end if end == record.len() => Ok(()),
            at => Err(Fault { at, what: "there is more behind the object" }),
        }
    }

    /// Finds the values of a record without escapes that has the members of the one before, in the same order, none of whose values has
    /// parts. `None` if it is another one, or none at all.
    fn locate_as_before(&mut self, record: &[u8], start: usize) -> Option<()> {
        let Self { order, spans, .. } = self;
        spans.fill((0, 0));
        let mut at = start;
        for (number, Known { written, column }) in order.iter().enumerate() {
            if *record.get(at)? != if number == 0 { b'{' } else { b',' } {
                return None;
            }
            at = scan::skip_blank(record, at + 1);
            if !record.get(at..)?.starts_with(written.as_bytes()) {
                return None;
            }
            let begin = scan::skip_blank(record, at + written.len());
            let end = scan::skip_plain(record, begin)?;
            if let Some(column) = *column {
                spans[column] = (begin, end);
            }
            at = scan::skip_blank(record, end);
        }
        // Not of one without members: its brace has not been seen.
        let is_whole = !order.is_empty() && *record.get(at)? == b'}';
        (is_whole && scan::skip_blank(record, at + 1) == record.len()).then_some(())
    }
}

fn explain(fault: &Fault, record: &str) -> String {
    let mut reason = format!("invalid JSON at its byte {}: {}", fault.at + 1, fault.what);
    if matches!(record.trim(), "{" | "[") {
        reason.push_str("; the format 'json' wants one whole object on each line");
    }
    reason
}

fn append(column: &mut Column, field: &Field, value: &str, values: &mut Values) -> Result<(), String> {
    let accepted = match value.as_bytes().first() {
        Some(b'n') => {
            if !field.is_nullable() {
                return Err("it is NOT NULL and has no value".to_owned());
            }
            column.append_null();
            true
        }
        Some(b'"') => {
            let raw = &value[1..value.len() - 1];
            let text = if values.has_escapes { scan::unescape(raw, &mut values.scratch)? } else { raw };
            column.append_text(text)
        }
        Some(b'{') => match column {
            Column::Row { .. } => return append_row(column, value, values),
            Column::Map { .. } => return append_map(column, value, values),
            Column::Text(text) => {
                text.append_value(value);
                true
            }
            _ => false,
        },
        Some(b'[') => match column {
            Column::List { .. } => return append_list(column, value, values),
            Column::Text(text) => {
                text.append_value(value);
                true
            }
            _ => false,
        },
        Some(b't' | b'f') => matches!(column, Column::Boolean(_) | Column::Text(_)) && column.append_text(value),
        _ => {
            let is_number = matches!(
                column,
                Column::Int8(_)
                    | Column::Int16(_)
                    | Column::Int32(_)
                    | Column::Int64(_)
                    | Column::Float32(_)
                    | Column::Float64(_)
                    | Column::Decimal { .. }
                    | Column::Text(_)
            );
            is_number && column.append_text(value)
        }
    };
    if !accepted && values.lenient && field.is_nullable() {
        column.append_null();
        return Ok(());
    }
    if accepted { Ok(()) } else { Err(refusal(value, field.data_type())) }
}

#[cold]
fn refusal(value: &str, data_type: &DataType) -> String {
    format!("{} is not a valid {}", quoted(value), sql_name(data_type))
}

fn append_list(column: &mut Column, value: &str, values: &mut Values) -> Result<(), String> {
    if let Column::List { item, field, .. } = column {
        scan::elements(value, 0, 0, |begin, end| {
            append(item, field, &value[begin..end], values).map_err(|reason| format!("element: {reason}"))
        })?;
    }
    column.close(true);
    Ok(())
}

fn append_map(column: &mut Column, value: &str, values: &mut Values) -> Result<(), String> {
    if let Column::Map { key, value: item, entries, .. } = column {
        let DataType::Struct(fields) = entries.data_type() else { return Err("it is not a map".to_owned()) };
        scan::members(value, 0, 0, |name, begin, end| {
            let name = scan::unescape(name, &mut values.scratch)?;
            if !key.append_text(name) {
                return Err(format!("key: {}", refusal(name, fields[0].data_type())));
            }
            let part = &value[begin..end];
            append(item, &fields[1], part, values).map_err(|reason| format!("value: {reason}"))
        })?;
    }
    column.close(true);
    Ok(())
}

fn append_row(column: &mut Column, value: &str, values: &mut Values) -> Result<(), String> {
    if let Column::Row { children, fields, .. } = column {
        let mut spans = vec![(0, 0); fields.len()];
        scan::members(value, 0, 0, |name, begin, end| {
            let name = scan::unescape(name, &mut values.scratch)?;
            if let Some((index, _)) = fields.find(name) {
                spans[index] = (begin, end);
            }
            Ok::<(), String>(())
        })?;
        for ((child, field), (begin, end)) in children.iter_mut().zip(fields.iter()).zip(spans) {
            let part = if begin < end { &value[begin..end] } else { "null" };
            append(child, field, part, values).map_err(|reason| format!("field '{}': {reason}", field.name()))?;
        }
    }
    column.close(true);
    Ok(())
}
