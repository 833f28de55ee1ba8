//! Rows that the watermark has passed: their calls are computed, a column at a time, and they are emitted.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use weir_core::{Collector, OverFunction, Result};

use super::Over;
use super::call::{Call, Values};
use super::partition::Partition;
use super::tally::{Outcome, Value};
use crate::batches::with_schema;
use crate::kept_row::Row;

impl Over {
    /// Passes rows, which are in the order of their time; all rows of a partition and a time are among them. `ahead`: rows that follow them.
    /// Without a collector they have been emitted before.
    pub(super) fn step(
        &mut self,
        rows: Vec<Arc<Row>>,
        ahead: Vec<Arc<Row>>,
        out: Option<&mut Collector>,
    ) -> Result<()> {
        let Some(last) = rows.last() else { return Ok(()) };
        let last = last.time;
        let columns = self.all.decode(rows.iter().chain(&ahead).map(|row| &row.value))?;
        let records = with_schema(&self.input, columns, rows.len() + ahead.len())?;
        let mut results = Vec::with_capacity(self.calls.len());
        for (index, call) in self.calls.iter().enumerate() {
            let values = call.values(&records)?;
            let outcomes = match call.function {
                OverFunction::Lead(distance) => following(&rows, &ahead, &values, distance),
                _ => passed(&rows, &mut self.partitions, (index, call), &values, out.is_some()),
            };
            if out.is_some() {
                results.push(call.column(outcomes, &records)?);
            }
        }
        if let Some(out) = out {
            out.emit(self.emitted(&records.slice(0, rows.len()), results)?.into());
        }
        let mut slots: Vec<u32> = Vec::with_capacity(rows.len());
        for row in rows {
            slots.push(row.slot);
            let partition = &mut self.partitions[row.slot as usize];
            if self.tables.has_totals() && row.time > partition.folded {
                partition.folded = row.time;
                if !std::mem::replace(&mut partition.is_changed, true) {
                    self.changed.push(row.slot);
                }
            }
            partition.passed.push_back(row);
        }
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            let gone = self.partitions[slot as usize].trim(&self.reach, last);
            self.bytes = self.bytes.saturating_sub(gone);
            self.note(slot, last);
            self.forget_if_empty(slot);
        }
        Ok(())
    }

    fn emitted(&self, records: &RecordBatch, results: Vec<ArrayRef>) -> Result<RecordBatch> {
        let columns = records.columns().iter().cloned().chain(results).collect();
        with_schema(&self.output, columns, records.num_rows())
    }
}

/// Rows of the same time, one time after the other.
fn times(rows: &[Arc<Row>]) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    rows.chunk_by(|a, b| a.time == b.time).map(move |same| {
        let range = first..first + same.len();
        first = range.end;
        range
    })
}

/// Pushes the rows into their partitions' tallies of a call, and says what comes of each if that is `wanted`.
fn passed(
    rows: &[Arc<Row>],
    partitions: &mut [Partition],
    (index, call): (usize, &Call),
    values: &Values,
    wanted: bool,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(if wanted { rows.len() } else { 0 });
    let is_unbounded = call.is_unbounded();
    let push = |row: usize, partitions: &mut [Partition]| {
        let (time, partition) = (rows[row].time, &mut partitions[rows[row].slot as usize]);
        // What was loaded with the totals is in them.
        if !is_unbounded || time > partition.folded {
            partition.tallies[index].push(time, values.value(row));
        }
    };
    let outcome =
        |row: usize, partitions: &mut [Partition]| partitions[rows[row].slot as usize].tallies[index].outcome();
    if call.goes_by_time() {
        for same_time in times(rows) {
            same_time.clone().for_each(|row| push(row, partitions));
            if wanted {
                outcomes.extend(same_time.map(|row| outcome(row, partitions)));
            }
        }
    } else {
        for row in 0..rows.len() {
            push(row, partitions);
            if wanted {
                outcomes.push(outcome(row, partitions));
            }
        }
    }
    outcomes
}

/// The values of the rows that are so many behind each.
fn following(rows: &[Arc<Row>], ahead: &[Arc<Row>], values: &Values, distance: u64) -> Vec<Outcome> {
    let mut of_partition: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut number = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().chain(ahead).enumerate() {
        let places = of_partition.entry(row.slot).or_default();
        number.push(places.len());
        places.push(index);
    }
    let distance = usize::try_from(distance).unwrap_or(usize::MAX);
    let value = |(row, number): (&Arc<Row>, &usize)| {
        let place = of_partition.get(&row.slot)?.get(number.checked_add(distance)?)?;
        match values.value(*place) {
            Value::Bytes(value) => Some(Outcome::Bytes(value)),
            _ => None,
        }
    };
    rows.iter().zip(&number).map(|row| value(row).unwrap_or(Outcome::Null)).collect()
}
