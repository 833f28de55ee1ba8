//! Random numbers that follow from a seed.

use std::time::Duration;

use weir_core::hash::mix;

/// A sequence of numbers. Not for secrets.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        // The increment of SplitMix64, whose finaliser `mix` is.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Between half of `duration` and all of it.
    pub fn jitter(&mut self, duration: Duration) -> Duration {
        let half = u64::try_from(duration.as_nanos() / 2).unwrap_or(u64::MAX);
        Duration::from_nanos(half + self.next() % (half + 1))
    }
}
