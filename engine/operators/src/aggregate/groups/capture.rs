//! What has changed of groups, as rows of their state.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;
use weir_core::hash::hash_rows;
use weir_core::{Capture, EventTime, Result, StateRows};

use super::{Constant, Groups};

impl Groups {
    /// What changed since the last capture.
    pub(crate) fn capture(&mut self, expired: Option<EventTime>) -> Result<Vec<Capture>> {
        self.is_stored = true;
        let mut groups = self.table.capture()?;
        if let Some(groups) = groups.as_mut().filter(|_| self.has_stamps) {
            let of = |slot| self.generations.of(slot);
            groups.stamp(if self.life.is_limited() { Some(&of) } else { None });
        }
        self.generations.captured();
        let gone = std::mem::take(&mut self.gone);
        let (schema, constant, parts) = (self.state.schema.clone(), self.constant, self.layout.parts);
        let constants = move |rows: usize| {
            let column =
                |constant: Constant| Arc::new(TimestampMillisecondArray::from(vec![constant.value; rows])) as ArrayRef;
            constant.map(column).into_iter().collect::<Vec<_>>()
        };
        let rows = move || {
            let mut rows = Vec::new();
            // A group that came back counts.
            for keys in gone {
                rows.push(deleted(&schema, keys, &constants)?);
            }
            if let Some(groups) = groups {
                groups.rows(&schema, parts, |_, rows| constants(rows), &mut rows)?;
            }
            Ok(rows)
        };
        Ok(vec![Capture { rows: Box::new(rows), expired }])
    }
}

/// State rows that say of keys that they are gone.
fn deleted(schema: &SchemaRef, keys: Vec<ArrayRef>, constants: &dyn Fn(usize) -> Vec<ArrayRef>) -> Result<StateRows> {
    let rows = keys.first().map_or(0, |key| key.len());
    let mut hashes = Vec::new();
    hash_rows(&keys, rows, &mut hashes)?;
    let mut columns = keys;
    columns.extend(constants(rows));
    for field in &schema.fields()[columns.len()..] {
        columns.push(arrow::array::new_null_array(field.data_type(), rows));
    }
    Ok(StateRows {
        rows: RecordBatch::try_new(schema.clone(), columns)?,
        hashes: hashes.into(),
        deleted: Some(BooleanArray::from(vec![true; rows])),
    })
}
