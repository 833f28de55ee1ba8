//! Lets sinks finish what a completed checkpoint holds. Any process can do it, at any later time, any number of times.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::future::join_all;
use weir_core::bugs::{self, Bug};
use weir_core::connector::{Commit, StagedRows};
use weir_core::{Batch, ConnectorRegistry, Error, Result};
use weir_state::{Manifest, SinkCommittables, StagedRun, Storage, read_staged};

use crate::blocking::{self, Blocking};

/// What commits are done with.
#[derive(Clone)]
pub struct Committer {
    /// The sinks' connectors.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// Where blocking work is done.
    pub blocking: Arc<dyn Blocking>,
}

impl Committer {
    /// Commits what a checkpoint holds of each sink, all at once: one may have to wait until another has ended what a process that died has
    /// left open, as those do that keep their markers in one place. Staged rows are read from `storage`, a run of each sink at a time.
    ///
    /// # Errors
    /// If a sink could not finish; all of it can be tried again.
    pub async fn commit(&self, storage: &Arc<dyn Storage>, checkpoint: &Manifest) -> Result<()> {
        let sinks = &checkpoint.committables;
        let committed = join_all(sinks.iter().map(|sink| self.commit_sink(storage, checkpoint, sink.clone()))).await;
        let last = sinks.len().saturating_sub(1);
        for (place, committed) in committed.into_iter().enumerate() {
            if bugs::is_on(Bug::FirstSinkForgotten) && place < last {
                continue;
            }
            committed?;
        }
        Ok(())
    }

    async fn commit_sink(
        &self,
        storage: &Arc<dyn Storage>,
        checkpoint: &Manifest,
        SinkCommittables { uid, table, committables, staged }: SinkCommittables,
    ) -> Result<()> {
        let (job, epoch) = (checkpoint.identity, checkpoint.epoch);
        let connector = self.connectors.get(&table.connector).ok_or_else(|| {
            Error::user(format!("table {} has the connector '{}', which is not here", table.name, table.connector))
        })?;
        let staged = StoredRows {
            storage: storage.clone(),
            blocking: self.blocking.clone(),
            schema: connector.staged_schema(&table),
            runs: staged.into(),
            read: VecDeque::new(),
        };
        let commit = Commit { job, uid, epoch, committables, staged: Box::new(staged) };
        let committed = connector.commit(&table, commit).await;
        committed.map_err(|error| error.context(format!("epoch {epoch} of {} could not be committed", table.name)))
    }
}

/// Staged rows, one run of which is in memory.
struct StoredRows {
    storage: Arc<dyn Storage>,
    blocking: Arc<dyn Blocking>,
    schema: SchemaRef,
    runs: VecDeque<StagedRun>,
    read: VecDeque<Batch>,
}

#[async_trait]
impl StagedRows for StoredRows {
    async fn next(&mut self) -> Result<Option<Batch>> {
        while self.read.is_empty()
            && let Some(run) = self.runs.front().cloned()
        {
            let (storage, schema) = (self.storage.clone(), self.schema.clone());
            self.read = blocking::run(&self.blocking, move || read_staged(&*storage, &run, &schema)).await?.into();
            self.runs.pop_front();
        }
        Ok(self.read.pop_front())
    }
}

#[cfg(test)]
pub(crate) mod tests;
