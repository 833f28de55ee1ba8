//! Tables of state: their columns, and what has changed in them.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, UInt64Array};
use arrow::datatypes::{Field, Schema};
use weir_core::{Distribution, Error, Result, StateRows, TableSchema, hash, state_column};

use crate::record::{Key, parts, zeros};
use crate::state::parts::{AnyItem, AnyRows, Declaration};

/// The table of a piece of state.
///
/// # Errors
/// A user error if the key cannot be hashed, or names of columns clash.
pub(super) fn table<K: Key>(declared: &Declaration, distribution: Distribution) -> Result<TableSchema> {
    let keys = K::fields("key");
    if let Some(field) = keys.iter().find(|field| !hash::is_hashable(field.data_type())) {
        return Err(Error::user(format!("a value of type {} cannot be a key", field.data_type())));
    }
    // Their names are of their own, whatever a record in the state is made of.
    let mut fields: Vec<Field> = keys.iter().map(|field| prefixed("key", field)).collect();
    fields.extend(declared.key.iter().map(|field| prefixed("entry", field)));
    let key_columns = fields.len();
    fields.extend(declared.values.iter().cloned());
    for (position, field) in fields.iter().enumerate() {
        let id = state_column::id(field);
        if let Some(other) = fields[..position].iter().find(|other| state_column::id(other) == id) {
            let (name, other, table) = (field.name(), other.name(), &declared.name);
            return Err(Error::user(format!("state '{table}': columns '{other}' and '{name}' have the same id"))
                .with_help(format!("rename '{name}'")));
        }
    }
    Ok(TableSchema {
        name: declared.name.clone(),
        version: 1,
        schema: Arc::new(Schema::new(fields)),
        key_columns,
        time_column: None,
        distribution,
    })
}

fn prefixed(prefix: &str, field: &Field) -> Field {
    let name = format!("{prefix}.{}", field.name());
    let id = parts::column_id(&name);
    state_column::with_id(Field::new(name, field.data_type().clone(), field.is_nullable()), id)
}

/// What has changed in a table.
pub(super) struct Changes<K: Key> {
    table: TableSchema,
    rows: Box<dyn AnyRows>,
    keys: K::Builder,
    hashes: Vec<u64>,
    gone: K::Builder,
    gone_hashes: Vec<u64>,
}

impl<K: Key> Changes<K> {
    pub(super) fn new(declared: &Declaration, table: &TableSchema) -> Self {
        Self {
            table: table.clone(),
            rows: (declared.rows)(),
            keys: K::builder(0),
            hashes: Vec::new(),
            gone: K::builder(0),
            gone_hashes: Vec::new(),
        }
    }

    /// Takes what has changed in the piece of state of a key.
    pub(super) fn take(&mut self, key: &K, hash: u64, item: &mut dyn AnyItem) {
        item.capture(&mut *self.rows);
        let (puts, deletions) = self.rows.counts();
        for _ in 0..puts {
            key.append_to(&mut self.keys);
            self.hashes.push(hash);
        }
        for _ in 0..deletions {
            key.append_to(&mut self.gone);
            self.gone_hashes.push(hash);
        }
    }

    /// The rows: those that are gone, and those that were put.
    pub(super) fn rows(mut self) -> Result<Vec<StateRows>> {
        let (put, gone) = self.rows.finish();
        let mut rows = Vec::new();
        if !self.gone_hashes.is_empty() {
            let count = self.gone_hashes.len();
            let mut columns = K::finish_columns(&mut self.gone);
            columns.extend(gone);
            for field in &self.table.schema.fields()[columns.len()..] {
                columns.push(zeros(field.data_type(), count)?);
            }
            rows.push(StateRows {
                rows: RecordBatch::try_new(self.table.schema.clone(), columns)?,
                hashes: UInt64Array::from(self.gone_hashes),
                deleted: Some(BooleanArray::from(vec![true; count])),
            });
        }
        if !self.hashes.is_empty() {
            let mut columns = K::finish_columns(&mut self.keys);
            columns.extend(put);
            let batch = RecordBatch::try_new(self.table.schema.clone(), columns)?;
            rows.push(StateRows { rows: batch, hashes: UInt64Array::from(self.hashes), deleted: None });
        }
        Ok(rows)
    }
}
