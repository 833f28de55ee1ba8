//! What is done with rows alone: any number of steps in one operator.
//!
//! Each input is a [`Branch`]: a function that decodes a batch and hands over the rows that come out of all its steps, one after the
//! other. If every row is one of the batch's, unchanged, its columns are passed on as they came.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, Collector, EventTime, Operator, Result};

use crate::record::{Key, Record};

/// Takes a row, and its position in the batch that it comes from.
pub(crate) type Sink<'a, R> = &'a mut dyn FnMut(usize, R) -> Result<()>;

/// Decodes columns, and hands over what comes of their rows.
pub(crate) type Rows<R> = Arc<dyn Fn(&[ArrayRef], Sink<'_, R>) -> Result<()> + Send + Sync>;

/// What is done with the rows of an input.
pub(crate) struct Branch<R> {
    /// What is read.
    pub(crate) relation: String,
    /// Its columns.
    pub(crate) columns: SchemaRef,
    /// The one of them that is event time.
    pub(crate) event_time: Option<usize>,
    pub(crate) rows: Rows<R>,
    /// Whether each row is one of the batch's, unchanged.
    pub(crate) is_unchanged: bool,
    /// Whether nothing is done.
    pub(crate) is_untouched: bool,
}

impl<R> Clone for Branch<R> {
    fn clone(&self) -> Self {
        Self { relation: self.relation.clone(), columns: self.columns.clone(), rows: self.rows.clone(), ..*self }
    }
}

/// Makes the key columns of rows.
pub(crate) trait KeyColumns<R>: Send {
    fn push(&mut self, row: &R);
    fn finish(&mut self) -> Vec<ArrayRef>;
}

pub(crate) struct KeyOf<R, K: Key> {
    key: Arc<dyn Fn(&R) -> K + Send + Sync>,
    builder: K::Builder,
}

impl<R, K: Key> KeyOf<R, K> {
    pub(crate) fn new(key: Arc<dyn Fn(&R) -> K + Send + Sync>) -> Self {
        Self { key, builder: K::builder(0) }
    }
}

impl<R, K: Key> KeyColumns<R> for KeyOf<R, K> {
    fn push(&mut self, row: &R) {
        (self.key)(row).append_to(&mut self.builder);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        K::finish_columns(&mut self.builder)
    }
}

/// The operator.
pub(crate) struct Stateless<R: Record> {
    branches: Vec<Branch<R>>,
    key: Option<Box<dyn KeyColumns<R>>>,
    output: SchemaRef,
    /// Whether event time is somebody else's. Then the input is told to be at its end, in event time, so that it holds nobody up.
    is_timeless: bool,
    rows: R::Builder,
}

impl<R: Record> Stateless<R> {
    pub(crate) fn new(branches: Vec<Branch<R>>, key: Option<Box<dyn KeyColumns<R>>>, output: SchemaRef) -> Self {
        Self { branches, key, output, is_timeless: false, rows: R::builder(0) }
    }

    /// For rows that stand beside others which have event time.
    pub(crate) fn timeless(self, is_timeless: bool) -> Self {
        Self { is_timeless, ..self }
    }
}

impl<R: Record> Operator for Stateless<R> {
    fn process(&mut self, ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.into_appended()?;
        let Some(branch) = self.branches.get(ordinal) else {
            return Err(weir_core::Error::internal("rows came on an input that is none"));
        };
        let mut positions: Vec<u32> = Vec::new();
        let mut count = 0;
        (branch.rows)(records.columns(), &mut |position, row: R| {
            if branch.is_unchanged {
                positions.push(position as u32);
            } else {
                row.append_to(&mut self.rows);
            }
            if let Some(key) = &mut self.key {
                key.push(&row);
            }
            count += 1;
            Ok(())
        })?;
        let mut columns = match branch.is_unchanged {
            false => R::finish_columns(&mut self.rows),
            true if count == records.num_rows() => records.columns().to_vec(),
            true => {
                let positions = UInt32Array::from(positions);
                records.columns().iter().map(|column| take(column, &positions, None)).collect::<Result<_, _>>()?
            }
        };
        columns.extend(self.key.iter_mut().flat_map(|key| key.finish()));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        out.emit(RecordBatch::try_new_with_options(self.output.clone(), columns, &options)?.into());
        Ok(())
    }

    /// Those who are told that the input is at its end cannot be told of an earlier time.
    fn watermark(&mut self, time: EventTime, _out: &mut Collector) -> Result<Option<EventTime>> {
        Ok(Some(time).filter(|time| !self.is_timeless || *time == EventTime::MAX))
    }

    fn tick(&mut self, _out: &mut Collector) -> Result<Option<EventTime>> {
        Ok(self.is_timeless.then_some(EventTime::MAX))
    }
}
