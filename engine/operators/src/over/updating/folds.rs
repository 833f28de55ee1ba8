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
/// frames, to the last digit.
pub(super) fn grouped(
    aggregate: &dyn Accumulator,
    index: usize,
    segments: &[Segment],
    records: &RecordBatch,
) -> Result<ArrayRef> {
    let mut aggregate = aggregate.fresh();
    let (mut slots, mut rows, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let mut count = 0;
    let mut flush = |slots: &mut Vec<u32>, rows: &mut Vec<u32>, count: usize| -> Result<()> {
        let positions = UInt32Array::from(std::mem::take(rows));
        let columns = records.columns().iter().map(|column| take(column, &positions, None));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        aggregate.grow(count)?;
        aggregate.update(slots, AggregatedRows { columns: &columns, len: slots.len() })?;
        slots.clear();
        Ok(())
    };
    for segment in segments {
        let mut last: Option<&Bounds> = None;
        for bounds in &segment.bounds[index] {
            if last != Some(bounds) {
                let group = count as u32;
                count += 1;
                slots.extend(bounds.clone().map(|_| group));
                rows.extend(bounds.clone().map(|row| segment.in_context(row) as u32));
                last = Some(bounds);
                if rows.len() >= PIECE {
                    flush(&mut slots, &mut rows, count)?;
                }
            }
            groups.push(count as u32 - 1);
        }
    }
    flush(&mut slots, &mut rows, count)?;
    let picked = Picked::First(count);
    let pieces = picked.pieces().map(|piece| aggregate.results(&picked, piece)).collect::<Result<Vec<_>>>()?;
    let pieces: Vec<&dyn arrow::array::Array> = pieces.iter().map(|piece| &**piece).collect();
    Ok(take(&concat(&pieces)?, &UInt32Array::from(groups), None)?)
}
