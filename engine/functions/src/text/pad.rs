//! `REPEAT`, `LPAD`, `RPAD`. Lengths count characters.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use crate::definition::{Definition, Integers, Parameter, Text, unchecked};
use crate::output::{Value, texts};

pub(crate) const REPEAT: Definition = Definition {
    name: "repeat",
    usage: "REPEAT(text, times)",
    parameters: &[Parameter::Text, Parameter::Integer],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let (text, times) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
        texts(rows, |row, value| {
            let (Some(text), Some(times)) = (text.at(row), times.at(row)) else { return Ok(false) };
            if !text.is_empty() {
                (0..times).try_for_each(|_| value.push_str(text))?;
            }
            Ok(true)
        })
    },
};

pub(crate) const LPAD: Definition = Definition {
    name: "lpad",
    usage: "LPAD(text, length[, with])",
    parameters: &[Parameter::Text, Parameter::Integer, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        padded(arguments, rows, |value, text, padding| padding(value).and_then(|()| value.push_str(text)))
    },
};

pub(crate) const RPAD: Definition = Definition {
    name: "rpad",
    usage: "RPAD(text, length[, with])",
    parameters: &[Parameter::Text, Parameter::Integer, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        padded(arguments, rows, |value, text, padding| value.push_str(text).and_then(|()| padding(value)))
    },
};

type Padding<'a> = &'a dyn Fn(&mut Value) -> Result<()>;

/// Null where the length is negative, or there is nothing to pad with.
fn padded(
    arguments: &[ColumnarValue],
    rows: usize,
    write: fn(&mut Value, &str, Padding<'_>) -> Result<()>,
) -> Result<ArrayRef> {
    let (text, lengths) = (Text::of(&arguments[0])?, Integers::of(&arguments[1])?);
    let with = arguments.get(2).map_or(Ok(Text::Constant(Some(" "))), Text::of)?;
    texts(rows, |row, value| {
        let (Some(text), Some(length), Some(with)) = (text.at(row), lengths.at(row), with.at(row)) else {
            return Ok(false);
        };
        let Ok(length) = usize::try_from(length) else { return Ok(false) };
        if with.is_empty() {
            return Ok(false);
        }
        let characters = text.chars().count();
        if characters >= length {
            let end = text.char_indices().nth(length).map_or(text.len(), |(end, _)| end);
            value.push_str(&text[..end])?;
            return Ok(true);
        }
        let padding = |value: &mut Value| {
            let mut characters = with.chars().cycle().take(length - characters);
            characters.try_for_each(|character| value.push(character))
        };
        write(value, text, &padding)?;
        Ok(true)
    })
}
