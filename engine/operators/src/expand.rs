//! Emits each row once per projection, for grouping sets.

use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{Batch, Collector, ExpandSpec, Operator, Result};

use crate::batches::with_schema;
use crate::calc::compile_projection;
use crate::expr::CompiledExpr;

/// Repeats rows. Keeps nothing.
pub(crate) struct Expand {
    schema: SchemaRef,
    projections: Vec<Vec<CompiledExpr>>,
}

impl Expand {
    pub(crate) fn new(spec: &ExpandSpec, input: &Schema, output: &SchemaRef) -> Result<Self> {
        let compile = |exprs: &Vec<_>| compile_projection(exprs, input, output);
        Ok(Self { schema: output.clone(), projections: spec.projections.iter().map(compile).collect::<Result<_>>()? })
    }
}

impl Operator for Expand {
    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let records = batch.into_records();
        for projection in &self.projections {
            let columns = projection.iter().map(|expr| expr.evaluate(&records)).collect::<Result<Vec<_>>>()?;
            out.emit(with_schema(&self.schema, columns, records.num_rows())?.into());
        }
        Ok(())
    }
}
