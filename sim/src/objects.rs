//! What the checkpoint storage holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;

/// Objects by their full names.
#[derive(Debug, Default)]
pub struct Objects(Mutex<BTreeMap<String, Arc<[u8]>>>);

impl Objects {
    /// All of them, to read and to change.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        lock(&self.0)
    }
}
