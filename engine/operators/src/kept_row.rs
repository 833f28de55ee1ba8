//! A row that an operator keeps: where it belongs, its place in the order of time, and all its columns as bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes around a row, roughly.
const AROUND: usize = 96;

/// A row that is kept.
pub(crate) struct Row {
    /// Where its partition is.
    pub(crate) slot: u32,
    /// Hash of the partition's key.
    pub(crate) hash: u64,
    pub(crate) time: i64,
    /// Its number among rows of the same time.
    pub(crate) arrival: i64,
    /// All its columns.
    pub(crate) value: Box<[u8]>,
    /// Whether a checkpoint holds it.
    is_stored: AtomicBool,
}

impl Row {
    pub(crate) fn new(slot: u32, hash: u64, (time, arrival): (i64, i64), value: &[u8], is_stored: bool) -> Arc<Self> {
        Arc::new(Self { slot, hash, time, arrival, value: value.into(), is_stored: AtomicBool::new(is_stored) })
    }

    pub(crate) fn order(&self) -> (i64, i64) {
        (self.time, self.arrival)
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.is_stored.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stored(&self) {
        self.is_stored.store(true, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.value.len() + AROUND
    }
}
