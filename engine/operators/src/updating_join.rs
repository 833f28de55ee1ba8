//! Joins all rows of two sides that there are: what is added to one is joined with what the other has, and what is taken back
//! takes its results back. Rows of a side may have a time to live: then they are forgotten at a marker, and nothing is said of it.
//!
//! - batch: its rows act one after the other, while the other side stays as it is. Each is joined with the rows of the other
//!   side. A row that is the first match of another takes the other's null-padded row back before the two come out side by side; when
//!   the last match has been taken back, the padded row comes again. A semi or anti join shows a row of the side that it names when
//!   that gets its first match or loses the last one. Then the batch's own side gets the rows that are added, and loses those
//!   that are taken back: of several equal rows any one, since equal rows have equal matches.
//! - watermark: nothing; it goes on.
//! - marker: rows that came too long ago go. Then rows added and rows gone since the last one. How many matches a row has is not stored
//!   where all rows stay. Of a key hash, all rows of both sides are loaded or none, and the right ones behind the left ones, so
//!   matches are counted again as the right ones come.
//! - end: nothing.
//!
//! A row that is taken back when it has been forgotten is passed over: what was shown of it stays.
//!
//! A row with a null in its key matches nothing, and is not kept: an outer or anti join shows it by itself.
//!
//! The rows of one side may be in every subtask, and those of the other, which are only added then and never forgotten, in any: each meets all that
//! it can meet where it is. One subtask stores the former; the latter have no names in the state, and are loaded anywhere.

mod changes;
mod forgotten;
mod rows;

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int8Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{filter, not, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, UInt64Type};
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, CapturedRows, ChangelogKind, Collector, Error, EventTime, HashRange, JoinSpec, OpenContext,
    Operator, Result, TableSchema, state_column,
};
use weir_functions::Functions;

use self::changes::{Changes, weighted};
use self::rows::{Added, Rows, Slot, Stored};
pub(crate) use self::rows::{Captured, Name};
use crate::batches::{check_stored, event_times, stored_fields, with_schema};
use crate::join::{JoinShape, LEFT, RIGHT};
use crate::time_to_live::TimeToLive;

/// So many candidates are gathered at a time.
const CANDIDATES: usize = 8192;

/// Id of the state's column that says when a row was touched last.
const STAMP: u32 = 100_001;
/// Id of the state's column with the number of a row's matches.
const MATCHES: u32 = 100_002;

/// The regular join.
pub(crate) struct UpdatingJoin {
    shape: JoinShape,
    range: HashRange,
    /// Of both sides. Checkpointed.
    rows: [Rows; 2],
}

/// Rows of a batch beside rows of the other side that match them, in the order of the batch.
#[derive(Default)]
struct Matches {
    own: Vec<u32>,
    other: Vec<Slot>,
}

impl UpdatingJoin {
    pub(crate) fn new(
        spec: &JoinSpec,
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        let shape = JoinShape::new(spec.join_type, (&spec.on, spec.residual.as_ref()), inputs, output, functions)?
            .spread(&spec.spread)?;
        if shape.broadcast().is_some() && spec.time_to_live != (None, None) {
            return Err(Error::internal("rows are to be forgotten of a join whose subtasks may not agree on the time"));
        }
        let counts = shape.tracks(LEFT) || shape.tracks(RIGHT);
        let rows = |side: usize| {
            let length = if side == LEFT { spec.time_to_live.0 } else { spec.time_to_live.1 };
            // A row that is forgotten on one side is still counted on the other.
            let either = spec.time_to_live.0.is_some() || spec.time_to_live.1.is_some();
            Rows::new(inputs[side], TimeToLive::new(length), counts && either)
        };
        Ok(Self { rows: [rows(LEFT), rows(RIGHT)], shape, range: HashRange::ALL })
    }

    /// Whether rows of a side may be in any subtask, because those of the other are in all.
    fn is_anywhere(&self, side: usize) -> bool {
        self.shape.broadcast() == Some(1 - side)
    }

    /// Whether it matters of any row how many others match it.
    fn counts_matches(&self) -> bool {
        self.shape.tracks(LEFT) || self.shape.tracks(RIGHT)
    }

    /// Sorts out the rows that have a null in their key.
    fn sift(&self, side: usize, batch: Batch, out: &mut Collector) -> Result<(Batch, UInt64Array)> {
        let keys = self.shape.keys(side, batch.records())?;
        let Some(valid) = keys.valid else { return Ok((batch, keys.hashes)) };
        let has_key = BooleanArray::new(valid.into_inner(), None);
        if self.shape.keeps_unmatched(side) {
            let (records, weights) = batch.clone().filter(&not(&has_key)?)?.into_parts();
            let records = self.shape.alone(side, &records)?;
            let weights = weights.map_or_else(|| vec![1; records.num_rows()], |weights| weights.values().to_vec());
            out.emit(weighted(records, &weights)?);
        }
        let hashes = filter(&keys.hashes, &has_key)?.as_primitive().clone();
        Ok((batch.filter(&has_key)?, hashes))
    }

    /// Hands the matches of rows of `side` to `found`, at most so many at a time as are gathered at once: rows of the batch and of the other side
    /// that may match, both gathered, and which of them do.
    fn each_match(
        &self,
        side: usize,
        records: &RecordBatch,
        hashes: &[u64],
        mut found: impl FnMut(&Matches, [&RecordBatch; 2], Option<&BooleanArray>) -> Result<()>,
    ) -> Result<()> {
        let rows = &self.rows[1 - side];
        if rows.is_empty() {
            return Ok(());
        }
        let mut candidates = Matches::default();
        let mut resolve = |candidates: &mut Matches| -> Result<()> {
            if candidates.own.is_empty() {
                return Ok(());
            }
            let own = take_record_batch(records, &UInt32Array::from(candidates.own.clone()))?;
            let other = rows.gather(&candidates.other)?;
            let pair = if side == LEFT { [&own, &other] } else { [&other, &own] };
            let mask = self.shape.matching(pair[LEFT], pair[RIGHT])?;
            found(candidates, pair, mask.as_ref())?;
            candidates.own.clear();
            candidates.other.clear();
            Ok(())
        };
        for (row, hash) in (0_u32..).zip(hashes) {
            rows.candidates(*hash, &mut |slot| {
                candidates.own.push(row);
                candidates.other.push(slot);
                if candidates.own.len() == CANDIDATES { resolve(&mut candidates) } else { Ok(()) }
            })?;
        }
        resolve(&mut candidates)
    }

    /// All matches of rows of `side`.
    fn matches(&self, side: usize, records: &RecordBatch, hashes: &[u64]) -> Result<Matches> {
        let mut all = Matches::default();
        self.each_match(side, records, hashes, |candidates, _, mask| {
            let matching = |index: &usize| mask.is_none_or(|mask| mask.value(*index));
            let indices = (0..candidates.own.len()).filter(matching);
            for index in indices {
                all.own.push(candidates.own[index]);
                all.other.push(candidates.other[index]);
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Emits the pairs that rows of an inner join make: nobody asks how many there are of each.
    fn emit_pairs(&self, side: usize, batch: &Batch, hashes: &[u64], out: &mut Collector) -> Result<()> {
        self.each_match(side, batch.records(), hashes, |candidates, [left, right], mask| {
            let records = self.shape.pairs(left, right, mask)?;
            let Some(weights) = batch.weights().filter(|_| records.num_rows() > 0) else {
                out.emit(records.into());
                return Ok(());
            };
            let matching = |index: &usize| mask.is_none_or(|mask| mask.value(*index));
            let matching = (0..candidates.own.len()).filter(matching);
            let weights: Vec<i8> = matching.map(|index| weights.value(candidates.own[index] as usize)).collect();
            out.emit(weighted(records, &weights)?);
            Ok(())
        })
    }

    /// Emits what rows of `side` change, and returns how many matches each has.
    fn emit_changes(
        &mut self,
        side: usize,
        batch: &Batch,
        (hashes, had): (&[u64], Option<&[u32]>),
        out: &mut Collector,
    ) -> Result<Vec<u32>> {
        let found = self.matches(side, batch.records(), hashes)?;
        let (shape, other) = (&self.shape, &mut self.rows[1 - side]);
        let (alone_unmatched, alone_matched) = (shape.keeps_unmatched(side), shape.keeps_matched(side));
        let (padded, named) = (shape.keeps_unmatched(1 - side), shape.keeps_matched(1 - side));
        let (counts, pairs) = (padded || named, shape.emits_pairs());
        let mut changes = Changes::default();
        let mut matches = vec![0; batch.num_rows()];
        let mut next = 0;
        for (row, matches) in (0_u32..).zip(&mut matches) {
            let weight = batch.weights().map_or(1, |weights| weights.value(row as usize));
            let first = next;
            while found.own.get(next) == Some(&row) {
                let slot = found.other[next];
                next += 1;
                if weight > 0 {
                    if counts && other.matched(slot)? {
                        alone(&mut changes, slot, padded, -1, named, 1);
                    }
                    if pairs {
                        changes.add(Some(row), Some(slot), 1);
                    }
                } else {
                    if pairs {
                        changes.add(Some(row), Some(slot), -1);
                    }
                    if counts && other.unmatched(slot)? {
                        alone(&mut changes, slot, padded, 1, named, -1);
                    }
                }
            }
            *matches = (next - first) as u32;
            let has_matches = had.map_or(next > first, |had| had[row as usize] > 0);
            let shows = if has_matches { alone_matched } else { alone_unmatched };
            if shows {
                changes.add(Some(row), None, weight);
            }
        }
        changes.emit(shape, side, batch.records(), other, out)?;
        Ok(matches)
    }

    /// Emits what rows of `side` change, and returns how many matches each has, if that counts. `had` is how many matches rows that are taken
    /// back have had, where some of these may have been forgotten.
    fn emit(
        &mut self,
        side: usize,
        batch: &Batch,
        (hashes, had): (&UInt64Array, Option<&[u32]>),
        out: &mut Collector,
    ) -> Result<Vec<u32>> {
        if self.counts_matches() {
            return self.emit_changes(side, batch, (hashes.values(), had), out);
        }
        self.emit_pairs(side, batch, hashes.values(), out)?;
        Ok(Vec::new())
    }

    /// Puts the rows of a batch into their side, and takes those out that are taken back. One may be in the batch with both
    /// weights.
    fn keep(&mut self, side: usize, batch: &Batch, hashes: &UInt64Array, matches: &[u32]) -> Result<()> {
        let rows = &mut self.rows[side];
        let Some(weights) = batch.weights() else {
            return rows.add(&Added { records: batch.records(), hashes: hashes.values(), matches });
        };
        let added = signs(weights, |weight| weight > 0);
        let records = batch.clone().filter(&added)?.into_parts().0;
        let own = filter(hashes, &added)?;
        let counted = matches.iter().zip(weights.values()).filter(|(_, weight)| **weight > 0);
        let counted: Vec<u32> = counted.map(|(matches, _)| *matches).collect();
        rows.add(&Added { records: &records, hashes: own.as_primitive::<UInt64Type>().values(), matches: &counted })?;
        let removed = signs(weights, |weight| weight < 0);
        let records = batch.clone().filter(&removed)?.into_parts().0;
        rows.remove(&records, filter(hashes, &removed)?.as_primitive::<UInt64Type>().values()).map(drop)
    }

    /// Schema of a side's rows in the state: what names a row beside its key hash comes first.
    fn rows_schema(&self, side: usize) -> SchemaRef {
        let number = Field::new("row$number", DataType::Int64, false);
        let columns = stored_fields(self.shape.schema(side).fields());
        let schema = Schema::new(std::iter::once(number).chain(columns).collect::<Vec<_>>());
        let stamp = Field::new("row$touched", DataType::Timestamp(TimeUnit::Millisecond, None), true);
        let matches = Field::new("row$matches", DataType::Int64, true);
        let behind = [(stamp, STAMP), (matches, MATCHES)];
        let behind = behind.map(|(field, id)| Arc::new(state_column::with_id(field, id)));
        let columns = state_column::numbered_schema(&schema);
        Arc::new(Schema::new(columns.fields().iter().cloned().chain(behind).collect::<Vec<_>>()))
    }
}

/// A row of the other side has its first match, or has lost the last one: how its padded row changes, if there is one, and how the
/// row itself if it shows while it is matched.
fn alone(changes: &mut Changes, slot: Slot, padded: bool, padding: i8, named: bool, showing: i8) {
    if padded {
        changes.add(None, Some(slot), padding);
    }
    if named {
        changes.add(None, Some(slot), showing);
    }
}

fn signs(weights: &Int8Array, sign: impl Fn(i8) -> bool) -> BooleanArray {
    weights.values().iter().map(|weight| Some(sign(*weight))).collect()
}

impl Operator for UpdatingJoin {
    fn tables(&self) -> Vec<TableSchema> {
        let table = |name: &str, side: usize| TableSchema {
            name: name.to_owned(),
            version: 1,
            schema: self.rows_schema(side),
            key_columns: if self.is_anywhere(side) { 0 } else { 1 },
            time_column: Some(self.shape.schema(side).fields().len() + 1),
            distribution: self.shape.distribution(side),
        };
        vec![table("left", LEFT), table("right", RIGHT)]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.range = context.range;
        self.rows.iter_mut().for_each(|rows| rows.life().open(context));
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, hashes: &UInt64Array) -> Result<()> {
        let width = self.shape.schema(table).fields().len();
        check_stored(self.shape.schema(table).fields(), &rows.columns()[1..])?;
        let records = with_schema(self.shape.schema(table), rows.columns()[1..=width].to_vec(), rows.num_rows())?;
        let numbers = rows.column(0).as_primitive::<Int64Type>().values();
        let stamps = event_times(rows.column(width + 1))?;
        let counted = rows.column(width + 2).as_primitive::<Int64Type>();
        // What rows are spread by in the state is another hash where they are found by none.
        let keys = match self.shape.broadcast() {
            Some(_) => Some(self.shape.keys(table, &records)?.hashes),
            None => None,
        };
        let hashes = keys.as_ref().unwrap_or(hashes);
        let mut matches = Vec::new();
        if self.counts_matches() {
            matches.extend(counted.iter().map(|count| count.map_or(0, |count| count as u32)));
            if table == RIGHT {
                let found = self.matches(RIGHT, &records, hashes.values())?;
                for (row, slot) in found.own.into_iter().zip(found.other) {
                    if counted.is_null(row as usize) {
                        matches[row as usize] += 1;
                    }
                    self.rows[LEFT].matched_before(slot);
                }
            }
        }
        let loaded = Added { records: &records, hashes: hashes.values(), matches: &matches };
        self.rows[table].load(&loaded, Stored { numbers, counted, stamps })
    }

    fn expired(&self, table: usize, _watermark: EventTime) -> Option<EventTime> {
        self.rows[table].expired()
    }

    /// All rows stay.
    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.rows.iter_mut().try_for_each(|rows| rows.evict(leaves))?;
        Ok(vec![EventTime::MAX; 2])
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        self.shape.spread_columns(ordinal)
    }

    fn takes(&self, ordinal: usize, stream: &ChangelogKind) -> bool {
        match self.is_anywhere(ordinal) {
            true => *stream == ChangelogKind::Append,
            false => !matches!(stream, ChangelogKind::Upsert(_)),
        }
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let (batch, hashes) = self.sift(ordinal, batch, out)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if batch.weights().is_some() && self.rows.iter().any(Rows::forgets) {
            return self.process_some(ordinal, &batch, &hashes, out);
        }
        let matches = self.emit(ordinal, &batch, (&hashes, None), out)?;
        self.keep(ordinal, &batch, &hashes, &matches)
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        self.rows.iter_mut().for_each(|rows| rows.life().watermark(time));
        Ok(Some(time))
    }

    fn flush(&mut self, _out: &mut Collector) -> Result<()> {
        self.rows.iter_mut().try_for_each(Rows::expire)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let mut captures = Vec::new();
        for side in [LEFT, RIGHT] {
            let (captured, schema) = (self.rows[side].capture(), self.rows_schema(side));
            if !self.shape.answers_for(side, self.range) {
                captures.push(Capture::unchanged(None));
                continue;
            }
            let columns = self.is_anywhere(side).then(|| 1..=self.shape.schema(side).fields().len());
            let rows: CapturedRows = Box::new(move || {
                let mut pieces = captured.rows(&schema)?;
                // Rows that any subtask may have are spread by all that they are.
                for piece in pieces.iter_mut().filter(|_| columns.is_some()) {
                    let columns = columns.clone().into_iter().flatten();
                    let columns: Vec<_> = columns.map(|column| piece.rows.column(column).clone()).collect();
                    let mut hashes = Vec::new();
                    hash_rows(&columns, piece.rows.num_rows(), &mut hashes)?;
                    piece.hashes = hashes.into();
                }
                Ok(pieces)
            });
            captures.push(Capture { rows, expired: self.rows[side].expired() });
        }
        Ok(captures)
    }

    fn state_bytes(&self) -> usize {
        self.rows.iter().map(Rows::bytes).sum()
    }
}

#[cfg(test)]
mod tests;
