//! Aggregation over tumbling, hopping and cumulating windows, and over windows that rows carry.
//!
//! - A batch is split by pane; each pane has a table of groups that takes the rows in. Rows of a pane whose windows are
//!   all closed are late.
//! - A watermark closes the windows that it has passed, in the order of their ends, and drops panes that no window needs
//!   any more.
//! - A capture hands over the groups that changed, by pane. They expire with the last window that covers their pane, so
//!   nothing is ever deleted one by one.
//! - Keys that are loaded or evicted come and go in all panes. What was put together from panes is forgotten then, and made
//!   again when the next window closes.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMillisecondArray, UInt64Array, types::*};
use arrow::datatypes::SchemaRef;
use weir_core::bugs::{self, Bug};
use weir_core::{
    AggregateFunction, Batch, Capture, Collector, Distribution, Error, EventTime, OpenContext, Operator, Pane, Result,
    TableSchema, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_functions::Functions;

use super::accumulator::Rows;
use super::group_table::{GroupTable, Scratch};
use super::layout::{Layout, used_columns};
use super::split::{PaneOf, Piece};
use super::windows::{Panes, Windows};
use crate::LateRows;
use crate::batches::{timestamps_of_type, with_schema};

/// Columns between keys and states in the state table: start and end of the pane, and when it expires. That follows from the
/// pane, and is part of the rows' key all the same: blocks whose rows have all expired, or are not due yet, can then be left out.
/// The key hash is that of the group alone.
const TIMES: [&str; 3] = ["pane_start", "pane_end", "expires"];

/// Room that a new pane gets at most because the one before had as many groups.
const MOST_ROOM: usize = 1 << 20;

/// The operator.
pub(crate) struct WindowAggregate {
    // Fixed by the plan.
    layout: Layout,
    used: Vec<usize>,
    pane_of: PaneOf,
    kind: Option<WindowKind>,
    output: SchemaRef,
    state: TableSchema,
    late: LateRows,
    // Kept in checkpoints.
    panes: Panes,
    watermark: EventTime,
    // Follows from the above.
    /// Windows that are not closed and cover a pane with rows: end, start.
    pending: BTreeSet<(i64, i64)>,
    windows: Windows,
    // Scratch.
    scratch: Scratch,
    room: usize,
}

/// Whether all aggregates can be taken back, and whether the last of them counts rows.
fn releasable(spec: &WindowAggregateSpec) -> (bool, bool) {
    let calls = &spec.aggregates;
    let all = calls.iter().all(|call| call.function == AggregateFunction::Count && !call.distinct);
    let last = calls.last().is_some_and(|call| call.arguments.is_empty() && call.filter.is_none());
    (all, all && last)
}

impl WindowAggregate {
    pub(crate) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        operator_name: &str,
        functions: &Functions,
    ) -> Result<Self> {
        let (kind, pane_of) = match spec.window {
            WindowSource::Assign { window, .. } if spec.partial_input => {
                let start = input.fields().len().checked_sub(2).ok_or_else(|| Error::internal("no partial input"))?;
                (Some(window), PaneOf::Start { window, start })
            }
            WindowSource::Assign { window, time } => (Some(window), PaneOf::Time { window, time }),
            WindowSource::Attached { start, end } => (None, PaneOf::Columns { start, end }),
        };
        let hops = kind.is_some_and(Windows::hops);
        let (releasable, counted) = releasable(spec);
        let layout = Layout::new(spec, input, hops && releasable && !counted, functions)?;
        let keys = layout.key_columns.len();
        let state = TableSchema {
            name: "panes".into(),
            version: 1,
            schema: layout.state_schema(&TIMES),
            key_columns: keys + TIMES.len(),
            time_column: Some(keys + 2),
            distribution: Distribution::Keyed,
        };
        Ok(Self {
            used: used_columns(spec, input)?,
            layout,
            pane_of,
            kind,
            output: output.clone(),
            state,
            late: LateRows::new(operator_name),
            panes: Panes::new(),
            watermark: EventTime::MIN,
            pending: BTreeSet::new(),
            windows: Windows::new(kind, releasable),
            scratch: Scratch::default(),
            room: 0,
        })
    }

    /// End of the last window over a pane; `None` if there is no window over it.
    fn last_end(&self, pane: Pane) -> Option<i64> {
        match self.kind {
            Some(kind) => kind.last_end_of_pane(pane.start),
            None => Some(pane.end),
        }
    }

    fn is_closed(&self, end: i64) -> bool {
        end - 1 <= self.watermark.0.saturating_sub(i64::from(bugs::is_on(Bug::ClosedTooLate)))
    }

    /// Notes the windows over a new pane.
    fn expect(&mut self, pane: Pane) {
        let windows = self.kind.map_or_else(|| vec![pane], |kind| kind.windows_of_pane(pane.start));
        let open = windows.into_iter().filter(|window| !self.is_closed(window.end));
        let open: Vec<_> = open.map(|window| (window.end, window.start)).collect();
        self.pending.extend(open);
    }

    fn take_piece(&mut self, piece: &Piece, batch: &RecordBatch, out: &mut Collector) -> Result<()> {
        let pane = piece.pane;
        match self.last_end(pane) {
            // Between the windows of a hop that is longer than its size.
            None => return Ok(()),
            Some(end) if self.is_closed(end) => return self.too_late(piece, batch, out),
            Some(_) => {}
        }
        let columns = piece.columns(batch, &self.used)?;
        let rows = Rows { columns: &columns, len: piece.len() };
        if !self.panes.contains_key(&pane) {
            self.expect(pane);
        }
        let table = self.panes.entry(pane).or_insert_with(|| GroupTable::new(&self.layout, self.room));
        table.update(&self.layout, rows, &mut self.scratch)?;
        self.windows.arrived(pane, &self.layout, rows, &mut self.scratch)
    }

    fn too_late(&self, piece: &Piece, batch: &RecordBatch, out: &mut Collector) -> Result<()> {
        let records = piece.records(batch)?;
        if self.layout.partial_input {
            let counts = records.column(records.num_columns() - 1).as_primitive::<Int64Type>();
            out.count_late(counts.values().iter().sum::<i64>() as usize);
            return Ok(());
        }
        let times = match self.pane_of {
            PaneOf::Time { time: column, .. } | PaneOf::Start { start: column, .. } => records.column(column).clone(),
            // The time of a row that carries its window is the last of the window.
            PaneOf::Columns { end, .. } => {
                let ends = records.column(end).as_primitive::<TimestampMillisecondType>();
                Arc::new(ends.unary::<_, TimestampMillisecondType>(|end| end - 1))
            }
        };
        self.late.emit(&records, Some(&times), self.watermark, out)
    }

    fn close(&mut self, window: Pane, out: &mut Collector) -> Result<()> {
        let closed = self.windows.close(window, &mut self.panes, &self.layout, &mut self.scratch)?;
        let Some((table, picked)) = closed else { return Ok(()) };
        let fields = self.output.fields();
        let times = [window.start, window.end, window.end - 1];
        for columns in table.results(&self.layout, &picked) {
            let (mut columns, rows) = columns?;
            for (time, field) in times.iter().zip(&fields[columns.len()..]) {
                columns.push(timestamps_of_type(vec![*time; rows], field.data_type())?);
            }
            out.emit(Batch::append(with_schema(&self.output, columns, rows)?));
        }
        Ok(())
    }

    fn drop_panes(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            self.windows.clear();
        }
        while let Some(entry) = self.panes.first_entry() {
            let pane = *entry.key();
            let end = self.kind.map_or(Some(pane.end), |kind| kind.last_end_of_pane(pane.start));
            if end.is_some_and(|end| end - 1 > self.watermark.0) {
                break;
            }
            let mut table = entry.remove();
            self.room = table.len().min(MOST_ROOM);
            self.windows.drop_pane(pane, &mut table, &self.layout, &mut self.scratch)?;
        }
        Ok(())
    }

    /// Windows that rows carry can end in another order than they start in.
    fn drop_attached(&mut self) {
        let watermark = self.watermark.0;
        self.panes.retain(|pane, _| pane.end - 1 > watermark);
    }
}

impl Operator for WindowAggregate {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.state.clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        self.windows.clear();
        let keys = self.layout.key_columns.len();
        let pane_of = PaneOf::Columns { start: keys, end: keys + 1 };
        for piece in pane_of.split(rows)? {
            let records = piece.records(rows)?;
            let (keys, rest) = records.columns().split_at(keys);
            if !self.panes.contains_key(&piece.pane) {
                self.expect(piece.pane);
            }
            let table = self.panes.entry(piece.pane).or_insert_with(|| GroupTable::new(&self.layout, 0));
            table.load(&self.layout, keys, &rest[TIMES.len()..], piece.len(), &mut self.scratch)?;
        }
        Ok(())
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark > EventTime::MIN).then_some(watermark)
    }

    /// Rows are found by when they expire. The rows of the windows that close expire with the last window over any of them.
    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        let Some(kind) = self.kind.filter(|_| time < EventTime::MAX) else { return Some(time) };
        let end = kind.last_end_until(time.0 + 1).filter(|end| !self.is_closed(*end))?;
        let last_pane = end - kind.pane_size()?;
        kind.last_end_of_pane(last_pane).map(|end| EventTime(end - 1))
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        let mut least = EventTime::MAX;
        let panes: Vec<Pane> = self.panes.keys().copied().collect();
        for pane in panes {
            let Some(table) = self.panes.get_mut(&pane) else { continue };
            if !table.evict(&self.layout, leaves, &mut self.scratch)?.left.is_empty() {
                if table.len() == 0 {
                    self.panes.remove(&pane);
                }
                least = least.min(self.last_end(pane).map_or(least, |end| EventTime(end - 1)));
                self.windows.clear();
            }
        }
        Ok(vec![least])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.layout.key_columns)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = self.pane_of.with_time(&batch.into_appended()?)?;
        self.pane_of.split(&records)?.iter().try_for_each(|piece| self.take_piece(piece, &records, out))
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        let mut closed = false;
        while let Some((end, start)) = self.pending.first().copied().filter(|(end, _)| self.is_closed(*end)) {
            self.pending.remove(&(end, start));
            self.close(Pane { start, end }, out)?;
            closed = true;
        }
        if closed {
            match self.kind {
                Some(_) => self.drop_panes()?,
                None => self.drop_attached(),
            }
        }
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(0, self.watermark);
        let mut captured = Vec::new();
        for (pane, table) in &mut self.panes {
            if let Some(groups) = table.capture()? {
                let last_end = self.kind.map_or(Some(pane.end), |kind| kind.last_end_of_pane(pane.start));
                captured.push((*pane, last_end.unwrap_or(pane.end), groups));
            }
        }
        let schema = self.state.schema.clone();
        let rows = move || {
            let mut rows = Vec::new();
            for (pane, last_end, groups) in captured {
                let times = |rows: usize| {
                    let column = |time: i64| Arc::new(TimestampMillisecondArray::from(vec![time; rows])) as ArrayRef;
                    vec![column(pane.start), column(pane.end), column(last_end - 1)]
                };
                groups.rows(&schema, times, &mut rows)?;
            }
            Ok(rows)
        };
        Ok(vec![Capture { rows: Box::new(rows), expired }])
    }

    fn state_bytes(&self) -> usize {
        self.panes.values().map(GroupTable::bytes).sum::<usize>() + self.windows.bytes()
    }
}
