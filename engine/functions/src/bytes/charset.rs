//! `ENCODE` and `DECODE`, with the character sets that every Java knows. What a character set does not have becomes `?`, and bytes
//! that mean nothing in it become U+FFFD.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use crate::definition::{Bytes, Definition, Parameter, Text, plan_error};
use crate::output::texts;

pub(crate) const ENCODE: Definition = Definition {
    name: "encode",
    usage: "ENCODE(text, charset)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::BinaryView,
    check: |_, constants| check_charset(constants),
    compute: encode,
};

pub(crate) const DECODE: Definition = Definition {
    name: "decode",
    usage: "DECODE(bytes, charset)",
    parameters: &[Parameter::Bytes, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: |_, constants| check_charset(constants),
    compute: decode,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    /// With a mark of its byte order in front; big-endian without one.
    Utf16,
    Utf16BigEndian,
    Utf16LittleEndian,
}

impl Charset {
    fn of(name: &str) -> Result<Self> {
        Ok(match name.to_uppercase().as_str() {
            "US-ASCII" | "ASCII" => Charset::Ascii,
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Charset::Latin1,
            "UTF-8" | "UTF8" => Charset::Utf8,
            "UTF-16" | "UTF16" => Charset::Utf16,
            "UTF-16BE" => Charset::Utf16BigEndian,
            "UTF-16LE" => Charset::Utf16LittleEndian,
            _ => {
                return plan_error(format!(
                    "`{name}` is no character set; there are US-ASCII, ISO-8859-1, UTF-8, UTF-16, UTF-16BE and UTF-16LE \
                     (and HEX, UNHEX, TO_BASE64 and FROM_BASE64 for bytes as text)"
                ));
            }
        })
    }

    fn encode(self, text: &str, bytes: &mut Vec<u8>) {
        let limit = match self {
            Charset::Ascii => 0x7f,
            Charset::Latin1 => 0xff,
            Charset::Utf8 => return bytes.extend_from_slice(text.as_bytes()),
            Charset::Utf16 => {
                if !text.is_empty() {
                    bytes.extend([0xfe, 0xff]);
                }
                return bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Charset::Utf16BigEndian => return bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Charset::Utf16LittleEndian => return bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
        };
        bytes.extend(text.chars().map(|character| match u8::try_from(u32::from(character)) {
            Ok(byte) if byte <= limit => byte,
            _ => b'?',
        }));
    }

    fn decode(self, bytes: &[u8], text: &mut String) {
        match self {
            Charset::Ascii => text.extend(bytes.iter().map(|byte| match byte {
                0..=0x7f => char::from(*byte),
                _ => char::REPLACEMENT_CHARACTER,
            })),
            Charset::Latin1 => text.extend(bytes.iter().copied().map(char::from)),
            Charset::Utf8 => text.push_str(&String::from_utf8_lossy(bytes)),
            Charset::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes, text),
                [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes, text),
                _ => utf16(bytes, u16::from_be_bytes, text),
            },
            Charset::Utf16BigEndian => utf16(bytes, u16::from_be_bytes, text),
            Charset::Utf16LittleEndian => utf16(bytes, u16::from_le_bytes, text),
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, text: &mut String) {
    let pairs = bytes.chunks_exact(2);
    let odd = !pairs.remainder().is_empty();
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    text.extend(char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text.extend(odd.then_some(char::REPLACEMENT_CHARACTER));
}

fn check_charset(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.get(1) {
        Some(Some(name)) => name.try_as_str().flatten().map_or(Ok(()), |name| Charset::of(name).map(|_| ())),
        _ => Ok(()),
    }
}

fn encode(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (text, charsets) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let mut builder = BinaryViewBuilder::with_capacity(rows);
    let mut bytes = Vec::new();
    for row in 0..rows {
        let (Some(text), Some(charset)) = (text.at(row), charsets.at(row)) else {
            builder.append_null();
            continue;
        };
        bytes.clear();
        Charset::of(charset)?.encode(text, &mut bytes);
        builder.append_value(&bytes);
    }
    Ok(Arc::new(builder.finish()))
}

fn decode(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (bytes, charsets) = (Bytes::of(&arguments[0])?, Text::of(&arguments[1])?);
    texts(rows, |row, value| {
        let (Some(bytes), Some(charset)) = (bytes.at(row), charsets.at(row)) else { return Ok(false) };
        Charset::of(charset)?.decode(bytes, value.text());
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_come_back_from_what_has_room_for_them() {
        let mut bytes = Vec::new();
        Charset::Latin1.encode("Grüße, 世 😀", &mut bytes);
        assert_eq!(bytes, b"Gr\xfc\xdfe, ? ?");
        for name in ["utf-8", "UTF-16", "utf-16be", "UTF-16LE"] {
            let charset = Charset::of(name).unwrap();
            let (mut bytes, mut text) = (Vec::new(), String::new());
            charset.encode("Grüße, 世 😀", &mut bytes);
            charset.decode(&bytes, &mut text);
            assert_eq!(text, "Grüße, 世 😀", "{name}");
        }
        let mut text = String::new();
        Charset::Ascii.decode("aß".as_bytes(), &mut text);
        assert_eq!(text, "a\u{fffd}\u{fffd}");
    }
}
