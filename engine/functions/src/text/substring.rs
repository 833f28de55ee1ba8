//! `SUBSTR`, `LEFT`, `RIGHT` and `OVERLAY`. Positions count characters, from 1.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use crate::definition::{Definition, Integers, Parameter, Text, unchecked};
use crate::output::{parts, texts};

pub(crate) const SUBSTR: Definition = Definition {
    name: "substr",
    usage: "SUBSTRING(text, from[, length])",
    parameters: &[Parameter::Text, Parameter::Integer, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let (text, starts) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
        let lengths = Integers::or(arguments, 2, i64::MAX)?;
        parts(rows, |row| substring(text.at(row)?, starts.at(row)?, lengths.at(row)?))
    },
};

pub(crate) const LEFT: Definition = Definition {
    name: "left",
    usage: "LEFT(text, length)",
    parameters: &[Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let (text, lengths) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
        parts(rows, |row| {
            let text = text.at(row)?;
            Some(&text[..offset(text, to_length(lengths.at(row)?))])
        })
    },
};

pub(crate) const RIGHT: Definition = Definition {
    name: "right",
    usage: "RIGHT(text, length)",
    parameters: &[Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let (text, lengths) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
        parts(rows, |row| {
            let text = text.at(row)?;
            Some(&text[offset_from_end(text, to_length(lengths.at(row)?)).unwrap_or(0)..])
        })
    },
};

pub(crate) const OVERLAY: Definition = Definition {
    name: "overlay",
    usage: "OVERLAY(text PLACING other FROM start [FOR length])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer, Parameter::Integer],
    required: 3,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: overlay,
};

/// From before the beginning, if `start` is negative, counts from the end; 0 is 1. A negative length is none.
fn substring(text: &str, start: i64, length: i64) -> Option<&str> {
    let length = usize::try_from(length).ok()?;
    let begin = match start {
        ..0 => match offset_from_end(text, usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX)) {
            Some(begin) => begin,
            None => return Some(""),
        },
        _ => offset(text, to_length(start.max(1) - 1)),
    };
    let rest = &text[begin..];
    Some(&rest[..offset(rest, length)])
}

/// A start outside of the text changes nothing.
fn overlay(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, others) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let starts = Integers::of(&arguments[2])?;
    let lengths = arguments.get(3).map(Integers::of).transpose()?;
    texts(rows, |row, value| {
        let (Some(text), Some(other), Some(start)) = (text.at(row), others.at(row), starts.at(row)) else {
            return Ok(false);
        };
        let length = match &lengths {
            Some(lengths) => match lengths.at(row) {
                Some(length) => to_length(length),
                None => return Ok(false),
            },
            None => other.chars().count(),
        };
        let begin = offset(text, to_length(start.max(1) - 1));
        let value = value.text();
        if start < 1 || begin == text.len() {
            value.push_str(text);
            return Ok(true);
        }
        let end = begin + offset(&text[begin..], length);
        value.push_str(&text[..begin]);
        value.push_str(other);
        value.push_str(&text[end..]);
        Ok(true)
    })
}

fn to_length(number: i64) -> usize {
    usize::try_from(number.max(0)).unwrap_or(usize::MAX)
}

/// Where the first `characters` of the text end.
fn offset(text: &str, characters: usize) -> usize {
    if characters >= text.len() {
        return text.len();
    }
    text.char_indices().nth(characters).map_or(text.len(), |(offset, _)| offset)
}

/// Where the last `characters` of the text begin; nothing if it has fewer.
fn offset_from_end(text: &str, characters: usize) -> Option<usize> {
    match characters.checked_sub(1) {
        None => Some(text.len()),
        Some(before) => text.char_indices().nth_back(before).map(|(offset, _)| offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_as_in_flink() {
        for (text, start, length, expected) in [
            ("Grüße", 2, 3, Some("rüß")),
            ("hello", -2, 1, Some("l")),
            ("hello", -1, i64::MAX, Some("o")),
            ("hello", -6, 9, Some("")),
            ("hello", 0, 2, Some("he")),
            ("hello", 1, 2, Some("he")),
            ("hello", 6, 2, Some("")),
            ("hello", 2, -1, None),
            ("", -1, 5, Some("")),
        ] {
            assert_eq!(substring(text, start, length), expected, "{text} {start} {length}");
        }
    }
}
