//! Where the checkpoints of jobs are, as a worker sees them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use weir_core::Result;
use weir_object_storage::ObjectStorages;
use weir_state::{CountedStorages, Storage, StorageCounts, Storages};

use crate::local_runs::LocalRuns;

/// Bytes that are kept of remote storages if nothing else is said.
const LOCAL_BYTES: u64 = 1 << 30;

/// Storages by their URL, with copies of what this worker wrote in its data directory.
pub struct CopiedStorages {
    local_runs: Option<LocalRuns>,
    /// Copies of what is in a folder of this machine only take its space twice, unless they are asked for.
    also_folders: bool,
    originals: CountedStorages<ObjectStorages>,
    open: Mutex<BTreeMap<String, Arc<dyn Storage>>>,
}

impl CopiedStorages {
    /// With copies in `data_dir`, if there is one. `bytes`: how much is kept, of any storage. What is asked of the originals is
    /// counted.
    pub fn new(data_dir: Option<&Path>, bytes: Option<u64>, counts: Arc<StorageCounts>) -> Self {
        let folder: Option<PathBuf> = data_dir.map(|path| path.join("local-runs"));
        let limit = bytes.unwrap_or(LOCAL_BYTES);
        let local_runs = folder.filter(|_| limit > 0).map(|folder| LocalRuns::new(folder, limit));
        let originals = CountedStorages::new(ObjectStorages::default(), counts);
        Self { local_runs, also_folders: bytes.is_some(), originals, open: Mutex::default() }
    }
}

impl Storages for CopiedStorages {
    fn open(&self, url: &str) -> Result<Arc<dyn Storage>> {
        let known = self.open.lock().expect("nothing panics while it holds the storages").get(url).cloned();
        if let Some(storage) = known {
            return Ok(storage);
        }
        // Outside of the lock: a store that is away is waited for.
        let remote = self.originals.open(url)?;
        let storage = match &self.local_runs {
            Some(local) if self.also_folders || !url.starts_with("file://") => local.beside(remote, url),
            _ => remote,
        };
        let mut open = self.open.lock().expect("nothing panics while it holds the storages");
        Ok(open.entry(url.to_owned()).or_insert(storage).clone())
    }
}
