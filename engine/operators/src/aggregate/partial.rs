//! First phase of an aggregation over windows, in front of the exchange: groups rows by pane and key and sends on one
//! partial result for many rows.
//!
//! Panes of which a batch has only a few rows are grouped together ([`small_panes`](super::small_panes)).
//!
//! Rows that carry their window are grouped by that in place of a pane.
//!
//! Nothing is kept over a marker, so there is no state. Partial results of a pane leave when the watermark reaches its
//! end, because no window over it closes before; when they are released; or when there are too many of them. They are held
//! back and not owed: the second phase adds them up, and shows nothing before its window closes, so it does not matter in
//! how many pieces they come nor when. Lateness is not decided here: the second phase sees the watermark of all inputs, and
//! rows that are late for one are not for all.
//!
//! Where most rows are groups of their own, grouping them costs more than it saves. Then rows are sent on as they are,
//! each as its own partial result, and only now and then it is measured again.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, types::Int64Type};
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Collector, Error, EventTime, Operator, Pane, Result, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_functions::Functions;

use super::accumulator::Rows;
use super::group_table::{GroupTable, Scratch};
use super::layout::{Layout, used_columns};
use super::small_panes::SmallPanes;
use super::split::{PaneOf, Piece, Stretches};
use super::windows::Panes;
use crate::batches::with_schema;

/// Groups that are held at most.
const MOST_GROUPS: usize = 64 * 1024;
/// Rows over which it is measured how well they group.
const MEASURED_ROWS: usize = 64 * 1024;
/// Rows that pass ungrouped before it is measured again.
const PASSED_ROWS: usize = 32 * MEASURED_ROWS;

/// The operator.
pub(crate) struct PartialAggregate {
    // Fixed by the plan.
    layout: Layout,
    used: Vec<usize>,
    pane_of: PaneOf,
    output: SchemaRef,
    // Held back until the next marker at most.
    panes: Panes,
    groups: usize,
    /// A pane may have groups here and in a table of its own.
    small: SmallPanes,
    // How well rows group.
    measured_rows: usize,
    measured_groups: usize,
    /// Rows that are still to pass ungrouped.
    passing: usize,
    scratch: Scratch,
}

impl PartialAggregate {
    pub(crate) fn new(
        spec: &WindowAggregateSpec,
        input: &SchemaRef,
        output: &SchemaRef,
        functions: &Functions,
    ) -> Result<Self> {
        let pane_of = match spec.window {
            WindowSource::Assign { window, time } => PaneOf::Time { window, time },
            WindowSource::Attached { start, end } => PaneOf::Columns { start, end },
        };
        let sessions = matches!(spec.window, WindowSource::Assign { window: WindowKind::Session { .. }, .. });
        if sessions || spec.partial_input {
            return Err(Error::internal("this aggregation has no first phase"));
        }
        if let Some(call) = spec.aggregates.iter().find(|call| call.partial_fields().is_none()) {
            return Err(Error::internal(format!("{:?} cannot be aggregated in two phases", call.name)));
        }
        Ok(Self {
            layout: Layout::new(spec, input, true, functions)?,
            used: used_columns(spec, input)?,
            pane_of,
            small: SmallPanes::new(spec, input, pane_of, true, functions)?,
            output: output.clone(),
            panes: Panes::new(),
            groups: 0,
            measured_rows: 0,
            measured_groups: 0,
            passing: 0,
            scratch: Scratch::default(),
        })
    }

    fn take_rows(&mut self, batch: &RecordBatch, stretches: Stretches) -> Result<()> {
        let before = self.groups + self.small.len();
        self.measured_rows += stretches.rows();
        if stretches.are_small() {
            self.small.update(batch, &stretches, &mut self.scratch)?;
        } else {
            stretches.into_pieces().iter().try_for_each(|piece| self.take_piece(piece, batch))?;
        }
        self.measured_groups += self.groups + self.small.len() - before;
        Ok(())
    }

    fn take_piece(&mut self, piece: &Piece, batch: &RecordBatch) -> Result<()> {
        let columns = piece.columns(batch, &self.used)?;
        let table = self.panes.entry(piece.pane).or_insert_with(|| GroupTable::new(&self.layout, 0));
        let before = table.len();
        table.update(&self.layout, Rows { columns: &columns, len: piece.len() }, &mut self.scratch)?;
        self.groups += table.len() - before;
        Ok(())
    }

    /// Sends rows on one by one.
    fn pass(&mut self, batch: &RecordBatch, stretches: &Stretches, out: &mut Collector) -> Result<()> {
        let batch = batch.slice(0, stretches.rows());
        let rows = Rows { columns: batch.columns(), len: batch.num_rows() };
        let mut columns = self.layout.key_arrays(rows.columns);
        for prototype in &self.layout.prototypes {
            columns.extend(prototype.states_of_rows(rows)?);
        }
        self.passing = self.passing.saturating_sub(rows.len);
        self.emit(self.pane_of.columns_of(stretches.iter()), columns, out)
    }

    /// Emits keys and states, of which the last is the row count.
    fn emit(&self, panes: Vec<ArrayRef>, mut columns: Vec<ArrayRef>, out: &mut Collector) -> Result<()> {
        let counts = columns.pop().ok_or_else(|| Error::internal("partial results lack their row count"))?;
        let rows = counts.len();
        columns.extend(panes);
        columns.push(Arc::new(Int64Array::new(counts.as_primitive::<Int64Type>().values().clone(), None)));
        out.emit(Batch::append(with_schema(&self.output, columns, rows)?));
        Ok(())
    }

    fn emit_pane(&mut self, pane: Pane, mut table: GroupTable, out: &mut Collector) -> Result<()> {
        self.groups -= table.len();
        table.states().try_for_each(|columns| {
            let columns = columns?;
            let rows = columns.last().map_or(0, |counts| counts.len());
            self.emit(self.pane_of.columns_of(std::iter::once((pane, rows))), columns, out)
        })
    }

    fn emit_small(&mut self, out: &mut Collector) -> Result<()> {
        if self.small.len() == 0 {
            return Ok(());
        }
        let keys = self.layout.key_columns.len();
        let pieces: Vec<_> = self.small.states().collect();
        for columns in pieces {
            let mut columns = columns?;
            let panes = columns.drain(keys..keys + self.pane_of.width()).collect();
            self.emit(panes, columns, out)?;
        }
        self.small.clear();
        Ok(())
    }

    /// Decides whether rows are worth grouping, once enough have been seen.
    fn measure(&mut self) {
        if self.measured_rows >= MEASURED_ROWS {
            if self.measured_groups * 2 > self.measured_rows {
                self.passing = PASSED_ROWS;
            }
            self.measured_rows = 0;
            self.measured_groups = 0;
        }
    }
}

impl Operator for PartialAggregate {
    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = self.pane_of.with_time(&batch.into_appended()?)?;
        let stretches = self.pane_of.stretches(&records)?;
        if self.passing > 0 {
            return self.pass(&records, &stretches, out);
        }
        self.take_rows(&records, stretches)?;
        self.measure();
        if self.groups + self.small.len() >= MOST_GROUPS || self.passing > 0 { self.release(out) } else { Ok(()) }
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        let is_over = |pane: &Pane| pane.end - 1 <= time.0;
        while let Some(entry) = self.panes.first_entry().filter(|entry| is_over(entry.key())) {
            let (pane, table) = entry.remove_entry();
            self.emit_pane(pane, table, out)?;
        }
        // Windows that rows carry can end in another order than they start in.
        if let PaneOf::Columns { .. } = self.pane_of {
            let over: Vec<(Pane, GroupTable)> = self.panes.extract_if(.., |pane, _| is_over(pane)).collect();
            over.into_iter().try_for_each(|(pane, table)| self.emit_pane(pane, table, out))?;
        }
        // All of them, of panes that go on too: there are few rows of each.
        if self.small.first_end().is_some_and(|end| end - 1 <= time.0) {
            self.emit_small(out)?;
        }
        Ok(Some(time))
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        self.emit_small(out)?;
        while let Some((pane, table)) = self.panes.pop_first() {
            self.emit_pane(pane, table, out)?;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.panes.values().map(GroupTable::bytes).sum::<usize>() + self.small.bytes()
    }
}
