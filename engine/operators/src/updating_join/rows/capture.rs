//! What changed of a side, as rows of its state table: number, then the columns of the row, when it was touched last, and how many matches it
//! has, as far as these are kept.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, TimestampMillisecondArray, UInt64Array, new_null_array};
use arrow::datatypes::SchemaRef;
use weir_core::{Result, StateRows};

use super::Name;
use crate::batches::with_schema;
use crate::row_blocks::Picked;

/// So many rows that are gone are told of at a time.
const PIECE: usize = 8192;

/// What stands in the state beside number and columns of rows; empty where nothing is known of it.
#[derive(Default)]
pub(super) struct Beside {
    /// When each was touched last.
    pub(super) stamps: Vec<Option<i64>>,
    /// How many matches each has.
    pub(super) matches: Vec<u32>,
}

/// Rows added, changed and taken out since the last capture.
pub(crate) struct Captured {
    added: Picked,
    names: Vec<Name>,
    /// What stands in the state behind the columns of rows.
    beside: Vec<ArrayRef>,
    removed: Vec<Name>,
}

impl Captured {
    pub(crate) fn new(added: Picked, names: Vec<Name>, removed: Vec<Name>) -> Self {
        Self { added, names, beside: Vec::new(), removed }
    }

    pub(super) fn with(self, beside: Beside) -> Self {
        let rows = self.names.len();
        Self { beside: beside.columns(rows).into(), ..self }
    }

    /// With when each row was touched last.
    pub(crate) fn with_stamps(self, stamps: Vec<Option<i64>>) -> Self {
        Self { beside: vec![Arc::new(TimestampMillisecondArray::from(stamps))], ..self }
    }

    /// As rows of the table with this schema.
    pub(crate) fn rows(&self, schema: &SchemaRef) -> Result<Vec<StateRows>> {
        let mut pieces = Vec::new();
        let mut names = &self.names[..];
        for batch in self.added.batches() {
            let (columns, rows) = batch?;
            let (of_batch, rest) = names.split_at(rows);
            let first = self.names.len() - names.len();
            let mut columns = columns;
            columns.extend(self.beside.iter().map(|beside| beside.slice(first, rows)));
            pieces.push(rows_of(schema, of_batch, columns, None)?);
            names = rest;
        }
        for names in self.removed.chunks(PIECE) {
            let fields = schema.fields().iter().skip(1);
            let nulls = fields.map(|field| new_null_array(field.data_type(), names.len())).collect();
            pieces.push(rows_of(schema, names, nulls, Some(BooleanArray::from(vec![true; names.len()])))?);
        }
        Ok(pieces)
    }
}

impl Beside {
    fn columns(self, rows: usize) -> [ArrayRef; 2] {
        let stamps = match self.stamps.len() == rows {
            true => TimestampMillisecondArray::from(self.stamps),
            false => TimestampMillisecondArray::new_null(rows),
        };
        let matches = match self.matches.len() == rows {
            true => Int64Array::from_iter_values(self.matches.iter().map(|matches| i64::from(*matches))),
            false => Int64Array::new_null(rows),
        };
        [Arc::new(stamps), Arc::new(matches)]
    }
}

fn rows_of(
    schema: &SchemaRef,
    names: &[Name],
    columns: Vec<ArrayRef>,
    deleted: Option<BooleanArray>,
) -> Result<StateRows> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(names.iter().map(|name| name.1)));
    let columns = std::iter::once(numbers).chain(columns).collect();
    let hashes = UInt64Array::from_iter_values(names.iter().map(|name| name.0));
    Ok(StateRows { rows: with_schema(schema, columns, names.len())?, hashes, deleted })
}
