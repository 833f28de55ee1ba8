//! A file that is being written.
//!
//! Its writer has it locked, and the lock ends with the process. So any other process, on this machine or on another one that
//! shares the folder, can tell what a writer that died has left behind. Where a file system knows no locks, nothing is
//! removed. Should one be removed that is still being written, its writer fails, and writes nothing that is not whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use weir_core::{Error, Result};

use super::failed;

/// Files that are begun before one is given up: somebody may come along between its creation and its lock, but not every time.
const TRIES: usize = 16;

/// A file without a lasting name. It is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Temporary {
    /// A new file in `folder`, which nobody else writes into.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            let path = folder.join(name()?);
            let file = File::create_new(&path).map_err(|error| failed("write", &path, error))?;
            let temporary = Self { file, path };
            if temporary.is_ours() {
                return Ok(temporary);
            }
        }
        Err(Error::environment(format!("new files in {} are removed at once", folder.display())))
    }

    /// Locks it. Between its creation and this it may have been taken for what somebody has left behind.
    fn is_ours(&self) -> bool {
        match lock(&self.file) {
            Ok(()) => self.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0),
            Err(errno) => errno != Errno::WOULDBLOCK,
        }
    }

    /// Removes the file.
    pub(super) fn remove(self) -> Result<()> {
        let removed = fs::remove_file(&self.path);
        removed.or_else(super::gone).map_err(|error| failed("delete", &self.path, error))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // The space is needed back, above all when it has run out. Where the file is gone already, this is the second time.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the files in `folder` that nobody writes any more.
pub(super) fn sweep(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| failed("list", folder, error))?,
    };
    for entry in entries {
        let path = entry.map_err(|error| failed("list", folder, error))?.path();
        // Over a network only what is open for writing can be locked.
        let Ok(file) = File::options().write(true).open(&path) else { continue };
        if lock(&file).is_ok() {
            fs::remove_file(&path).or_else(super::gone).map_err(|error| failed("delete", &path, error))?;
        }
    }
    Ok(())
}

fn lock(file: &File) -> Result<(), Errno> {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)
}

/// A name that nobody ever used. The number of the process would not do: processes on other machines, and in other
/// containers, may have the same.
fn name() -> Result<String> {
    let mut bytes = [0; 16];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match got.map_err(io::Error::from) {
        Ok(length) if length == bytes.len() => Ok(format!("{:032x}", u128::from_le_bytes(bytes))),
        Ok(_) => Err(Error::environment("the system gives too few random numbers")),
        Err(error) => Err(Error::environment("the system has no random numbers").with_source(error)),
    }
}
