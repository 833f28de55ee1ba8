//! A growing column in chunks that are copied when written, not when captured.
//!
//! A capture has to hand over a million values within milliseconds while the stream goes on changing them. So a capture
//! takes the chunks as they are and shares them; the next write into a shared chunk copies that one chunk first, or
//! takes it back if the capture has been written out by then. A write looks into the owned values alone: those of a
//! shared chunk are away, so the bounds check that is needed anyway also finds out about sharing.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Values in a chunk, and rows in a batch that is made of one.
pub(crate) const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: usize = 13;

/// Below this share of a column (one in so many) the values themselves are copied and no chunk is shared.
const SPARSE: usize = 8;

/// More values than these take longer to be copied than a subtask may stand still.
const COPIED: usize = 1 << 16;

/// Which rows of a column or table are meant.
#[derive(Debug, Clone)]
pub(crate) enum Picked {
    /// The first so many.
    First(usize),
    /// These, in this order.
    Slots(Arc<[u32]>),
}

impl Picked {
    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        match self {
            Picked::First(rows) => *rows,
            Picked::Slots(slots) => slots.len(),
        }
    }

    /// The row at a position.
    pub(crate) fn slot(&self, position: usize) -> usize {
        match self {
            Picked::First(_) => position,
            Picked::Slots(slots) => slots[position] as usize,
        }
    }

    /// Ranges over the picked rows, each small enough for a batch and, where the first rows are meant, in one chunk.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows = self.len();
        (0..rows).step_by(CHUNK).map(move |start| start..rows.min(start + CHUNK))
    }
}

#[derive(Debug)]
struct Chunk<T> {
    /// Empty while the values are shared.
    owned: Vec<T>,
    shared: Option<Arc<Vec<T>>>,
}

impl<T: Clone> Chunk<T> {
    fn values(&self) -> &[T] {
        self.shared.as_ref().map_or(&self.owned, |shared| shared)
    }

    fn share(&mut self) -> Arc<Vec<T>> {
        self.shared.get_or_insert_with(|| Arc::new(std::mem::take(&mut self.owned))).clone()
    }

    #[cold]
    fn take_back(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.owned = Arc::try_unwrap(shared).unwrap_or_else(|shared| {
                let mut copy = Vec::with_capacity(shared.len().next_power_of_two());
                copy.extend_from_slice(&shared);
                copy
            });
        }
    }
}

/// A growing column.
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    chunks: Vec<Chunk<T>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Chunked<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Lets go of all values. The memory of the first chunk stays, unless it is shared.
    pub(crate) fn clear(&mut self) {
        self.chunks.truncate(1);
        self.chunks.retain(|chunk| chunk.shared.is_none());
        self.chunks.iter_mut().for_each(|chunk| chunk.owned.clear());
        self.len = 0;
    }

    pub(crate) fn push(&mut self, value: T) {
        let chunk = self.len >> CHUNK_BITS;
        if chunk == self.chunks.len() {
            // Small tables are many (one a pane), so only a chunk behind a full one starts out full-sized.
            let capacity = if chunk == 0 { 4 } else { CHUNK };
            self.chunks.push(Chunk { owned: Vec::with_capacity(capacity), shared: None });
        }
        let chunk = &mut self.chunks[chunk];
        if chunk.shared.is_some() {
            chunk.take_back();
        }
        chunk.owned.push(value);
        self.len += 1;
    }

    pub(crate) fn grow(&mut self, len: usize)
    where
        T: Default,
    {
        while self.len < len {
            let chunk = self.len >> CHUNK_BITS;
            self.push(T::default());
            let chunk = &mut self.chunks[chunk].owned;
            let more = (len - self.len).min(CHUNK - chunk.len());
            chunk.resize(chunk.len() + more, T::default());
            self.len += more;
        }
    }

    pub(crate) fn get(&self, slot: u32) -> &T {
        &self.chunks[slot as usize >> CHUNK_BITS].values()[slot as usize & (CHUNK - 1)]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> &mut T {
        let chunk = &mut self.chunks[slot as usize >> CHUNK_BITS];
        let row = slot as usize & (CHUNK - 1);
        if row >= chunk.owned.len() {
            chunk.take_back();
        }
        &mut chunk.owned[row]
    }

    /// Values of a range that lies in one chunk.
    pub(crate) fn piece(&self, rows: Range<usize>) -> &[T] {
        match self.chunks.get(rows.start >> CHUNK_BITS) {
            Some(chunk) => {
                let start = rows.start & (CHUNK - 1);
                &chunk.values()[start..start + rows.len()]
            }
            None => &[],
        }
    }

    /// Picked values as they are now.
    pub(crate) fn read<'a>(&'a self, picked: &Picked, rows: Range<usize>) -> Cow<'a, [T]> {
        match picked {
            Picked::First(_) => Cow::Borrowed(self.piece(rows)),
            Picked::Slots(slots) => slots[rows].iter().map(|slot| self.get(*slot).clone()).collect(),
        }
    }

    /// Picked values as they are now, to be read later.
    pub(crate) fn capture(&mut self, picked: &Picked) -> Captured<T> {
        match picked {
            Picked::Slots(slots) if slots.len() <= COPIED && slots.len() * SPARSE < self.len => {
                Captured::Copied(slots.iter().map(|slot| self.get(*slot).clone()).collect())
            }
            _ => Captured::Shared(self.share(), picked.clone()),
        }
    }

    /// All values as they are now, to be read later.
    pub(crate) fn share(&mut self) -> Shared<T> {
        Shared(self.chunks.iter_mut().map(Chunk::share).collect())
    }

    /// Bytes held, without what values point to.
    pub(crate) fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }
}

/// Values as they were at a capture.
#[derive(Debug)]
pub(crate) enum Captured<T> {
    Copied(Vec<T>),
    Shared(Shared<T>, Picked),
}

/// A column as it was.
#[derive(Debug)]
pub(crate) struct Shared<T>(Vec<Arc<Vec<T>>>);

impl<T> Shared<T> {
    pub(crate) fn get(&self, slot: u32) -> &T {
        &self.0[slot as usize >> CHUNK_BITS][slot as usize & (CHUNK - 1)]
    }
}

impl<T: Clone> Captured<T> {
    /// The values of a piece of the picked rows, see [`Picked::pieces`].
    pub(crate) fn read(&self, rows: Range<usize>) -> Cow<'_, [T]> {
        match self {
            Captured::Copied(values) => Cow::Borrowed(&values[rows]),
            Captured::Shared(Shared(chunks), Picked::First(_)) => match chunks.get(rows.start >> CHUNK_BITS) {
                Some(chunk) => Cow::Borrowed(&chunk[rows.start & (CHUNK - 1)..][..rows.len()]),
                None => Cow::Borrowed(&[]),
            },
            Captured::Shared(shared, Picked::Slots(slots)) => {
                slots[rows].iter().map(|slot| shared.get(*slot).clone()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_what_was_there_when_the_column_goes_on() {
        let mut column = Chunked::default();
        column.grow(CHUNK + 10);
        *column.get_mut(3) = 7;
        let all = column.capture(&Picked::First(column.len()));
        let some = column.capture(&Picked::Slots(Arc::from([CHUNK as u32 + 1, 3])));
        *column.get_mut(3) += 1;
        column.push(5);
        assert_eq!(column.piece(0..5), [0, 0, 0, 8, 0]);
        assert_eq!(column.piece(CHUNK + 8..CHUNK + 11), [0, 0, 5]);
        assert_eq!(all.read(0..5)[..], [0, 0, 0, 7, 0]);
        assert_eq!(some.read(0..2)[..], [0, 7]);
    }

    #[test]
    fn chunks_come_back_without_a_copy_once_the_capture_is_gone() {
        let mut column = Chunked::default();
        column.grow(10);
        let place = column.piece(0..1).as_ptr();
        drop(column.capture(&Picked::First(10)));
        *column.get_mut(0) = 1;
        assert_eq!(column.piece(0..1).as_ptr(), place);
    }
}
