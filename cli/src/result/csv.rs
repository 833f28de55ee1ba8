//! Results as CSV (RFC 4180). A null is an empty field, an empty text is `""`.

use arrow::array::RecordBatch;
use weir_core::Result;

use super::Printer;
use super::cells::Cells;

/// Prints CSV.
pub struct Csv {
    header_is_due: bool,
}

impl Csv {
    /// Nothing printed yet.
    pub fn new() -> Self {
        Self { header_is_due: true }
    }
}

impl Printer for Csv {
    fn rows(&mut self, records: &RecordBatch, out: &mut String) -> Result<()> {
        if std::mem::take(&mut self.header_is_due) {
            for (index, field) in records.schema_ref().fields().iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_quoted(field.name(), out);
            }
            out.push('\n');
        }
        let mut cells = Cells::new(records)?;
        let mut value = String::new();
        for row in 0..records.num_rows() {
            for column in 0..cells.width() {
                if column > 0 {
                    out.push(',');
                }
                value.clear();
                if cells.write(row, column, &mut value) {
                    push_quoted(&value, out);
                }
            }
            out.push('\n');
        }
        Ok(())
    }
}

fn push_quoted(value: &str, out: &mut String) {
    let plain = !value.is_empty()
        && !value.contains([',', '"', '\n', '\r'])
        && !value.starts_with(' ')
        && !value.ends_with(' ');
    if plain {
        out.push_str(value);
    } else {
        out.extend(["\"", &value.replace('"', "\"\""), "\""]);
    }
}
