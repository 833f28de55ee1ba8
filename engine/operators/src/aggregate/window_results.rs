//! Results of windows as they come out. Those of small windows that close together leave in one batch: a batch for each window would
//! cost every later step more than its rows do.

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use weir_core::views::{are_scattered, compact};
use weir_core::{Batch, Collector, Pane, Result};

use crate::batches::{timestamps_of_type, with_schema};

/// Rows of a batch that is put together, at most.
const MOST_TOGETHER: usize = 8192;

/// A window, and how many rows in a row are of it.
pub(super) type WindowRows = (Pane, usize);

/// Results that have not left yet.
pub(super) struct WindowResults<'a> {
    /// Keys, aggregates, then start, end and time of the window.
    output: &'a SchemaRef,
    /// Keys and aggregates of each window.
    columns: Vec<Vec<ArrayRef>>,
    windows: Vec<WindowRows>,
    rows: usize,
}

impl<'a> WindowResults<'a> {
    pub(super) fn new(output: &'a SchemaRef) -> Self {
        Self { output, columns: Vec::new(), windows: Vec::new(), rows: 0 }
    }

    /// Adds keys and aggregates of so many groups of a window.
    pub(super) fn add(&mut self, window: Pane, columns: Vec<ArrayRef>, rows: usize, out: &mut Collector) -> Result<()> {
        if self.rows + rows > MOST_TOGETHER {
            self.leave(out)?;
        }
        self.columns.push(columns);
        self.windows.push((window, rows));
        self.rows += rows;
        Ok(())
    }

    /// Emits what has been added.
    pub(super) fn leave(&mut self, out: &mut Collector) -> Result<()> {
        let whole = |column: usize| {
            let parts: Vec<&dyn Array> = self.columns.iter().map(|columns| &*columns[column] as &dyn Array).collect();
            compact(&concat(&parts)?, are_scattered)
        };
        let columns = match self.columns.as_slice() {
            [] => return Ok(()),
            [only] => only.clone(),
            [first, ..] => (0..first.len()).map(whole).collect::<Result<_>>()?,
        };
        emit(self.output, columns, &self.windows, out)?;
        (self.columns, self.windows, self.rows) = (Vec::new(), Vec::new(), 0);
        Ok(())
    }
}

/// Emits keys and aggregates of groups: so many of one window, one behind the other, then of the next.
pub(super) fn emit(
    output: &SchemaRef,
    mut columns: Vec<ArrayRef>,
    windows: &[WindowRows],
    out: &mut Collector,
) -> Result<()> {
    let rows = windows.iter().map(|(_, rows)| rows).sum();
    let times: [fn(&Pane) -> i64; 3] = [|window| window.start, |window| window.end, |window| window.end - 1];
    let fields = &output.fields()[columns.len()..];
    for (time, field) in times.iter().zip(fields) {
        let mut values = Vec::with_capacity(rows);
        windows.iter().for_each(|(window, rows)| values.resize(values.len() + rows, time(window)));
        columns.push(timestamps_of_type(values, field.data_type())?);
    }
    out.emit(Batch::append(with_schema(output, columns, rows)?));
    Ok(())
}
