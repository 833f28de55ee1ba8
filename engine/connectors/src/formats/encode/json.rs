//! Rows as JSON, an object a line.

use arrow::array::RecordBatch;
use weir_core::Result;

use super::cells::{Cells, Column, special};
use super::timestamp_separator;
use crate::options::Options;

/// How rows become JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json {
    separator: u8,
    without_nulls: bool,
}

impl Json {
    pub(super) const PLAIN: Self = Self { separator: b' ', without_nulls: false };

    pub(super) fn from_options(options: Options<'_>) -> Result<Self> {
        Ok(Self {
            separator: timestamp_separator(options)?,
            without_nulls: options.boolean("json.encode.ignore-null-fields")?.unwrap_or(false),
        })
    }

    /// Appends the rows; `end` ends each.
    pub(super) fn encode(
        self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        mut end: impl FnMut(&mut Vec<u8>),
    ) -> Result<()> {
        let schema = batch.schema_ref();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let mut name = Vec::new();
            push_string(&mut name, field.name());
            name.push(b':');
            columns.push((name, Column::new(array, self.separator)?));
        }
        for row in 0..batch.num_rows() {
            out.push(b'{');
            let start = out.len();
            for (name, column) in &columns {
                if self.without_nulls && column.is_null(row) {
                    continue;
                }
                if out.len() > start {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                self.push_value(out, column, row);
            }
            out.push(b'}');
            end(out);
        }
        Ok(())
    }

    fn push_value(self, out: &mut Vec<u8>, column: &Column, row: usize) {
        if column.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &column.cells {
            Cells::Bare(write) => write(row, out),
            // JSON has no word for these; readers of numbers take them as strings.
            Cells::Float { value, write } => match special(value(row)) {
                Some(name) => push_string(out, name),
                None => write(row, out),
            },
            Cells::Plain(write) => {
                out.push(b'"');
                write(row, out);
                out.push(b'"');
            }
            Cells::Text(texts) => push_string(out, texts.value(row)),
            Cells::List { range, values } => {
                out.push(b'[');
                for (index, item) in range(row).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.push_value(out, values, item);
                }
                out.push(b']');
            }
            Cells::Map { range, keys, values } => {
                out.push(b'{');
                for (index, entry) in range(row).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.push_key(out, keys, entry);
                    out.push(b':');
                    self.push_value(out, values, entry);
                }
                out.push(b'}');
            }
            Cells::Row(fields) => {
                out.push(b'{');
                let start = out.len();
                for (name, field) in fields.iter().filter(|(_, field)| !(self.without_nulls && field.is_null(row))) {
                    if out.len() > start {
                        out.push(b',');
                    }
                    push_string(out, name);
                    out.push(b':');
                    self.push_value(out, field, row);
                }
                out.push(b'}');
            }
        }
    }

    /// Keys of objects are strings, whatever the keys of the map are.
    fn push_key(self, out: &mut Vec<u8>, keys: &Column, row: usize) {
        if matches!(keys.cells, Cells::Text(_) | Cells::Plain(_)) && !keys.is_null(row) {
            return self.push_value(out, keys, row);
        }
        let mut key = Vec::new();
        self.push_value(&mut key, keys, row);
        push_string(out, &String::from_utf8_lossy(&key));
    }
}

/// A string with its quotes, and escaped what RFC 8259 wants escaped.
fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match escaped {
            b"" => super::cells::display(out, format_args!("\\u{byte:04x}")),
            _ => out.extend_from_slice(escaped),
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}
