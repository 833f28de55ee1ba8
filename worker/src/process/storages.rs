//! Where the checkpoints of jobs are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use weir_core::Result;
use weir_proto::control::StoragePlace;
use weir_state::Storage;

use crate::local_runs::LocalRuns;

/// Opens storages. Blocks.
pub trait Storages: Send + Sync {
    /// The storage at a place. May be asked for often.
    ///
    /// # Errors
    /// If the place makes no sense, or cannot be used.
    fn open(&self, place: &StoragePlace) -> Result<Arc<dyn Storage>>;
}

/// Bytes that are kept of remote storages if nothing else is said.
const LOCAL_BYTES: u64 = 1 << 30;

/// Storages by their URL, with copies of what this worker wrote in its data directory.
pub struct UrlStorages {
    local_runs: Option<LocalRuns>,
    /// Copies of what is in a folder of this machine only take its space twice, unless they are asked for.
    also_folders: bool,
    open: Mutex<BTreeMap<String, Arc<dyn Storage>>>,
}

impl UrlStorages {
    /// With copies in `data_dir`, if there is one. `bytes`: how much is kept, of any storage.
    pub fn new(data_dir: Option<&Path>, bytes: Option<u64>) -> Self {
        let folder: Option<PathBuf> = data_dir.map(|path| path.join("local-runs"));
        let limit = bytes.unwrap_or(LOCAL_BYTES);
        let local_runs = folder.filter(|_| limit > 0).map(|folder| LocalRuns::new(folder, limit));
        Self { local_runs, also_folders: bytes.is_some(), open: Mutex::default() }
    }
}

impl Storages for UrlStorages {
    fn open(&self, place: &StoragePlace) -> Result<Arc<dyn Storage>> {
        let mut open = self.open.lock().expect("nothing panics while it holds the storages");
        if let Some(storage) = open.get(&place.url) {
            return Ok(storage.clone());
        }
        let remote = weir_state::open_url(&place.url)?;
        let storage = match &self.local_runs {
            Some(local) if self.also_folders || !place.url.starts_with("file://") => local.beside(remote, &place.url),
            _ => remote,
        };
        open.insert(place.url.clone(), storage.clone());
        Ok(storage)
    }
}
