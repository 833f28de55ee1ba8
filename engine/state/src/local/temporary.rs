//! A file that is being written.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use weir_core::{Error, Result};

use super::failed;

/// A file without a lasting name. It is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Temporary {
    /// A new file in `folder`, which nobody else writes into.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let path = folder.join(name()?);
        let file = File::create_new(&path).map_err(|error| failed("write", &path, error))?;
        Ok(Self { file, path })
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
