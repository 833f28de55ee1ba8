//! Joins the rows of one batch with the rows that wait on the other side.

use std::cell::Cell;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use weir_core::{Collector, Result};

use super::{Buffer, JoinShape, LEFT, RowRef};

/// So many candidates are gathered at a time.
const CANDIDATES: usize = 8192;

/// Rows that look for partners.
pub(crate) struct Probe<'a, T> {
    /// Which side they are of.
    pub(crate) side: usize,
    pub(crate) records: &'a RecordBatch,
    pub(crate) hashes: &'a [u64],
    /// Rows without a null in their key.
    pub(crate) valid: Option<&'a NullBuffer>,
    /// First and last time of a partner, per row.
    pub(crate) times: T,
    /// Set where a row finds a partner; empty where nobody asks.
    pub(crate) matched: &'a [Cell<bool>],
}

/// Emits the matches of `probe` in `waiting` (which was [prepared](Buffer::prepare)), marks them on both sides, and
/// hands each waiting row that is matched for the first time to `first_match`.
pub(crate) fn join_batch<T: Fn(usize) -> (i64, i64)>(
    shape: &JoinShape,
    probe: &Probe<'_, T>,
    waiting: &Buffer,
    first_match: &mut impl FnMut(RowRef) -> Result<()>,
    out: &mut Collector,
) -> Result<()> {
    if waiting.rows() == 0 {
        return Ok(());
    }
    let mut rows: Vec<u32> = Vec::new();
    let mut partners: Vec<RowRef> = Vec::new();
    let mut resolve = |rows: &mut Vec<u32>, partners: &mut Vec<RowRef>| -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mask = shape.matching_pairs(rows.len(), |side, columns| match side == probe.side {
            true => pick(probe.records, rows, columns),
            false => waiting.gather(partners, columns),
        })?;
        for (index, (row, partner)) in rows.iter().zip(&*partners).enumerate() {
            if mask.as_ref().is_none_or(|mask| mask.value(index)) {
                if let Some(matched) = probe.matched.get(*row as usize) {
                    matched.set(true);
                }
                if waiting.mark(*partner) {
                    first_match(*partner)?;
                }
            }
        }
        if shape.emits_pairs() {
            if let Some(mask) = &mask {
                let mut matching = mask.values().iter();
                rows.retain(|_| matching.next().unwrap_or_default());
                let mut matching = mask.values().iter();
                partners.retain(|_| matching.next().unwrap_or_default());
            }
            if !rows.is_empty() {
                let found = pick(probe.records, rows, &shape.all_columns(probe.side))?;
                let partners = waiting.gather(partners, &shape.all_columns(1 - probe.side))?;
                let (left, right) = if probe.side == LEFT { (found, partners) } else { (partners, found) };
                out.emit(shape.paired(left, right, rows.len())?.into());
            }
        }
        rows.clear();
        partners.clear();
        Ok(())
    };
    for (row, hash) in probe.hashes.iter().enumerate() {
        if probe.valid.is_some_and(|valid| valid.is_null(row)) {
            continue;
        }
        waiting.candidates(*hash, (probe.times)(row), &mut |partner| {
            rows.push(row as u32);
            partners.push(partner);
            if rows.len() == CANDIDATES { resolve(&mut rows, &mut partners) } else { Ok(()) }
        })?;
    }
    resolve(&mut rows, &mut partners)
}

/// These columns of the rows.
fn pick(records: &RecordBatch, rows: &[u32], columns: &[usize]) -> Result<Vec<ArrayRef>> {
    let all = rows.len() == records.num_rows() && rows.iter().enumerate().all(|(place, row)| place == *row as usize);
    if all {
        return Ok(columns.iter().map(|column| records.column(*column).clone()).collect());
    }
    let rows = UInt32Array::from(rows.to_vec());
    columns.iter().map(|column| Ok(take(records.column(*column), &rows, None)?)).collect()
}
