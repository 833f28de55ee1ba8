//! Aggregates over frames.

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat, take};
use weir_core::Result;

use super::super::call::Call;
use super::super::tally::Outcome;
use super::compute::Segment;
use super::frame::Bounds;
use crate::aggregate::{Accumulator, AggregatedRows, Picked};

/// So many rows of frames are taken in at a time, give or take a frame.
const PIECE: usize = 1 << 16;

/// What a call with a tally comes to for each row: a frame takes rows in at its end and lets go of them at its beginning.
pub(super) fn tallied(call: &Call, index: usize, segments: &[Segment], records: &RecordBatch) -> Result<Vec<Outcome>> {
    let values = call.values(records)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for segment in segments {
        let mut tally = call.tally();
        let bounds = &segment.bounds[index];
        let mut next = bounds.first().map_or(0, |bounds| bounds.start);
        let mut last: Option<&Bounds> = None;
        for bounds in bounds {
            if last == Some(bounds) {
                outcomes.extend(outcomes.last().cloned());
                continue;
            }
            if !call.is_unbounded() {
                next = next.max(bounds.start);
            }
            while next < bounds.end {
                tally.take(next as i64, 0, values.value(segment.in_context(next)));
                next += 1;
            }
            if !call.is_unbounded() {
                tally.leave(bounds.start as i64);
            }
            outcomes.push(tally.outcome());
            last = Some(bounds);
        }
    }
    Ok(outcomes)
}

/// What an aggregate comes to for each row. Each frame is a group, which gets its rows at once: what comes out must not depend on other
/// frames, to the last digit. A piece of the frames is held at a time.
pub(super) fn grouped(
    aggregate: &dyn Accumulator,
    index: usize,
    segments: &[Segment],
    records: &RecordBatch,
) -> Result<ArrayRef> {
    let mut frames = Frames { aggregate: aggregate.fresh(), slots: Vec::new(), rows: Vec::new(), groups: 0 };
    let (mut results, mut places) = (Vec::new(), Vec::new());
    let mut count = 0;
    for segment in segments {
        let mut last: Option<&Bounds> = None;
        for bounds in &segment.bounds[index] {
            if last != Some(bounds) {
                frames.slots.extend(bounds.clone().map(|_| frames.groups as u32));
                frames.rows.extend(bounds.clone().map(|row| segment.in_context(row) as u32));
                frames.groups += 1;
                count += 1;
                last = Some(bounds);
                if frames.rows.len() + frames.groups >= PIECE {
                    frames.results(records, &mut results)?;
                }
            }
            places.push(count - 1);
        }
    }
    frames.results(records, &mut results)?;
    of_each(&results, places)
}

/// As [`grouped`], where all frames begin with the partition, for an aggregate that comes to the same however its rows are told: it
/// goes on from one frame to the next.
pub(super) fn running(
    aggregate: &dyn Accumulator,
    index: usize,
    segments: &[Segment],
    records: &RecordBatch,
) -> Result<ArrayRef> {
    let (mut results, mut places) = (Vec::new(), Vec::new());
    for segment in segments {
        let mut aggregate = aggregate.fresh();
        aggregate.grow(1)?;
        let mut next = 0;
        let mut last: Option<&Bounds> = None;
        for bounds in &segment.bounds[index] {
            if last != Some(bounds) {
                let rows: Vec<u32> = (next..bounds.end).map(|row| segment.in_context(row) as u32).collect();
                next = next.max(bounds.end);
                take_in(&mut *aggregate, &vec![0; rows.len()], rows, records)?;
                results.push(aggregate.results(&Picked::First(1), 0..1)?);
                last = Some(bounds);
            }
            places.push(results.len() as u32 - 1);
        }
    }
    of_each(&results, places)
}

/// Frames that are computed together.
struct Frames {
    aggregate: Box<dyn Accumulator>,
    slots: Vec<u32>,
    rows: Vec<u32>,
    groups: usize,
}

impl Frames {
    /// Adds what they come to, and lets go of them.
    fn results(&mut self, records: &RecordBatch, results: &mut Vec<ArrayRef>) -> Result<()> {
        let picked = Picked::First(std::mem::take(&mut self.groups));
        self.aggregate.grow(picked.len())?;
        take_in(&mut *self.aggregate, &self.slots, std::mem::take(&mut self.rows), records)?;
        for piece in picked.pieces() {
            results.push(self.aggregate.results(&picked, piece)?);
        }
        self.slots.clear();
        self.aggregate = self.aggregate.fresh();
        Ok(())
    }
}

fn take_in(aggregate: &mut dyn Accumulator, slots: &[u32], rows: Vec<u32>, records: &RecordBatch) -> Result<()> {
    let rows = UInt32Array::from(rows);
    let columns = records.columns().iter().map(|column| take(column, &rows, None));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    aggregate.update(slots, AggregatedRows { columns: &columns, len: slots.len() })
}

/// The result at a place for each row.
fn of_each(results: &[ArrayRef], places: Vec<u32>) -> Result<ArrayRef> {
    let results: Vec<&dyn arrow::array::Array> = results.iter().map(|results| &**results).collect();
    Ok(take(&concat(&results)?, &UInt32Array::from(places), None)?)
}

#[cfg(test)]
mod tests;
