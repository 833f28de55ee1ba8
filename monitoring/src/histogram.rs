//! How often values were below certain bounds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Bounds for what takes from a millisecond to minutes, in seconds.
pub const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Durations, counted by bounds. Anybody may add, and anybody may read.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds: the last has what is above all of them.
    counts: Vec<AtomicU64>,
    microseconds: AtomicU64,
    longest: AtomicU64,
}

impl Histogram {
    /// Nothing is counted yet. The bounds ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            microseconds: AtomicU64::new(0),
            longest: AtomicU64::new(0),
        }
    }

    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Relaxed);
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Relaxed);
        self.longest.fetch_max(microseconds, Relaxed);
    }

    /// The sum of all in seconds, and how many there were up to each bound and above those before it.
    pub fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(&self.counts).map(|(bound, count)| (bound, count.load(Relaxed))).collect();
        (self.microseconds.load(Relaxed) as f64 / 1e6, buckets)
    }

    /// How many there were, and the sum of all.
    pub fn totals(&self) -> (u64, Duration) {
        let count = self.counts.iter().map(|count| count.load(Relaxed)).sum();
        (count, Duration::from_micros(self.microseconds.load(Relaxed)))
    }

    /// The longest of all.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Relaxed))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new(SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_values_below_it() {
        let histogram = Histogram::new(&[0.1, 1.0]);
        for millis in [50, 100, 101, 2000] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.read(), (2.251, vec![(0.1, 2), (1.0, 1), (f64::INFINITY, 1)]));
        assert_eq!(histogram.totals(), (4, Duration::from_millis(2251)));
        assert_eq!(histogram.longest(), Duration::from_millis(2000));
    }
}
