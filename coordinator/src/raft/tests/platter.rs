//! A simulated disk under the file: what was written and not synced may be there after a loss of power, or not, or in
//! part, sector by sector and in any order.

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use super::random::Random;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Default)]
struct Platter {
    /// Survives.
    durable: Vec<u8>,
    /// What is read back while there is power.
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// Operations until the power goes.
    power: Option<u64>,
    /// Says that it has synced, and has not.
    ignores_sync: bool,
}

/// A disk; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct SimulatedDisk(Arc<Mutex<Platter>>);

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

impl SimulatedDisk {
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        *disk.lock() = Platter { durable: bytes.clone(), current: bytes, ..Platter::default() };
        disk
    }

    pub(super) fn ignoring_sync(self) -> Self {
        self.lock().ignores_sync = true;
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().current.clone()
    }

    pub(super) fn lose_power_after(&self, operations: u64) {
        self.lock().power = Some(operations);
    }

    /// The disk as it is when the power is back.
    pub(super) fn after_power_loss(&self, random: &mut Random) -> Self {
        let platter = self.lock();
        let mut bytes = platter.durable.clone();
        for operation in &platter.unsynced {
            match operation {
                _ if random.chance(40) => {}
                Unsynced::Length(length) => bytes.resize(*length, 0),
                Unsynced::Write(offset, data) => {
                    if bytes.len() < offset + data.len() {
                        bytes.resize(offset + data.len(), 0);
                    }
                    let torn = random.chance(50);
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if !torn || random.chance(50) {
                            let start = offset + number * SECTOR;
                            bytes[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        let ignores_sync = platter.ignores_sync;
        drop(platter);
        let disk = Self::holding(bytes);
        disk.lock().ignores_sync = ignores_sync;
        disk
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }
}

impl Platter {
    fn spend(&mut self) -> Result<()> {
        match &mut self.power {
            Some(0) => Err(Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for SimulatedDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.lock().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let platter = self.lock();
        let start = offset as usize;
        let bytes = platter.current.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut platter = self.lock();
        platter.spend()?;
        platter.current.resize(len as usize, 0);
        platter.unsynced.push(Unsynced::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut platter = self.lock();
        platter.spend()?;
        if !platter.ignores_sync {
            for operation in std::mem::take(&mut platter.unsynced) {
                match operation {
                    Unsynced::Length(length) => platter.durable.resize(length, 0),
                    Unsynced::Write(offset, data) => {
                        platter.durable[offset..offset + data.len()].copy_from_slice(&data);
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut platter = self.lock();
        // The write that the power fails in has begun: it may be there in part.
        let power = platter.spend();
        let start = offset as usize;
        if power.is_ok() || platter.unsynced.last().is_some_and(|last| !matches!(last, Unsynced::Length(_))) {
            platter.unsynced.push(Unsynced::Write(start, data.to_vec()));
        }
        power?;
        platter.current[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}
