//! Rows by their place: few of them in a vector, which takes no more room than they need, and many in a tree.

use std::collections::BTreeMap;
use std::ops::Bound;

/// So many rows, and more, are in a tree: what stands behind a new row in a vector has to move.
pub(super) const MANY: usize = 128;

/// Rows by their place.
pub(super) enum Ordered<T> {
    Few(Vec<(Box<[u8]>, T)>),
    Many(BTreeMap<Box<[u8]>, T>),
}

impl<T> Ordered<T> {
    pub(super) fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(rows) => rows.len(),
            Self::Many(rows) => rows.len(),
        }
    }

    /// Puts a row at a place where none is.
    pub(super) fn insert(&mut self, place: Box<[u8]>, row: T) {
        match self {
            Self::Few(rows) if rows.len() < MANY => {
                let index = rows.partition_point(|(other, _)| *other < place);
                if rows.capacity() == rows.len() {
                    // One by one first: most partitions have a row or two.
                    rows.reserve_exact(rows.len().clamp(1, MANY / 4));
                }
                rows.insert(index, (place, row));
            }
            Self::Few(rows) => {
                let mut many: BTreeMap<_, _> = std::mem::take(rows).into_iter().collect();
                many.insert(place, row);
                *self = Self::Many(many);
            }
            Self::Many(rows) => drop(rows.insert(place, row)),
        }
    }

    pub(super) fn remove(&mut self, place: &[u8]) -> Option<T> {
        match self {
            Self::Few(rows) => {
                let index = rows.binary_search_by(|(other, _)| (**other).cmp(place)).ok()?;
                Some(rows.remove(index).1)
            }
            Self::Many(rows) => rows.remove(place),
        }
    }

    pub(super) fn last(&self) -> Option<&[u8]> {
        match self {
            Self::Few(rows) => rows.last().map(|(place, _)| &**place),
            Self::Many(rows) => rows.last_key_value().map(|(place, _)| &**place),
        }
    }

    pub(super) fn pop_last(&mut self) -> Option<(Box<[u8]>, T)> {
        match self {
            Self::Few(rows) => rows.pop(),
            Self::Many(rows) => rows.pop_last(),
        }
    }

    pub(super) fn get_mut(&mut self, place: &[u8]) -> Option<&mut T> {
        match self {
            Self::Few(rows) => {
                let index = rows.binary_search_by(|(other, _)| (**other).cmp(place)).ok()?;
                rows.get_mut(index).map(|(_, row)| row)
            }
            Self::Many(rows) => rows.get_mut(place),
        }
    }

    /// The first so many rows, each behind its place.
    pub(super) fn first(&self, most: usize) -> Box<dyn Iterator<Item = (&[u8], &T)> + '_> {
        match self {
            Self::Few(rows) => Box::new(rows.iter().take(most).map(|(place, row)| (&**place, row))),
            Self::Many(rows) => Box::new(rows.iter().take(most).map(|(place, row)| (&**place, row))),
        }
    }

    /// The place of the row behind so many others.
    pub(super) fn nth(&self, index: usize) -> Option<&[u8]> {
        match self {
            Self::Few(rows) => rows.get(index).map(|(place, _)| &**place),
            Self::Many(rows) => rows.keys().nth(index).map(|place| &**place),
        }
    }

    /// How many places differ in what `part` takes of them, which is where they begin; counts up to `most`.
    pub(super) fn orders(&self, most: usize, part: fn(&[u8]) -> &[u8]) -> usize {
        let mut place = self.first(1).next().map(|(place, _)| place);
        let mut orders = 0;
        while let Some(known) = place.filter(|_| orders < most) {
            orders += 1;
            let mut last = part(known).to_vec();
            last.resize(known.len(), u8::MAX);
            place = match self {
                Self::Few(rows) => {
                    rows.get(rows.partition_point(|(place, _)| **place <= *last)).map(|(place, _)| &**place)
                }
                Self::Many(rows) => {
                    let behind = (Bound::Excluded(last.into_boxed_slice()), Bound::Unbounded);
                    rows.range(behind).next().map(|(place, _)| &**place)
                }
            };
        }
        orders
    }

    pub(super) fn for_each_mut(&mut self, each: impl FnMut(&mut T)) {
        match self {
            Self::Few(rows) => rows.iter_mut().map(|(_, row)| row).for_each(each),
            Self::Many(rows) => rows.values_mut().for_each(each),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u32) -> Box<[u8]> {
        number.to_be_bytes().into()
    }

    #[test]
    fn few_rows_and_many_are_in_one_order() {
        let mut rows = Ordered::new();
        let numbers: Vec<u32> = (0..300).map(|number| number * 7919 % 1000).collect();
        for number in &numbers {
            rows.insert(place(*number), *number);
        }
        assert!(matches!(rows, Ordered::Many(_)));
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_eq!(rows.first(usize::MAX).map(|(_, row)| *row).collect::<Vec<_>>(), sorted);
        let mut few = Ordered::new();
        for number in &numbers[..100] {
            few.insert(place(*number), *number);
        }
        assert!(matches!(few, Ordered::Few(_)));
        let mut sorted = numbers[..100].to_vec();
        sorted.sort_unstable();
        for rows in [&mut few, &mut rows] {
            assert_eq!(rows.first(5).map(|(_, row)| *row).collect::<Vec<_>>().len(), 5);
            let before = rows.len();
            assert_eq!(rows.remove(&place(numbers[3])), Some(numbers[3]));
            assert_eq!(rows.remove(&place(numbers[3])), None);
            let last = rows.last().map(<[u8]>::to_vec);
            assert_eq!(rows.pop_last().map(|(place, _)| place.to_vec()), last);
            assert_eq!(rows.len(), before - 2);
            assert_eq!(rows.get_mut(&place(numbers[7])).copied(), Some(numbers[7]));
            assert_eq!(rows.get_mut(&place(numbers[3])), None);
        }
        assert_eq!(few.first(usize::MAX).count(), 98);
    }
}
