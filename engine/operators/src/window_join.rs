//! Joins rows of the same window.
//!
//! - batch: rows wait in their window, side by side; those of a closed window are late.
//!   A batch with few rows of each of many windows waits as it is.
//! - watermark: each window that it closes is joined in one go: the smaller side is indexed, the larger one probes it.
//!   Then what the join type says of unmatched rows, or of matched ones, is emitted. Where the window is part of the key, windows that
//!   close together are joined together. A batch of many windows is split when the first of them closes, and never again.
//! - marker: the batches that came since the last one, as they are. A window that closes is forgotten by its time.
//! - end: the last watermark closes every window.

use std::collections::BTreeMap;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter_record_batch, min};
use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{
    Batch, Capture, Collector, EventTime, HashRange, OpenContext, Operator, Result, StateRows, TableSchema,
    WindowJoinSpec, state_column,
};
use weir_functions::Functions;

use crate::batches::{bounded_times, check_stored, stored_fields};
use crate::join::{Block, Buffer, JoinShape, LEFT, Looks, Probe, RIGHT, flags, join_batch};
use crate::late::LateRows;
use crate::windows::{by_window, closed_at};

/// Rows of a window, left and right.
type Window = [Buffer; 2];

/// A batch waits as it is if it has rows of at least so many windows …
const MANY: usize = 4;
/// … and fewer than so many of each, on average.
const FEW_ROWS: usize = 1024;
/// Windows are joined together up to so many rows.
const MOST_TOGETHER: usize = 8192;

/// The window join.
pub(crate) struct WindowJoin {
    shape: JoinShape,
    window_end: [usize; 2],
    /// Whether the window's end is part of the key.
    ends_are_keys: bool,
    late: LateRows,

    /// Open windows by their end. Checkpointed.
    windows: BTreeMap<i64, Window>,
    /// Rows of many windows, each open; a window may have rows here and there. Empty unless ends are keys. Checkpointed.
    mixed: Window,
    /// The first end of a window in `mixed`.
    first_mixed: i64,

    watermark: EventTime,
    range: HashRange,
}

impl WindowJoin {
    pub(crate) fn new(
        spec: &WindowJoinSpec,
        inputs: [&SchemaRef; 2],
        output: &SchemaRef,
        name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        Ok(Self {
            shape: JoinShape::new(spec.join_type, (&spec.on, spec.residual.as_ref()), inputs, output, functions)?
                .spread(&spec.spread)?,
            window_end: [spec.window_end.0, spec.window_end.1],
            ends_are_keys: spec.on.contains(&spec.window_end),
            late: LateRows::new(name),
            windows: BTreeMap::new(),
            mixed: [Buffer::new(spec.window_end.0), Buffer::new(spec.window_end.1)],
            first_mixed: i64::MAX,
            watermark: EventTime::MIN,
            range: HashRange::ALL,
        })
    }

    /// Rows that wait. Those that can neither match nor come out unmatched are left out.
    fn waiting(&self, side: usize, mut records: RecordBatch) -> Result<Block> {
        let mut keys = self.shape.keys(side, &records)?;
        if let Some(valid) = &keys.valid
            && !self.shape.keeps_unmatched(side)
        {
            records = filter_record_batch(&records, &BooleanArray::new(valid.inner().clone(), None))?;
            keys = self.shape.keys(side, &records)?;
        }
        let mut block = Block::new(records, keys, self.window_end[side])?;
        if self.shape.tracks(side) {
            block.matched = flags(block.records.num_rows());
        }
        Ok(block)
    }

    /// Whether a batch waits as it is: none of its windows is closed, and there are many of them.
    fn is_mixed(&self, side: usize, records: &RecordBatch) -> Result<bool> {
        let ends = bounded_times(records.column(self.window_end[side]))?;
        if !self.ends_are_keys || ends.null_count() > 0 || min(ends).is_none_or(|end| end - 1 <= self.watermark.0) {
            return Ok(false);
        }
        let windows = 1 + ends.values().array_windows().filter(|[one, next]| one != next).count();
        Ok(windows >= MANY && records.num_rows() < FEW_ROWS * windows)
    }

    /// Keeps rows of any windows by their window.
    fn spread(&mut self, side: usize, rows: RecordBatch, stored: bool) -> Result<()> {
        // Nothing is late here: none of the windows is closed.
        let mut nowhere = Collector::new(0);
        let split = by_window(rows, self.window_end[side], EventTime::MIN, &self.late, &mut nowhere)?;
        for (end, records) in split.open {
            let block = self.waiting(side, records)?;
            self.window(end)[side].push(if stored { block.stored() } else { block })?;
        }
        Ok(())
    }

    fn window(&mut self, end: i64) -> &mut Window {
        let [left, right] = self.window_end;
        self.windows.entry(end).or_insert_with(|| [Buffer::new(left), Buffer::new(right)])
    }

    fn close(&self, mut window: Window, out: &mut Collector) -> Result<()> {
        let probing = if window[LEFT].rows() > window[RIGHT].rows() { LEFT } else { RIGHT };
        let probes = Looks::All(window[probing].rows());
        window[1 - probing].prepare(&probes);
        for block in window[probing].blocks() {
            let probe = Probe {
                side: probing,
                records: &block.records,
                hashes: block.hashes.values(),
                valid: block.valid.as_ref(),
                times: |_| (i64::MIN, i64::MAX),
                matched: &block.matched,
            };
            join_batch(&self.shape, &probe, &window[1 - probing], &mut |_| Ok(()), out)?;
        }
        for side in [LEFT, RIGHT].into_iter().filter(|side| self.shape.tracks(*side)) {
            let wanted = self.shape.keeps_matched(side);
            for block in window[side].blocks() {
                let chosen: BooleanArray = block.matched.iter().map(|matched| Some(matched.get() == wanted)).collect();
                self.shape.emit_alone(side, &filter_record_batch(&block.records, &chosen)?, out)?;
            }
        }
        Ok(())
    }

    /// Joins windows, and mixed rows whose windows are closed. What was mixed with those goes to its window.
    fn close_together(&mut self, windows: Vec<Window>, until: i64, out: &mut Collector) -> Result<()> {
        let [left, right] = self.window_end;
        let mut blocks = [Vec::new(), Vec::new()];
        for window in windows {
            for (blocks, buffer) in blocks.iter_mut().zip(window) {
                blocks.extend(buffer.into_blocks());
            }
        }
        if self.first_mixed <= until {
            for side in [LEFT, RIGHT] {
                let (closed, open) = self.mixed[side].take_until(until)?;
                blocks[side].extend(closed);
                open.into_iter().try_for_each(|block| {
                    let stored = block.is_stored();
                    self.spread(side, block.records, stored)
                })?;
            }
            self.first_mixed = self.mixed.iter().map(Buffer::least_time).fold(i64::MAX, i64::min);
        }
        let [lefts, rights] = blocks;
        self.close([Buffer::of(left, lefts)?, Buffer::of(right, rights)?], out)
    }

    fn table(&self, side: usize) -> TableSchema {
        TableSchema {
            name: if side == LEFT { "left" } else { "right" }.to_owned(),
            version: 1,
            schema: state_column::numbered_schema(&Schema::new(
                stored_fields(self.shape.schema(side).fields()).collect::<Vec<_>>(),
            )),
            key_columns: 0,
            time_column: Some(self.window_end[side]),
            distribution: self.shape.distribution(side),
        }
    }
}

impl Operator for WindowJoin {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.table(LEFT), self.table(RIGHT)]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        self.range = context.range;
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        check_stored(self.shape.schema(table).fields(), rows.columns())?;
        self.spread(table, rows.clone(), true)
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark > EventTime::MIN).then(|| closed_at(watermark))
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(closed_at(time))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let mut least = [EventTime::MAX; 2];
        let shape = &self.shape;
        let leaving = |side: usize| move |block: &Block| shape.leaving(side, (&block.records, &block.hashes), leaves);
        for window in self.windows.values_mut() {
            for side in [LEFT, RIGHT] {
                least[side] = least[side].min(EventTime(window[side].evict(&leaving(side))?));
            }
        }
        self.windows.retain(|_, window| window.iter().any(|side| side.rows() > 0));
        for side in [LEFT, RIGHT] {
            least[side] = least[side].min(EventTime(self.mixed[side].evict(&leaving(side))?));
        }
        Ok(least.into())
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        self.shape.spread_columns(ordinal)
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        if self.is_mixed(ordinal, &records)? {
            let block = self.waiting(ordinal, records)?;
            self.first_mixed = self.first_mixed.min(block.least_time);
            return self.mixed[ordinal].push(block);
        }
        // A late row that comes to every subtask is late once.
        let mut nowhere = Collector::new(0);
        let refused = if self.shape.answers_for(ordinal, self.range) { &mut *out } else { &mut nowhere };
        let split = by_window(records, self.window_end[ordinal], self.watermark, &self.late, refused)?;
        if let Some(rows) = &split.windowless
            && self.shape.keeps_unmatched(ordinal)
        {
            self.shape.emit_alone(ordinal, rows, out)?;
        }
        split.open.into_iter().try_for_each(|(end, records)| {
            let block = self.waiting(ordinal, records)?;
            self.window(end)[ordinal].push(block)
        })
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        let until = closed_at(time).0;
        let (mut together, mut rows) = (Vec::new(), 0);
        while let Some(entry) = self.windows.first_entry().filter(|entry| *entry.key() <= until) {
            let window = entry.remove();
            let more = window.iter().map(Buffer::rows).sum::<usize>();
            if self.first_mixed > until && (!self.ends_are_keys || more >= MOST_TOGETHER) {
                self.close(window, out)?;
                continue;
            }
            if self.first_mixed > until && rows + more > MOST_TOGETHER {
                self.close_together(std::mem::take(&mut together), until, out)?;
                rows = 0;
            }
            rows += more;
            together.push(window);
        }
        if !together.is_empty() || self.first_mixed <= until {
            self.close_together(together, until, out)?;
        }
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(LEFT, self.watermark);
        let mut captures = Vec::new();
        for side in [LEFT, RIGHT] {
            let windows = self.windows.values_mut().flat_map(|window| window[side].capture());
            let mut fresh: Vec<_> = windows.collect();
            fresh.extend(self.mixed[side].capture());
            fresh.retain(|_| self.shape.answers_for(side, self.range));
            let mut stored = Vec::with_capacity(fresh.len());
            for (rows, hashes, _) in fresh {
                let hashes = self.shape.spread_hashes(side, &rows)?.unwrap_or(hashes);
                stored.push(StateRows { rows, hashes, deleted: None });
            }
            captures.push(Capture { rows: Box::new(move || Ok(stored)), expired });
        }
        Ok(captures)
    }

    fn state_bytes(&self) -> usize {
        self.windows.values().flatten().chain(&self.mixed).map(Buffer::bytes).sum()
    }
}

#[cfg(test)]
mod tests;
