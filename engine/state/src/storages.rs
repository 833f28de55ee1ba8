//! Storages by their URL.

use std::path::Path;
use std::sync::Arc;

use weir_core::{Error, Result};

use crate::{LocalStorage, Storage};

/// Opens storages. Blocks.
pub trait Storages: Send + Sync {
    /// The storage that a URL names. May be asked for often.
    ///
    /// # Errors
    /// If the URL makes no sense, or the storage cannot be used.
    fn open(&self, url: &str) -> Result<Arc<dyn Storage>>;
}

/// Storages in folders: `file:///folder`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FolderStorages;

impl Storages for FolderStorages {
    fn open(&self, url: &str) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(LocalStorage::open(folder(url)?)?))
    }
}

impl FolderStorages {
    /// Whether there is such a storage, as seen from this machine. Makes none.
    ///
    /// # Errors
    /// A user error for a URL that names none.
    pub fn is_there(self, url: &str) -> Result<bool> {
        folder(url).map(Path::is_dir)
    }
}

fn folder(url: &str) -> Result<&Path> {
    let path = url.strip_prefix("file://").map(Path::new).filter(|path| path.is_absolute());
    path.ok_or_else(|| {
        Error::user(format!("'{url}' is no place for checkpoints"))
            .with_help("name a bucket, as in s3://bucket/weir, or a folder that all coordinators and workers reach, as in file:///var/lib/weir")
    })
}
