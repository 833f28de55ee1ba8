//! Functions of regular expressions, in Java's syntax and with Flink's results: what is no pattern has no result.

mod java;
mod pattern;

use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, ListBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use regex::{CaptureLocations, Regex};

pub(super) use pattern::{Pattern, check_pattern, pattern};

use super::collections::list_of;
use super::definition::{Definition, Integers, Parameter, Text, plan_error};
use super::output::texts;
use super::per_thread::Last;

pub(super) const REGEXP: Definition = Definition {
    name: "regexp",
    usage: "REGEXP(text, regex)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Boolean,
    check: |_, arguments| check_pattern(arguments, 1),
    compute: regexp,
};

pub(super) const REGEXP_COUNT: Definition = Definition {
    name: "regexp_count",
    usage: "REGEXP_COUNT(text, regex)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Int32,
    check: |_, arguments| check_pattern(arguments, 1),
    compute: |arguments, rows| numbers(arguments, rows, |regex, text| Matches::new(regex, text).count()),
};

pub(super) const REGEXP_INSTR: Definition = Definition {
    name: "regexp_instr",
    usage: "REGEXP_INSTR(text, regex)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Int32,
    check: |_, arguments| check_pattern(arguments, 1),
    // Counts characters from 1; 0 is nowhere.
    compute: |arguments, rows| {
        numbers(arguments, rows, |regex, text| {
            regex.find(text).map_or(0, |found| text[..found.start()].chars().count() + 1)
        })
    },
};

pub(super) const REGEXP_SUBSTR: Definition = Definition {
    name: "regexp_substr",
    usage: "REGEXP_SUBSTR(text, regex)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, arguments| check_pattern(arguments, 1),
    compute: regexp_extract,
};

pub(super) const REGEXP_EXTRACT: Definition = Definition {
    name: "regexp_extract",
    usage: "REGEXP_EXTRACT(text, regex[, group])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, arguments| check_pattern(arguments, 1),
    compute: regexp_extract,
};

pub(super) const REGEXP_EXTRACT_ALL: Definition = Definition {
    name: "regexp_extract_all",
    usage: "REGEXP_EXTRACT_ALL(text, regex[, group])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| list_of(DataType::Utf8View),
    check: |_, arguments| check_pattern(arguments, 1),
    compute: regexp_extract_all,
};

pub(super) const REGEXP_REPLACE: Definition = Definition {
    name: "regexp_replace",
    usage: "REGEXP_REPLACE(text, regex, by)",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Text, Parameter::Text],
    required: 3,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| check_replace(constants),
    compute: regexp_replace,
};

/// The pattern of a row, and what belongs to it. One serves a batch nearly always.
struct Patterns<'a> {
    texts: Text<'a>,
    last: Last<Pattern>,
    current: Option<(Rc<Pattern>, CaptureLocations)>,
}

impl<'a> Patterns<'a> {
    fn of(value: &'a ColumnarValue) -> Result<Self> {
        Ok(Self { texts: Text::of(value)?, last: Last::new(), current: None })
    }

    /// The text of the row's pattern.
    fn text(&self, row: usize) -> Option<&'a str> {
        self.texts.at(row)
    }

    /// The row's pattern, which is not null; nothing if it is none.
    fn regex(&mut self, row: usize) -> Result<Option<(&Regex, &mut CaptureLocations)>> {
        let found = self.last.of(self.texts.at(row).unwrap_or_default(), pattern);
        let Pattern::Sound(sound) = found.usable()? else { return Ok(None) };
        if !self.current.as_ref().is_some_and(|(known, _)| Rc::ptr_eq(known, &found)) {
            self.current = Some((Rc::clone(&found), sound.regex.capture_locations()));
        }
        Ok(self.current.as_mut().and_then(|(pattern, locations)| match &**pattern {
            Pattern::Sound(sound) => Some((&sound.regex, locations)),
            _ => None,
        }))
    }
}

/// Matches one behind the other, as Java finds them: a match may be empty where the one before ends.
struct Matches<'r, 't> {
    regex: &'r Regex,
    text: &'t str,
    next: Option<usize>,
}

impl<'r, 't> Matches<'r, 't> {
    fn new(regex: &'r Regex, text: &'t str) -> Self {
        Self { regex, text, next: Some(0) }
    }

    /// Where to look behind a match.
    fn pass(&mut self, start: usize, end: usize) {
        self.next = match end > start {
            true => Some(end),
            false => self.text[end..].chars().next().map(|character| end + character.len_utf8()),
        };
    }

    fn read(&mut self, locations: &mut CaptureLocations) -> Option<()> {
        let found = self.regex.captures_read_at(locations, self.text, self.next?)?;
        self.pass(found.start(), found.end());
        Some(())
    }
}

impl Iterator for Matches<'_, '_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let found = self.regex.find_at(self.text, self.next?)?;
        self.pass(found.start(), found.end());
        Some((found.start(), found.end()))
    }
}

/// Nothing matches what is no pattern, nor an empty one.
fn regexp(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, mut patterns) = (Text::of(&arguments[0])?, Patterns::of(&arguments[1])?);
    let mut found = Vec::with_capacity(rows);
    for row in 0..rows {
        found.push(match (text.at(row), patterns.text(row)) {
            (Some(_), Some("")) => Some(false),
            (Some(text), Some(_)) => Some(patterns.regex(row)?.is_some_and(|(regex, _)| regex.is_match(text))),
            _ => None,
        });
    }
    Ok(Arc::new(BooleanArray::from(found)))
}

fn numbers(arguments: &[ColumnarValue], rows: usize, number: fn(&Regex, &str) -> usize) -> Result<ArrayRef> {
    let (text, mut patterns) = (Text::of(&arguments[0])?, Patterns::of(&arguments[1])?);
    let mut found = Vec::with_capacity(rows);
    for row in 0..rows {
        found.push(match (text.at(row), patterns.text(row)) {
            (Some(text), Some(_)) => {
                patterns.regex(row)?.and_then(|(regex, _)| i32::try_from(number(regex, text)).ok())
            }
            _ => None,
        });
    }
    Ok(Arc::new(Int32Array::from(found)))
}

fn regexp_extract(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, mut patterns) = (Text::of(&arguments[0])?, Patterns::of(&arguments[1])?);
    let groups = Integers::or(arguments, 2, 0)?;
    let mut builder = StringViewBuilder::with_capacity(rows);
    for row in 0..rows {
        let (Some(text), Some(_), Some(group)) = (text.at(row), patterns.text(row), groups.at(row)) else {
            builder.append_null();
            continue;
        };
        let found = match (patterns.regex(row)?, usize::try_from(group)) {
            // The whole match needs no captures, which cost several times as much.
            (Some((regex, _)), Ok(0)) => regex.find(text).map(|found| found.range()),
            (Some((regex, locations)), Ok(group)) => {
                regex.captures_read(locations, text).and_then(|_| locations.get(group)).map(|(start, end)| start..end)
            }
            _ => None,
        };
        builder.append_option(found.map(|range| &text[range]));
    }
    Ok(Arc::new(builder.finish()))
}

/// The first group unless one is named; null if there is no such group.
fn regexp_extract_all(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, mut patterns) = (Text::of(&arguments[0])?, Patterns::of(&arguments[1])?);
    let groups = Integers::or(arguments, 2, 1)?;
    let mut builder = ListBuilder::new(StringViewBuilder::new());
    for row in 0..rows {
        let (Some(text), Some(_), Some(group)) = (text.at(row), patterns.text(row), groups.at(row)) else {
            builder.append_null();
            continue;
        };
        match (patterns.regex(row)?, usize::try_from(group)) {
            (Some((regex, locations)), Ok(group)) if group < locations.len() => {
                let mut matches = Matches::new(regex, text);
                while matches.read(locations).is_some() {
                    builder.values().append_option(locations.get(group).map(|(start, end)| &text[start..end]));
                }
                builder.append(true);
            }
            _ => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Every match is replaced, by the text as it is written.
fn regexp_replace(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, mut patterns) = (Text::of(&arguments[0])?, Patterns::of(&arguments[1])?);
    let by = Text::of(&arguments[2])?;
    texts(rows, |row, value| {
        let (Some(text), Some(_), Some(by)) = (text.at(row), patterns.text(row), by.at(row)) else { return Ok(false) };
        let Some((regex, _)) = patterns.regex(row)? else { return Ok(false) };
        let mut last = 0;
        for (start, end) in Matches::new(regex, text) {
            value.push_str(&text[last..start])?;
            value.push_str(by)?;
            last = end;
        }
        value.push_str(&text[last..])?;
        Ok(true)
    })
}

/// A fourth argument, PostgreSQL's flags, may say what is done anyway: `g`, all matches.
fn check_replace(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    check_pattern(arguments, 1)?;
    match arguments.get(3) {
        None => Ok(()),
        Some(Some(flags)) if flags.try_as_str().flatten() == Some("g") => Ok(()),
        Some(_) => plan_error("flags of REGEXP_REPLACE other than 'g' are written in the pattern, as in '(?i)abc'"),
    }
}

#[cfg(test)]
mod tests;
