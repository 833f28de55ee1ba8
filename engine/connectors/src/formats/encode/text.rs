//! Values as text for people, nested ones too: `[1, 2]` for an `ARRAY`, `{k=v}` for a `MAP`.

use arrow::array::RecordBatch;
use weir_core::Result;

use super::cells::{Cells, Column, special};

/// How values are written that are not the same everywhere.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    separator: u8,
    null: &'static str,
    row: [&'static str; 2],
}

impl Style {
    /// As SQL writes values: `2013-01-01 10:00:00.000`, `NULL`, `(1, x)` for a `ROW`.
    pub const SQL: Self = Self { separator: b' ', null: "NULL", row: ["(", ")"] };
    /// As Flink prints rows: `2013-01-01T10:00:00.000`, `null`, `+I[1, x]`.
    pub const PRINT: Self = Self { separator: b'T', null: "null", row: ["+I[", "]"] };
}

/// Columns of a batch, ready to be asked for their values.
pub struct Texts {
    columns: Vec<Column>,
    style: Style,
}

impl Texts {
    /// The columns of `records`.
    ///
    /// # Errors
    /// A user error if values of a type cannot be written.
    pub fn new(records: &RecordBatch, style: Style) -> Result<Self> {
        let columns = records.columns().iter().map(|column| Column::new(column, style.separator));
        Ok(Self { columns: columns.collect::<Result<_>>()?, style })
    }

    /// How many columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Appends a value to `out`; `false` if it is null, which appends nothing.
    pub fn write(&self, row: usize, column: usize, out: &mut Vec<u8>) -> bool {
        let column = &self.columns[column];
        if column.is_null(row) {
            return false;
        }
        self.style.push_value(out, column, row);
        true
    }

    /// Appends all values of a row.
    pub fn write_row(&self, row: usize, out: &mut Vec<u8>) {
        push_list(out, self.columns.iter(), |out, column| self.style.push_value(out, column, row));
    }
}

impl Style {
    fn push_value(self, out: &mut Vec<u8>, column: &Column, row: usize) {
        if column.is_null(row) {
            return out.extend_from_slice(self.null.as_bytes());
        }
        match &column.cells {
            Cells::Bare(write) | Cells::Plain(write) => write(row, out),
            Cells::Float { value, write } => match special(value(row)) {
                Some(name) => out.extend_from_slice(name.as_bytes()),
                None => write(row, out),
            },
            Cells::Text(texts) => out.extend_from_slice(texts.value(row).as_bytes()),
            Cells::List { range, values } => {
                out.push(b'[');
                push_list(out, range(row), |out, item| self.push_value(out, values, item));
                out.push(b']');
            }
            Cells::Map { range, keys, values } => {
                out.push(b'{');
                push_list(out, range(row), |out, entry| {
                    self.push_value(out, keys, entry);
                    out.push(b'=');
                    self.push_value(out, values, entry);
                });
                out.push(b'}');
            }
            Cells::Row(fields) => {
                let [begin, end] = self.row;
                out.extend_from_slice(begin.as_bytes());
                push_list(out, fields.iter(), |out, (_, field)| self.push_value(out, field, row));
                out.extend_from_slice(end.as_bytes());
            }
        }
    }
}

fn push_list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, mut push: impl FnMut(&mut Vec<u8>, T)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        push(out, item);
    }
}
