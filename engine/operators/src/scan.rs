//! What a source node does to the rows of its connector, apart from reading them: computed columns, event time, filter.

use arrow::array::RecordBatch;
use arrow::compute::max;
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, Error, EventTime, Result, SourceSpec};

use crate::batches::{event_times, keep, with_schema};
use crate::expr::CompiledExpr;

/// The stateless part of a source node. The loop that reads the source calls it with each batch.
#[derive(Debug)]
pub struct Scan {
    schema: SchemaRef,
    projection: Option<Vec<CompiledExpr>>,
    watermark: Option<CompiledExpr>,
    filter: Option<CompiledExpr>,
}

impl Scan {
    /// For a source node with output `schema`.
    ///
    /// # Errors
    /// If an expression cannot be compiled.
    pub fn new(spec: &SourceSpec, schema: SchemaRef) -> Result<Self> {
        let read = spec.table.output_schema();
        let projection = match &spec.projection {
            None => {
                let types =
                    |schema: &SchemaRef| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
                if types(&read) != types(&schema) {
                    return Err(Error::internal("a source node without computed columns has a schema of its own"));
                }
                None
            }
            Some(exprs) => Some(crate::calc::compile_projection(exprs, &read, &schema)?),
        };
        let watermark =
            spec.watermark.as_ref().map(|watermark| CompiledExpr::new(&watermark.expression, &schema)).transpose()?;
        let filter = spec.filter.as_ref().map(|filter| CompiledExpr::new(filter, &schema)).transpose()?;
        Ok(Self { schema, projection, watermark, filter })
    }

    /// The node's output for rows that the connector has read, and the greatest value of the watermark expression over
    /// all of them, the rows that are filtered out included. `None` without a watermark, or if all values are null.
    ///
    /// # Errors
    /// A data error if a row has no value for an expression.
    pub fn rows(&mut self, records: RecordBatch) -> Result<(Batch, Option<EventTime>)> {
        let rows = records.num_rows();
        let columns = match &self.projection {
            None => records.columns().to_vec(),
            Some(exprs) => exprs.iter().map(|expr| expr.evaluate(&records)).collect::<Result<Vec<_>>>()?,
        };
        let output = with_schema(&self.schema, columns, rows)?;
        let time = match &self.watermark {
            None => None,
            Some(watermark) => max(event_times(&watermark.evaluate(&output)?)?).map(EventTime),
        };
        let output = match &self.filter {
            None => output,
            Some(filter) => {
                let condition = filter.evaluate_condition(&output)?;
                keep(output, &condition)?
            }
        };
        Ok((Batch::append(output), time))
    }
}

#[cfg(test)]
mod tests;
