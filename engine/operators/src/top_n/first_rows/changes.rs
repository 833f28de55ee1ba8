//! What comes out where a marker passes: rows taken back and rows added.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int8Array, Int64Array, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, Collector, Result};

use super::partitions::Entry;
use crate::batches::with_schema;
use crate::row_blocks::{Blocks, Slot, equal_rows};

/// Changes of a batch, give or take a partition.
const BATCH: usize = 8192;

/// Changes in the order in which they come out.
#[derive(Default)]
pub(super) struct Changes {
    slots: Vec<Slot>,
    ranks: Vec<i64>,
    weights: Vec<i8>,
    /// Positions of a row taken back and one added in its place that may be equal: nothing has changed then.
    pairs: Vec<(u32, u32)>,
}

impl Changes {
    /// Whether they make a batch.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= BATCH
    }

    /// What changes where a partition that showed some rows shows others.
    pub(super) fn add<K: Ord>(&mut self, before: &[Entry<K>], after: &[Entry<K>], with_rank: bool) {
        if with_rank {
            for place in 0..before.len().max(after.len()) {
                let (old, new) = (before.get(place), after.get(place));
                if old.map(|entry| entry.slot) != new.map(|entry| entry.slot) {
                    let rank = place as i64 + 1;
                    let positions =
                        (old.map(|old| self.push(old.slot, rank, -1)), new.map(|new| self.push(new.slot, rank, 1)));
                    self.pair(old.zip(new), positions);
                }
            }
            return;
        }
        if let ([old], [new]) = (before, after) {
            if old.slot != new.slot {
                let positions = (Some(self.push(old.slot, 0, -1)), Some(self.push(new.slot, 0, 1)));
                self.pair(Some((old, new)), positions);
            }
            return;
        }
        let other = |entry: &&Entry<K>, entries: &[Entry<K>]| {
            entries.binary_search_by(|other| other.place().cmp(&entry.place())).is_err()
        };
        let old: Vec<&Entry<K>> = before.iter().filter(|entry| other(entry, after)).collect();
        let new: Vec<&Entry<K>> = after.iter().filter(|entry| other(entry, before)).collect();
        let first = self.slots.len() as u32;
        for (entries, weight) in [(&old, -1), (&new, 1)] {
            for entry in entries {
                self.push(entry.slot, 0, weight);
            }
        }
        let (mut at_old, mut at_new) = (0, 0);
        while at_old < old.len() && at_new < new.len() {
            match old[at_old].key.cmp(&new[at_new].key) {
                Ordering::Less => at_old += 1,
                Ordering::Greater => at_new += 1,
                Ordering::Equal => {
                    self.pairs.push((first + at_old as u32, first + (old.len() + at_new) as u32));
                    (at_old, at_new) = (at_old + 1, at_new + 1);
                }
            }
        }
    }

    fn push(&mut self, slot: Slot, rank: i64, weight: i8) -> u32 {
        self.slots.push(slot);
        self.ranks.push(rank);
        self.weights.push(weight);
        self.slots.len() as u32 - 1
    }

    /// Rows with unequal keys are not equal.
    fn pair<K: Ord>(&mut self, rows: Option<(&Entry<K>, &Entry<K>)>, positions: (Option<u32>, Option<u32>)) {
        if let (Some((old, new)), (Some(at_old), Some(at_new))) = (rows, positions)
            && old.key == new.key
        {
            self.pairs.push((at_old, at_new));
        }
    }

    /// Emits them; there are none then.
    pub(super) fn emit(
        &mut self,
        rows: &Blocks,
        output: &SchemaRef,
        with_rank: bool,
        out: &mut Collector,
    ) -> Result<()> {
        let Self { slots, ranks, weights, pairs } = std::mem::take(self);
        if slots.is_empty() {
            return Ok(());
        }
        let records = rows.gather(&slots)?;
        let mut columns = records.columns().to_vec();
        if with_rank {
            columns.push(Arc::new(Int64Array::from(ranks)));
        }
        let batch = Batch::weighted(with_schema(output, columns, slots.len())?, Int8Array::from(weights))?;
        if pairs.is_empty() {
            out.emit(batch);
            return Ok(());
        }
        let (old, new): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
        let old = take_record_batch(&records, &UInt32Array::from(old))?;
        let equal = equal_rows(&old, &take_record_batch(&records, &UInt32Array::from(new))?)?;
        let mut differs = vec![true; slots.len()];
        for ((at_old, at_new), _) in pairs.iter().zip(equal.values()).filter(|(_, equal)| *equal) {
            (differs[*at_old as usize], differs[*at_new as usize]) = (false, false);
        }
        out.emit(batch.filter(&BooleanArray::from(differs))?);
        Ok(())
    }
}
