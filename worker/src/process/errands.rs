//! Commits and merges.

use std::sync::Arc;

use weir_core::{Attempt, ConnectorRegistry, Result};
use weir_proto::control::{CheckpointRef, StoragePlace};
use weir_state::{Manifest, MergedRuns, Storages, compaction};

use crate::blocking::{self, Blocking};
use crate::commit::Committer;

/// What errands are done with.
#[derive(Clone)]
pub struct Errands {
    /// Where checkpoints are.
    pub storages: Arc<dyn Storages>,
    /// What commits.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// Where blocking work is done.
    pub blocking: Arc<dyn Blocking>,
}

impl Errands {
    /// Lets the sinks make visible what a checkpoint holds.
    ///
    /// # Errors
    /// If one could not.
    pub async fn commit(self, place: StoragePlace, checkpoint: CheckpointRef) -> Result<()> {
        let CheckpointRef { manifest, epoch } = checkpoint;
        let Self { storages, connectors, blocking } = self;
        let (storage, manifest) = blocking::run(&blocking, move || {
            let storage = storages.open(&place.url)?;
            let manifest = Manifest::load(&*storage, &manifest, epoch)?;
            Ok((storage, manifest))
        })
        .await?;
        Committer { connectors, blocking }.commit(&storage, epoch, manifest.committables).await
    }

    /// Merges runs of a checkpoint.
    ///
    /// # Errors
    /// If one could not be read or written.
    pub async fn merge(
        self,
        place: StoragePlace,
        checkpoint: CheckpointRef,
        attempt: Attempt,
    ) -> Result<Vec<MergedRuns>> {
        let Self { storages, blocking, .. } = self;
        let merged = blocking::run(&blocking, move || {
            let storage = storages.open(&place.url)?;
            let manifest = Manifest::load(&*storage, &checkpoint.manifest, checkpoint.epoch)?;
            compaction::merge_all(&*storage, &manifest, attempt)
        });
        merged.await.map_err(|error| error.context("runs could not be merged"))
    }
}
