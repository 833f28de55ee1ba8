//! Results as JSON objects, one a line, as the format `json` writes them. Nulls are written, so that every line has the same keys.

use arrow::array::RecordBatch;
use weir_connectors::formats::encode::LineEncoder;
use weir_core::{Error, Result};

use super::Printer;
use super::cells::printable;

/// Prints JSON lines.
pub struct Json;

impl Printer for Json {
    fn rows(&mut self, records: &RecordBatch, out: &mut String) -> Result<()> {
        out.push_str(&json_lines(records)?);
        Ok(())
    }
}

/// The rows, a line each.
///
/// # Errors
/// If a value has no JSON.
pub fn json_lines(records: &RecordBatch) -> Result<String> {
    let mut bytes = Vec::new();
    LineEncoder::plain_json().encode(&printable(records)?, &mut bytes)?;
    String::from_utf8(bytes).map_err(|error| Error::internal("JSON is UTF-8").with_source(error))
}
