//! Results as JSON objects, one a line. Nulls are written, so that every line has the same keys.

use arrow::array::RecordBatch;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use weir_core::{Error, Result};

use super::Printer;
use super::times;

/// Prints JSON lines.
pub struct Json;

impl Printer for Json {
    fn rows(&mut self, records: &RecordBatch, out: &mut String) -> Result<()> {
        let mut bytes = Vec::new();
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut bytes);
        writer.write(&times::as_text(records)?)?;
        writer.finish()?;
        drop(writer);
        let text = String::from_utf8(bytes).map_err(|error| Error::internal("JSON is UTF-8").with_source(error))?;
        out.push_str(&text);
        Ok(())
    }
}
