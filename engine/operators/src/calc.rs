//! Filter, then projection, row by row.

use arrow::datatypes::{Schema, SchemaRef};
use weir_core::{Batch, CalcSpec, ChangelogKind, Collector, Error, Expr, Operator, Result};
use weir_functions::Functions;

use crate::expr::CompiledExpr;

/// Filters and projects. Keeps nothing.
pub(crate) struct Calc {
    schema: SchemaRef,
    predicate: Option<CompiledExpr>,
    projection: Vec<CompiledExpr>,
    /// The columns of the input that the projection reads, as the compiled projection numbers them. Others are not
    /// carried through the filter.
    read: Vec<usize>,
    /// The columns of the input that the predicate reads.
    filtered_by: Vec<usize>,
}

/// Compiles one expression per field of `output`.
pub(crate) fn compile_projection(
    exprs: &[Expr],
    input: &Schema,
    output: &Schema,
    functions: &Functions,
) -> Result<Vec<CompiledExpr>> {
    if exprs.len() != output.fields().len() {
        return Err(Error::internal(format!("{} expressions make {} columns", exprs.len(), output.fields().len())));
    }
    let typed = exprs.iter().zip(output.fields());
    typed.map(|(expr, field)| CompiledExpr::with_type(expr, input, field.data_type(), functions)).collect()
}

impl Calc {
    pub(crate) fn new(spec: &CalcSpec, input: &Schema, output: &SchemaRef, functions: &Functions) -> Result<Self> {
        let predicate = spec
            .predicate
            .as_ref()
            .map(|predicate| CompiledExpr::condition(predicate, input, functions))
            .transpose()?;
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
        let projection = compile_projection(&projection, &narrow, output, functions)?;
        let mut filtered_by = Vec::new();
        spec.predicate.iter().for_each(|predicate| predicate.visit_columns(&mut |column| filtered_by.push(column)));
        Ok(Self { schema: output.clone(), predicate, projection, read, filtered_by })
    }
}

impl Operator for Calc {
    /// A filter over rows that are replaced by key would have to say of a row that no longer passes that it is gone, unless
    /// all rows of a key pass or none does.
    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append | ChangelogKind::Retract => true,
            ChangelogKind::Upsert(key) => self.filtered_by.iter().all(|column| key.contains(column)),
        }
    }

    fn process(&mut self, _ordinal: usize, mut batch: Batch, out: &mut Collector) -> Result<()> {
        if let Some(predicate) = &self.predicate {
            let condition = predicate.evaluate_condition(batch.records())?;
            if condition.true_count() == 0 {
                return Ok(());
            }
            if self.read.len() < batch.records().num_columns() {
                batch = batch.project(&self.read)?;
            }
            batch = batch.filter(&condition)?;
        }
        let columns = self.projection.iter().map(|expr| expr.evaluate(batch.records())).collect::<Result<Vec<_>>>()?;
        out.emit(batch.with_columns(&self.schema, columns)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
