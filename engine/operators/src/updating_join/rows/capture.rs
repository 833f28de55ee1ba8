//! What changed of a side, as rows of its state table: number, then the columns of the row, when it was touched last, and how many matches it
//! has, as far as these are kept.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, TimestampMillisecondArray, UInt64Array, new_null_array};
use arrow::datatypes::SchemaRef;
use weir_core::{Result, StateRows};

use super::Name;
use super::slots::Then;
use crate::batches::with_schema;
use crate::row_blocks::{Picked, Recent, Slot};
use crate::time_to_live::Stamps;

/// So many rows that are gone are told of at a time.
const PIECE: usize = 8192;

/// Rows added, changed and taken out between two captures. Nothing was done for a row when it was captured: what is known of all rows is shared
/// with the operator.
pub(in super::super) struct Changed {
    pub(super) recent: Recent,
    /// Which of the rows in recent blocks no checkpoint holds: those of this capture.
    pub(super) capture: u32,
    /// Rows that a checkpoint holds otherwise.
    pub(super) again: Picked,
    pub(super) again_slots: Vec<Slot>,
    pub(super) then: Then,
    /// When rows were touched last, where that is known of any.
    pub(super) stamps: Option<Stamps>,
    pub(super) removed: Vec<Name>,
}

impl Changed {
    /// As rows of the table with this schema.
    ///
    /// # Errors
    /// None that rows of the schema can cause.
    pub(in super::super) fn rows(&self, schema: &SchemaRef) -> Result<Vec<StateRows>> {
        let mut pieces = Vec::new();
        for (columns, slots) in self.recent.rows(|slot| *self.then.captures.get(slot) == self.capture)? {
            pieces.push(self.piece(schema, columns, &slots)?);
        }
        let mut again = &self.again_slots[..];
        for batch in self.again.batches() {
            let (columns, rows) = batch?;
            let (slots, rest) = again.split_at(rows);
            again = rest;
            pieces.push(self.piece(schema, columns, slots)?);
        }
        pieces.extend(gone(schema, &self.removed)?);
        Ok(pieces)
    }

    fn piece(&self, schema: &SchemaRef, mut columns: Vec<ArrayRef>, slots: &[Slot]) -> Result<StateRows> {
        let names: Vec<Name> =
            slots.iter().map(|slot| (*self.then.hashes.get(*slot), *self.then.numbers.get(*slot))).collect();
        columns.push(Arc::new(match &self.stamps {
            Some(stamps) => slots.iter().map(|slot| stamps.of(*slot)).collect::<TimestampMillisecondArray>(),
            None => TimestampMillisecondArray::new_null(slots.len()),
        }));
        columns.push(Arc::new(match &self.then.matches {
            Some(matches) => Int64Array::from_iter_values(slots.iter().map(|slot| i64::from(*matches.get(*slot)))),
            None => Int64Array::new_null(slots.len()),
        }));
        rows_of(schema, &names, columns, None)
    }
}

/// Rows added, changed and taken out, named one by one.
pub(crate) struct Captured {
    added: Picked,
    names: Vec<Name>,
    /// When each was touched last.
    stamps: ArrayRef,
    removed: Vec<Name>,
}

impl Captured {
    pub(crate) fn new(added: Picked, names: Vec<Name>, stamps: Vec<Option<i64>>, removed: Vec<Name>) -> Self {
        Self { added, names, stamps: Arc::new(TimestampMillisecondArray::from(stamps)), removed }
    }

    /// As rows of the table with this schema.
    pub(crate) fn rows(&self, schema: &SchemaRef) -> Result<Vec<StateRows>> {
        let mut pieces = Vec::new();
        let mut names = &self.names[..];
        for batch in self.added.batches() {
            let (mut columns, rows) = batch?;
            let (of_batch, rest) = names.split_at(rows);
            columns.push(self.stamps.slice(self.names.len() - names.len(), rows));
            pieces.push(rows_of(schema, of_batch, columns, None)?);
            names = rest;
        }
        pieces.extend(gone(schema, &self.removed)?);
        Ok(pieces)
    }
}

/// That these rows are gone.
fn gone(schema: &SchemaRef, names: &[Name]) -> Result<Vec<StateRows>> {
    let piece = |names: &[Name]| {
        let fields = schema.fields().iter().skip(1);
        let nulls = fields.map(|field| new_null_array(field.data_type(), names.len())).collect();
        rows_of(schema, names, nulls, Some(BooleanArray::from(vec![true; names.len()])))
    };
    names.chunks(PIECE).map(piece).collect()
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
