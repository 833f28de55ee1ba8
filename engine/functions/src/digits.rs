//! Numbers in other digits: `BIN`, `HEX` and `UNHEX`, `INET_NTOA`.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder, StringViewArray};
use arrow::datatypes::DataType;
use datafusion_common::Result;
use datafusion_expr::ColumnarValue;

use super::bytes::push_hex;
use super::definition::{Definition, Integers, Parameter, Text, unchecked};
use super::output::texts;

pub(super) const BIN: Definition = Definition {
    name: "bin",
    usage: "BIN(number)",
    parameters: &[Parameter::Integer],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let numbers = Integers::of(&arguments[0])?;
        written(rows, |row| numbers.at(row).map(|number| format!("{number:b}")))
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
        written(rows, |row| {
            let address = u32::try_from(numbers.at(row)?).ok()?;
            Some(std::net::Ipv4Addr::from(address).to_string())
        })
    },
};

fn hex(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    if arguments[0].data_type().is_string() {
        let given = Text::of(&arguments[0])?;
        return texts(rows, |row, value| {
            let Some(text) = given.at(row) else { return Ok(false) };
            push_hex(value.text(), text.as_bytes(), b"0123456789ABCDEF");
            Ok(true)
        });
    }
    let numbers = Integers::of(&arguments[0])?;
    written(rows, |row| numbers.at(row).map(|number| format!("{number:X}")))
}

/// The texts that `write` makes.
fn written(rows: usize, write: impl Fn(usize) -> Option<String>) -> Result<ArrayRef> {
    Ok(Arc::new((0..rows).map(write).collect::<StringViewArray>()))
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

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use datafusion_common::ScalarValue;

    use crate::tests::invoke;

    use super::*;

    fn text(text: String) -> Vec<ColumnarValue> {
        vec![ColumnarValue::Scalar(ScalarValue::Utf8View(Some(text)))]
    }

    #[test]
    fn digits_of_text() {
        assert_eq!(invoke("hex", text("é\n".to_owned()), 1).as_string_view().value(0), "C3A90A");
        let long = "x".repeat(crate::output::LONGEST_VALUE / 2 + 1);
        assert!(hex(&text(long), 1).is_err_and(|error| error.to_string().contains("16 MiB")));
    }
}
