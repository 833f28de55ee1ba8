//! Makes changes that replace rows by key of changes that take rows back: where a marker passes, of each key that has changed either
//! the row that there is now, or that there is none any more.
//!
//! Where a marker passes a key has one row at most, but on the way there what is taken back and what is added may come in any order, from
//! several subtasks: the new row of a key before the old one is taken back. Only all changes together say what is left.
//!
//! - batch: is kept.
//! - watermark: nothing, but at the end of time: what is owed comes out in front of it.
//! - marker: of each key, rows that were added and taken back go against each other; what is left comes out. Nothing is kept over it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Int8Array, UInt32Array};
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, ChangelogKind, Collector, EventTime, Operator, Result, UpsertRowsSpec};

use crate::batches::{approximate_bytes, with_schema};
use crate::top_n::{Columns, Encoded};

/// Rows of a batch that is emitted.
const BATCH: usize = 8192;

/// The operator.
pub(crate) struct UpsertRows {
    key: Vec<usize>,
    keys: Columns,
    all: Columns,
    output: SchemaRef,
    /// Since the last marker.
    changes: Vec<Batch>,
    bytes: usize,
}

impl UpsertRows {
    /// # Errors
    /// A user error if rows of such columns cannot be told apart.
    pub(crate) fn new(spec: &UpsertRowsSpec, input: &SchemaRef, output: &SchemaRef) -> Result<Self> {
        let UpsertRowsSpec { key } = spec;
        // A sink tells -0.0 and 0.0 apart, so they are two here.
        let columns = |columns: Vec<usize>| {
            let options = vec![SortOptions::default(); columns.len()];
            Columns::new(columns, options, input, false)
        };
        let (keys, all) = (columns(key.clone())?, columns((0..input.fields().len()).collect())?);
        Ok(Self { key: key.clone(), keys, all, output: output.clone(), changes: Vec::new(), bytes: 0 })
    }

    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        self.bytes = 0;
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let changes = Batch::concat(&changes)?;
        let (keys, all) = (self.keys.encode(changes.records())?, self.all.encode(changes.records())?);
        let left = left(&changes, &keys, &all);
        for left in left.chunks(BATCH) {
            let rows = changes.take(&left.iter().map(|(row, _)| *row).collect::<UInt32Array>())?;
            let weights = left.iter().map(|(_, weight)| Some(*weight)).collect::<Int8Array>();
            let rows = with_schema(&self.output, rows.records().columns().to_vec(), left.len())?;
            out.emit(Batch::weighted(rows, weights)?);
        }
        Ok(())
    }
}

/// The last row of each key that has changed, and `1`, or `-1` if the key has none any more; in the order in which they came.
fn left(changes: &Batch, keys: &Encoded, all: &Encoded) -> Vec<(u32, i8)> {
    let weight = |row: usize| changes.weights().map_or(1, |weights| weights.value(row));
    // Of each row the last place, and how often it was added and not taken back.
    let mut rows: HashMap<&[u8], (usize, i64)> = HashMap::new();
    for row in 0..changes.num_rows() {
        let (last, count) = rows.entry(all.row(row)).or_insert((row, 0));
        *last = row;
        *count += i64::from(weight(row));
    }
    let mut left: HashMap<&[u8], (usize, i8)> = HashMap::new();
    for (row, count) in rows.into_values().filter(|(_, count)| *count != 0) {
        let change = (row, if count > 0 { 1 } else { -1 });
        match left.entry(keys.row(row)) {
            Entry::Vacant(none) => drop(none.insert(change)),
            // A row that was added counts, whatever was taken back. Where a key has two all the same, which nobody promised
            // rightly, it is the greater one, so that nothing depends on the order.
            Entry::Occupied(mut other) => {
                let (known, weight) = *other.get();
                if (change.1, all.row(row)) > (weight, all.row(known)) {
                    other.insert(change);
                }
            }
        }
    }
    let mut left: Vec<(u32, i8)> = left.into_values().map(|(row, weight)| (row as u32, weight)).collect();
    left.sort_unstable();
    left
}

impl Operator for UpsertRows {
    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        !matches!(stream, ChangelogKind::Upsert(_))
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.key)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        self.bytes += approximate_bytes(batch.records());
        self.changes.push(batch);
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if time == EventTime::MAX {
            self.emit(out)?;
        }
        Ok(Some(time))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        self.emit(out)
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use weir_core::{NodeSpec, OperatorSpec};

    use super::*;
    use crate::testing::{check, node, schema};

    fn upserts(key: &[usize], script: &str) {
        let rows = schema("k BIGINT, v STRING");
        let spec = node(OperatorSpec::UpsertRows(UpsertRowsSpec { key: key.to_vec() }), &rows);
        let spec = NodeSpec { changelog: ChangelogKind::Upsert(key.to_vec()), ..spec };
        check(&spec, std::slice::from_ref(&rows), script);
    }

    #[test]
    fn what_is_left_of_a_key_comes_out_whatever_the_order_of_its_changes() {
        upserts(
            &[0],
            "in> 1 | a
             in> 2 | a
             in> 3 | a
             out> 1 | a
             out> 2 | a
             out> 3 | a
             marker
             in- 1 | a
             in> 1 | b
             in> 2 | b
             in- 2 | a
             in- 3 | a
             out> 1 | b
             out> 2 | b
             out- 3 | a
             marker
             in> 3 | x
             in- 3 | x
             in- 1 | b
             in> 1 | b
             in> 2 | c
             in> 2 | d
             in- 2 | b
             in- 2 | c
             out> 2 | d
             marker
             in- 2 | d
             out- 2 | d
             end",
        );
    }

    #[test]
    fn a_result_without_a_key_has_one_row() {
        upserts(
            &[],
            "in> 1 | a
             out> 1 | a
             marker
             in> 1 | b
             in- 1 | a
             out> 1 | b
             marker
             end",
        );
    }
}
