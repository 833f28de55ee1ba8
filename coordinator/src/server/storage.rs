//! Carries out what a leader asks of the checkpoint storage. All of it blocks.

use std::sync::Arc;

use weir_core::bugs::{self, Bug};
use weir_core::{Error, Result};
use weir_proto::control::StoragePlace;
use weir_state::{Manifest, Storage, layout, retention};

use crate::copies::{self, StateCopy};
use crate::leader::{StorageOperation, StorageOutcome};

/// Opens storages by their place.
pub trait Storages: Send + Sync {
    /// The storage of a place.
    ///
    /// # Errors
    /// If there is none.
    fn open(&self, place: &StoragePlace) -> Result<Arc<dyn Storage>>;
}

/// Storages named by URLs.
#[derive(Debug, Clone, Copy, Default)]
pub struct UrlStorages;

impl Storages for UrlStorages {
    fn open(&self, place: &StoragePlace) -> Result<Arc<dyn Storage>> {
        weir_state::open_url(&place.url)
    }
}

/// Does it.
pub fn execute(storages: &dyn Storages, operation: StorageOperation) -> StorageOutcome {
    match operation {
        StorageOperation::LoadManifest { place, path } => {
            StorageOutcome::Manifest(storages.open(&place).and_then(|storage| load(&*storage, &path)).map(Arc::new))
        }
        StorageOperation::WriteManifest { place, path, base, header, contents, merged } => {
            let mut manifest = Manifest::with_contents(base.as_deref(), header, &contents);
            for merged in merged {
                manifest.replace_runs(&merged.uid, &merged.table, &merged.runs, merged.into);
            }
            let written = storages.open(&place).and_then(|storage| storage.put(&path, &manifest.to_bytes()?));
            StorageOutcome::Manifest(written.map(|()| Arc::new(manifest)))
        }
        StorageOperation::Retire { place, manifests } => {
            if let Err(error) = storages.open(&place).and_then(|storage| retire(&*storage, &manifests)) {
                tracing::warn!(place = place.url, error = error.report(), "old checkpoints could not be deleted");
            }
            StorageOutcome::Done
        }
        StorageOperation::Delete { place } => {
            if let Err(error) = storages.open(&place).and_then(|storage| delete_all(&*storage)) {
                tracing::warn!(place = place.url, error = error.report(), "a deleted job's files could not be deleted");
            }
            StorageOutcome::Done
        }
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

/// Deletes what none of the manifests that are kept needs. Manifests go first: one that is left never names a file that is gone.
fn retire(storage: &dyn Storage, manifests: &[String]) -> Result<()> {
    // Listed before anything is read: what is written meanwhile is not in the list.
    let listing = storage.list("")?;
    let mut kept: Vec<(String, Manifest)> =
        manifests.iter().map(|path| Ok((path.clone(), load(storage, path)?))).collect::<Result<_>>()?;
    if bugs::is_on(Bug::EarlyDeletion) {
        kept.iter_mut().for_each(|(_, manifest)| manifest.operators.clear());
    }
    let retirement = retention::plan_for(&kept, &listing);
    retirement.manifests.iter().chain(&retirement.files).try_for_each(|path| storage.delete(path))?;
    storage.sweep()
}

fn delete_all(storage: &dyn Storage) -> Result<()> {
    let listing = storage.list("")?;
    let (manifests, others): (Vec<_>, Vec<_>) =
        listing.iter().partition(|path| layout::epoch_of_manifest(path).is_some());
    manifests.into_iter().chain(others).try_for_each(|path| storage.delete(path))?;
    storage.vacate()
}

/// Keeps a copy of the replicated state beside the checkpoints, and the last ones before it.
///
/// # Errors
/// If it could not be written.
pub fn copy_state(storages: &dyn Storages, copy: &StateCopy) -> Result<()> {
    let url = format!("{}/{}", copy.state.storage, copy.state.cluster);
    copies::write(&*storages.open(&StoragePlace { url })?, copy)
}
