//! Groups that are forgotten when nothing has come for them for some time.

use arrow::array::{BooleanArray, Int8Array, RecordBatch};
use weir_core::{EventTime, OpenContext, Result};

use super::Groups;
use crate::batches::event_times;
use crate::chunked::Picked;

impl Groups {
    /// Takes the stamps of the groups that were loaded last. One without has been kept for ever so far, and is stamped, and stored, at the
    /// next marker.
    pub(super) fn load_stamps(&mut self, rows: &RecordBatch) -> Result<()> {
        if !self.has_stamps || !self.life.is_limited() {
            return Ok(());
        }
        let stamps = event_times(rows.column(rows.num_columns() - 1))?;
        for (slot, stamp) in self.scratch.slots().iter().zip(stamps) {
            match stamp {
                Some(stamp) => self.generations.set(*slot, stamp),
                None => self.generations.touch_unstamped(*slot),
            }
        }
        Ok(())
    }

    /// What was so at the checkpoint.
    pub(crate) fn open(&mut self, context: &OpenContext) {
        self.life.open(context);
        self.open_windows(context);
    }

    /// Time has gone on.
    pub(crate) fn watermark(&mut self, time: EventTime) {
        self.life.watermark(time);
    }

    /// Groups that were touched up to then are gone.
    pub(crate) fn expired(&self) -> Option<EventTime> {
        self.life.expired()
    }

    /// Behind [`changes`](Self::changes) at a marker: what has changed is touched, and what nothing has come for in time is forgotten.
    pub(crate) fn expire(&mut self) -> Result<()> {
        if !self.life.is_limited() {
            return Ok(());
        }
        self.life.marker();
        match self.windows.take() {
            None => {
                let again = self.generations.stamp(self.life.stamp());
                self.table.touch(&again);
            }
            Some(windows) => {
                self.stamp_windows(&windows)?;
                self.windows = Some(windows);
            }
        }
        let gone = self.generations.take(self.life.expired());
        let unstamped = self.generations.left_unstamped(&gone);
        if self.is_stored && !unstamped.is_empty() {
            let unstamped = Picked::Slots(unstamped.into());
            self.gone.push(self.table.key_values(&unstamped, 0..unstamped.len())?);
        }
        gone.iter().for_each(|slot| self.known[*slot as usize] = 0);
        self.table.remove(&gone)
    }

    /// Which rows count, where groups are forgotten: not those that are taken back of a group that has no row by then. `None`: all.
    pub(super) fn unknown(&mut self, slots: &[u32], weights: &Int8Array) -> Result<Option<BooleanArray>> {
        if !self.life.forgets() {
            return Ok(None);
        }
        let mut distinct = slots.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let picked = Picked::Slots(distinct.as_slice().into());
        let mut counts: Vec<i64> = Vec::with_capacity(distinct.len());
        for piece in picked.pieces() {
            counts.extend(self.table.row_counts(&picked, piece)?.values());
        }
        let counted = slots.iter().zip(weights.values()).map(|(slot, weight)| {
            let count = &mut counts[distinct.binary_search(slot).unwrap_or_default()];
            let counts = *weight > 0 || *count > 0;
            *count += if counts { i64::from(*weight) } else { 0 };
            counts
        });
        let counted: Vec<bool> = counted.collect();
        Ok(counted.contains(&false).then(|| BooleanArray::from(counted)))
    }
}
