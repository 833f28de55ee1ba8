//! From what a table's connector has read to rows that can be looked up: computed columns, conditions on the table alone, an index.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use weir_core::{Collector, Error, LookupJoinSpec, LookupRows, Operator, Result};
use weir_functions::Functions;

use crate::batches::compact;
use crate::calc::Calc;
use crate::scan::Scan;

/// What a lookup join makes of the rows of its table. Takes time, and no state of the join, so it may be done beside it.
pub struct LookupSide {
    spec: LookupJoinSpec,
    functions: Arc<Functions>,
}

impl LookupSide {
    /// For a join, whose expressions call `functions`.
    pub fn new(spec: LookupJoinSpec, functions: Arc<Functions>) -> Self {
        Self { spec, functions }
    }

    /// The rows as they are looked up.
    ///
    /// # Errors
    /// A data error if a row has no value for an expression.
    pub fn rows(&self, read: Vec<RecordBatch>) -> Result<LookupRows> {
        let spec = &self.spec;
        let made =
            spec.schemas.first().ok_or_else(|| Error::internal("a table that is looked up in has no columns"))?;
        let mut scan = Scan::new(&spec.source, made.clone(), &self.functions)?;
        let calcs = spec.calcs.iter().zip(spec.schemas.windows(2));
        let calcs = calcs.map(|(calc, schemas)| Calc::new(calc, &schemas[0], &schemas[1], &self.functions));
        let mut calcs = calcs.collect::<Result<Vec<_>>>()?;
        let (mut rows, mut out) = (Vec::new(), Collector::new(0));
        for records in read.into_iter().filter(|records| records.num_rows() > 0) {
            out.emit(scan.rows(records)?.rows);
            for calc in &mut calcs {
                for (_, batch) in out.take() {
                    calc.process(0, batch, &mut out)?;
                }
            }
            for (_, batch) in out.take() {
                rows.push(batch.into_appended()?);
            }
        }
        let schema = spec.table_schema()?;
        let on = &spec.on;
        let keys: Vec<usize> = on.iter().map(|pair| pair.1).collect();
        LookupRows::new(&compact(&concat_batches(schema, &rows)?)?, &keys)
    }
}
