//! The rows of one partition in their order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ordered::Ordered;

/// A row, or some columns of it, as bytes in their order.
pub(super) type RowBytes = Arc<[u8]>;

/// A row that is shown or no longer shown.
pub(super) struct Change {
    pub(super) row: RowBytes,
    /// Its place, from 1; 0 where places are not asked for.
    pub(super) rank: i64,
    pub(super) weight: i8,
}

/// Bytes around a row, roughly.
const AROUND: usize = 72;

struct Row {
    arrival: i64,
    value: RowBytes,
    is_stored: bool,
}

/// How rows are found among many.
#[derive(Default)]
struct Found {
    /// Numbers of the rows of each value, the latest last.
    arrivals: BTreeMap<RowBytes, Vec<i64>>,
    /// Places of rows that are not stored.
    fresh: BTreeSet<Box<[u8]>>,
}

/// The rows of a partition.
pub(super) struct Partition {
    hash: u64,
    /// By their order, and then by arrival.
    rows: Ordered<Row>,
    /// Where rows may be taken back, and all are kept.
    found: Option<Found>,
    next: i64,
    /// What it showed at the last marker, if it has changed since.
    before: Option<Vec<RowBytes>>,
    is_captured: bool,
    /// Numbers of rows that are stored and went since the last capture.
    gone: Vec<i64>,
    bytes: usize,
}

/// Where a row stands among those of its partition.
fn place(order: &[u8], last_first: bool, arrival: i64) -> Box<[u8]> {
    let number = if last_first { -arrival } else { arrival };
    let mut place = Vec::with_capacity(order.len() + 8);
    place.extend_from_slice(order);
    // As an unsigned number the bytes of which are in the order of the signed ones.
    place.extend_from_slice(&(number as u64 ^ 1 << 63).to_be_bytes());
    place.into()
}

fn size(place: &[u8], value: &RowBytes) -> usize {
    place.len() + value.len() + AROUND
}

impl Partition {
    pub(super) fn new(hash: u64, retracts: bool) -> Self {
        let found = retracts.then(Found::default);
        let rows = Ordered::new();
        Self { hash, rows, found, next: 0, before: None, is_captured: true, gone: Vec::new(), bytes: 0 }
    }

    /// Hash of its key.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a row that is stored; says how many bytes there are more.
    pub(super) fn load(&mut self, order: &[u8], last_first: bool, arrival: i64, value: RowBytes) -> usize {
        let place = place(order, last_first, arrival);
        let bytes = size(&place, &value);
        if let Some(found) = &mut self.found {
            let arrivals = found.arrivals.entry(value.clone()).or_default();
            arrivals.insert(arrivals.partition_point(|other| *other < arrival), arrival);
        }
        self.rows.insert(place, Row { arrival, value, is_stored: true });
        self.next = self.next.max(arrival + 1);
        self.bytes += bytes;
        bytes
    }

    /// The partition is about to change: whether for the first time since the last marker, and since the last capture.
    pub(super) fn touch(&mut self, limit: usize) -> (bool, bool) {
        let first = self.before.is_none();
        if first {
            self.before = Some(self.first(limit));
        }
        (first, std::mem::replace(&mut self.is_captured, false))
    }

    fn first(&self, limit: usize) -> Vec<RowBytes> {
        self.rows.first(limit).map(|row| row.value.clone()).collect()
    }

    /// Whether a row that comes now would be among the first so many.
    pub(super) fn would_keep(&self, order: &[u8], last_first: bool, most: usize) -> bool {
        if self.rows.len() < most {
            return true;
        }
        let Some(last) = self.rows.last() else { return false };
        match last.len().checked_sub(8).map(|length| order.cmp(&last[..length])) {
            Some(Ordering::Less) => true,
            Some(Ordering::Greater) | None => false,
            // It comes after all that are equal to it.
            Some(Ordering::Equal) => last_first,
        }
    }

    /// Adds a row and drops what is behind the first so many; says by how many bytes there are more or less.
    pub(super) fn add(&mut self, order: &[u8], last_first: bool, value: RowBytes, most: usize) -> isize {
        let place = place(order, last_first, self.next);
        let before = self.bytes;
        self.bytes += size(&place, &value);
        if let Some(found) = &mut self.found {
            found.arrivals.entry(value.clone()).or_default().push(self.next);
            found.fresh.insert(place.clone());
        }
        self.rows.insert(place, Row { arrival: self.next, value, is_stored: false });
        self.next += 1;
        while self.rows.len() > most {
            if let Some((place, row)) = self.rows.pop_last() {
                self.left(&place, &row);
            }
        }
        self.bytes as isize - before as isize
    }

    fn left(&mut self, place: &[u8], row: &Row) {
        self.bytes -= size(place, &row.value);
        if row.is_stored {
            self.gone.push(row.arrival);
        }
    }

    /// Takes out, of the rows equal to this one, the one that came last; says how many bytes there are less. `None`: there is none.
    pub(super) fn take_back(&mut self, order: &[u8], last_first: bool, value: &[u8]) -> Option<usize> {
        let found = self.found.as_mut()?;
        let arrivals = found.arrivals.get_mut(value)?;
        let place = place(order, last_first, arrivals.pop()?);
        if arrivals.is_empty() {
            found.arrivals.remove(value);
        }
        found.fresh.remove(&place);
        let (before, row) = (self.bytes, self.rows.remove(&place)?);
        self.left(&place, &row);
        Some(before - self.bytes)
    }

    /// What has changed since the last marker.
    pub(super) fn changes(&mut self, limit: usize, with_rank: bool, changes: &mut Vec<Change>) {
        let Some(before) = self.before.take() else { return };
        let after = self.first(limit);
        if with_rank {
            for place in 0..before.len().max(after.len()) {
                let (old, new) = (before.get(place), after.get(place));
                if old == new {
                    continue;
                }
                let rank = place as i64 + 1;
                changes.extend(old.map(|row| Change { row: row.clone(), rank, weight: -1 }));
                changes.extend(new.map(|row| Change { row: row.clone(), rank, weight: 1 }));
            }
            return;
        }
        let mut counts: BTreeMap<&RowBytes, i64> = BTreeMap::new();
        after.iter().for_each(|row| *counts.entry(row).or_default() += 1);
        before.iter().for_each(|row| *counts.entry(row).or_default() -= 1);
        for weight in [-1, 1] {
            for (row, count) in &counts {
                let times = (count * weight).max(0);
                let change = || Change { row: (*row).clone(), rank: 0, weight: weight as i8 };
                changes.extend((0..times).map(|_| change()));
            }
        }
    }

    /// Hands over the rows that are not stored yet, and the numbers of those that were and are gone.
    pub(super) fn capture(&mut self, put: &mut Vec<(i64, RowBytes)>, gone: impl FnMut(i64)) {
        self.is_captured = true;
        std::mem::take(&mut self.gone).into_iter().for_each(gone);
        let mut store = |row: &mut Row| {
            if !std::mem::replace(&mut row.is_stored, true) {
                put.push((row.arrival, row.value.clone()));
            }
        };
        match &mut self.found {
            None => self.rows.for_each_mut(store),
            Some(found) => {
                for place in std::mem::take(&mut found.fresh) {
                    self.rows.get_mut(&place).into_iter().for_each(&mut store);
                }
            }
        }
    }
}
