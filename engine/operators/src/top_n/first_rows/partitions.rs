//! The first rows of each partition in their order, and what has changed of them since the last marker.

use weir_core::{Error, Result};

use super::OrderKey;
use crate::row_blocks::Slot;

/// A row among the first ones of its partition.
#[derive(Clone)]
pub(super) struct Entry<K> {
    pub(super) key: K,
    /// Of rows with one key the least is ahead.
    number: i64,
    pub(super) slot: Slot,
}

impl<K: Ord> Entry<K> {
    pub(super) fn new(key: K, arrival: i64, last_first: bool, slot: Slot) -> Self {
        Self { key, number: if last_first { -arrival } else { arrival }, slot }
    }

    /// Where it stands among others.
    pub(super) fn place(&self) -> (&K, i64) {
        (&self.key, self.number)
    }
}

struct Partition<K> {
    rows: Vec<Entry<K>>,
    next: i64,
    is_changed: bool,
}

/// A partition that has changed since the last marker, and what it showed there.
pub(super) struct ChangedPartition<K> {
    pub(super) partition: u32,
    pub(super) before: Vec<Entry<K>>,
}

/// All partitions, by the slots of their keys.
pub(super) struct Partitions<K> {
    limit: usize,
    partitions: Vec<Partition<K>>,
    /// Of each partition that has as many rows as the limit lets through, the key of the last one: what is behind it is sorted
    /// out without a look at the partition.
    last: Vec<Option<K>>,
    changed: Vec<ChangedPartition<K>>,
}

impl<K: OrderKey> Partitions<K> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, partitions: Vec::new(), last: Vec::new(), changed: Vec::new() }
    }

    /// Makes room: there are so many partitions.
    pub(super) fn grow(&mut self, partitions: usize) {
        if partitions > self.partitions.len() {
            self.partitions.resize_with(partitions, || Partition { rows: Vec::new(), next: 0, is_changed: false });
            self.last.resize(partitions, None);
        }
    }

    /// The first rows of a partition.
    pub(super) fn rows(&self, partition: u32) -> &[Entry<K>] {
        let rows = &self.partitions[partition as usize].rows;
        &rows[..rows.len().min(self.limit)]
    }

    /// Whether a row with this key would be among the first ones if it came now.
    #[inline]
    pub(super) fn would_keep(&self, partition: u32, key: &[u8], last_first: bool) -> bool {
        match &self.last[partition as usize] {
            None => self.limit > 0,
            // It comes after all that are equal to it, unless the last one is ahead.
            Some(last) => {
                let order = K::compare(key, last);
                if last_first { order.is_le() } else { order.is_lt() }
            }
        }
    }

    /// The partition is about to change: the number of the arrival.
    pub(super) fn touch(&mut self, partition: u32) -> i64 {
        let changing = &mut self.partitions[partition as usize];
        if !std::mem::replace(&mut changing.is_changed, true) {
            let before = changing.rows[..changing.rows.len().min(self.limit)].to_vec();
            self.changed.push(ChangedPartition { partition, before });
        }
        let arrival = changing.next;
        changing.next += 1;
        arrival
    }

    /// Adds a row; if there are more then than the limit lets through, the last one leaves.
    pub(super) fn add(&mut self, partition: u32, entry: Entry<K>) -> Option<Slot> {
        let last = self.insert(partition, entry);
        let changing = &mut self.partitions[partition as usize];
        let leaves = if changing.rows.len() > self.limit { changing.rows.pop() } else { None };
        if last || leaves.is_some() {
            self.set_last(partition);
        }
        leaves.map(|entry| entry.slot)
    }

    /// Takes a row that is stored.
    pub(super) fn load(&mut self, partition: u32, entry: Entry<K>, arrival: i64) {
        self.insert(partition, entry);
        let loaded = &mut self.partitions[partition as usize];
        loaded.next = loaded.next.max(arrival + 1);
        self.set_last(partition);
    }

    /// Whether there are as many rows now as the limit lets through.
    fn insert(&mut self, partition: u32, entry: Entry<K>) -> bool {
        let rows = &mut self.partitions[partition as usize].rows;
        let index = rows.partition_point(|other| other.place() < entry.place());
        if rows.capacity() == rows.len() {
            // One by one first: most partitions have a row or two. One more than the limit are there for a moment.
            let most = self.limit.saturating_add(1).max(rows.len() + 1) - rows.len();
            rows.reserve_exact(rows.len().clamp(1, most));
        }
        rows.insert(index, entry);
        rows.len() >= self.limit
    }

    fn set_last(&mut self, partition: u32) {
        let rows = &self.partitions[partition as usize].rows;
        let last = rows.last().filter(|_| rows.len() >= self.limit);
        self.last[partition as usize] = last.map(|entry| entry.key.clone());
    }

    /// The partitions that have changed since the last marker, which is now.
    pub(super) fn take_changed(&mut self) -> Vec<ChangedPartition<K>> {
        for changed in &self.changed {
            self.partitions[changed.partition as usize].is_changed = false;
        }
        std::mem::take(&mut self.changed)
    }

    /// Forgets a row. Whether it was the last one of its partition, which has nothing by then.
    pub(super) fn forget(&mut self, partition: u32, slot: Slot) -> bool {
        let forgetting = &mut self.partitions[partition as usize];
        forgetting.rows.retain(|entry| entry.slot != slot);
        let is_empty = forgetting.rows.is_empty();
        self.set_last(partition);
        is_empty
    }

    /// Lets go of a partition, and says what rows it had.
    ///
    /// # Errors
    /// An internal error if it has changed since the last marker.
    pub(super) fn clear(&mut self, partition: u32) -> Result<Vec<Entry<K>>> {
        let cleared = &mut self.partitions[partition as usize];
        if cleared.is_changed {
            return Err(Error::internal("a partition was to leave before its marker"));
        }
        cleared.next = 0;
        self.last[partition as usize] = None;
        Ok(std::mem::take(&mut cleared.rows))
    }

    /// Bytes held, without those of rows.
    pub(super) fn bytes(&self) -> usize {
        self.partitions.len() * (size_of::<Partition<K>>() + size_of::<Option<K>>())
    }
}
