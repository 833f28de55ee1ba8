//! A function over batches as a step: for those who want Arrow as it is.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, Collector, Error, Operator, Result};

/// A function over batches.
pub(crate) type OverBatches = Arc<dyn Fn(RecordBatch) -> Result<RecordBatch> + Send + Sync>;

pub(crate) struct BatchStep {
    pub(crate) function: OverBatches,
    pub(crate) output: SchemaRef,
}

impl Operator for BatchStep {
    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let made = (self.function)(batch.into_appended()?)?;
        let made = RecordBatch::try_new(self.output.clone(), made.columns().to_vec()).map_err(|error| {
            Error::user("a function over batches made columns that are not those of its record").with_source(error)
        })?;
        out.emit(made.into());
        Ok(())
    }
}
