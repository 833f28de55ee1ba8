//! Numbers in other digits: `BIN`, `HEX` and `UNHEX`, `INET_NTOA`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use super::definition::{Definition, Integers, Parameter, Text, unchecked};

pub(super) const BIN: Definition = Definition {
    name: "bin",
    usage: "BIN(number)",
    parameters: &[Parameter::Integer],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let numbers = Integers::of(&arguments[0])?;
        written(rows, |row, text| numbers.at(row).map(|number| write!(text, "{number:b}")).is_some())
    },
};

pub(super) const HEX: Definition = Definition {
    name: "hex",
    usage: "HEX(number or text)",
    parameters: &[Parameter::IntegerOrText],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: hex,
};

pub(super) const UNHEX: Definition = Definition {
    name: "unhex",
    usage: "UNHEX(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::BinaryView,
    check: unchecked,
    compute: unhex,
};

pub(super) const INET_NTOA: Definition = Definition {
    name: "inet_ntoa",
    usage: "INET_NTOA(number)",
    parameters: &[Parameter::Integer],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let numbers = Integers::of(&arguments[0])?;
        written(rows, |row, text| {
            let address = numbers.at(row).and_then(|number| u32::try_from(number).ok());
            address.map(|address| write!(text, "{}", std::net::Ipv4Addr::from(address))).is_some()
        })
    },
};

fn hex(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    if arguments[0].data_type().is_string() {
        let texts = Text::of(&arguments[0])?;
        return written(rows, |row, text| {
            let Some(value) = texts.at(row) else { return false };
            // Writing to a String cannot fail.
            value.bytes().for_each(|byte| write!(text, "{byte:02X}").unwrap_or_default());
            true
        });
    }
    let numbers = Integers::of(&arguments[0])?;
    written(rows, |row, text| numbers.at(row).map(|number| write!(text, "{number:X}")).is_some())
}

/// Texts that `write` adds; null where it says false.
fn written(rows: usize, write: impl Fn(usize, &mut String) -> bool) -> Result<ArrayRef> {
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut text = String::new();
    for row in 0..rows {
        text.clear();
        match write(row, &mut text) {
            true => builder.append_value(&text),
            false => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// What is no hexadecimal number is null. The first digit of an odd number of them is a byte by itself, and counts for nothing.
fn unhex(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let texts = Text::of(&arguments[0])?;
    let mut builder = BinaryViewBuilder::with_capacity(rows);
    let mut bytes = Vec::new();
    for row in 0..rows {
        bytes.clear();
        match texts.at(row).and_then(|text| push_bytes(text.as_bytes(), &mut bytes)) {
            Some(()) => builder.append_value(&bytes),
            None => builder.append_null(),
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn push_bytes(text: &[u8], bytes: &mut Vec<u8>) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (odd, pairs) = text.split_at(text.len() % 2);
    for byte in odd {
        digit(*byte)?;
        bytes.push(0);
    }
    for pair in pairs.chunks_exact(2) {
        bytes.push(digit(pair[0])? * 16 + digit(pair[1])?);
    }
    Some(())
}
