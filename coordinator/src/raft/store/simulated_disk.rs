//! A simulated disk under the file, for tests and simulations: what was written and not synced may be there after a loss of
//! power, or not, or in part, sector by sector and in any order.
//!
//! When the power goes is said in one of two ways: before it happens, by [`lose_power_after`](SimulatedDisk::lose_power_after),
//! and the database meets the failing operation; or afterwards, on a disk that is [`in_doubt`](SimulatedDisk::in_doubt), by
//! [`after_power_loss_at`](SimulatedDisk::after_power_loss_at), for those who kill the process while it waits for its disk.

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// Decides what becomes of a write that was not synced: true in so many of a hundred cases.
pub type Chance<'a> = &'a mut dyn FnMut(u64) -> bool;

#[derive(Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Length(usize),
    /// What stands before it survives.
    Sync,
}

#[derive(Default)]
struct State {
    /// Survives.
    durable: Vec<u8>,
    /// What is read back while there is power.
    current: Vec<u8>,
    /// What may survive, in order.
    pending: Vec<Operation>,
    /// Operations until the power goes.
    power: Option<u64>,
    /// Says that it has synced, and has not.
    ignores_sync: bool,
    /// What is synced is pending until it is settled.
    in_doubt: bool,
    full: bool,
}

/// A disk; clones are the same one.
#[derive(Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

impl SimulatedDisk {
    /// A disk with these bytes on it.
    pub fn holding(bytes: Vec<u8>) -> Self {
        let state = State { durable: bytes.clone(), current: bytes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// From here on the disk says that it has synced, and has not.
    pub fn ignore_sync(&self) {
        self.lock().ignores_sync = true;
    }

    /// From here on nobody may rely on what was synced before it is [settled](Self::settle).
    pub fn in_doubt(self) -> Self {
        self.lock().in_doubt = true;
        self
    }

    /// Nothing can be written any more, or it can again.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// What is read back.
    pub fn bytes(&self) -> Vec<u8> {
        self.lock().current.clone()
    }

    /// The power goes in the operation behind so many.
    pub fn lose_power_after(&self, operations: u64) {
        self.lock().power = Some(operations);
    }

    /// The power was there until here: what was synced stays.
    pub fn settle(&self) {
        self.lock().settle();
    }

    /// Operations that are not settled.
    pub fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// The disk as it is when the power is back.
    pub fn after_power_loss(&self, chance: Chance<'_>) -> Self {
        self.after_power_loss_at(usize::MAX, chance)
    }

    /// The same, if the power went when so many of the [pending](Self::pending) operations were done.
    pub fn after_power_loss_at(&self, operations: usize, chance: Chance<'_>) -> Self {
        let mut state = self.lock();
        state.pending.truncate(operations);
        state.settle();
        let mut bytes = state.durable.clone();
        for operation in &state.pending {
            match operation {
                _ if chance(40) => {}
                Operation::Sync => {}
                Operation::Length(length) => bytes.resize(*length, 0),
                Operation::Write(offset, data) => {
                    if bytes.len() < offset + data.len() {
                        bytes.resize(offset + data.len(), 0);
                    }
                    let torn = chance(50);
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        if !torn || chance(50) {
                            let start = offset + number * SECTOR;
                            bytes[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        let State { ignores_sync, in_doubt, full, .. } = *state;
        drop(state);
        let durable = bytes.clone();
        let state = State { durable, current: bytes, ignores_sync, in_doubt, full, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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

    fn make_room(&self) -> Result<()> {
        if self.full { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn settle(&mut self) {
        let last = self.pending.iter().rposition(|operation| matches!(operation, Operation::Sync));
        let Some(last) = last else { return };
        for operation in self.pending.drain(..=last) {
            match operation {
                Operation::Sync => {}
                Operation::Length(length) => self.durable.resize(length, 0),
                Operation::Write(offset, data) => {
                    self.durable[offset..offset + data.len()].copy_from_slice(&data);
                }
            }
        }
    }
}

impl StorageBackend for SimulatedDisk {
    fn len(&self) -> Result<u64> {
        Ok(self.lock().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.lock();
        let start = offset as usize;
        let bytes = state.current.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.lock();
        state.spend()?;
        state.make_room()?;
        state.current.resize(len as usize, 0);
        state.pending.push(Operation::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.lock();
        state.spend()?;
        if !state.ignores_sync {
            state.pending.push(Operation::Sync);
        }
        if !state.in_doubt {
            state.settle();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.lock();
        state.make_room()?;
        // The write that the power fails in has begun: it may be there in part.
        let power = state.spend();
        let start = offset as usize;
        if power.is_ok() || state.pending.last().is_some_and(|last| !matches!(last, Operation::Length(_))) {
            state.pending.push(Operation::Write(start, data.to_vec()));
        }
        power?;
        state.current[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}
