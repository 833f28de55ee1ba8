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
            let names: Vec<String> = records.schema_ref().fields().iter().map(|field| quoted(field.name())).collect();
            out.push_str(&names.join(","));
            out.push('\n');
        }
        let cells = Cells::new(records)?;
        for row in 0..records.num_rows() {
            for column in 0..cells.width() {
                if column > 0 {
                    out.push(',');
                }
                if let Some(value) = cells.get(row, column) {
                    out.push_str(&quoted(&value));
                }
            }
            out.push('\n');
        }
        Ok(())
    }

    fn close(&mut self, _out: &mut String) {
        self.header_is_due = true;
    }
}

fn quoted(value: &str) -> String {
    let plain = !value.is_empty()
        && !value.contains([',', '"', '\n', '\r'])
        && !value.starts_with(' ')
        && !value.ends_with(' ');
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
}
