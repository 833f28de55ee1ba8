//! Makes rows of changes: what happens to each row stands in front of its columns, for those who read a changelog as rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::SchemaRef;
use weir_core::{Batch, ChangelogKind, ChangelogRowsSpec, Collector, Operator, Result};

use crate::aggregate::differ;
use crate::batches::with_schema;

/// The operator.
pub(crate) struct ChangelogRows {
    key: Option<Vec<usize>>,
    output: SchemaRef,
}

impl ChangelogRows {
    pub(crate) fn new(spec: &ChangelogRowsSpec, output: &SchemaRef) -> Self {
        Self { key: spec.key.clone(), output: output.clone() }
    }

    /// For each row but the last, whether the next one has the same key.
    fn same_as_next(&self, records: &RecordBatch) -> Result<Vec<bool>> {
        let pairs = records.num_rows().saturating_sub(1);
        let Some(key) = &self.key else { return Ok(vec![false; pairs]) };
        let side = |offset: usize| -> Vec<ArrayRef> {
            key.iter().map(|column| records.column(*column).slice(offset, pairs)).collect()
        };
        Ok(differ(&side(0), &side(1), pairs)?.values().iter().map(|differs| !differs).collect())
    }
}

impl Operator for ChangelogRows {
    fn takes(&self, _ordinal: usize, stream: &ChangelogKind) -> bool {
        !matches!(stream, ChangelogKind::Upsert(_))
    }

    fn process(&mut self, _ordinal: usize, batch: Batch, out: &mut Collector) -> Result<()> {
        let (records, weights) = batch.into_parts();
        let rows = records.num_rows();
        let mut operations = vec!["+I"; rows];
        if let Some(weights) = &weights {
            let same = self.same_as_next(&records)?;
            for row in 0..rows {
                if weights.value(row) > 0 {
                    continue;
                }
                operations[row] = "-D";
                if row + 1 < rows && weights.value(row + 1) > 0 && same[row] {
                    (operations[row], operations[row + 1]) = ("-U", "+U");
                }
            }
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(StringViewArray::from_iter_values(operations))];
        columns.extend(records.columns().iter().cloned());
        out.emit(Batch::append(with_schema(&self.output, columns, rows)?));
        Ok(())
    }
}
