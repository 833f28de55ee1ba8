//! The rows of one partition in their order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_core::Ranking;

use super::ordered::Ordered;
use crate::window_top_n::next_number;

/// A row, or some columns of it, as bytes in their order.
pub(super) type RowBytes = Arc<[u8]>;

/// A row that is shown or no longer shown.
pub(super) struct Change {
    pub(super) row: RowBytes,
    /// Its place, from 1; 0 where places are not asked for.
    pub(super) rank: i64,
    pub(super) weight: i8,
}

/// Which rows are shown.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    /// The greatest number that is.
    pub(super) most: usize,
    /// What numbers rows have.
    pub(super) ranking: Ranking,
}

/// Rows that are shown, and their numbers where rows may share one.
type Shown = (Vec<RowBytes>, Vec<i64>);

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
    before: Option<Shown>,
    is_captured: bool,
    /// Numbers of rows that are stored and went since the last capture.
    gone: Vec<i64>,
    /// When it has changed last, if that is known.
    stamp: Option<i64>,
    /// Whether rows may be stored with another stamp.
    is_restamped: bool,
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

/// The part of a place that equal rows have in common.
fn order_of(place: &[u8]) -> &[u8] {
    &place[..place.len().saturating_sub(8)]
}

fn size(place: &[u8], value: &RowBytes) -> usize {
    place.len() + value.len() + AROUND
}

impl Partition {
    pub(super) fn new(hash: u64, retracts: bool) -> Self {
        let found = retracts.then(Found::default);
        let rows = Ordered::new();
        Self {
            hash,
            rows,
            found,
            next: 0,
            before: None,
            is_captured: true,
            gone: Vec::new(),
            stamp: None,
            is_restamped: false,
            bytes: 0,
        }
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

    /// When it has changed last, if that is known.
    pub(super) fn stamp(&self) -> Option<i64> {
        self.stamp
    }

    /// It was stored with this stamp.
    pub(super) fn load_stamp(&mut self, stamp: Option<i64>) {
        self.stamp = stamp;
    }

    /// It has changed: whether it gets another stamp by that, and whether there has been nothing to capture before.
    pub(super) fn restamp(&mut self, stamp: i64) -> (bool, bool) {
        let is_new = self.stamp.replace(stamp) != Some(stamp);
        self.is_restamped |= is_new;
        (is_new, is_new && std::mem::replace(&mut self.is_captured, false))
    }

    /// All of it goes: the numbers of rows that are stored, or were since the last capture.
    pub(super) fn forget(mut self) -> Vec<i64> {
        let mut stored = std::mem::take(&mut self.gone);
        self.rows.for_each_mut(|row| stored.extend(row.is_stored.then_some(row.arrival)));
        stored
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
    pub(super) fn touch(&mut self, limit: Limit) -> (bool, bool) {
        let first = self.before.is_none();
        if first {
            self.before = Some(self.first(limit));
        }
        (first, std::mem::replace(&mut self.is_captured, false))
    }

    fn first(&self, limit: Limit) -> Shown {
        if limit.ranking == Ranking::RowNumber {
            return (self.rows.first(limit.most).map(|(_, row)| row.value.clone()).collect(), Vec::new());
        }
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        let (mut before, mut number): (Option<&[u8]>, i64) = (None, 0);
        for (place, row) in self.rows.first(usize::MAX) {
            let is_peer = before == Some(order_of(place));
            number = next_number(limit.ranking, is_peer, rows.len() as i64, number);
            if usize::try_from(number).unwrap_or(usize::MAX) > limit.most {
                break;
            }
            before = Some(order_of(place));
            rows.push(row.value.clone());
            numbers.push(number);
        }
        (rows, numbers)
    }

    /// Whether a row that comes now would be among the first ones; all are without a limit.
    pub(super) fn would_keep(&self, order: &[u8], last_first: bool, limit: Option<Limit>) -> bool {
        let Some(Limit { most, ranking }) = limit else { return true };
        if self.rows.len() < most {
            return true;
        }
        let Some(last) = self.rows.last() else { return false };
        match (order.cmp(order_of(last)), ranking) {
            (Ordering::Less, _) | (Ordering::Equal, Ranking::Rank | Ranking::DenseRank) => true,
            // It comes after all that are equal to it.
            (Ordering::Equal, Ranking::RowNumber) => last_first,
            (Ordering::Greater, Ranking::RowNumber | Ranking::Rank) => false,
            (Ordering::Greater, Ranking::DenseRank) => self.rows.orders(most, order_of) < most,
        }
    }

    /// Whether the last row is none of the first ones.
    fn has_too_many(&self, Limit { most, ranking }: Limit) -> bool {
        if self.rows.len() <= most {
            return false;
        }
        match ranking {
            Ranking::RowNumber => true,
            // Its peers begin behind so many rows.
            Ranking::Rank => match (most.checked_sub(1).and_then(|index| self.rows.nth(index)), self.rows.last()) {
                (Some(nth), Some(last)) => order_of(nth) != order_of(last),
                _ => true,
            },
            Ranking::DenseRank => self.rows.orders(most.saturating_add(1), order_of) > most,
        }
    }

    /// Adds a row and drops what is behind the first so many; says by how many bytes there are more or less.
    pub(super) fn add(&mut self, order: &[u8], last_first: bool, value: RowBytes, limit: Option<Limit>) -> isize {
        let place = place(order, last_first, self.next);
        let before = self.bytes;
        self.bytes += size(&place, &value);
        if let Some(found) = &mut self.found {
            found.arrivals.entry(value.clone()).or_default().push(self.next);
            found.fresh.insert(place.clone());
        }
        self.rows.insert(place, Row { arrival: self.next, value, is_stored: false });
        self.next += 1;
        while limit.is_some_and(|limit| self.has_too_many(limit)) {
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
    pub(super) fn changes(&mut self, limit: Limit, with_rank: bool, changes: &mut Vec<Change>) {
        let Some((before, numbers_before)) = self.before.take() else { return };
        let (after, numbers_after) = self.first(limit);
        if with_rank && limit.ranking != Ranking::RowNumber {
            return numbered_changes((&before, &numbers_before), (&after, &numbers_after), changes);
        }
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
        let all = std::mem::take(&mut self.is_restamped);
        let mut store = |row: &mut Row| {
            if !std::mem::replace(&mut row.is_stored, true) || all {
                put.push((row.arrival, row.value.clone()));
            }
        };
        match &mut self.found {
            None => self.rows.for_each_mut(store),
            Some(found) if all => {
                found.fresh.clear();
                self.rows.for_each_mut(store);
            }
            Some(found) => {
                for place in std::mem::take(&mut found.fresh) {
                    self.rows.get_mut(&place).into_iter().for_each(&mut store);
                }
            }
        }
    }
}

/// What changes where rows may share a number.
fn numbered_changes(before: (&[RowBytes], &[i64]), after: (&[RowBytes], &[i64]), changes: &mut Vec<Change>) {
    let mut counts: BTreeMap<(&RowBytes, i64), i64> = BTreeMap::new();
    after.0.iter().zip(after.1).for_each(|(row, number)| *counts.entry((row, *number)).or_default() += 1);
    before.0.iter().zip(before.1).for_each(|(row, number)| *counts.entry((row, *number)).or_default() -= 1);
    for weight in [-1, 1] {
        for ((row, rank), count) in &counts {
            let change = || Change { row: (*row).clone(), rank: *rank, weight: weight as i8 };
            changes.extend((0..(count * weight).max(0)).map(|_| change()));
        }
    }
}
