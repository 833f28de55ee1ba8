//! First phase of an aggregation over windows, in front of the exchange: groups rows by pane and key and sends on one
//! partial result for many rows.
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

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray, types::Int64Type};
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Collector, Error, EventTime, Operator, Pane, Result, WindowAggregateSpec, WindowKind, WindowSource,
};
use weir_functions::Functions;

use super::accumulator::Rows;
use super::group_table::{GroupTable, Scratch};
use super::layout::{Layout, used_columns};
use super::split::{PaneOf, Piece};
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
        let WindowSource::Assign { window, time } = spec.window else {
            return Err(Error::internal("rows that carry their windows are aggregated in one phase"));
        };
        if matches!(window, WindowKind::Session { .. }) || spec.partial_input {
            return Err(Error::internal("this aggregation has no first phase"));
        }
        if let Some(call) = spec.aggregates.iter().find(|call| call.partial_fields().is_none()) {
            return Err(Error::internal(format!("{:?} cannot be aggregated in two phases", call.name)));
        }
        Ok(Self {
            layout: Layout::new(spec, input, true, functions)?,
            used: used_columns(spec, input)?,
            pane_of: PaneOf::Time { window, time },
            output: output.clone(),
            panes: Panes::new(),
            groups: 0,
            measured_rows: 0,
            measured_groups: 0,
            passing: 0,
            scratch: Scratch::default(),
        })
    }

    fn take_piece(&mut self, piece: &Piece, batch: &RecordBatch, out: &mut Collector) -> Result<()> {
        let columns = piece.columns(batch, &self.used)?;
        let rows = Rows { columns: &columns, len: piece.len() };
        if self.passing > 0 {
            return self.pass(piece.pane, rows, out);
        }
        let table = self.panes.entry(piece.pane).or_insert_with(|| GroupTable::new(&self.layout, 0));
        let before = table.len();
        table.update(&self.layout, rows, &mut self.scratch)?;
        let new = table.len() - before;
        self.groups += new;
        self.measured_groups += new;
        self.measured_rows += rows.len;
        Ok(())
    }

    /// Sends rows on one by one.
    fn pass(&mut self, pane: Pane, rows: Rows<'_>, out: &mut Collector) -> Result<()> {
        let mut columns = self.layout.key_arrays(rows.columns);
        for prototype in &self.layout.prototypes {
            columns.extend(prototype.states_of_rows(rows)?);
        }
        self.passing = self.passing.saturating_sub(rows.len);
        self.emit(pane, columns, out)
    }

    /// Emits keys and states, of which the last is the row count.
    fn emit(&self, pane: Pane, mut columns: Vec<ArrayRef>, out: &mut Collector) -> Result<()> {
        let counts = columns.pop().ok_or_else(|| Error::internal("partial results lack their row count"))?;
        let rows = counts.len();
        columns.push(Arc::new(TimestampMillisecondArray::from(vec![pane.start; rows])));
        columns.push(Arc::new(Int64Array::new(counts.as_primitive::<Int64Type>().values().clone(), None)));
        out.emit(Batch::append(with_schema(&self.output, columns, rows)?));
        Ok(())
    }

    fn emit_pane(&mut self, pane: Pane, mut table: GroupTable, out: &mut Collector) -> Result<()> {
        self.groups -= table.len();
        table.states().try_for_each(|columns| self.emit(pane, columns?, out))
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
        self.pane_of.split(&records)?.iter().try_for_each(|piece| self.take_piece(piece, &records, out))?;
        self.measure();
        if self.groups >= MOST_GROUPS || (self.passing > 0 && self.groups > 0) { self.release(out) } else { Ok(()) }
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        while let Some(entry) = self.panes.first_entry().filter(|entry| entry.key().end - 1 <= time.0) {
            let (pane, table) = entry.remove_entry();
            self.emit_pane(pane, table, out)?;
        }
        Ok(Some(time))
    }

    fn release(&mut self, out: &mut Collector) -> Result<()> {
        while let Some((pane, table)) = self.panes.pop_first() {
            self.emit_pane(pane, table, out)?;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.panes.values().map(GroupTable::bytes).sum()
    }
}
