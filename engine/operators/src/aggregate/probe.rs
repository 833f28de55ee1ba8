//! The hash index under the key tables: linear probing at half load over one flat vector.
//!
//! Against a general hash map it saves the second cache line of a lookup (a table of a million keys lives in memory,
//! not in cache), and a whole batch is looked up in one loop without calls.

/// Marks an empty entry; so a table holds fewer than 2^32 - 1 keys.
const EMPTY: u32 = u32::MAX;
const SMALLEST: usize = 16;

/// What an entry is found by: the key itself if it is small, or its hash.
pub(crate) trait ProbeKey: Copy + Eq {
    /// What an empty entry holds.
    const ANY: Self;

    /// A hash whose upper bits are good.
    fn hash(&self) -> u64;
}

#[derive(Debug, Clone, Copy)]
struct Entry<K> {
    key: K,
    slot: u32,
}

/// Maps keys to slots.
#[derive(Debug)]
pub(crate) struct Probe<K> {
    entries: Vec<Entry<K>>,
    /// How far a hash is shifted to give a position.
    shift: u32,
    len: usize,
}

impl<K: ProbeKey> Probe<K> {
    pub(crate) fn with_capacity(keys: usize) -> Self {
        let size = (keys * 2).next_power_of_two().max(SMALLEST);
        Self { entries: Self::empty(size), shift: u64::BITS - size.trailing_zeros(), len: 0 }
    }

    /// Takes all keys out. The memory stays, as far as as many keys again would need it.
    pub(crate) fn clear(&mut self) {
        match self.len * 8 < self.entries.len() {
            true => *self = Self::with_capacity(self.len),
            false => self.entries.fill(Entry { key: K::ANY, slot: EMPTY }),
        }
        self.len = 0;
    }

    fn empty(size: usize) -> Vec<Entry<K>> {
        vec![Entry { key: K::ANY, slot: EMPTY }; size]
    }

    /// The slot of `key`, for which `same` says whether an entry with an equal `K` is really it; `None` after the key
    /// has been entered under `next`.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, key: K, next: u32, same: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut position = (key.hash() >> self.shift) as usize;
        loop {
            let entry = &mut self.entries[position & mask];
            if entry.slot == EMPTY {
                *entry = Entry { key, slot: next };
                self.len += 1;
                if self.len * 2 > self.entries.len() {
                    self.double();
                }
                return None;
            }
            if entry.key == key && same(entry.slot) {
                return Some(entry.slot);
            }
            position += 1;
        }
    }

    /// Takes the entry of `key` out that leads to `slot`.
    pub(crate) fn remove(&mut self, key: K, slot: u32) {
        let mask = self.entries.len() - 1;
        let mut hole = (key.hash() >> self.shift) as usize & mask;
        while self.entries[hole].slot != slot {
            if self.entries[hole].slot == EMPTY {
                return;
            }
            hole = (hole + 1) & mask;
        }
        // Entries behind move up as long as that does not put them in front of where their search begins.
        let mut next = (hole + 1) & mask;
        while self.entries[next].slot != EMPTY {
            let home = (self.entries[next].key.hash() >> self.shift) as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.entries[hole] = self.entries[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.entries[hole] = Entry { key: K::ANY, slot: EMPTY };
        self.len -= 1;
    }

    #[cold]
    fn double(&mut self) {
        let size = self.entries.len() * 2;
        let old = std::mem::replace(&mut self.entries, Self::empty(size));
        self.shift -= 1;
        let mask = size - 1;
        for entry in old.into_iter().filter(|entry| entry.slot != EMPTY) {
            let mut position = (entry.key.hash() >> self.shift) as usize;
            while self.entries[position & mask].slot != EMPTY {
                position += 1;
            }
            self.entries[position & mask] = entry;
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.len() * size_of::<Entry<K>>()
    }
}

/// Mixes two words by a widening multiplication, which spreads every bit of both over the result.
#[inline]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
