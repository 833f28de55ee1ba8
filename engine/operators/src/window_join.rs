//! Joins rows of the same window.
//!
//! - batch: rows wait in their window, side by side; those of a closed window are late.
//! - watermark: each window that it closes is joined in one go: the smaller side is indexed, the larger one probes it.
//!   Then what the join type says of unmatched rows, or of matched ones, is emitted.
//! - marker: the batches that came since the last one, as they are. A window that closes is forgotten by its time.
//! - end: the last watermark closes every window.

use std::collections::BTreeMap;

use arrow::array::{BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Capture, Collector, Distribution, EventTime, OpenContext, Operator, Result, StateRows, TableSchema,
    WindowJoinSpec, state_column,
};
use weir_functions::Functions;

use crate::join::{Block, Buffer, JoinShape, Keys, LEFT, Probe, RIGHT, flags, join_batch};
use crate::late::LateRows;
use crate::windows::{by_window, closed_at};

/// Rows of a window, left and right.
type Window = [Buffer; 2];

/// The window join.
pub(crate) struct WindowJoin {
    shape: JoinShape,
    window_end: [usize; 2],
    late: LateRows,

    /// Open windows by their end. Checkpointed.
    windows: BTreeMap<i64, Window>,

    watermark: EventTime,
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
            shape: JoinShape::new(spec.join_type, (&spec.on, spec.residual.as_ref()), inputs, output, functions)?,
            window_end: [spec.window_end.0, spec.window_end.1],
            late: LateRows::new(name),
            windows: BTreeMap::new(),
            watermark: EventTime::MIN,
        })
    }

    /// Keeps rows of one window until it closes. Rows that can neither match nor come out unmatched are not kept.
    fn keep(&mut self, side: usize, end: i64, mut records: RecordBatch) -> Result<()> {
        let mut keys = self.shape.keys(side, &records)?;
        if let Some(valid) = &keys.valid
            && !self.shape.keeps_unmatched(side)
        {
            records = filter_record_batch(&records, &BooleanArray::new(valid.inner().clone(), None))?;
            keys = self.shape.keys(side, &records)?;
        }
        let block = self.block(side, records, keys)?;
        self.window(end)[side].push(block)
    }

    fn block(&self, side: usize, records: RecordBatch, keys: Keys) -> Result<Block> {
        let mut block = Block::new(records, keys, self.window_end[side])?;
        if self.shape.tracks(side) {
            block.matched = flags(block.records.num_rows());
        }
        Ok(block)
    }

    fn window(&mut self, end: i64) -> &mut Window {
        let [left, right] = self.window_end;
        self.windows.entry(end).or_insert_with(|| [Buffer::new(left), Buffer::new(right)])
    }

    fn close(&self, mut window: Window, out: &mut Collector) -> Result<()> {
        let probing = if window[LEFT].rows() > window[RIGHT].rows() { LEFT } else { RIGHT };
        let probes = window[probing].rows();
        window[1 - probing].prepare(probes);
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

    fn table(&self, side: usize) -> TableSchema {
        TableSchema {
            name: if side == LEFT { "left" } else { "right" }.to_owned(),
            version: 1,
            schema: state_column::numbered_schema(self.shape.schema(side)),
            key_columns: 0,
            time_column: Some(self.window_end[side]),
            distribution: Distribution::Keyed,
        }
    }
}

impl Operator for WindowJoin {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.table(LEFT), self.table(RIGHT)]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        // Nothing is late here: what the watermark had closed is gone from the state.
        let mut nowhere = Collector::new(0);
        let split = by_window(rows.clone(), self.window_end[table], EventTime::MIN, &self.late, &mut nowhere)?;
        for (end, records) in split.open {
            let keys = self.shape.keys(table, &records)?;
            let block = self.block(table, records, keys)?.stored();
            self.window(end)[table].push(block)?;
        }
        Ok(())
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark > EventTime::MIN).then(|| closed_at(watermark))
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(closed_at(time))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let mut least = [EventTime::MAX; 2];
        for window in self.windows.values_mut() {
            for side in [LEFT, RIGHT] {
                least[side] = least[side].min(EventTime(window[side].evict(leaves)?));
            }
        }
        self.windows.retain(|_, window| window.iter().any(|side| side.rows() > 0));
        Ok(least.into())
    }

    fn key_columns(&self, ordinal: usize) -> Option<&[usize]> {
        Some(self.shape.key_columns(ordinal))
    }

    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let split = by_window(batch.into_appended()?, self.window_end[ordinal], self.watermark, &self.late, out)?;
        if let Some(rows) = &split.windowless
            && self.shape.keeps_unmatched(ordinal)
        {
            self.shape.emit_alone(ordinal, rows, out)?;
        }
        split.open.into_iter().try_for_each(|(end, records)| self.keep(ordinal, end, records))
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        while let Some(entry) = self.windows.first_entry() {
            if *entry.key() - 1 > time.0 {
                break;
            }
            let window = entry.remove();
            self.close(window, out)?;
        }
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(LEFT, self.watermark);
        let capture_side = |side: usize, windows: &mut BTreeMap<i64, Window>| {
            let fresh: Vec<_> = windows.values_mut().flat_map(|window| window[side].capture()).collect();
            let state_rows = |(rows, hashes, _)| StateRows { rows, hashes, deleted: None };
            Capture { rows: Box::new(move || Ok(fresh.into_iter().map(state_rows).collect())), expired }
        };
        Ok([LEFT, RIGHT].map(|side| capture_side(side, &mut self.windows)).into())
    }

    fn state_bytes(&self) -> usize {
        self.windows.values().flatten().map(Buffer::bytes).sum()
    }
}

#[cfg(test)]
mod tests;
