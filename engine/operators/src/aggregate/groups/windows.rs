//! Groups of windows whose results are shown while they may still change: before the window closes, or behind it, while rows still count
//! that come late.
//!
//! Such a group is stamped with the last moment of its window, and forgotten when the watermark has passed that by as much as rows may
//! be late. Where results are not shown early, a group is *hidden* until the watermark passes that moment. Whether it is hidden follows
//! from the watermark alone, so nothing is stored of it.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, EventTime, OpenContext, Result};

use super::{Emitted, Groups, SHOWN};
use crate::batches::event_times;
use crate::chunked::Picked;

/// A group is hidden.
pub(super) const HIDDEN: u8 = 4;

/// What is known of the windows that groups are of.
#[derive(Debug)]
pub(crate) struct UpdatedWindows {
    /// Which of the keys is the window's end.
    end: usize,
    /// Whether results are shown before their window closes.
    early: bool,
    watermark: EventTime,
    /// Groups that are hidden, by the last moment of their window.
    hidden: BTreeMap<i64, Vec<u32>>,
}

impl UpdatedWindows {
    /// No groups. `end`: which of the keys is the window's end.
    pub(crate) fn new(end: usize, early: bool) -> Self {
        Self { end, early, watermark: EventTime::MIN, hidden: BTreeMap::new() }
    }

    fn hides(&self, moment: i64) -> bool {
        !self.early && moment > self.watermark.0
    }

    /// Hidden groups have other numbers, and some are gone: those that `kept` says nothing of.
    pub(super) fn renumber(&mut self, kept: impl Fn(u32) -> Option<u32>) {
        for slots in self.hidden.values_mut() {
            *slots = slots.iter().filter_map(|slot| kept(*slot)).collect();
        }
        self.hidden.retain(|_, slots| !slots.is_empty());
    }
}

impl Groups {
    /// What was so at the checkpoint.
    pub(super) fn open_windows(&mut self, context: &OpenContext) {
        if let Some(windows) = &mut self.windows {
            windows.watermark = context.watermark;
        }
    }

    /// Hides those of the groups that were loaded last whose windows have not closed.
    pub(super) fn load_windows(&mut self, rows: &RecordBatch) -> Result<()> {
        let Some(windows) = &mut self.windows else { return Ok(()) };
        let ends = event_times(rows.column(windows.end))?;
        for (slot, end) in self.scratch.slots().iter().zip(ends.values()) {
            if windows.hides(end - 1) {
                self.known[*slot as usize] = HIDDEN;
                windows.hidden.entry(end - 1).or_default().push(*slot);
            }
        }
        Ok(())
    }

    /// The last moment of the window of each of these groups.
    fn last_moments(&self, windows: &UpdatedWindows, slots: &[u32]) -> Result<Vec<i64>> {
        let picked = Picked::Slots(slots.into());
        let mut moments = Vec::with_capacity(slots.len());
        for piece in picked.pieces() {
            let keys = self.table.key_values(&picked, piece)?;
            moments.extend(event_times(&keys[windows.end])?.values().iter().map(|end| end - 1));
        }
        Ok(moments)
    }

    /// Gives groups that are touched the last moment of their window for a stamp. They keep it.
    pub(super) fn stamp_windows(&mut self, windows: &UpdatedWindows) -> Result<()> {
        let touched = self.generations.take_touched();
        let moments = self.last_moments(windows, &touched)?;
        touched.iter().zip(moments).for_each(|(slot, moment)| self.generations.set(*slot, moment));
        Ok(())
    }

    /// Hides new groups whose windows have not closed.
    pub(super) fn hide(&mut self) -> Result<()> {
        if self.fresh.is_empty() || self.windows.as_ref().is_none_or(|windows| windows.early) {
            return Ok(());
        }
        let Some(mut windows) = self.windows.take() else { return Ok(()) };
        let fresh = std::mem::take(&mut self.fresh);
        for (slot, moment) in fresh.iter().zip(self.last_moments(&windows, &fresh)?) {
            match windows.hides(moment) {
                true => {
                    self.known[*slot as usize] = HIDDEN;
                    windows.hidden.entry(moment).or_default().push(*slot);
                }
                false => self.fresh.push(*slot),
            }
        }
        self.windows = Some(windows);
        Ok(())
    }

    /// Time has gone on: the groups whose windows close, as rows of `schema`.
    pub(crate) fn close(&mut self, time: EventTime, schema: &SchemaRef, with_weights: bool) -> Result<Vec<Batch>> {
        self.hide()?;
        let Some(windows) = &mut self.windows else { return Ok(Vec::new()) };
        windows.watermark = time;
        let mut closed = Vec::new();
        while let Some(first) = windows.hidden.first_entry().filter(|first| *first.key() <= time.0) {
            closed.extend(first.remove());
        }
        closed.iter().for_each(|slot| self.known[*slot as usize] = SHOWN);
        let picked = Picked::Slots(closed.into());
        let mut emitted = Emitted { schema, with_weights, empty: Vec::new(), batches: Vec::new() };
        for piece in picked.pieces() {
            self.piece(&picked, piece, None, &mut emitted)?;
        }
        Ok(emitted.batches)
    }
}
