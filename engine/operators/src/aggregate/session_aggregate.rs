//! Aggregation over sessions: windows that end when a key has had no row for a gap.
//!
//! Two rows exactly one gap apart are in one session, so a session that ends at `end` can still be joined by a row at
//! `end`, and is complete only when the watermark is there (a tumbling window is one millisecond earlier). That makes
//! results a function of the rows alone. For the operators behind, this one's watermark is a millisecond late.
//!
//! A row is late if it joins no open session and the session that it would open has ended.

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Capture, Collector, EventTime, OpenContext, Operator, Result, TableSchema, WindowAggregateSpec,
};
use weir_functions::Functions;

use super::layout::Layout;
use super::sessions::{Sessions, window_columns};
use crate::batches::with_schema;
use crate::chunked::Picked;

/// The operator.
pub(crate) struct SessionAggregate {
    output: SchemaRef,
    sessions: Sessions,
    watermark: EventTime,
}

impl SessionAggregate {
    pub(crate) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        operator_name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        let layout = Layout::new(spec, input, false, functions)?;
        let sessions = Sessions::new(spec, layout, input, operator_name)?;
        Ok(Self { output: output.clone(), sessions, watermark: EventTime::MIN })
    }

    fn emit(&mut self, ids: &[u32], out: &mut Collector) -> Result<()> {
        let table = &mut self.sessions.table;
        let keys = table.keys_of(ids);
        let picked = Picked::Slots(ids.into());
        for piece in picked.pieces() {
            let mut columns = table.keys.columns(&keys, piece.clone())?;
            columns.extend(table.results(&picked, piece.clone())?);
            columns.extend(window_columns(&table.bounds_of(&ids[piece.clone()]), self.output.fields())?);
            out.emit(Batch::append(with_schema(&self.output, columns, piece.len())?));
        }
        Ok(())
    }
}

impl Operator for SessionAggregate {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.sessions.state().clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        self.sessions.load(rows)
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark > EventTime::MIN).then_some(watermark)
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        Some(time)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.sessions.evict(leaves)
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.sessions.layout.key_columns)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        self.sessions.process(batch, self.watermark, self.watermark, out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        let ended = self.sessions.table.close(time.0);
        if !ended.is_empty() {
            self.emit(&ended, out)?;
            self.sessions.table.pack_if_mostly_closed(&self.sessions.layout)?;
        }
        Ok(Some(if time == EventTime::MAX { time } else { EventTime(time.0.saturating_sub(1)) }))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(0, self.watermark);
        self.sessions.capture(expired)
    }

    fn state_bytes(&self) -> usize {
        self.sessions.table.bytes()
    }
}
