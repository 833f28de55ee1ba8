//! What comes out of one batch, change by change in the order in which the rows act, and then as columns.

use arrow::array::{ArrayRef, Int8Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use weir_core::{Batch, Collector, Result};

use super::rows::{Rows, Slot};
use crate::batches::with_schema;
use crate::join::{JoinShape, LEFT};

/// So many changes make a batch.
const PIECE: usize = 8192;

/// Changes: each is a row of the batch, a row of the other side, or both side by side, and whether it is added or taken back.
#[derive(Default)]
pub(super) struct Changes {
    own: Vec<Option<u32>>,
    other: Vec<Option<Slot>>,
    weights: Vec<i8>,
}

impl Changes {
    pub(super) fn add(&mut self, own: Option<u32>, other: Option<Slot>, weight: i8) {
        self.own.push(own);
        self.other.push(other);
        self.weights.push(weight);
    }

    /// Emits the changes that `batch` of `side` makes.
    pub(super) fn emit(
        &self,
        shape: &JoinShape,
        side: usize,
        batch: &RecordBatch,
        rows: &Rows,
        out: &mut Collector,
    ) -> Result<()> {
        for first in (0..self.weights.len()).step_by(PIECE) {
            let piece = first..self.weights.len().min(first + PIECE);
            let (own, other) = (&self.own[piece.clone()], &self.other[piece.clone()]);
            let columns = if shape.emits_pairs() {
                let (own, other) = (columns_of(batch, own)?, rows.gather_or_null(other)?);
                let (left, right) = if side == LEFT { (own, other) } else { (other, own) };
                left.into_iter().chain(right).collect()
            } else if shape.tracks(side) {
                columns_of(batch, own)?
            } else {
                rows.gather_or_null(other)?
            };
            let records = with_schema(shape.output(), columns, piece.len())?;
            out.emit(weighted(records, &self.weights[piece])?);
        }
        Ok(())
    }
}

/// Columns of the rows at these positions, null where there is none.
fn columns_of(batch: &RecordBatch, rows: &[Option<u32>]) -> Result<Vec<ArrayRef>> {
    let rows = UInt32Array::from(rows.to_vec());
    batch.columns().iter().map(|column| Ok(take(column, &rows, None)?)).collect()
}

/// Rows of which some are taken back, or none.
pub(super) fn weighted(records: RecordBatch, weights: &[i8]) -> Result<Batch> {
    match weights.iter().all(|weight| *weight > 0) {
        true => Ok(records.into()),
        false => Batch::weighted(records, Int8Array::from(weights.to_vec())),
    }
}
