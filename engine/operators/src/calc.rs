//! Filter, then projection, row by row.

use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{Batch, CalcSpec, Collector, Error, Expr, Operator, Result};

use crate::batches::{keep, with_schema};
use crate::expr::CompiledExpr;

/// Filters and projects. Keeps nothing.
pub(crate) struct Calc {
    schema: SchemaRef,
    predicate: Option<CompiledExpr>,
    projection: Vec<CompiledExpr>,
    /// The columns of the input that the projection reads, as the compiled projection numbers them. Others are not
    /// carried through the filter.
    read: Vec<usize>,
}

/// Compiles one expression per field of `output`.
pub(crate) fn compile_projection(exprs: &[Expr], input: &Schema, output: &Schema) -> Result<Vec<CompiledExpr>> {
    if exprs.len() != output.fields().len() {
        return Err(Error::internal(format!("{} expressions make {} columns", exprs.len(), output.fields().len())));
    }
    let typed = exprs.iter().zip(output.fields());
    typed.map(|(expr, field)| CompiledExpr::with_type(expr, input, field.data_type())).collect()
}

impl Calc {
    pub(crate) fn new(spec: &CalcSpec, input: &Schema, output: &SchemaRef) -> Result<Self> {
        let predicate = spec.predicate.as_ref().map(|predicate| CompiledExpr::new(predicate, input)).transpose()?;
        let mut read: Vec<usize> = Vec::new();
        let mut visit = |column| read.push(column);
        spec.projection.iter().for_each(|expr| expr.visit_columns(&mut visit));
        read.sort_unstable();
        read.dedup();
        let pruned = predicate.is_some() && read.len() < input.fields().len();
        if !pruned {
            read = (0..input.fields().len()).collect();
        }
        let narrow = input.project(&read)?;
        let projection: Vec<Expr> = spec
            .projection
            .iter()
            .map(|expr| expr.map_columns(&|column| read.binary_search(&column).unwrap_or(usize::MAX)))
            .collect();
        let projection = compile_projection(&projection, &narrow, output)?;
        Ok(Self { schema: output.clone(), predicate, projection, read })
    }
}

impl Operator for Calc {
    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let mut records = batch.into_records();
        if let Some(predicate) = &self.predicate {
            let condition = predicate.evaluate_condition(&records)?;
            if condition.true_count() == 0 {
                return Ok(());
            }
            if self.read.len() < records.num_columns() {
                records = records.project(&self.read)?;
            }
            records = keep(records, &condition)?;
        }
        let columns = self.projection.iter().map(|expr| expr.evaluate(&records)).collect::<Result<Vec<_>>>()?;
        out.emit(with_schema(&self.schema, columns, records.num_rows())?.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
