//! Rows that are forgotten some time behind their coming.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use weir_core::Result;

use super::{FirstRows, OrderKey, PRESENT};

/// Whether a row is forgotten some time.
pub(super) fn ages(deletions: Option<&BooleanArray>, row: usize) -> bool {
    deletions.is_none_or(|deletions| deletions.value(row))
}

impl<K: OrderKey> FirstRows<K> {
    /// Which rows say that they stand for none, if they say so at all.
    pub(super) fn deletions<'a>(&self, records: &'a RecordBatch) -> Option<&'a BooleanArray> {
        self.deletions.and_then(|column| records.column(column).as_boolean_opt())
    }

    /// A marker passes, behind [`emit`](Self::emit): rows that came too long ago are forgotten.
    pub(super) fn expire(&mut self) -> Result<()> {
        if !self.life.is_limited() {
            return Ok(());
        }
        self.life.marker();
        for slot in self.generations.stamp(self.life.stamp()) {
            self.store_again(slot);
        }
        let gone = self.generations.take(self.life.expired());
        for slot in self.generations.left_unstamped(&gone) {
            if self.is_stored(slot) {
                self.goes(slot);
            }
        }
        let mut empty = Vec::new();
        for slot in &gone {
            let partition = self.known.partitions[*slot as usize];
            self.known.flags[*slot as usize] &= !PRESENT;
            if self.partitions.forget(partition, *slot) {
                empty.push(partition);
            }
        }
        self.free(gone)?;
        self.emptied.extend(empty);
        if self.gone.arrivals.is_empty() {
            self.remove_emptied();
        }
        Ok(())
    }

    /// Lets go of the keys of partitions that have nothing any more. What the state is to be told of one needs its key.
    pub(super) fn remove_emptied(&mut self) {
        let mut emptied = std::mem::take(&mut self.emptied);
        emptied.sort_unstable();
        emptied.dedup();
        emptied.retain(|partition| self.partitions.rows(*partition).is_empty());
        self.keys.remove(&emptied);
    }
}
