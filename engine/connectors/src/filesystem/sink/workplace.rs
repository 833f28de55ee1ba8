//! A sink subtask's own corner of the table's folder: names that are its alone, and a lock that says it is alive.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::rand::{GetRandomFlags, getrandom};
use weir_core::connector::SinkContext;
use weir_core::{Epoch, Error, Result};

use super::names::{self, Prepared, Writer};
use super::{disk, sweep};

/// Names of one live sink subtask. Dropping it removes what was in progress.
#[derive(Debug)]
pub(super) struct Workplace {
    folder: PathBuf,
    writer: Writer,
    next: u64,
    /// Held as long as this lives.
    _lock: File,
}

impl Workplace {
    /// Makes the folder if need be, and a place in it. Removes what the dead have left there.
    pub(super) fn open(folder: PathBuf, context: &SinkContext) -> Result<Self> {
        disk::create_folder(&folder)?;
        // Once per execution is enough.
        if context.subtask == 0 {
            sweep::sweep(&folder, context)?;
        }
        loop {
            let writer = Writer {
                sink: names::Sink::new(context.job, &context.uid),
                attempt: context.attempt,
                subtask: context.subtask,
                nonce: random()?,
            };
            match take_lock(&folder.join(writer.lock())) {
                Ok(Some(lock)) => return Ok(Self { folder, writer, next: 0, _lock: lock }),
                Ok(None) => {}
                Err(error) => return Err(disk::error("make a file in", &folder, error)),
            }
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a file.
    pub(super) fn create(&mut self) -> Result<(File, PathBuf)> {
        let path = self.folder.join(self.writer.in_progress(self.next));
        self.next += 1;
        match File::create_new(&path) {
            Ok(file) => Ok((file, path)),
            Err(error) => Err(disk::error("make the file", &path, error)),
        }
    }

    /// Gives a finished file the name that its committable will have; returns that, and the one for readers without its ending.
    pub(super) fn prepare(&mut self, in_progress: &Path, epoch: Epoch) -> Result<(String, String)> {
        let prepared = Prepared { writer: &self.writer, epoch, number: self.next };
        self.next += 1;
        match disk::rename_new(in_progress, &self.folder.join(prepared.hidden())) {
            Ok(()) => Ok((prepared.hidden(), prepared.visible())),
            Err(error) => Err(disk::error("rename", in_progress, error)),
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed now is swept up when the next one opens.
        let _ = sweep::remove_live(&self.folder, &self.writer.live());
    }
}

/// Tells writers apart that nothing else would: those of one attempt that runs twice, as on two copies of a disk.
fn random() -> Result<u32> {
    let mut bytes = [0; 4];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| Error::environment("the system has no random numbers").with_source(errno))?;
    Ok(u32::from_le_bytes(bytes))
}

/// `None`: somebody else has it.
fn take_lock(path: &Path) -> io::Result<Option<File>> {
    let file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // Between making and locking it, another one's sweep may have removed it.
        Ok(()) => Ok((file.metadata()?.nlink() > 0).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        // A filesystem without locks: the name alone has to do.
        Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// Whether nobody holds this lock any more; `otherwise` where the filesystem has no locks.
pub(super) fn is_dead(lock: &Path, otherwise: bool) -> io::Result<bool> {
    match File::open(lock)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(_)) => Ok(otherwise),
    }
}

/// Names in the folder.
pub(super) fn list(folder: &Path) -> Result<Vec<String>> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    list().map_err(|error| disk::error("list the folder", folder, error))
}
