//! `LOCATE`, `COUNT_CHAR`: where a text has another, and how often.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use crate::definition::{Definition, Integers, Parameter, Text, unchecked};

pub(crate) const LOCATE: Definition = Definition {
    name: "locate",
    usage: "LOCATE(part, text[, from])",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Int32,
    check: unchecked,
    compute: locate,
};

pub(crate) const COUNT_CHAR: Definition = Definition {
    name: "count_char",
    usage: "COUNT_CHAR(text, character)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Int64,
    check: unchecked,
    compute: count_char,
};

/// Positions count characters, from 1; 0 is nowhere. Nothing is found at 1, wherever the search begins; a search that would begin
/// before the text begins with it.
fn locate(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (parts, text) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let starts = Integers::or(arguments, 2, 1)?;
    let position = |row| {
        let (part, text, from) = (parts.at(row)?, text.at(row)?, starts.at(row)?);
        if part.is_empty() {
            return Some(1);
        }
        let skipped = usize::try_from(from.max(1) - 1).unwrap_or(usize::MAX);
        let Some((start, _)) = text.char_indices().nth(skipped) else { return Some(0) };
        let found = text[start..].find(part).map(|found| text[..start + found].chars().count() + 1);
        Some(found.and_then(|found| i32::try_from(found).ok()).unwrap_or(0))
    };
    Ok(Arc::new((0..rows).map(position).collect::<Int32Array>()))
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
