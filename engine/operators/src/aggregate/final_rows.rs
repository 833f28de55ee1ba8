//! The rows that are left of a changelog when its input has ended: a query that updates its results has one answer over input
//! that ends, and what can only add rows can take it.
//!
//! A row is kept once, with how many there are of it. All rows of the state expire with the end of time, where they are emitted.

use arrow::array::{RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use weir_core::{
    Batch, Capture, ChangelogKind, Collector, Error, EventTime, OpenContext, Operator, Result, TableSchema,
};

use super::groups::{Constant, Groups};
use super::layout::Layout;
use crate::batches::with_schema;

const END: Constant = Constant { name: "end", value: EventTime::MAX.0, is_time: true };

/// Rows of a batch.
const BATCH: usize = 8192;

/// The operator.
pub(crate) struct FinalRows {
    groups: Groups,
    output: SchemaRef,
    has_ended: bool,
}

impl FinalRows {
    pub(crate) fn new(input: &SchemaRef, output: &SchemaRef) -> Result<Self> {
        let groups = Groups::new(Layout::of_rows(input)?, Some(END), true);
        Ok(Self { groups, output: output.clone(), has_ended: false })
    }

    fn emit(&mut self, out: &mut Collector) -> Result<()> {
        for (columns, counts) in self.groups.rows()? {
            let mut rows: Vec<u32> = Vec::with_capacity(counts.len());
            let mut emit = |rows: &mut Vec<u32>| {
                let picked = UInt32Array::from(std::mem::take(rows));
                let columns =
                    columns.iter().map(|column| take(column, &picked, None)).collect::<Result<Vec<_>, _>>()?;
                out.emit(Batch::append(with_schema(&self.output, columns, picked.len())?));
                Ok::<_, Error>(())
            };
            for (row, count) in counts.values().iter().enumerate() {
                for _ in 0..*count {
                    rows.push(row as u32);
                    if rows.len() == BATCH {
                        emit(&mut rows)?;
                    }
                }
            }
            emit(&mut rows)?;
        }
        Ok(())
    }
}

impl Operator for FinalRows {
    fn tables(&self) -> Vec<TableSchema> {
        vec![self.groups.table().clone()]
    }

    fn open(&mut self, context: &OpenContext) -> Result<()> {
        self.has_ended = context.watermark == EventTime::MAX;
        Ok(())
    }

    fn load(&mut self, _table: usize, rows: &RecordBatch, _hashes: &UInt64Array) -> Result<()> {
        self.groups.load(rows)
    }

    fn expired(&self, _table: usize, watermark: EventTime) -> Option<EventTime> {
        (watermark == EventTime::MAX).then_some(watermark)
    }

    fn due(&self, _table: usize, time: EventTime) -> Option<EventTime> {
        (time == EventTime::MAX && !self.has_ended).then_some(time)
    }

    fn evict(&mut self, leaves: &dyn Fn(u64) -> bool) -> Result<Vec<EventTime>> {
        self.groups.evict(leaves)
    }

    fn key_columns(&self, _ordinal: usize) -> Option<&[usize]> {
        Some(self.groups.key_columns())
    }

    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        !matches!(stream, ChangelogKind::Upsert(_))
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, _out: &mut Collector) -> Result<()> {
        if self.has_ended && batch.num_rows() > 0 {
            return Err(Error::internal("rows came behind the end of their input"));
        }
        self.groups.process(&batch, false)
    }

    fn watermark(&mut self, time: EventTime, out: &mut Collector) -> Result<Option<EventTime>> {
        if time == EventTime::MAX && !std::mem::replace(&mut self.has_ended, true) {
            self.groups.settle()?;
            self.emit(out)?;
        }
        Ok(Some(time))
    }

    /// Rows that were added and taken back are not kept.
    fn flush(&mut self, _out: &mut Collector) -> Result<()> {
        self.groups.settle()
    }

    fn capture(&mut self) -> Result<Vec<Capture>> {
        self.groups.capture(self.has_ended.then_some(EventTime::MAX))
    }

    fn state_bytes(&self) -> usize {
        self.groups.bytes()
    }
}
