//! Emits each row once per projection, for grouping sets.

use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{Batch, ChangelogKind, Collector, ExpandSpec, Operator, Result};
use weir_functions::Functions;

use crate::calc::compile_projection;
use crate::expr::CompiledExpr;

/// Repeats rows. Keeps nothing.
pub(crate) struct Expand {
    schema: SchemaRef,
    projections: Vec<Vec<CompiledExpr>>,
}

impl Expand {
    pub(crate) fn new(spec: &ExpandSpec, input: &Schema, output: &SchemaRef, functions: &Functions) -> Result<Self> {
        let compile = |exprs: &Vec<_>| compile_projection(exprs, input, output, functions);
        Ok(Self { schema: output.clone(), projections: spec.projections.iter().map(compile).collect::<Result<_>>()? })
    }
}

impl Operator for Expand {
    /// Copies of a row share its key, and would replace each other.
    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        matches!(stream, ChangelogKind::Append | ChangelogKind::Retract)
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        for projection in &self.projections {
            let columns = projection.iter().map(|expr| expr.evaluate(batch.records())).collect::<Result<Vec<_>>>()?;
            out.emit(batch.with_columns(&self.schema, columns)?);
        }
        Ok(())
    }
}
