//! Values of a key in order.

use std::collections::VecDeque;

use crate::record::Column;

use super::parts::{Item, ItemRows};

/// Values in order. Appending, and taking from the front, costs a row of the next checkpoint each; changing others costs all of them.
///
/// ```
/// use weir_jobs::ListState;
///
/// let mut last = ListState::default();
/// last.extend([1, 2, 3, 4]);
/// last.pop_front();
/// last.retain(|n| n % 2 == 0);
/// assert_eq!(last.iter().copied().collect::<Vec<_>>(), [2, 4]);
/// ```
#[derive(Debug, Clone)]
pub struct ListState<T> {
    values: VecDeque<T>,
    /// The number of the first value.
    first: i64,
    /// Numbers of the values that are stored as they are here: from the first to this one, exclusively.
    unchanged: i64,
    /// Numbers of all values that are stored.
    stored: std::ops::Range<i64>,
    /// Numbers of the values that are being loaded.
    loading: Vec<i64>,
}

impl<T> Default for ListState<T> {
    fn default() -> Self {
        Self { values: VecDeque::new(), first: 0, unchanged: 0, stored: 0..0, loading: Vec::new() }
    }
}

impl<T> ListState<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at a position.
    pub fn get(&self, position: usize) -> Option<&T> {
        self.values.get(position)
    }

    /// The last one.
    pub fn last(&self) -> Option<&T> {
        self.values.back()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.values.iter()
    }

    /// Appends a value.
    pub fn push(&mut self, value: T) {
        self.values.push_back(value);
    }

    /// Takes the first value out.
    pub fn pop_front(&mut self) -> Option<T> {
        let value = self.values.pop_front()?;
        self.first += 1;
        Some(value)
    }

    /// Keeps the values that meet a condition.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        let before = self.values.len();
        self.values.retain(keep);
        if self.values.len() < before {
            self.unchanged = self.first;
        }
    }

    /// Takes all of them out, in order.
    pub fn take(&mut self) -> Vec<T> {
        self.first += self.values.len() as i64;
        std::mem::take(&mut self.values).into()
    }

    /// Drops all of them.
    pub fn clear(&mut self) {
        self.take();
    }
}

impl<T> Extend<T> for ListState<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        self.values.extend(values);
    }
}

impl<T: Column> Item for ListState<T> {
    type Key = i64;
    type Value = T;

    const KEY_NAME: &'static str = "index";

    fn capture(&mut self, rows: &mut ItemRows<Self>) {
        let end = self.first + self.values.len() as i64;
        let before = self.stored.start..self.stored.end.min(self.first);
        let behind = self.stored.start.max(end)..self.stored.end;
        before.chain(behind).for_each(|index| rows.delete(&index));
        let unchanged = self.unchanged.clamp(self.first, end);
        let values = self.values.iter().skip((unchanged - self.first) as usize);
        (unchanged..end).zip(values).for_each(|(index, value)| rows.put(&index, value));
        (self.unchanged, self.stored) = (end, self.first..end);
        self.loading = Vec::new();
    }

    fn load(&mut self, index: i64, value: T) {
        // All rows of a list come, in any order, before anything else is done with it.
        let position = self.loading.partition_point(|other| *other < index);
        self.loading.insert(position, index);
        self.values.insert(position, value);
        self.first = self.loading[0];
        self.unchanged = self.first + self.values.len() as i64;
        self.stored = self.first..self.unchanged;
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn clear(&mut self) {
        self.take();
    }
}
