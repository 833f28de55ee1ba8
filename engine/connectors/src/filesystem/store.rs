//! Where files are: in folders of this machine, or elsewhere, as in an object store. What reads them does not know which.

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use weir_core::Result;

use super::listing::{self, FileInfo, Listing};
use super::options::file_error;
use crate::stored_file::StoredFile;

/// A place that has files. All of it blocks.
pub trait FileStore: fmt::Debug + Send + Sync {
    /// Checks a path without looking there.
    ///
    /// # Errors
    /// A user error if it cannot be one.
    fn check(&self, path: &str) -> Result<()>;

    /// The files that `path` stands for: a file, a folder or a pattern. In order of their paths.
    ///
    /// # Errors
    /// A user error if it cannot be a path; one of the environment if it cannot be looked at.
    fn list(&self, path: &str) -> Result<Listing<Vec<FileInfo>>>;

    /// Opens a file; `None`: there is none of that name, for sure.
    ///
    /// # Errors
    /// One of the environment if it cannot be read.
    fn open(&self, path: &str) -> Result<Option<Arc<dyn StoredFile>>>;
}

/// Folders of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LocalFiles;

impl FileStore for LocalFiles {
    fn check(&self, path: &str) -> Result<()> {
        listing::local_path(path).map(drop)
    }

    fn list(&self, path: &str) -> Result<Listing<Vec<FileInfo>>> {
        listing::list(path)
    }

    /// A file that is not there may be on a filesystem that is away.
    fn open(&self, path: &str) -> Result<Option<Arc<dyn StoredFile>>> {
        let file = File::open(path).map_err(|error| file_error(path, "cannot read this file", error))?;
        Ok(Some(Arc::new(file)))
    }
}
