//! Batches that may take back rows that have been forgotten, or whose matches have been: how many matches a row had is what was counted, not
//! what is there by now.

use arrow::array::{AsArray, BooleanArray, UInt64Array};
use arrow::compute::filter;
use weir_core::{Batch, Collector, Result};

use super::UpdatingJoin;
use super::rows::Added;

impl UpdatingJoin {
    /// A batch with rows that are taken back, where some rows of either side may have been forgotten: stretches of one sign, one behind the other.
    pub(super) fn process_some(
        &mut self,
        side: usize,
        batch: &Batch,
        hashes: &UInt64Array,
        out: &mut Collector,
    ) -> Result<()> {
        let weights = batch.weights().map(|weights| weights.values().to_vec()).unwrap_or_default();
        let mut first = 0;
        for stretch in weights.chunk_by(|one, other| one == other) {
            let mut rows = batch.slice(first, stretch.len());
            let mut hashes = hashes.slice(first, stretch.len());
            first += stretch.len();
            let mut had_matches = None;
            if stretch[0] < 0 {
                let there = self.rows[side].remove(rows.records(), hashes.values())?;
                had_matches = Some(there.iter().copied().flatten().collect::<Vec<u32>>());
                let there: BooleanArray = there.iter().map(|matches| Some(matches.is_some())).collect();
                rows = rows.filter(&there)?;
                hashes = filter(&hashes, &there)?.as_primitive().clone();
            }
            if rows.num_rows() == 0 {
                continue;
            }
            let matches = self.emit(side, &rows, (&hashes, had_matches.as_deref()), out)?;
            if stretch[0] > 0 {
                let records = rows.records();
                self.rows[side].add(&Added { records, hashes: hashes.values(), matches: &matches })?;
            }
        }
        Ok(())
    }
}
