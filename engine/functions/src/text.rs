//! `REGEXP_EXTRACT`, `SPLIT_INDEX`, `LOCATE`, `COUNT_CHAR`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use memchr::memchr_iter;
use regex::{CaptureLocations, Regex};

use super::definition::{Definition, Integers, Parameter, Text, plan_error, unchecked};

pub(super) const REGEXP_EXTRACT: Definition = Definition {
    name: "regexp_extract",
    usage: "REGEXP_EXTRACT(text, regex[, group])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: check_regexp_extract,
    compute: regexp_extract,
};

pub(super) const SPLIT_INDEX: Definition = Definition {
    name: "split_index",
    usage: "SPLIT_INDEX(text, delimiter, index)",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer],
    required: 3,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: split_index,
};

pub(super) const LOCATE: Definition = Definition {
    name: "locate",
    usage: "LOCATE(part, text[, from])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Int64,
    check: unchecked,
    compute: locate,
};

pub(super) const COUNT_CHAR: Definition = Definition {
    name: "count_char",
    usage: "COUNT_CHAR(text, character)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Int64,
    check: unchecked,
    compute: count_char,
};

/// A pattern, compiled when it changes: nearly always once a batch.
struct Pattern {
    text: String,
    regex: Regex,
    locations: CaptureLocations,
}

impl Pattern {
    fn new(text: &str) -> Result<Self> {
        match Regex::new(text) {
            Ok(regex) => Ok(Self { text: text.to_owned(), locations: regex.capture_locations(), regex }),
            Err(error) => plan_error(format!("`{text}` is no regular expression: {}", last_line(&error.to_string()))),
        }
    }
}

fn last_line(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

fn check_regexp_extract(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    let Some(Some(Some(text))) = arguments.get(1).map(|argument| argument.map(|value| value.try_as_str().flatten()))
    else {
        return Ok(());
    };
    let groups = Pattern::new(text)?.regex.captures_len();
    let group = match arguments.get(2) {
        Some(Some(value)) => value.cast_to(&DataType::Int64).ok(),
        _ => None,
    };
    match group {
        Some(ScalarValue::Int64(Some(group))) if usize::try_from(group).map_or(true, |group| group >= groups) => {
            plan_error(format!("`{text}` has no group {group}; its last one is {}", groups - 1))
        }
        _ => Ok(()),
    }
}

fn regexp_extract(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, patterns) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let groups = Integers::or(arguments, 2, 0)?;
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut pattern: Option<Pattern> = None;
    for row in 0..rows {
        let (Some(text), Some(wanted), Some(group)) = (text.at(row), patterns.at(row), groups.at(row)) else {
            builder.append_null();
            continue;
        };
        let current = match &mut pattern {
            Some(current) if current.text == wanted => current,
            slot => slot.insert(Pattern::new(wanted)?),
        };
        let found = match usize::try_from(group) {
            // The whole match needs no captures, which cost several times as much.
            Ok(0) => current.regex.find(text).map(|found| found.range()),
            Ok(group) => current
                .regex
                .captures_read(&mut current.locations, text)
                .and_then(|_| current.locations.get(group))
                .map(|(start, end)| start..end),
            Err(_) => None,
        };
        builder.append_option(found.map(|range| &text[range]));
    }
    Ok(Arc::new(builder.finish()))
}

/// Flink's: from 0; no text has no parts; an empty delimiter divides at white space.
fn split_index(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, delimiters) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let indexes = Integers::of(&arguments[2])?;
    let mut builder = StringViewBuilder::with_capacity(rows);
    for row in 0..rows {
        let part = match (text.at(row), delimiters.at(row), indexes.at(row)) {
            (Some(text), Some(delimiter), Some(index)) if !text.is_empty() => {
                usize::try_from(index).ok().and_then(|index| part(text, delimiter, index))
            }
            _ => None,
        };
        builder.append_option(part);
    }
    Ok(Arc::new(builder.finish()))
}

fn part<'a>(text: &'a str, delimiter: &str, index: usize) -> Option<&'a str> {
    match delimiter.as_bytes() {
        [] => text.split(char::is_whitespace).nth(index),
        [byte] if byte.is_ascii() => {
            // As `str::split`, with the search that is the fastest for a byte.
            let mut ends = memchr_iter(*byte, text.as_bytes());
            let begin = if index == 0 { 0 } else { ends.nth(index - 1)? + 1 };
            Some(&text[begin..ends.next().unwrap_or(text.len())])
        }
        _ => text.split(delimiter).nth(index),
    }
}

/// Positions count characters, from 1; 0 is nowhere.
fn locate(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (parts, text) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let starts = Integers::or(arguments, 2, 1)?;
    let position = |row| {
        let (part, text, from) = (parts.at(row)?, text.at(row)?, starts.at(row)?);
        let Some(skipped) = usize::try_from(from).ok().and_then(|from| from.checked_sub(1)) else { return Some(0) };
        let start = match text.char_indices().nth(skipped) {
            Some((start, _)) => start,
            None if skipped == text.chars().count() => text.len(),
            None => return Some(0),
        };
        let found = text[start..].find(part).map(|found| text[..start + found].chars().count() + 1);
        Some(found.and_then(|found| i64::try_from(found).ok()).unwrap_or(0))
    };
    Ok(Arc::new((0..rows).map(position).collect::<Int64Array>()))
}

fn count_char(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, characters) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let count = |row| {
        let (text, character) = (text.at(row)?, characters.at(row)?);
        let count = match character.as_bytes() {
            [] => 0,
            [byte] => text.bytes().filter(|other| other == byte).count(),
            _ => text.matches(character).count(),
        };
        i64::try_from(count).ok()
    };
    Ok(Arc::new((0..rows).map(count).collect::<Int64Array>()))
}
