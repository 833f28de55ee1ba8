//! Appends the processing time, and from here on time *is* processing time.
//!
//! - batch: each row gets the batch's processing time, or the latest one given out if the clock went back.
//! - tick: no row can have an earlier time than now, so the watermark is one millisecond less.
//! - watermark: event time ends here, but for the end of the stream.
//! - marker: the latest time given out is kept, so that time goes on from there after a restart elsewhere.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use weir_core::hash::hash_rows;
use weir_core::{
    Batch, Capture, Collector, Distribution, EventTime, OpenContext, Operator, Result, StateRows, TableSchema,
    state_column,
};

use crate::batches::{timestamps_of_type, with_schema};

/// Makes processing time the time of the stream.
pub(crate) struct ProcessingTime {
    schema: SchemaRef,
    /// Start of the subtask's key range: what its row of state is called.
    subtask: u64,

    /// Latest time given to a row or promised by a watermark. Checkpointed.
    latest: i64,

    watermark: EventTime,
}

impl ProcessingTime {
    pub(crate) fn new(schema: &SchemaRef) -> Self {
        Self { schema: schema.clone(), subtask: 0, latest: i64::MIN, watermark: EventTime::MIN }
    }

    fn table_schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("subtask", DataType::UInt64, false),
            Field::new("latest", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        ]))
    }
}

impl Operator for ProcessingTime {
    fn tables(&self) -> Vec<TableSchema> {
        vec![TableSchema {
            name: "time".to_owned(),
            version: 1,
            schema: state_column::numbered_schema(&Self::table_schema()),
            key_columns: 1,
            time_column: None,
            distribution: Distribution::Broadcast,
        }]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.subtask = context.range.first;
        if context.watermark == EventTime::MAX {
            self.watermark = EventTime::MAX;
        }
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        let times = rows.column(1).as_primitive::<TimestampMillisecondType>();
        self.latest = times.values().iter().fold(self.latest, |latest, time| latest.max(*time));
        Ok(())
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        self.latest = self.latest.max(out.now());
        let rows = records.num_rows();
        let mut columns = records.columns().to_vec();
        let declared = self.schema.field(columns.len()).data_type();
        columns.push(timestamps_of_type(vec![self.latest; rows], declared)?);
        out.emit(with_schema(&self.schema, columns, rows)?.into());
        Ok(())
    }

    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        if time != EventTime::MAX {
            return Ok(None);
        }
        self.watermark = time;
        Ok(Some(time))
    }

    fn tick(&mut self, out: &mut Collector) -> Result<Option<EventTime>> {
        self.latest = self.latest.max(out.now());
        let time = EventTime(self.latest.saturating_sub(1));
        if time <= self.watermark {
            return Ok(None);
        }
        self.watermark = time;
        Ok(Some(time))
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        let (subtask, latest) = (self.subtask, self.latest);
        let rows = move || {
            let key: ArrayRef = Arc::new(UInt64Array::from(vec![subtask]));
            let mut hashes = Vec::new();
            hash_rows(std::slice::from_ref(&key), 1, &mut hashes)?;
            let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![latest]));
            let rows = RecordBatch::try_new(Self::table_schema(), vec![key, time])?;
            Ok(vec![StateRows { rows, hashes: UInt64Array::from(hashes), deleted: None }])
        };
        Ok(vec![Capture { rows: Box::new(rows), expired: None }])
    }
}

#[cfg(test)]
mod tests;
