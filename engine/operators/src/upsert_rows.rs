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
    retracts: bool,
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
        let UpsertRowsSpec { key, retracts } = spec;
        // A sink tells -0.0 and 0.0 apart, so they are two here.
        let columns = |columns: Vec<usize>| {
            let options = vec![SortOptions::default(); columns.len()];
            Columns::new(columns, options, input, false)
        };
        let (keys, all) = (columns(key.clone())?, columns((0..input.fields().len()).collect())?);
        let retracts = *retracts;
        Ok(Self { key: key.clone(), retracts, keys, all, output: output.clone(), changes: Vec::new(), bytes: 0 })
    }

    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        self.bytes = 0;
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        let changes = Batch::concat(&changes)?;
        let (keys, all) = (self.keys.encode(changes.records())?, self.all.encode(changes.records())?);
        let left = if self.retracts { both(&changes, &keys, &all) } else { left(&changes, &keys, &all) };
        for left in left.chunks(BATCH) {
            let rows = changes.take(&left.iter().map(|(row, _)| *row).collect::<UInt32Array>())?;
            let weights = left.iter().map(|(_, weight)| Some(*weight)).collect::<Int8Array>();
            let rows = with_schema(&self.output, rows.records().columns().to_vec(), left.len())?;
            out.emit(Batch::weighted(rows, weights)?);
        }
        Ok(())
    }
}

/// Of each key the row that was there, which is taken back, and the one that is there, if they are not the same: all that go in front of all that come,
/// each in the order in which they came.
fn both(changes: &Batch, keys: &Encoded, all: &Encoded) -> Vec<(u32, i8)> {
    let mut gone = Vec::new();
    let mut there: HashMap<&[u8], usize> = HashMap::new();
    for (row, count) in net(changes, all) {
        if count < 0 {
            gone.push((row as u32, -1));
            continue;
        }
        // A key has one row; if two were promised to be one, it is the greater one, as for those that are replaced.
        let known = there.entry(keys.row(row)).or_insert(row);
        if all.row(row) > all.row(*known) {
            *known = row;
        }
    }
    gone.sort_unstable();
    let mut there: Vec<(u32, i8)> = there.into_values().map(|row| (row as u32, 1)).collect();
    there.sort_unstable();
    gone.extend(there);
    gone
}

/// Of each row that was added more often than it was taken back, or less, the last place, and by how much.
fn net<'a>(changes: &Batch, all: &'a Encoded) -> impl Iterator<Item = (usize, i64)> + use<'a> {
    let weight = |row: usize| changes.weights().map_or(1, |weights| weights.value(row));
    let mut rows: HashMap<&'a [u8], (usize, i64)> = HashMap::new();
    for row in 0..changes.num_rows() {
        let (last, count) = rows.entry(all.row(row)).or_insert((row, 0));
        *last = row;
        *count += i64::from(weight(row));
    }
    rows.into_values().filter(|(_, count)| *count != 0)
}

/// The last row of each key that has changed, and `1`, or `-1` if the key has none any more; in the order in which they came.
fn left(changes: &Batch, keys: &Encoded, all: &Encoded) -> Vec<(u32, i8)> {
    let mut left: HashMap<&[u8], (usize, i8)> = HashMap::new();
    for (row, count) in net(changes, all) {
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

    #[test]
    fn where_rows_are_taken_back_all_that_are_gone_come_before_all_that_are_there() {
        let rows = schema("k BIGINT, v STRING");
        let spec = UpsertRowsSpec { key: vec![0], retracts: true };
        let mut operator = UpsertRows::new(&spec, &rows, &rows).unwrap();
        let mut out = weir_core::Collector::new(0);
        let changes =
            crate::testing::rows(&rows, &["1 | new", "2 | gone", "1 | old", "3 | same", "3 | same", "2 | was"]);
        let weights = Int8Array::from(vec![1, 1, -1, -1, 1, -1]);
        operator.process(0, Batch::weighted(changes, weights).unwrap(), &mut out).unwrap();
        operator.flush(&mut out).unwrap();
        let mut shown = Vec::new();
        for (_, batch) in out.take() {
            let (keys, values) = (batch.records().column(0), batch.records().column(1));
            let cell = |column, row| arrow::util::display::array_value_to_string(column, row).unwrap();
            let line =
                |row| format!("{} {} {}", batch.weights().unwrap().value(row), cell(keys, row), cell(values, row));
            shown.extend((0..batch.num_rows()).map(line));
        }
        assert_eq!(shown, ["-1 1 old", "-1 2 was", "1 1 new", "1 2 gone"]);
    }

    fn upserts(key: &[usize], script: &str) {
        let rows = schema("k BIGINT, v STRING");
        let spec = node(OperatorSpec::UpsertRows(UpsertRowsSpec { key: key.to_vec(), retracts: false }), &rows);
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
