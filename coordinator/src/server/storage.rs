//! Carries out what a leader asks of the checkpoint storage. All of it blocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use weir_core::plugin::ArtifactHash;
use weir_core::{Error, Result};
use weir_proto::client::ClientResponse;
use weir_proto::client::results::READERS;
use weir_proto::control::StoragePlace;
use weir_state::retention::{self, Retained};
use weir_state::{Manifest, Storage, Storages, layout};

use crate::copies::{self, StateCopy};
use crate::leader::{StorageOperation, StorageOutcome};

use self::artifacts::Assembled;

/// The checkpoint storages of all jobs, and what is known of the files in them.
#[derive(Clone)]
pub struct CheckpointStorages {
    storages: Arc<dyn Storages>,
    /// Of jobs whose checkpoints were written or retired here, by their place. What an earlier leader has written is read when the
    /// first checkpoint is retired here.
    retained: Arc<Mutex<BTreeMap<String, Arc<Mutex<Retained>>>>>,
    /// Files of plugins that are being put together.
    assembled: Assembled,
}

impl CheckpointStorages {
    /// Storages of which nothing is known yet.
    pub fn new(storages: Arc<dyn Storages>) -> Self {
        Self { storages, retained: Arc::default(), assembled: Assembled::default() }
    }

    /// Does it.
    pub fn execute(&self, operation: StorageOperation) -> StorageOutcome {
        match operation {
            StorageOperation::LoadManifest { place, path } => {
                let loaded = self.open(&place).and_then(|storage| self.load(&place, &*storage, &path));
                StorageOutcome::Manifest(loaded.map(Arc::new))
            }
            StorageOperation::WriteManifest { place, order } => {
                let path = order.path.clone();
                let manifest = order.manifest();
                let written = self.open(&place).and_then(|storage| storage.put(&path, &manifest.to_bytes()?));
                if written.is_ok() {
                    self.retained(&place).lock().unwrap_or_else(PoisonError::into_inner).insert(&path, &manifest);
                }
                StorageOutcome::Manifest(written.map(|()| Arc::new(manifest)))
            }
            StorageOperation::Retire { place, manifests } => {
                if let Err(error) = self.open(&place).and_then(|storage| self.retire(&place, &*storage, &manifests)) {
                    tracing::warn!(place = place.url, error = error.report(), "old checkpoints could not be deleted");
                }
                StorageOutcome::Done
            }
            StorageOperation::ExpectResults { place } => {
                let expected = self.open(&place).and_then(|storage| results::expect(&*storage));
                StorageOutcome::Answer(expected.map(|()| ClientResponse::Accepted))
            }
            StorageOperation::ForgetResults { place } => {
                let forgotten = self.open(&place).and_then(|storage| results::forget(&*storage));
                StorageOutcome::Answer(forgotten.map(|()| ClientResponse::Accepted))
            }
            StorageOperation::ReadResults { place, committed, after, offset } => {
                let read = self.open(&place).and_then(|storage| results::read(&*storage, committed, after, offset));
                StorageOutcome::Answer(read.map(ClientResponse::Results))
            }
            StorageOperation::PutArtifact { place, piece } => {
                let put = self.open(&place).and_then(|storage| artifacts::put(&*storage, &piece, &self.assembled));
                StorageOutcome::Answer(put.map(|here| ClientResponse::ArtifactHere { bytes: here }))
            }
            StorageOperation::Collect { place, needed } => {
                if let Err(error) = self.open(&place).and_then(|storage| collect(&*storage, &needed)) {
                    tracing::warn!(place = place.url, error = error.report(), "files of plugins could not be deleted");
                }
                StorageOutcome::Done
            }
            StorageOperation::Delete { place } => {
                self.all_retained().remove(&place.url);
                if let Err(error) = self.open(&place).and_then(|storage| delete_all(&*storage)) {
                    tracing::warn!(
                        place = place.url,
                        error = error.report(),
                        "a deleted job's files could not be deleted"
                    );
                }
                StorageOutcome::Done
            }
        }
    }

    /// Keeps a copy of the replicated state beside the checkpoints, and the last ones before it.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn copy_state(&self, copy: &StateCopy) -> Result<()> {
        let url = format!("{}/{}", copy.state.storage, copy.state.cluster);
        copies::write(&*self.storages.open(&url)?, copy)
    }

    fn open(&self, place: &StoragePlace) -> Result<Arc<dyn Storage>> {
        self.storages.open(&place.url)
    }

    fn load(&self, place: &StoragePlace, storage: &dyn Storage, path: &str) -> Result<Manifest> {
        let manifest = load(storage, path)?;
        let retained = self.retained(place);
        let mut retained = retained.lock().unwrap_or_else(PoisonError::into_inner);
        // Else it would be known.
        retained.others_were_here();
        retained.insert(path, &manifest);
        Ok(manifest)
    }

    /// Deletes what none of the manifests that are kept needs.
    fn retire(&self, place: &StoragePlace, storage: &dyn Storage, manifests: &[String]) -> Result<()> {
        let retained = self.retained(place);
        let known = |path: &&String| retained.lock().unwrap_or_else(PoisonError::into_inner).knows(path);
        for path in manifests.iter().filter(|path| !known(path)) {
            self.load(place, storage, path)?;
        }
        retention::retire(&retained, storage, |path| manifests.iter().any(|kept| kept == path)).map(drop)
    }

    fn retained(&self, place: &StoragePlace) -> Arc<Mutex<Retained>> {
        self.all_retained().entry(place.url.clone()).or_default().clone()
    }

    fn all_retained(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Mutex<Retained>>>> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a manifest.
///
/// # Errors
/// If it is not there, or damaged.
pub fn load(storage: &dyn Storage, path: &str) -> Result<Manifest> {
    let epoch = layout::epoch_of_manifest(path);
    Manifest::load(storage, path, epoch.ok_or_else(|| Error::internal(format!("'{path}' is no path of a manifest")))?)
}

/// Deletes files of plugins, and pieces of such that nobody has put together, and nothing else that may be there.
fn collect(storage: &dyn Storage, needed: &BTreeSet<ArtifactHash>) -> Result<()> {
    let listing = storage.list("")?;
    let is_left_over = |path: &&String| artifacts::hash_of(path).is_some_and(|hash| !needed.contains(&hash));
    listing.iter().filter(is_left_over).try_for_each(|path| storage.delete(path))
}

fn delete_all(storage: &dyn Storage) -> Result<()> {
    let listing = storage.list("")?;
    // What says that the others are wanted goes first.
    let is_root = |path: &&String| layout::epoch_of_manifest(path).is_some() || path.starts_with(READERS);
    let (roots, others): (Vec<_>, Vec<_>) = listing.iter().partition(is_root);
    roots.into_iter().chain(others).try_for_each(|path| storage.delete(path))?;
    storage.vacate()
}

mod artifacts;
mod results;

#[cfg(test)]
mod tests;
