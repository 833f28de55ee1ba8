//! Which keys of an operator are in memory.
//!
//! Of a key hash, an operator holds either every row that its tables have, or none. Whoever drives an operator whose state may
//! be larger than its memory asks here what is missing, loads that, and asks what may leave.
//!
//! A hash is *resident* from when it was looked up, whether there were rows or not: a key that is new is looked up once, not
//! with every batch. It may leave again when all that has happened to it is *durable*: in runs that
//! [`StateStore`](crate::StateStore) can read. Operators need not be asked for that. Rows of a key change only when a batch
//! touches it, so it is durable once a checkpoint that was captured behind its last batch has been stored. What a checkpoint
//! that was given up had captured goes into the runs of a later one, and is durable with that.
//!
//! Rows that are not resident may be due when a watermark passes. Their times are known by their least one, per table, so that
//! a watermark that none of them waits for costs a comparison.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::UInt64Type;
use weir_core::{Epoch, EventTime, Result};

/// Key hashes are spread well as they are.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<AsItIs>>;

/// Key hashes that leave the memory of an operator.
#[derive(Debug, Default)]
pub struct Leaving(HashSet<u64, BuildHasherDefault<AsItIs>>);

impl Leaving {
    /// Whether this one does.
    pub fn contains(&self, hash: u64) -> bool {
        self.0.contains(&hash)
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which keys of one operator are in memory.
#[derive(Debug)]
pub struct Residency {
    /// Resident hashes, each with the last epoch that was captured when it was last touched.
    resident: ByHash<Epoch>,
    captured: Epoch,
    /// For each table, no row that is not resident has an earlier time.
    least: Vec<EventTime>,
}

impl Residency {
    /// Nothing of an operator with so many tables is in memory; it goes on from the checkpoint of `epoch`.
    pub fn new(tables: usize, epoch: Epoch) -> Self {
        Self { resident: ByHash::default(), captured: epoch, least: vec![EventTime::MIN; tables] }
    }

    /// A batch with these key hashes is about to change the operator. Returns those that are to be looked up and loaded
    /// first, each once, in order; they count as resident from here.
    pub fn touch(&mut self, hashes: &[u64]) -> Vec<u64> {
        let mut missing: Vec<u64> = Vec::new();
        for hash in hashes {
            if self.resident.insert(*hash, self.captured).is_none() {
                missing.push(*hash);
            }
        }
        missing.sort_unstable();
        missing
    }

    /// Whether a row that is not resident may be due: `due` has, per table, the greatest time that is.
    pub fn is_due(&self, due: &[Option<EventTime>]) -> bool {
        self.least.iter().zip(due).any(|(least, due)| due.is_some_and(|due| *least <= due))
    }

    /// All rows that were `due` have been seen; of those that are left, per table, none has an earlier time than these.
    pub fn seen(&mut self, due: &[Option<EventTime>], least: &[EventTime]) {
        let tables = self.least.iter_mut().zip(due.iter().zip(least));
        tables.filter(|(_, (due, _))| due.is_some()).for_each(|(known, (_, least))| *known = *least);
    }

    /// Whether a key is in memory.
    pub fn contains(&self, hash: u64) -> bool {
        self.resident.contains_key(&hash)
    }

    /// The rows whose keys are not resident.
    ///
    /// # Errors
    /// If a column cannot be filtered.
    pub fn absent(&self, rows: &RecordBatch, hashes: &UInt64Array) -> Result<(RecordBatch, UInt64Array)> {
        let absent: BooleanArray = hashes.values().iter().map(|hash| Some(!self.contains(*hash))).collect();
        if absent.true_count() == absent.len() {
            return Ok((rows.clone(), hashes.clone()));
        }
        Ok((filter_record_batch(rows, &absent)?, filter(hashes, &absent)?.as_primitive::<UInt64Type>().clone()))
    }

    /// The operator's state was captured for this epoch.
    pub fn captured(&mut self, epoch: Epoch) {
        self.captured = epoch;
    }

    /// So many resident keys as make `share` of all, those first that were touched the longest time ago, as far as they are
    /// durable: `stored` is the last epoch whose captures are in runs. They do not count as resident any more; the operator
    /// has to let go of them, and [`left`](Self::left) has to be told.
    pub fn leave(&mut self, stored: Epoch, share: f64) -> Leaving {
        let durable = self.resident.iter().filter(|(_, touched)| **touched < stored);
        let mut durable: Vec<(Epoch, u64)> = durable.map(|(hash, touched)| (*touched, *hash)).collect();
        let wanted = (self.resident.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
        if wanted < durable.len() {
            durable.sort_unstable();
            durable.truncate(wanted);
        }
        for (_, hash) in &durable {
            self.resident.remove(hash);
        }
        // Its room counts as memory that is held. For nothing but keys that come once, it would soon be all that there is, and
        // keys would leave for it for ever. Room for as many again keeps this from being done each time.
        self.resident.shrink_to(self.resident.len() * 2);
        Leaving(durable.into_iter().map(|(_, hash)| hash).collect())
    }

    /// The operator has let go of rows; per table, none of them has an earlier time than these.
    pub fn left(&mut self, least: &[EventTime]) {
        self.least.iter_mut().zip(least).for_each(|(known, least)| *known = (*known).min(*least));
    }

    /// Bytes that knowing this takes.
    pub fn bytes(&self) -> usize {
        self.resident.capacity() * (size_of::<(u64, Epoch)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: f64 = 0.0;
    const ALL: f64 = 1.0;

    fn leaving(residency: &mut Residency, stored: u64, share: f64) -> Vec<u64> {
        let leaving = residency.leave(Epoch(stored), share);
        let mut hashes: Vec<u64> = (0..10).filter(|hash| leaving.contains(*hash)).collect();
        hashes.sort_unstable();
        hashes
    }

    #[test]
    fn a_key_is_missing_until_it_was_looked_up_though_nothing_was_found() {
        let mut residency = Residency::new(1, Epoch(0));
        assert_eq!(residency.touch(&[3, 1, 3]), [1, 3]);
        assert_eq!(residency.touch(&[1, 2]), [2]);
        assert_eq!(residency.touch(&[3, 2, 1]), [0; 0]);
    }

    #[test]
    fn a_key_leaves_once_what_happened_to_it_is_stored() {
        let mut residency = Residency::new(1, Epoch(4));
        residency.touch(&[1, 2]);
        assert_eq!(leaving(&mut residency, 4, ALL), [0; 0], "nothing was captured since");
        residency.captured(Epoch(5));
        residency.touch(&[2, 3]);
        assert_eq!(leaving(&mut residency, 4, ALL), [0; 0], "epoch 5 is not stored, or was given up");
        residency.captured(Epoch(7));
        assert_eq!(leaving(&mut residency, 5, ALL), [1]);
        assert_eq!(residency.touch(&[1, 2]), [1]);
        assert_eq!(leaving(&mut residency, 7, ALL), [3], "2 has been touched again");
    }

    #[test]
    fn those_leave_first_that_were_touched_the_longest_time_ago() {
        let mut residency = Residency::new(1, Epoch(0));
        for (epoch, hash) in [(1, 5), (2, 3), (3, 8), (4, 1)] {
            residency.touch(&[hash]);
            residency.captured(Epoch(epoch));
        }
        assert_eq!(leaving(&mut residency, 4, NEVER), [0; 0]);
        assert_eq!(leaving(&mut residency, 4, 0.5), [3, 5]);
    }

    #[test]
    fn keys_that_have_left_take_no_memory() {
        let mut residency = Residency::new(1, Epoch(0));
        residency.touch(&(0..10_000).collect::<Vec<_>>());
        let full = residency.bytes();
        residency.captured(Epoch(1));
        residency.touch(&[3]);
        assert_eq!(residency.leave(Epoch(1), ALL).0.len(), 9_999);
        assert!(residency.bytes() < full / 1_000, "{} of {full} bytes for one key", residency.bytes());
    }

    #[test]
    fn a_watermark_looks_for_rows_only_where_one_may_be_due() {
        let due = |time| [Some(EventTime(time)), None];
        let mut residency = Residency::new(2, Epoch(0));
        assert!(residency.is_due(&due(-100)), "nothing is known of what is stored");
        residency.seen(&due(10), &[EventTime(15), EventTime(3)]);
        assert!(!residency.is_due(&due(14)) && residency.is_due(&due(15)));
        residency.left(&[EventTime(12), EventTime::MAX]);
        assert!(residency.is_due(&due(12)));
        assert!(residency.is_due(&[None, Some(EventTime::MIN)]), "of the second table still nothing is known");
    }
}
