//! `PARTITIONED BY`: rows go to folders named after the values of some columns, `day=2013-01-31/origin=JFK/`, as in
//! Hive, Spark and Flink. These columns are not in the files.
//!
//! Every value comes back as what it was: null has a name of its own, a text that reads like that name has its first letter escaped,
//! and an empty text is a folder `word=`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{Error, Result, TableSpec};

use crate::formats::encode::cells::{Cells, Column, display, is_writable};

/// Longest name of a folder that filesystems take.
const LONGEST_NAME: usize = 255;

/// Columns whose values name folders.
#[derive(Debug, Clone)]
pub(super) struct Partitioning {
    /// Their names and positions in the table, in order of the folders.
    columns: Vec<(String, usize)>,
    /// Positions of all other columns.
    rest: Vec<usize>,
    /// What null is called, escaped.
    null: Vec<u8>,
}

impl Partitioning {
    pub(super) fn of(table: &TableSpec, null: &str) -> Result<Self> {
        let wrong = |column: &str, reason: &str| {
            Err(Error::user(format!("table '{}' cannot be PARTITIONED BY '{column}': {reason}", table.name)))
        };
        let mut columns = Vec::new();
        for name in &table.partitioned_by {
            let Ok(index) = table.schema.index_of(name) else { return wrong(name, "it has no such column") };
            if !is_writable(table.schema.field(index).data_type(), true) {
                return wrong(name, "its values cannot be the name of a folder");
            }
            if columns.iter().any(|(_, other)| *other == index) {
                return wrong(name, "it is named twice");
            }
            columns.push((name.clone(), index));
        }
        let rest: Vec<usize> =
            (0..table.schema.fields().len()).filter(|index| columns.iter().all(|(_, other)| other != index)).collect();
        if let ([], Some((name, _))) = (rest.as_slice(), columns.last()) {
            return wrong(name, "no column would be left for the files");
        }
        let mut escaped = Vec::new();
        push_escaped(&mut escaped, null);
        Ok(Self { columns, rest, null: escaped })
    }

    /// Columns of the files.
    pub(super) fn file_schema(&self, schema: &Schema) -> SchemaRef {
        let fields: Vec<_> = self.rest.iter().map(|index| schema.field(*index).clone()).collect();
        Arc::new(Schema::new(fields))
    }

    /// The rows by folder, in order of their first row: relative path with a slash at its end (or nothing), and the
    /// columns of the files.
    pub(super) fn split(&self, batch: &RecordBatch, file_schema: &SchemaRef) -> Result<Vec<(String, RecordBatch)>> {
        let rows = self.file_rows(batch, file_schema)?;
        if self.columns.is_empty() {
            return Ok(vec![(String::new(), rows)]);
        }
        let columns: Vec<Column> =
            self.columns.iter().map(|(_, index)| Column::new(batch.column(*index), b' ')).collect::<Result<_>>()?;
        let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
        let mut by_path: HashMap<Vec<u8>, usize> = HashMap::new();
        let (mut values, mut last) = (Vec::new(), None);
        for row in 0..batch.num_rows() {
            values.clear();
            self.push_values(&mut values, &columns, row);
            // Rows of one partition tend to come together.
            let group = match last {
                Some((group, ref previous)) if *previous == values => group,
                _ => match by_path.get(&values) {
                    Some(group) => *group,
                    None => {
                        groups.push((self.path(&values)?, Vec::new()));
                        by_path.insert(values.clone(), groups.len() - 1);
                        groups.len() - 1
                    }
                },
            };
            groups[group].1.push(row as u32);
            last = Some((group, values.clone()));
        }
        if let [(path, _)] = groups.as_slice() {
            return Ok(vec![(path.clone(), rows)]);
        }
        let split =
            |(path, indices): (String, Vec<u32>)| Ok((path, take_record_batch(&rows, &UInt32Array::from(indices))?));
        groups.into_iter().map(split).collect()
    }

    fn file_rows(&self, batch: &RecordBatch, file_schema: &SchemaRef) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = self.rest.iter().map(|index| batch.column(*index).clone()).collect();
        for (field, column) in file_schema.fields().iter().zip(&columns) {
            if !field.is_nullable() && column.logical_null_count() > 0 {
                return Err(Error::data(format!("a row to be written has null in column '{}'", field.name()))
                    .with_help("the sink's column is NOT NULL: filter such rows, or declare it without NOT NULL"));
            }
        }
        Ok(RecordBatch::try_new(file_schema.clone(), columns)?)
    }

    /// The values of a row, each behind a slash.
    fn push_values(&self, out: &mut Vec<u8>, columns: &[Column], row: usize) {
        for column in columns {
            out.push(b'/');
            let start = out.len();
            if column.is_null(row) {
                out.extend_from_slice(&self.null);
                continue;
            }
            match &column.cells {
                Cells::Bare(write) | Cells::Plain(write) | Cells::Float { write, .. } => write(row, out),
                Cells::Text(texts) => push_escaped(out, texts.value(row)),
                // Refused when the table is declared.
                Cells::List { .. } | Cells::Map { .. } | Cells::Row(_) => {}
            }
            // Times and base64 have characters that Hive escapes too.
            if matches!(column.cells, Cells::Plain(_)) {
                let text = String::from_utf8_lossy(&out.split_off(start)).into_owned();
                push_escaped(out, &text);
            }
            if out[start..] == self.null {
                let first = out[start];
                let escaped = format!("%{first:02X}");
                out.splice(start..=start, escaped.into_bytes());
            }
        }
    }

    fn path(&self, values: &[u8]) -> Result<String> {
        let values = String::from_utf8_lossy(values);
        let mut path = String::new();
        for ((name, _), value) in self.columns.iter().zip(values.split('/').skip(1)) {
            let mut folder = Vec::new();
            match name.as_bytes() {
                // Folders whose names begin so are passed over by readers.
                [first @ (b'.' | b'_'), ..] => {
                    display(&mut folder, format_args!("%{first:02X}"));
                    push_escaped(&mut folder, &name[1..]);
                }
                _ => push_escaped(&mut folder, name),
            }
            let folder = format!("{}={value}", String::from_utf8_lossy(&folder));
            if folder.len() > LONGEST_NAME {
                return Err(Error::data(format!(
                    "a value of partition column '{name}' is too long for the name of a folder: {}…",
                    folder.chars().take(64).collect::<String>()
                )));
            }
            path.push_str(&folder);
            path.push('/');
        }
        Ok(path)
    }
}

/// Escapes as Hive does what means something in paths: `%2F` for a slash.
pub(in crate::filesystem) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            0..0x20 | 0x7f => display(out, format_args!("%{byte:02X}")),
            b'"' | b'#' | b'%' | b'\'' | b'*' | b'/' | b':' | b'=' | b'?' | b'\\' | b'{' | b'[' | b']' | b'^' => {
                display(out, format_args!("%{byte:02X}"));
            }
            _ => out.push(byte),
        }
    }
}
