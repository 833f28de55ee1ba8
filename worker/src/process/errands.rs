//! Commits and merges.

use std::sync::Arc;

use weir_core::{Attempt, ConnectorRegistry, Error, Result};
use weir_proto::control::{CheckpointRef, StoragePlace};
use weir_state::{Manifest, MergedRuns, Storages, compaction};

use crate::blocking::{self, Blocking};

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
        let manifest =
            blocking::run(&blocking, move || Manifest::load(&*storages.open(&place.url)?, &manifest, epoch)).await?;
        for sink in manifest.committables {
            let table = sink.table;
            let connector = connectors.get(&table.connector).ok_or_else(|| {
                Error::user(format!("table {} has the connector '{}', which is not here", table.name, table.connector))
            })?;
            let committed = connector.commit(&table, sink.committables).await;
            committed
                .map_err(|error| error.context(format!("epoch {epoch} of {} could not be committed", table.name)))?;
        }
        Ok(())
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
