//! Functions of characters and their codes: `ASCII`, `CHR`, `IS_ALPHA`, `IS_DIGIT`, `IS_DECIMAL`, `HASH_CODE`.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BooleanArray, Int32Array};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;
use regex::Regex;

use crate::definition::{Definition, Integers, Parameter, Text, unchecked};
use crate::output::texts;

pub(crate) const ASCII: Definition = Definition {
    name: "ascii",
    usage: "ASCII(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Int32,
    check: unchecked,
    // The first byte as UTF-8 has it; those beyond ASCII are negative, as Java's bytes are.
    compute: |arguments, rows| {
        numbers(arguments, rows, |text| text.bytes().next().map_or(0, |byte| i32::from(byte.cast_signed())))
    },
};

pub(crate) const HASH_CODE: Definition = Definition {
    name: "hash_code",
    usage: "HASH_CODE(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Int32,
    check: unchecked,
    // `Math.abs` of Java's hash of a text.
    compute: |arguments, rows| {
        numbers(arguments, rows, |text| {
            text.encode_utf16()
                .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
                .wrapping_abs()
        })
    },
};

pub(crate) const CHR: Definition = Definition {
    name: "chr",
    usage: "CHR(number)",
    parameters: &[Parameter::Integer],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    // One of the first 256 characters; the number counts modulo 256.
    compute: |arguments, rows| {
        let numbers = Integers::of(&arguments[0])?;
        texts(rows, |row, value| {
            let Some(number) = numbers.at(row) else { return Ok(false) };
            if number >= 0 {
                value.push(char::from(number.to_le_bytes()[0]))?;
            }
            Ok(true)
        })
    },
};

pub(crate) const IS_ALPHA: Definition = Definition {
    name: "is_alpha",
    usage: "IS_ALPHA(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Boolean,
    check: unchecked,
    compute: |arguments, rows| tests(arguments, rows, |text| LETTERS.is_match(text)),
};

pub(crate) const IS_DIGIT: Definition = Definition {
    name: "is_digit",
    usage: "IS_DIGIT(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Boolean,
    check: unchecked,
    compute: |arguments, rows| tests(arguments, rows, |text| DIGITS.is_match(text)),
};

pub(crate) const IS_DECIMAL: Definition = Definition {
    name: "is_decimal",
    usage: "IS_DECIMAL(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Boolean,
    check: unchecked,
    compute: |arguments, rows| tests(arguments, rows, is_decimal),
};

/// Digits with a sign before them, or a point among them, or not.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

static LETTERS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\A\p{L}+\z").expect("it is sound"));
static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\A\p{Nd}+\z").expect("it is sound"));

fn numbers(arguments: &[ColumnarValue], rows: usize, number: fn(&str) -> i32) -> Result<ArrayRef> {
    let text = Text::of(&arguments[0])?;
    Ok(Arc::new((0..rows).map(|row| text.at(row).map(number)).collect::<Int32Array>()))
}

/// Never null: no text passes no test.
fn tests(arguments: &[ColumnarValue], rows: usize, test: fn(&str) -> bool) -> Result<ArrayRef> {
    let text = Text::of(&arguments[0])?;
    Ok(Arc::new((0..rows).map(|row| Some(text.at(row).is_some_and(test))).collect::<BooleanArray>()))
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn decimals_are_numbers_without_an_exponent() {
        for (text, expected) in [("1.5", true), ("-3", true), ("+.5", true), ("", false), (".", false), ("1e3", false)]
        {
            assert_eq!(is_decimal(text), expected, "{text}");
        }
    }
}
