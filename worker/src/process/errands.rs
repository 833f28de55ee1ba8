//! Commits, merges, and what is to be tidied up behind jobs that have ended.

use std::sync::Arc;

use weir_core::connector::Discard;
use weir_core::{Attempt, ConnectorRegistry, Result};
use weir_proto::control::{CheckpointRef, Leftovers, StoragePlace};
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
        Committer { connectors, blocking }.commit(&storage, &manifest).await
    }

    /// Removes what a job has left in the tables that it wrote.
    ///
    /// # Errors
    /// If something could not be removed.
    pub async fn discard(self, leftovers: Arc<Leftovers>) -> Result<()> {
        let Leftovers { identity: job, behind, sinks } = &*leftovers;
        for (uid, table) in sinks {
            // What another version of Weir has written is left to one that knows it.
            let Some(connector) = self.connectors.get(&table.connector) else { continue };
            connector.discard(table, Discard { job: *job, uid: uid.clone(), behind: *behind }).await?;
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
