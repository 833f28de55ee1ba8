//! Appends `window_start`, `window_end` and `window_time`; a row in several windows is repeated.
//!
//! - batch: a row goes into those of its windows that still take rows, which they do until the watermark passes their end, and the
//!   lateness that is allowed behind it. One whose windows take none any more is late; one without a time, or in a gap between
//!   hops, is in no window and leaves.
//! - watermark: closes windows, goes on as it is.
//! - marker: nothing to keep, because the watermark comes back at open.

use arrow::array::{RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Collector, Error, EventTime, OpenContext, Operator, Pane, Result, WindowAssignSpec, WindowKind,
};

use crate::batches::{bounded_times, timestamps_of_type, with_schema};
use crate::late::LateRows;

/// Assigns windows. Keeps nothing but the watermark.
pub(crate) struct WindowAssign {
    window: WindowKind,
    time: usize,
    lateness: i64,
    schema: SchemaRef,
    late: LateRows,

    watermark: EventTime,

    windows: Windows,
}

/// Which row goes into which window.
#[derive(Default)]
struct Windows {
    rows: Vec<u32>,
    starts: Vec<i64>,
    ends: Vec<i64>,
    late: Vec<u32>,
}

impl WindowAssign {
    pub(crate) fn new(spec: &WindowAssignSpec, schema: &SchemaRef, name: &str) -> Result<Self> {
        if spec.window.pane_size().is_none() {
            return Err(Error::internal("session windows cannot be assigned row by row"));
        }
        Ok(Self {
            window: spec.window,
            time: spec.time,
            lateness: i64::try_from(spec.lateness).unwrap_or(i64::MAX),
            schema: schema.clone(),
            late: LateRows::new(name),
            watermark: EventTime::MIN,
            windows: Windows::default(),
        })
    }

    fn assign(&mut self, times: &TimestampMillisecondArray) {
        let Windows { rows, starts, ends, late } = &mut self.windows;
        rows.clear();
        starts.clear();
        ends.clear();
        late.clear();
        // Neighbouring rows share their pane more often than not.
        let mut pane = Pane { start: 0, end: 0 };
        let mut windows: Vec<Pane> = Vec::new();
        let mut all_closed = false;
        for (row, time) in times.iter().enumerate() {
            let Some(time) = time else { continue };
            if !(pane.start..pane.end).contains(&time) {
                let Some(found) = self.window.pane(time) else { continue };
                pane = found;
                windows = self.window.windows_of_pane(pane.start);
                let before = windows.len();
                windows.retain(|window| (window.end - 1).saturating_add(self.lateness) > self.watermark.0);
                all_closed = windows.is_empty() && before > 0;
            }
            if all_closed {
                late.push(row as u32);
            }
            for window in &windows {
                rows.push(row as u32);
                starts.push(window.start);
                ends.push(window.end);
            }
        }
    }
}

impl Operator for WindowAssign {
    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.watermark = context.watermark;
        Ok(())
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        self.assign(bounded_times(records.column(self.time))?);
        if !self.windows.late.is_empty() {
            let refused = take_record_batch(&records, &UInt32Array::from(self.windows.late.clone()))?;
            self.late.emit(&refused, Some(refused.column(self.time)), self.watermark, out)?;
        }
        let rows = self.windows.rows.len();
        if rows == 0 {
            return Ok(());
        }
        let once_each =
            rows == records.num_rows() && self.windows.rows.iter().enumerate().all(|(i, row)| i == *row as usize);
        let repeated: RecordBatch = if once_each {
            records
        } else {
            take_record_batch(&records, &UInt32Array::from(self.windows.rows.clone()))?
        };
        let mut columns = repeated.columns().to_vec();
        let last = self.windows.ends.iter().map(|end| end - 1).collect::<Vec<_>>();
        for values in [self.windows.starts.clone(), self.windows.ends.clone(), last] {
            let declared = self.schema.field(columns.len()).data_type();
            columns.push(timestamps_of_type(values, declared)?);
        }
        out.emit(with_schema(&self.schema, columns, rows)?.into());
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        self.watermark = time;
        Ok(Some(time))
    }
}

#[cfg(test)]
mod tests;
