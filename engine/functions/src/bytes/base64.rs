//! `TO_BASE64` and `FROM_BASE64`, with the letters and the padding of RFC 4648.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::alphabet::STANDARD as LETTERS;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;

use crate::definition::{Bytes, Definition, Parameter, Text, unchecked};
use crate::output::texts;

pub(crate) const TO_BASE64: Definition = Definition {
    name: "to_base64",
    usage: "TO_BASE64(text)",
    parameters: &[Parameter::Bytes],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: |arguments, rows| {
        let bytes = Bytes::of(&arguments[0])?;
        texts(rows, |row, value| {
            let Some(bytes) = bytes.at(row) else { return Ok(false) };
            STANDARD.encode_string(bytes, value.text());
            Ok(true)
        })
    },
};

pub(crate) const FROM_BASE64: Definition = Definition {
    name: "from_base64",
    usage: "FROM_BASE64(text)",
    parameters: &[Parameter::Text],
    required: 1,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: from_base64,
};

/// Padding may be left out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &LETTERS,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What is no UTF-8 becomes U+FFFD.
fn from_base64(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let text = Text::of(&arguments[0])?;
    let mut bytes = Vec::new();
    texts(rows, |row, value| {
        let Some(text) = text.at(row) else { return Ok(false) };
        bytes.clear();
        LENIENT
            .decode_vec(text, &mut bytes)
            .map_err(|error| DataFusionError::Execution(format!("`{text}` is no Base64: {error}")))?;
        value.push_str(&String::from_utf8_lossy(&bytes))?;
        Ok(true)
    })
}
