//! Seeds that have found a bug. They are kept for ever.

/// The file: a seed a line, and what it found.
const KEPT: &str = include_str!("../seeds.txt");

/// All seeds that have found a bug, in the order in which they did.
pub fn kept() -> Vec<u64> {
    let line = |line: &str| line.split_whitespace().next().and_then(|seed| seed.parse().ok());
    KEPT.lines().filter_map(line).collect()
}
