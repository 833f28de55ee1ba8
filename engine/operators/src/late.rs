//! Rows that came too late to count, in a form that people and other jobs can read.
//!
//! Late rows are rare, so this may cost: each becomes a JSON object beside its time and the watermark that it met.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use weir_core::{Collector, Error, EventTime, OutputPort, Result};

/// Makes the late output of one operator.
#[derive(Debug, Clone)]
pub struct LateRows {
    operator: String,
}

impl LateRows {
    /// For the operator of that name.
    pub fn new(operator: impl Into<String>) -> Self {
        Self { operator: operator.into() }
    }

    /// Counts `rows` as late and emits them on [`OutputPort::Late`]. `times` holds their event times, where there are
    /// any; `watermark` is where event time stood when they came.
    ///
    /// # Errors
    /// An internal error if a row cannot be written as JSON.
    pub fn emit(
        &self,
        rows: &RecordBatch,
        times: Option<&ArrayRef>,
        watermark: EventTime,
        out: &mut Collector,
    ) -> Result<()> {
        let count = rows.num_rows();
        if count == 0 {
            return Ok(());
        }
        let times = match times.and_then(|times| times.as_primitive_opt::<TimestampMillisecondType>()) {
            Some(times) => TimestampMillisecondArray::new(times.values().clone(), times.nulls().cloned()),
            None => TimestampMillisecondArray::new_null(count),
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(&self.operator, count))),
            Arc::new(times),
            Arc::new(TimestampMillisecondArray::from_value(watermark.0, count)),
            Arc::new(json_objects(rows)?),
        ];
        let late = RecordBatch::try_new(Collector::late_schema(), columns)?;
        out.count_late(count);
        out.emit_to(OutputPort::Late, late.into());
        Ok(())
    }
}

/// Each row as a JSON object.
///
/// # Errors
/// An internal error if a row cannot be written as JSON.
pub fn json_objects(rows: &RecordBatch) -> Result<StringViewArray> {
    let unwritable = |error| Error::internal("a row cannot be written as JSON").with_source(error);
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(rows).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    let text = String::from_utf8(writer.into_inner())
        .map_err(|error| Error::internal("JSON is not UTF-8").with_source(error))?;
    Ok(StringViewArray::from_iter_values(text.lines()))
}
