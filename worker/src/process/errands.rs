//! Commits, merges, audits, and what is to be tidied up behind jobs that have ended.

use std::sync::Arc;

use futures::future::join_all;
use weir_core::audit::{Audit, AuditedSink, PreparedEpoch};
use weir_core::connector::Discard;
use weir_core::{Attempt, ConnectorRegistry, Epoch, OperatorUid, Result, TableSpec};
use weir_proto::control::{AuditFindings, AuditOrder, CheckpointRef, Failure, Leftovers, StoragePlace};
use weir_state::{Manifest, MergedRuns, SinkCommittables, Storage, Storages, compaction};

use crate::agent::failure;
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

    /// Asks the systems that a job writes, all at once.
    ///
    /// # Errors
    /// If its checkpoints cannot be reached. What goes wrong with one of them, or with one sink, is among the findings.
    pub async fn audit(self, order: Arc<AuditOrder>) -> Result<AuditFindings> {
        let Self { storages, connectors, blocking } = self;
        let look = order.clone();
        let prepared = blocking::run(&blocking, move || {
            let storage = storages.open(&look.storage.url)?;
            Ok(Prepared::read(&*storage, &look.checkpoints))
        });
        let Prepared { unread, sinks: prepared } = prepared.await?;
        let audits = order.sinks.iter().map(|(uid, table)| {
            let of_sink = prepared.iter().filter(|(other, _)| other == uid);
            let epochs = of_sink.map(|(_, epoch)| epoch.clone()).collect();
            audit_sink(&*connectors, table, Audit { job: order.identity, uid: uid.clone(), epochs })
        });
        Ok(AuditFindings { unread, sinks: join_all(audits).await })
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

/// What checkpoints hold of sinks.
struct Prepared {
    /// Those that could not be read.
    unread: Vec<(Epoch, Failure)>,
    /// In the order of the checkpoints.
    sinks: Vec<(OperatorUid, PreparedEpoch)>,
}

impl Prepared {
    /// One manifest after the other: what else is in them may be much.
    fn read(storage: &dyn Storage, checkpoints: &[CheckpointRef]) -> Self {
        let mut prepared = Self { unread: Vec::new(), sinks: Vec::new() };
        for CheckpointRef { epoch, manifest } in checkpoints {
            match Manifest::load(storage, manifest, *epoch) {
                Ok(manifest) => {
                    let sinks = manifest.committables.into_iter().filter(|sink| !sink.is_empty());
                    let of_sink = |SinkCommittables { uid, committables, .. }| {
                        (uid, PreparedEpoch { epoch: *epoch, committables })
                    };
                    prepared.sinks.extend(sinks.map(of_sink));
                }
                Err(error) => prepared.unread.push((*epoch, failure(&error))),
            }
        }
        prepared
    }
}

async fn audit_sink(
    connectors: &dyn ConnectorRegistry,
    table: &TableSpec,
    audit: Audit,
) -> Result<Option<AuditedSink>, Failure> {
    // What another version of Weir writes has no account that is known here.
    let Some(connector) = connectors.get(&table.connector) else { return Ok(None) };
    connector.audit(table, audit).await.map_err(|error| failure(&error))
}
