//! Splits rows by the owners of their keys.
//!
//! Which rows go where is noted batch by batch; they are picked when as many as are worth sending have come together, all of one
//! destination at once. Small batches, of which there are many behind small windows, cost no copy and no allocation for each.

use arrow::array::UInt32Array;
use weir_core::bugs::{self, Bug};
use weir_core::{Batch, Result, hash};

/// Batches whose rows wait, and to which destination each row goes.
#[derive(Debug)]
pub struct Partitions {
    columns: Vec<usize>,
    batches: Vec<Batch>,
    /// For each destination the rows, as a batch's index and a position in it, in the order in which they came.
    rows: Vec<Vec<(usize, usize)>>,
    hashes: Vec<u64>,
}

impl Partitions {
    /// For so many destinations, by the hash of these columns.
    pub fn new(columns: Vec<usize>, destinations: usize) -> Self {
        Self { columns, batches: Vec::new(), rows: vec![Vec::new(); destinations], hashes: Vec::new() }
    }

    /// Notes where the rows of a batch go.
    pub fn add(&mut self, batch: Batch) -> Result<()> {
        let keys: Vec<_> = self.columns.iter().map(|column| batch.records().column(*column).clone()).collect();
        hash::hash_rows(&keys, batch.num_rows(), &mut self.hashes)?;
        let (index, destinations) = (self.batches.len(), self.rows.len());
        for (row, hash) in self.hashes.iter().enumerate() {
            let owner = if bugs::is_on(Bug::OwnerByRemainder) {
                (*hash % destinations as u64) as usize
            } else {
                hash::owner(*hash, destinations)
            };
            self.rows[owner].push((index, row));
        }
        self.batches.push(batch);
        Ok(())
    }

    /// The rows of each destination, and none is left.
    pub fn take(&mut self) -> Result<Vec<Option<Batch>>> {
        let all = self.batches.iter().map(Batch::num_rows).sum::<usize>();
        let pick = |rows: &Vec<(usize, usize)>| match &*self.batches {
            _ if rows.is_empty() => Ok(None),
            // It holds all of them, in order.
            batches if rows.len() == all => Ok(Some(Batch::concat(batches)?)),
            [batch] => Ok(Some(batch.take(&UInt32Array::from_iter_values(rows.iter().map(|(_, row)| *row as u32)))?)),
            batches => Ok(Some(Batch::gather(batches, rows)?)),
        };
        let pieces = self.rows.iter().map(pick).collect();
        self.rows.iter_mut().for_each(Vec::clear);
        self.batches.clear();
        pieces
    }
}
