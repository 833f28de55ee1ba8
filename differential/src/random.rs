//! Random choices that follow from a seed.

/// A sequence of choices.
#[derive(Debug, Clone)]
pub struct Random(weir_core::random::Random);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(weir_core::random::Random::new(seed))
    }

    /// Another sequence, for one purpose: what is drawn from it does not change what others draw.
    pub fn fork(&mut self) -> Self {
        Self(self.0.fork())
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.word()
    }

    /// A number less than `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low.wrapping_add_unsigned(self.0.below(high.abs_diff(low).saturating_add(1)))
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}
