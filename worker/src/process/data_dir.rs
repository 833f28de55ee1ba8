//! What a worker keeps across restarts.
//!
//! ```text
//!   DIR/name        the worker's name
//!   DIR/cluster     the cluster that it belongs to
//!   DIR/local-runs  copies of run files, all of which can be fetched again
//!   DIR/plugins     files of plugins, of this process alone
//! ```

use std::path::{Path, PathBuf};

use weir_core::{Error, Result};
use weir_state::{LocalStorage, StateLock, Storage};

const NAME: &str = "name";
const CLUSTER: &str = "cluster";

/// A worker's data directory. One worker uses it at a time.
pub struct DataDir {
    path: PathBuf,
    files: LocalStorage,
    _lock: StateLock,
}

impl DataDir {
    /// Uses a folder, creating it if need be.
    ///
    /// # Errors
    /// An environment error if it cannot be used, or another worker uses it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let files = LocalStorage::open(path)?;
        let lock = files.lock().map_err(|error| {
            Error::environment(format!("the data directory {} cannot be used", path.display()))
                .with_source(error)
                .with_help("give each worker a --data-dir of its own")
        })?;
        Ok(Self { path: path.to_owned(), files, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The worker's name: the one that was kept, or `first` from now on.
    ///
    /// # Errors
    /// A user error if `wanted` is another one than was kept.
    pub fn name(&self, first: &str, wanted: Option<&str>) -> Result<String> {
        let Some(kept) = self.read(NAME)? else {
            self.files.put(NAME, first.as_bytes())?;
            return Ok(first.to_owned());
        };
        match wanted {
            Some(wanted) if wanted != kept => Err(Error::user(format!(
                "the data directory {} is that of worker {kept}, not of {wanted}",
                self.path.display()
            ))
            .with_help(format!("leave --name out, or say --name {kept}, or give {wanted} another --data-dir"))),
            _ => Ok(kept),
        }
    }

    /// The cluster that the worker belongs to, once it has joined one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn cluster(&self) -> Result<Option<String>> {
        self.read(CLUSTER)
    }

    /// Keeps the cluster. A worker never belongs to another.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn remember_cluster(&self, cluster: &str) -> Result<()> {
        self.files.put(CLUSTER, cluster.as_bytes())
    }

    fn read(&self, file: &str) -> Result<Option<String>> {
        if !self.files.list(file)?.iter().any(|path| path == file) {
            return Ok(None);
        }
        let text = String::from_utf8(self.files.get(file)?);
        text.map(Some)
            .map_err(|error| Error::data(format!("{} is damaged", self.files.locate(file))).with_source(error))
    }
}
