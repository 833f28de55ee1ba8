//! Rows as CSV (RFC 4180).

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use weir_core::Result;

use super::cells::{Cells, Column, special};
use crate::options::Options;

/// How rows become CSV.
#[derive(Debug, Clone)]
pub(super) struct Csv {
    delimiter: u8,
    quote: u8,
    null: String,
    header: bool,
}

impl Csv {
    pub(super) fn from_options(options: Options<'_>) -> Result<Self> {
        let character = |name: &str, default| match options.text(name) {
            None => Ok(default),
            Some(text) => single_character(text).ok_or_else(|| options.error(name, "not a single ASCII character")),
        };
        let delimiter = character("csv.field-delimiter", b',')?;
        let quote = character("csv.quote-character", b'"')?;
        if delimiter == quote {
            return Err(options.error("csv.quote-character", "also the delimiter"));
        }
        Ok(Self {
            delimiter,
            quote,
            null: options.text("csv.null-literal").unwrap_or_default().to_owned(),
            header: options.boolean("csv.header")?.unwrap_or(false),
        })
    }

    pub(super) fn header(&self, schema: &Schema, out: &mut Vec<u8>) {
        if self.header {
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                self.push_text(out, field.name());
            }
            out.push(b'\n');
        }
    }

    /// Appends the rows; `end` ends each.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        mut end: impl FnMut(&mut Vec<u8>),
    ) -> Result<()> {
        let columns: Vec<Column> =
            batch.columns().iter().map(|column| Column::new(column, b' ')).collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            let start = out.len();
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                self.push_value(out, column, row);
            }
            // An empty line would be no row at all for a reader. That the null of a table whose only column is a STRING
            // reads back as an empty one is the lesser evil; a null literal helps.
            if out.len() == start {
                out.extend([self.quote, self.quote]);
            }
            end(out);
        }
        Ok(())
    }

    fn push_value(&self, out: &mut Vec<u8>, column: &Column, row: usize) {
        if column.is_null(row) {
            out.extend_from_slice(self.null.as_bytes());
            return;
        }
        match &column.cells {
            Cells::Text(texts) => self.push_text(out, texts.value(row)),
            Cells::Bare(write) | Cells::Plain(write) => self.push_written(out, |out| write(row, out)),
            Cells::Float { value, write } => self.push_written(out, |out| match special(value(row)) {
                Some(name) => out.extend_from_slice(name.as_bytes()),
                None => write(row, out),
            }),
            // Refused when the table is declared.
            Cells::List { .. } | Cells::Map { .. } | Cells::Row(_) => {}
        }
    }

    /// What `write` writes, in quotes if an unusual delimiter or null literal makes that necessary.
    fn push_written(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        if self.wants_quotes(&out[start..]) {
            let value = String::from_utf8_lossy(&out.split_off(start)).into_owned();
            self.push_text(out, &value);
        }
    }

    fn push_text(&self, out: &mut Vec<u8>, text: &str) {
        if !self.wants_quotes(text.as_bytes()) {
            return out.extend_from_slice(text.as_bytes());
        }
        out.push(self.quote);
        for byte in text.bytes() {
            if byte == self.quote {
                out.push(self.quote);
            }
            out.push(byte);
        }
        out.push(self.quote);
    }

    /// A text that reads like null is quoted, so that readers that look at quotes can tell them apart.
    fn wants_quotes(&self, text: &[u8]) -> bool {
        text == self.null.as_bytes()
            || text.iter().any(|byte| *byte == self.delimiter || *byte == self.quote || matches!(byte, b'\n' | b'\r'))
            || text.first().is_some_and(|byte| *byte == b' ')
            || text.last().is_some_and(|byte| *byte == b' ')
    }
}

fn single_character(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Some(*byte),
        b"\\t" => Some(b'\t'),
        _ => None,
    }
}
