//! Plugins of the jobs that run in this process. A file is fetched from where the job says that it is kept, checked against its hash,
//! and loaded before a part of the job is opened; it is unloaded when nothing of the job is left. The file of a plugin that is
//! [isolated](crate::isolated) is loaded by its children alone.
//!
//! ```text
//!   FOLDER/9f86d0….so    the file that has this hash, for as long as this process lives
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest, Sha256};
use weir_core::plugin::{Artifact, ArtifactHash, Isolation, NoPlugins, Plugin, Plugins};
use weir_core::{Error, JobGraph, Result, TableSpec};
use weir_plugin_abi::host::{Loaded, load};
use weir_state::Storages;

use crate::isolated::{Children, IsolatedPlugin};

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
    /// Files that this process has written.
    written: BTreeSet<PathBuf>,
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
        self.load(graph.artifacts(), graph.isolation(), storages)
    }

    /// The plugins that the sources and sinks of these tables are. Blocks.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_tables<'a>(
        &self,
        tables: impl IntoIterator<Item = &'a TableSpec>,
        isolation: Isolation,
        storages: &dyn Storages,
    ) -> Result<JobPlugins> {
        let plugins = tables.into_iter().filter_map(|table| table.plugin.as_ref());
        self.load(plugins.filter_map(|plugin| plugin.artifact.as_ref()), isolation, storages)
    }

    fn load<'a>(
        &self,
        artifacts: impl IntoIterator<Item = &'a Artifact>,
        isolation: Isolation,
        storages: &dyn Storages,
    ) -> Result<JobPlugins> {
        let mut plugins = JobPlugins::default();
        for artifact in artifacts {
            let content = || {
                let folder = artifact.folder.as_deref().ok_or_else(|| {
                    Error::user(format!("the plugin {artifact} is a file of the machine that the job was planned on"))
                })?;
                let storage = storages.open(folder)?;
                storage.get(artifact.hash.as_str())
            };
            let added = match isolation {
                Isolation::None => self.plugin(artifact, content).map(|plugin| plugins.add(artifact, plugin)),
                Isolation::Process { .. } => {
                    self.file(artifact, content).and_then(|file| plugins.add_file(artifact, &file, isolation))
                }
            };
            added.map_err(|error| error.context(format!("the plugin {artifact} is not here")))?;
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
        let path = self.written(&mut files, artifact, &content()?)?;
        let plugin = Arc::new(load(&path)?);
        files.plugins.insert(artifact.hash.clone(), Arc::downgrade(&plugin));
        Ok(plugin)
    }

    /// The file with this content, which is fetched once. Blocks.
    fn file(&self, artifact: &Artifact, content: impl FnOnce() -> Result<Vec<u8>>) -> Result<PathBuf> {
        let mut files = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder(&mut files)?.join(file_name(artifact));
        if files.written.contains(&path) && path.exists() {
            return Ok(path);
        }
        self.written(&mut files, artifact, &content()?)
    }

    /// Writes a file that no other process writes to while it is loaded.
    fn written(&self, files: &mut Files, artifact: &Artifact, content: &[u8]) -> Result<PathBuf> {
        let hash = &artifact.hash;
        let found = artifact_hash(content);
        if found != *hash {
            return Err(Error::data(format!("its content has the hash {found}, and should have {hash}")));
        }
        let folder = self.folder(files)?;
        let path = folder.join(file_name(artifact));
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(not_written)?;
        file.write_all(content).map_err(not_written)?;
        file.persist(&path).map_err(|error| not_written(error.error))?;
        files.written.insert(path.clone());
        Ok(path)
    }

    /// The folder, which is there.
    fn folder(&self, files: &mut Files) -> Result<PathBuf> {
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder).map_err(not_written)?;
            return Ok(folder.clone());
        }
        let own = match files.own_folder.take() {
            Some(own) => own,
            None => tempfile::Builder::new().prefix("weir-plugins-").tempdir().map_err(not_written)?,
        };
        Ok(files.own_folder.insert(own).path().to_owned())
    }
}

fn file_name(artifact: &Artifact) -> String {
    format!("{}.so", artifact.hash)
}

fn not_written(error: std::io::Error) -> Error {
    Error::environment("a plugin cannot be written").with_source(error)
}

/// The plugins of one job, loaded for as long as this is there.
#[derive(Clone, Default)]
pub struct JobPlugins {
    plugins: BTreeMap<ArtifactHash, Arc<dyn Plugin>>,
    isolated: BTreeMap<ArtifactHash, IsolatedPlugin>,
    /// Those of the ones that are isolated.
    children: Arc<Children>,
    /// Those of others that were [added](Self::and).
    more_children: Vec<Arc<Children>>,
}

impl JobPlugins {
    /// Those of both.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.plugins.extend(others.plugins);
        self.isolated.extend(others.isolated);
        self.more_children.push(others.children);
        self.more_children.extend(others.more_children);
        self
    }

    /// One more.
    pub fn add(&mut self, artifact: &Artifact, plugin: Arc<dyn Plugin>) {
        self.plugins.insert(artifact.hash.clone(), plugin);
    }

    /// One more, in a file that stays there.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub fn add_file(&mut self, artifact: &Artifact, file: &Path, isolation: Isolation) -> Result<()> {
        match isolation {
            Isolation::None => self.add(artifact, Arc::new(load(file)?)),
            Isolation::Process { memory_limit } => {
                let plugin = IsolatedPlugin::new(artifact, file, memory_limit, self.children.clone());
                self.isolated.insert(artifact.hash.clone(), plugin);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for JobPlugins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.plugins.keys()).entries(self.isolated.keys()).finish()
    }
}

impl Plugins for JobPlugins {
    fn find(&self, artifact: Option<&Artifact>) -> Result<Arc<dyn Plugin>> {
        let hash = artifact.map(|artifact| &artifact.hash);
        if let Some(plugin) = hash.and_then(|hash| self.isolated.get(hash)) {
            return Ok(Arc::new(plugin.clone()));
        }
        let plugin = hash.and_then(|hash| self.plugins.get(hash));
        plugin.map_or_else(|| NoPlugins.find(artifact), |plugin| Ok(plugin.clone()))
    }

    fn of_subtask(&self) -> Option<Arc<dyn Plugins>> {
        if self.isolated.is_empty() {
            return None;
        }
        let mut plugins = self.clone();
        plugins.isolated.values_mut().for_each(|plugin| *plugin = plugin.of_subtask());
        Some(Arc::new(plugins))
    }

    fn give_up(&self) {
        self.more_children.iter().chain([&self.children]).for_each(|children| children.give_up());
    }
}

/// Plugins that somebody waits for. When nobody does any more, calls that run outside of this process have to end: whoever waits for one cannot
/// be stopped before.
pub struct HeldPlugins {
    plugins: Arc<dyn Plugins>,
    is_released: bool,
}

impl HeldPlugins {
    /// They are [given up](Plugins::give_up) when this is dropped.
    pub fn new(plugins: Arc<dyn Plugins>) -> Self {
        Self { plugins, is_released: false }
    }

    /// The plugins, also for those who outlive this.
    pub fn shared(&self) -> Arc<dyn Plugins> {
        self.plugins.clone()
    }

    /// They are not given up, since somebody else holds them.
    pub fn release(mut self) {
        self.is_released = true;
    }
}

impl Drop for HeldPlugins {
    fn drop(&mut self) {
        if !self.is_released {
            self.plugins.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_an_isolated_plugin_is_fetched_once_and_again_if_it_is_gone() {
        let (files, content) = (PluginFiles::default(), b"a plugin".to_vec());
        let artifact = Artifact { hash: artifact_hash(&content), name: "a".into(), version: "1".into(), folder: None };
        let path = files.file(&artifact, || Ok(content.clone())).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
        let no_answer = || Err(Error::environment("the storage does not answer"));
        assert_eq!(files.file(&artifact, no_answer).unwrap(), path);
        std::fs::remove_file(&path).unwrap();
        assert!(files.file(&artifact, no_answer).is_err());
        assert_eq!(files.file(&artifact, || Ok(content.clone())).unwrap(), path);
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}
