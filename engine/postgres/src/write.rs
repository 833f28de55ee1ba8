//! Rows on their way into a table: as `COPY … (FORMAT binary)` takes them.

use arrow::array::{Array, Int8Array};
use arrow::datatypes::Schema;
use weir_core::{Batch, Error, Result, TableSpec};

use crate::encode::Values;
use crate::relation::PgColumn;

/// What each stream of rows begins with: a signature, no flags, no extension.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(crate) const TRAILER: [u8; 2] = [0xff, 0xff];

/// How rows of a table are written.
#[derive(Clone)]
pub(crate) struct Rows {
    columns: Vec<PgColumn>,
    /// Columns of rows that may replace each other; empty: they stay.
    pub(crate) key: Vec<usize>,
    names: Vec<String>,
}

impl Rows {
    pub(crate) fn new(table: &TableSpec, columns: Vec<PgColumn>) -> Self {
        let schema: &Schema = &table.schema;
        let names = schema.fields().iter().map(|field| field.name().clone()).collect();
        Self { columns, key: table.primary_key.clone(), names }
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Of each column whose type is a domain: the type below it.
    pub(crate) fn domains(&self) -> impl Iterator<Item = Option<&str>> {
        self.columns.iter().map(|column| column.domain_of.as_deref())
    }

    /// Appends rows. Those that replace each other have their number, counted from `first`, and whether they go, behind their columns.
    ///
    /// # Errors
    /// A data error that names the column of a value that the table has no room for.
    pub(crate) fn append(&self, batch: &Batch, first: i64, out: &mut Vec<u8>) -> Result<()> {
        let records = batch.records();
        let values = records.columns().iter().zip(&self.columns).enumerate();
        let values = values.map(|(place, (array, column))| match self.key.contains(&place) {
            true => Values::of_key(array, &column.pg),
            false => Values::new(array, &column.pg),
        });
        let values = values.collect::<Result<Vec<_>>>()?;
        let is_replaced = !self.key.is_empty();
        let fields = values.len() + if is_replaced { 2 } else { 0 };
        let fields = i16::try_from(fields).map_err(|_| Error::user("a table with too many columns"))?;
        for row in 0..records.num_rows() {
            let is_gone = is_gone(batch.weights(), row);
            out.extend_from_slice(&fields.to_be_bytes());
            for (place, value) in values.iter().enumerate() {
                // Of a row that goes, the key alone means anything.
                if is_gone && !self.key.contains(&place) {
                    out.extend_from_slice(&(-1_i32).to_be_bytes());
                    continue;
                }
                let wrong = |what: &str| {
                    Error::data(format!("column '{}': {what}", self.names[place]))
                        .with_help("such a row is never written; leave it out in the query, or change it")
                };
                if value.is_null(row) && self.columns[place].not_null {
                    return Err(wrong("null, and the column of the database is NOT NULL"));
                }
                if value.is_null(row) && self.key.contains(&place) {
                    return Err(wrong(
                        "null, and rows replace each other by this column: PostgreSQL finds none by a null",
                    ));
                }
                value.append(row, out).map_err(|what| wrong(&what))?;
            }
            if is_replaced {
                out.extend_from_slice(&8_i32.to_be_bytes());
                out.extend_from_slice(&(first + row as i64).to_be_bytes());
                out.extend_from_slice(&[0, 0, 0, 1, is_gone.into()]);
            }
        }
        Ok(())
    }
}

fn is_gone(weights: Option<&Int8Array>, row: usize) -> bool {
    weights.is_some_and(|weights| weights.is_valid(row) && weights.value(row) < 0)
}
