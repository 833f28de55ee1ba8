//! A log in memory, for simulations: what it holds survives as long as the value does.

use weir_core::Result;

use super::{Batch, LogStore, Stored};

/// Holds the log in memory. A clone is a copy.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    stored: Stored,
}

impl LogStore for MemoryStore {
    fn load(&self) -> Result<Stored> {
        Ok(self.stored.clone())
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        self.stored.apply(batch);
        Ok(())
    }
}
