//! Plugins of the jobs that run in this process. A file is fetched from where the job says that it is kept, checked against its hash,
//! and loaded before a part of the job is opened; it is unloaded when nothing of the job is left.
//!
//! ```text
//!   FOLDER/9f86d0….so    the file that has this hash, for as long as this process lives
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest, Sha256};
use weir_core::plugin::{Artifact, ArtifactHash, NoPlugins, Plugin, Plugins};
use weir_core::{Error, JobGraph, Result, TableSpec};
use weir_plugin_abi::host::{Loaded, load};
use weir_state::Storages;

/// Bytes that a plugin's file may have: one that is larger was built with debug information, or is something else.
pub const LARGEST_PLUGIN: u64 = 512 << 20;

/// The hash of a file with this content.
pub fn artifact_hash(content: &[u8]) -> ArtifactHash {
    ArtifactHash::from_bytes(Sha256::digest(content).into())
}

/// The files of plugins that this process has.
#[derive(Debug, Default)]
pub struct PluginFiles {
    /// `None`: one of its own, which goes with the process.
    folder: Option<PathBuf>,
    loaded: Mutex<Files>,
}

#[derive(Default)]
struct Files {
    plugins: BTreeMap<ArtifactHash, Weak<Loaded>>,
    own_folder: Option<tempfile::TempDir>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.plugins.keys()).finish()
    }
}

impl PluginFiles {
    /// Kept in this folder, which is nobody else's. What an earlier process has left there goes.
    pub fn new(folder: PathBuf) -> Self {
        // It is tried again with the next process, and does no harm until then: a file is written anew.
        let _ = std::fs::remove_dir_all(&folder);
        Self { folder: Some(folder), loaded: Mutex::default() }
    }

    /// The plugins of a job. Blocks.
    ///
    /// # Errors
    /// If one cannot be fetched, is not what its hash says, or cannot be loaded.
    pub fn of(&self, graph: &JobGraph, storages: &dyn Storages) -> Result<JobPlugins> {
        self.load(graph.artifacts(), storages)
    }

    /// The plugins that the sources and sinks of these tables are. Blocks.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_tables<'a>(
        &self,
        tables: impl IntoIterator<Item = &'a TableSpec>,
        storages: &dyn Storages,
    ) -> Result<JobPlugins> {
        let plugins = tables.into_iter().filter_map(|table| table.plugin.as_ref());
        self.load(plugins.filter_map(|plugin| plugin.artifact.as_ref()), storages)
    }

    fn load<'a>(
        &self,
        artifacts: impl IntoIterator<Item = &'a Artifact>,
        storages: &dyn Storages,
    ) -> Result<JobPlugins> {
        let mut plugins = JobPlugins::default();
        for artifact in artifacts {
            let plugin = self.plugin(artifact, || {
                let folder = artifact.folder.as_deref().ok_or_else(|| {
                    Error::user(format!("the plugin {artifact} is a file of the machine that the job was planned on"))
                })?;
                let storage = storages.open(folder)?;
                storage.get(artifact.hash.as_str())
            });
            let plugin = plugin.map_err(|error| error.context(format!("the plugin {artifact} is not here")))?;
            plugins.0.insert(artifact.hash.clone(), plugin);
        }
        Ok(plugins)
    }

    /// The plugin with this content. Blocks.
    ///
    /// # Errors
    /// If the content is not what the hash says, or no plugin.
    pub fn plugin(&self, artifact: &Artifact, content: impl FnOnce() -> Result<Vec<u8>>) -> Result<Arc<Loaded>> {
        // Held meanwhile: of several parts that want the same one, one writes it.
        let mut files = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        files.plugins.retain(|_, plugin| plugin.strong_count() > 0);
        if let Some(plugin) = files.plugins.get(&artifact.hash).and_then(Weak::upgrade) {
            return Ok(plugin);
        }
        let content = content()?;
        let found = artifact_hash(&content);
        if found != artifact.hash {
            return Err(Error::data(format!("its content has the hash {found}, and should have {}", artifact.hash)));
        }
        let path = self.written(&mut files, &artifact.hash, &content)?;
        let plugin = Arc::new(load(&path)?);
        files.plugins.insert(artifact.hash.clone(), Arc::downgrade(&plugin));
        Ok(plugin)
    }

    /// Writes a file that no other process writes to while it is loaded.
    fn written(&self, files: &mut Files, hash: &ArtifactHash, content: &[u8]) -> Result<PathBuf> {
        let failed = |error: std::io::Error| Error::environment("a plugin cannot be written").with_source(error);
        let folder = match &self.folder {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(failed)?;
                folder.clone()
            }
            None => {
                let own = match files.own_folder.take() {
                    Some(own) => own,
                    None => tempfile::Builder::new().prefix("weir-plugins-").tempdir().map_err(failed)?,
                };
                files.own_folder.insert(own).path().to_owned()
            }
        };
        let path = folder.join(format!("{hash}.so"));
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(path)
    }
}

/// The plugins of one job, loaded for as long as this is there.
#[derive(Clone, Default)]
pub struct JobPlugins(BTreeMap<ArtifactHash, Arc<dyn Plugin>>);

impl JobPlugins {
    /// Those of both.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// One more.
    pub fn add(&mut self, hash: ArtifactHash, plugin: Arc<dyn Plugin>) {
        self.0.insert(hash, plugin);
    }
}

impl std::fmt::Debug for JobPlugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Plugins for JobPlugins {
    fn find(&self, artifact: Option<&Artifact>) -> Result<Arc<dyn Plugin>> {
        let plugin = artifact.and_then(|artifact| self.0.get(&artifact.hash));
        plugin.map_or_else(|| NoPlugins.find(artifact), |plugin| Ok(plugin.clone()))
    }
}
