//! Spreads rows that carry their window over the windows that are open.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::{max, min, take_record_batch};
use weir_core::{Collector, EventTime, Result};

use crate::batches::bounded_times;
use crate::late::LateRows;

/// Rows by window.
#[derive(Debug, Default)]
pub(crate) struct ByWindow {
    /// End of a window that is open, and its rows.
    pub(crate) open: Vec<(i64, RecordBatch)>,
    /// Rows whose window's end is null.
    pub(crate) windowless: Option<RecordBatch>,
}

/// Windows that end at this time or before are closed where event time stands at `watermark`.
pub(crate) fn closed_at(watermark: EventTime) -> EventTime {
    EventTime(watermark.0.saturating_add(1))
}

/// Spreads `records` by the window end in column `end`. Rows of a window that `watermark` has closed go to the late
/// output.
pub(crate) fn by_window(
    records: RecordBatch,
    end: usize,
    watermark: EventTime,
    late: &LateRows,
    out: &mut Collector,
) -> Result<ByWindow> {
    let ends = bounded_times(records.column(end))?;
    if ends.null_count() == 0
        && let (Some(least), Some(greatest)) = (min(ends), max(ends))
        && least == greatest
        && least - 1 > watermark.0
    {
        return Ok(ByWindow { open: vec![(least, records)], windowless: None });
    }
    let mut rows_of: BTreeMap<Option<i64>, Vec<u32>> = BTreeMap::new();
    let mut last: Option<(Option<i64>, Vec<u32>)> = None;
    // Rows of one window tend to come together; the map is asked once per stretch of them.
    for (row, end) in ends.iter().enumerate() {
        match &mut last {
            Some((window, rows)) if *window == end => rows.push(row as u32),
            _ => {
                let next = (end, rows_of.remove(&end).unwrap_or_default());
                if let Some((window, rows)) = last.replace(next) {
                    rows_of.insert(window, rows);
                }
                if let Some((_, rows)) = &mut last {
                    rows.push(row as u32);
                }
            }
        }
    }
    rows_of.extend(last);
    let mut split = ByWindow::default();
    for (window, rows) in rows_of {
        let part = take_record_batch(&records, &UInt32Array::from(rows))?;
        match window {
            None => split.windowless = Some(part),
            Some(closed) if closed - 1 <= watermark.0 => late.emit(&part, Some(part.column(end)), watermark, out)?,
            Some(open) => split.open.push((open, part)),
        }
    }
    Ok(split)
}
