//! A disk of a simulated coordinator: fails when told to, before or after the bytes are on it, and may lie about syncs.

use weir_core::{Error, Result};

use super::super::{Batch, LogStore, MemoryStore, Stored};

#[derive(Debug, Default)]
pub(super) struct Disk {
    durable: MemoryStore,
    /// What the coordinator believes to be on the disk.
    written: MemoryStore,
    /// Fails after this many more writes; whether the failing one is on the disk all the same.
    pub(super) fails: Option<(u64, bool)>,
    /// Every so many writes only, what was written becomes durable. 0: always, as it should.
    lazy: u64,
    writes: u64,
}

impl Disk {
    pub(super) fn new(store: MemoryStore, lazy: u64) -> Self {
        Self { durable: store.clone(), written: store, lazy, ..Self::default() }
    }

    /// What is left after a loss of power.
    pub(super) fn after_power_loss(self) -> Self {
        Self { written: self.durable.clone(), durable: self.durable, fails: None, lazy: self.lazy, writes: self.writes }
    }
}

impl LogStore for Disk {
    fn load(&self) -> Result<Stored> {
        self.written.load()
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let mut effect = true;
        let mut result = Ok(());
        if let Some((left, on_disk)) = &mut self.fails {
            if *left == 0 {
                effect = *on_disk;
                result = Err(Error::environment("the simulated disk fails"));
            } else {
                *left -= 1;
            }
        }
        if effect {
            self.written.write(batch)?;
            self.writes += 1;
            if self.lazy == 0 || self.writes.is_multiple_of(self.lazy) {
                self.durable = self.written.clone();
            }
        }
        result
    }
}
