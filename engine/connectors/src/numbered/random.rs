//! Randomness that is looked up instead of drawn in turn: each word follows from (seed, event, field) alone, so that
//! any event, or row, can be made without those before it.

use weir_core::hash::mix;

/// 2^64 divided by the golden ratio: the step of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Fields that an event can have random words for.
const FIELDS: u64 = 16;

/// Random words by event and field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Random {
    key: u64,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { key: mix(seed ^ GOLDEN) }
    }

    /// The word of `field` (less than 16) of `event`.
    #[inline]
    pub(crate) fn word(self, event: u64, field: u64) -> u64 {
        mix(self.key.wrapping_add(event.wrapping_mul(FIELDS).wrapping_add(field).wrapping_mul(GOLDEN)))
    }
}

/// `word` scaled to less than `bound` (Lemire, "Fast random integer generation in an interval", 2019, without the
/// rejection: a bias of 2^-32 is of no matter here).
#[inline]
pub(crate) fn below(word: u32, bound: u64) -> u64 {
    (u64::from(word) * bound) >> 32
}

/// The lower half of a word, for the first of two decisions.
#[inline]
pub(crate) fn low(word: u64) -> u32 {
    word as u32
}

/// The upper half of a word, for the second.
#[inline]
pub(crate) fn high(word: u64) -> u32 {
    (word >> 32) as u32
}
