//! `REPLACE`: every occurrence, and for empty text every place between characters.

use arrow::datatypes::DataType;

use crate::definition::{Definition, Parameter, Text, unchecked};
use crate::output::texts;

pub(crate) const REPLACE: Definition = Definition {
    name: "replace",
    usage: "REPLACE(text, part, other)",
    parameters: &[Parameter::Text, Parameter::Text, Parameter::Text],
    required: 3,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let [text, wanted, others] = [0, 1, 2].map(|index| Text::of(&arguments[index]));
        let (text, wanted, others) = (text?, wanted?, others?);
        texts(rows, |row, value| {
            let (Some(text), Some(wanted), Some(other)) = (text.at(row), wanted.at(row), others.at(row)) else {
                return Ok(false);
            };
            let mut end = 0;
            for (start, found) in text.match_indices(wanted) {
                value.push_str(&text[end..start])?;
                value.push_str(other)?;
                end = start + found.len();
            }
            value.push_str(&text[end..])?;
            Ok(true)
        })
    },
};
