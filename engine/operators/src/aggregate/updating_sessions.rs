//! Aggregation over sessions that are shown while they change: before they end, or behind that, while rows count that come late.
//!
//! What is shown at a marker are the sessions of the rows so far, all of them or those that have ended. A row may make a session longer at
//! either end, and one of several: what was shown is taken back then, and the session as it is now takes its place. See
//! [`shown_sessions`](super::shown_sessions).
//!
//! - batch: rows go into their sessions. A row is late if it joins no session that still takes rows, and the one that it would open takes
//!   none any more.
//! - watermark: sessions that are over by now show, if they were hidden; those that no row can count for any more are forgotten, and their last
//!   rows stay.
//! - marker: what has changed.

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Capture, Collector, EventTime, OpenContext, Operator, Result, TableSchema, UpdatingSessionsSpec,
};
use weir_functions::Functions;

use super::layout::Layout;
use super::sessions::Sessions;

/// The operator.
pub(crate) struct UpdatingSessions {
    early: bool,
    lateness: i64,
    output: SchemaRef,
    sessions: Sessions,
    watermark: EventTime,
}

impl UpdatingSessions {
    pub(crate) fn new(
        spec: &UpdatingSessionsSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        operator_name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        let layout = Layout::of_updating_sessions(spec, input, functions)?;
        let mut sessions = Sessions::new(&spec.final_sessions(), layout, input, operator_name)?;
        sessions.table.show(spec.early);
        Ok(Self {
            early: spec.early,
            lateness: i64::try_from(spec.lateness).unwrap_or(i64::MAX),
            output: output.clone(),
            sessions,
            watermark: EventTime::MIN,
        })
    }

    /// Sessions that end then or before are forgotten where event time stands at `watermark`.
    fn gone(&self, watermark: EventTime) -> EventTime {
        match watermark {
            EventTime::MAX => watermark,
            EventTime(time) => EventTime(time.saturating_sub(self.lateness)),
        }
    }
}

impl Operator for UpdatingSessions {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.sessions.state().clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        self.sessions.table.open_shown(context.watermark.0);
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        self.sessions.load(rows)
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        Some(self.gone(watermark)).filter(|gone| *gone > EventTime::MIN)
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        (!self.early).then_some(time)
    }

    fn settled(&self, table: usize, watermark: EventTime) -> Option<EventTime> {
        self.due(table, watermark).max(self.expired(table, watermark))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.sessions.evict(leaves)
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.sessions.layout.key_columns)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        self.sessions.process(batch, self.gone(self.watermark), self.watermark, out)
    }

    /// The end of time is behind all rows: what they come to is owed now, in front of it.
    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        self.sessions.table.show_ended(time.0, &self.output)?.into_iter().for_each(|batch| out.emit(batch));
        self.sessions.table.close(self.gone(time).0);
        if time == EventTime::MAX {
            self.flush(out)?;
        }
        Ok(Some(time))
    }

    fn flush(&mut self, out: &mut Collector) -> Result<()> {
        self.sessions.table.changes_shown(&self.output)?.into_iter().for_each(|batch| out.emit(batch));
        self.sessions.table.pack_if_mostly_closed(&self.sessions.layout)
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(0, self.watermark);
        self.sessions.capture(expired)
    }

    fn state_bytes(&self) -> usize {
        self.sessions.table.bytes()
    }
}
