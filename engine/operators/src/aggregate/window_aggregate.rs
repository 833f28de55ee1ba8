//! Aggregation over tumbling, hopping and cumulating windows, and over windows that rows carry.
//!
//! - A batch is split by pane; each pane has a table of groups that takes the rows in. Rows of a pane whose windows are
//!   all closed are late. Where windows are panes, small ones share a table ([`small_panes`](super::small_panes)).
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
use super::small_panes::SmallPanes;
use super::spare_tables::SpareTables;
use super::split::{PaneOf, Piece, Stretches};
use super::window_results::{self, WindowResults};
use super::windows::{Panes, Windows};
use crate::LateRows;

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
    /// Groups of panes that are not in `panes`; only where each window is a pane.
    small: Option<SmallPanes>,
    watermark: EventTime,
    // Follows from the above.
    /// Windows that are not closed and cover a pane with rows: end, start.
    pending: BTreeSet<(i64, i64)>,
    windows: Windows,
    // Scratch.
    scratch: Scratch,
    room: usize,
    spare: SpareTables,
}

fn last_end(kind: Option<WindowKind>, pane: Pane) -> Option<i64> {
    match kind {
        Some(kind) => kind.last_end_of_pane(pane.start),
        None => Some(pane.end),
    }
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
        let windows = Windows::new(kind, releasable);
        let small = matches!(windows, Windows::Panes)
            .then(|| SmallPanes::new(spec, input, pane_of, false, functions))
            .transpose()?;
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
            small,
            watermark: EventTime::MIN,
            pending: BTreeSet::new(),
            windows,
            scratch: Scratch::default(),
            room: 0,
            spare: SpareTables::default(),
        })
    }

    /// End of the last window over a pane; `None` if there is no window over it.
    fn last_end(&self, pane: Pane) -> Option<i64> {
        last_end(self.kind, pane)
    }

    fn is_closed(&self, end: i64) -> bool {
        end <= self.closed_until()
    }

    /// Windows that end at this time or before are closed.
    fn closed_until(&self) -> i64 {
        self.watermark.0.saturating_add(1).saturating_sub(i64::from(bugs::is_on(Bug::ClosedTooLate)))
    }

    /// Notes the windows over a new pane.
    fn expect(&mut self, pane: Pane) {
        let windows = self.kind.map_or_else(|| vec![pane], |kind| kind.windows_of_pane(pane.start));
        let open = windows.into_iter().filter(|window| !self.is_closed(window.end));
        let open: Vec<_> = open.map(|window| (window.end, window.start)).collect();
        self.pending.extend(open);
    }

    fn take_rows(&mut self, batch: &RecordBatch, stretches: Stretches, out: &mut Collector) -> Result<()> {
        let is_small = self.small.as_ref().is_some_and(SmallPanes::has_room) && stretches.are_small();
        let takes =
            |pane: Pane| self.last_end(pane).is_some_and(|end| !self.is_closed(end)) && !self.panes.contains_key(&pane);
        if is_small
            && stretches.iter().all(|(pane, _)| takes(pane))
            && let Some(small) = &mut self.small
        {
            return small.update(batch, &stretches, &mut self.scratch);
        }
        stretches.into_pieces().iter().try_for_each(|piece| self.take_piece(piece, is_small, batch, out))
    }

    fn take_piece(&mut self, piece: &Piece, is_small: bool, batch: &RecordBatch, out: &mut Collector) -> Result<()> {
        let pane = piece.pane;
        match self.last_end(pane) {
            // Between the windows of a hop that is longer than its size.
            None => return Ok(()),
            Some(end) if self.is_closed(end) => return self.too_late(piece, batch, out),
            Some(_) => {}
        }
        if let Some(small) = &mut self.small
            && (small.contains(pane) || (is_small && !self.panes.contains_key(&pane)))
        {
            return small.update_piece(batch, piece, &mut self.scratch);
        }
        let columns = piece.columns(batch, &self.used)?;
        let rows = Rows { columns: &columns, len: piece.len() };
        if !self.panes.contains_key(&pane) {
            self.expect(pane);
        }
        let (spare, room) = (&mut self.spare, self.room);
        let new_table = || spare.take().unwrap_or_else(|| GroupTable::new(&self.layout, room));
        let table = self.panes.entry(pane).or_insert_with(new_table);
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

    fn close_small(&mut self, out: &mut Collector) -> Result<()> {
        let until = self.closed_until();
        let Some(small) = &mut self.small else { return Ok(()) };
        let Some(closed) = small.close(until) else { return Ok(()) };
        for columns in small.results(&closed) {
            let (columns, windows) = columns?;
            window_results::emit(&self.output, columns, &windows, out)?;
        }
        small.forget(&closed, &mut self.scratch)
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
            self.spare.keep(table);
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
        for piece in pane_of.stretches(rows)?.into_pieces() {
            let records = piece.records(rows)?;
            let (keys, rest) = records.columns().split_at(keys);
            if let Some(small) = self.small.as_mut().filter(|small| small.contains(piece.pane)) {
                small.load(piece.pane, keys, &rest[TIMES.len()..], piece.len(), &mut self.scratch)?;
                continue;
            }
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
        if let Some(small) = &mut self.small
            && small.evict(leaves, &mut self.scratch)?
        {
            let expires = small.open().filter_map(|pane| last_end(self.kind, pane));
            least = expires.map(|end| EventTime(end - 1)).fold(least, EventTime::min);
        }
        Ok(vec![least])
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(&self.layout.key_columns[..self.layout.parts.spread_by])
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = self.pane_of.with_time(&batch.into_appended()?)?;
        let stretches = self.pane_of.stretches(&records)?;
        self.take_rows(&records, stretches, out)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        let output = self.output.clone();
        let mut results = WindowResults::new(&output);
        let mut closed = false;
        while let Some((end, start)) = self.pending.first().copied().filter(|(end, _)| self.is_closed(*end)) {
            self.pending.remove(&(end, start));
            closed = true;
            let window = Pane { start, end };
            let table = self.windows.close(window, &mut self.panes, &self.layout, &mut self.scratch)?;
            let Some((table, picked)) = table else { continue };
            for columns in table.results(&self.layout, &picked) {
                let (columns, rows) = columns?;
                results.add(window, columns, rows, out)?;
            }
        }
        results.leave(out)?;
        if closed {
            match self.kind {
                Some(_) => self.drop_panes()?,
                None => self.drop_attached(),
            }
        }
        self.close_small(out)?;
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let expired = self.expired(0, self.watermark);
        let kind = self.kind;
        let mut captured = Vec::new();
        for (pane, table) in &mut self.panes {
            if let Some(groups) = table.capture()? {
                captured.push((*pane, groups));
            }
        }
        let small = self.small.as_mut().map(SmallPanes::capture).transpose()?.flatten();
        let (schema, parts) = (self.state.schema.clone(), self.layout.parts);
        let rows = move || {
            let mut rows = Vec::new();
            for (pane, groups) in captured {
                groups.rows(
                    &schema,
                    parts,
                    |_, rows| pane_columns(kind, std::iter::repeat_n(pane, rows)),
                    &mut rows,
                )?;
            }
            if let Some((groups, parts)) = small {
                let times = |panes: &[ArrayRef], rows: usize| {
                    let values = |column: usize| panes[column].as_primitive::<TimestampMillisecondType>().values();
                    let pane = |row: usize| match kind.and_then(|kind| kind.pane_size()) {
                        Some(size) => Pane { start: values(0)[row], end: values(0)[row] + size },
                        None => Pane { start: values(0)[row], end: values(1)[row] },
                    };
                    pane_columns(kind, (0..rows).map(pane))
                };
                groups.rows(&schema, parts, times, &mut rows)?;
            }
            Ok(rows)
        };
        Ok(vec![Capture { rows: Box::new(rows), expired }])
    }

    fn state_bytes(&self) -> usize {
        let small = self.small.as_ref().map_or(0, SmallPanes::bytes);
        self.panes.values().map(GroupTable::bytes).sum::<usize>() + small + self.windows.bytes()
    }
}

/// The columns of [`TIMES`].
fn pane_columns(kind: Option<WindowKind>, panes: impl Iterator<Item = Pane> + Clone) -> Vec<ArrayRef> {
    let expires = |pane: Pane| last_end(kind, pane).unwrap_or(pane.end) - 1;
    let column = |times: &mut dyn Iterator<Item = i64>| {
        Arc::new(TimestampMillisecondArray::from(times.collect::<Vec<_>>())) as ArrayRef
    };
    vec![
        column(&mut panes.clone().map(|pane| pane.start)),
        column(&mut panes.clone().map(|pane| pane.end)),
        column(&mut panes.map(expires)),
    ]
}
