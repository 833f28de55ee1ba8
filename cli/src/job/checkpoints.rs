//! The checkpoints of a job that runs in one process: where the last run ended, the commit point, what sinks still have
//! to commit, and tidying up behind it all.
//!
//! Without a state directory the same steps are taken in memory: sinks commit with their epochs as ever, and nothing
//! outlives the process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};
use weir_coordinator::driver::Event;
use weir_core::{Attempt, Epoch, Error, JobGraph, OperatorPlace, OperatorUid, Result};
use weir_state::{
    Checkpoints, EpochContent, LocalStorage, Manifest, ManifestHeader, MemoryStorage, MergedRuns, SinkCommittables,
    StateLock, Storage, compaction, plan_restore,
};
use weir_worker::Committer;
use weir_worker::kept_states;

use crate::blocking::blocking;

/// Checkpoints of one execution of a job.
pub struct CheckpointStore {
    checkpoints: Checkpoints,
    /// Of the state directory; `None` if there is none. Also held by every write that is under way: it may outlive this store, and
    /// must not outlive the lock.
    lock: Option<Arc<StateLock>>,
    /// Identity of the query.
    identity: String,
    /// Where its operators stand.
    places: BTreeMap<OperatorUid, OperatorPlace>,
    parallelism: usize,
    retained: usize,
    attempt: Attempt,
    last_epoch: Epoch,
    latest: Option<Manifest>,
    /// Manifests whose results may not be visible yet, oldest first.
    uncommitted: Vec<(Epoch, Vec<SinkCommittables>)>,
    merging: Option<JoinHandle<Result<Vec<MergedRuns>>>>,
}

impl CheckpointStore {
    /// Opens the checkpoints in `dir` and begins a new attempt.
    ///
    /// # Errors
    /// If the folder cannot be used, holds another query's state, or its newest checkpoint is damaged.
    pub async fn open(dir: Option<&Path>, graph: &JobGraph, retained: usize) -> Result<Self> {
        let mut store = Self {
            checkpoints: Checkpoints::new(Arc::new(MemoryStorage::default())),
            lock: None,
            identity: graph.fingerprint(),
            places: graph.places(),
            parallelism: 1,
            retained,
            attempt: Attempt(1),
            last_epoch: Epoch(0),
            latest: None,
            uncommitted: Vec::new(),
            merging: None,
        };
        let Some(dir) = dir.map(Path::to_owned) else { return Ok(store) };
        let graph = graph.clone();
        blocking(move || {
            let storage = LocalStorage::open(&dir)?;
            let lock = storage.lock()?;
            let checkpoints = Checkpoints::new(Arc::new(storage));
            store.latest = checkpoints.latest()?;
            if let Some(manifest) = &store.latest {
                check_same_query(manifest, &graph, &dir)?;
            }
            store.last_epoch = checkpoints.last_epoch()?;
            store.attempt = checkpoints.begin_attempt()?;
            let uncommitted = checkpoints.uncommitted()?;
            store.uncommitted =
                uncommitted.into_iter().map(|manifest| (manifest.epoch, manifest.committables)).collect();
            (store.checkpoints, store.lock) = (checkpoints, Some(Arc::new(lock)));
            Ok(store)
        })
        .await
    }

    /// Sets the parallelism that manifests tell of.
    pub fn set_parallelism(&mut self, parallelism: usize) {
        self.parallelism = parallelism;
    }

    /// This execution.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The last epoch that was numbered.
    pub fn last_epoch(&self) -> Epoch {
        self.last_epoch
    }

    /// The newest checkpoint.
    pub fn latest(&self) -> Option<&Manifest> {
        self.latest.as_ref()
    }

    /// Whether the job has come to its end.
    pub fn is_finished(&self) -> bool {
        self.latest.as_ref().is_some_and(|manifest| manifest.finished)
    }

    /// Where checkpoints are.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        self.checkpoints.storage()
    }

    /// Whether they outlive the process, and operators keep their state in them.
    pub fn is_durable(&self) -> bool {
        self.lock.is_some()
    }

    /// Writes the manifest of an epoch. A failed write is harmless even if the manifest turns out to be
    /// there: the next one holds the same contents again, and committing twice is committing once.
    pub async fn write(&mut self, epoch: Epoch, contents: Vec<EpochContent>, savepoint: bool, finished: bool) -> Event {
        let header = ManifestHeader {
            job: self.identity.clone(),
            epoch,
            attempt: self.attempt,
            savepoint,
            finished,
            parallelism: self.parallelism,
            places: self.places.clone(),
        };
        let mut manifest = Manifest::with_contents(self.latest.as_ref(), header, &contents);
        for merged in self.finished_merges().await {
            manifest.replace_runs(&merged.uid, &merged.table, &merged.runs, merged.into);
        }
        let (checkpoints, lock, written) = (self.checkpoints.clone(), self.lock.clone(), manifest.clone());
        let write = move || {
            let _lock = lock;
            checkpoints.write(&written)
        };
        if let Err(error) = blocking(write).await {
            let error = error.context(format!("checkpoint {epoch} failed"));
            return Event::ManifestFailed { epoch, contents, error };
        }
        self.last_epoch = epoch;
        self.uncommitted.push((epoch, manifest.committables.clone()));
        self.latest = Some(manifest);
        Event::ManifestWritten(epoch)
    }

    /// Lets sinks make visible what decided epochs hold, in order, and notes durably that it is done.
    ///
    /// # Errors
    /// If a sink could not; everything can be tried again.
    pub async fn finish_commit(&mut self, committer: &Committer) -> Result<()> {
        while let Some((epoch, sinks)) = self.uncommitted.first() {
            let epoch = *epoch;
            committer.commit(self.checkpoints.storage(), epoch, sinks.clone()).await?;
            let checkpoints = self.checkpoints.clone();
            blocking(move || checkpoints.acknowledge_commit(epoch)).await?;
            self.uncommitted.remove(0);
        }
        Ok(())
    }

    /// Deletes what no retained checkpoint needs, and merges runs where there are too many. Neither is needed for
    /// correctness, so a failure is told and left to the next time.
    pub async fn tidy(&mut self) {
        // A merge writes files that no manifest names yet.
        if self.merging.is_some() {
            return;
        }
        let (checkpoints, keep) = (self.checkpoints.clone(), self.retained);
        if let Err(error) = blocking(move || checkpoints.retire(keep)).await {
            tracing::warn!(error = error.report(), "old checkpoints could not be deleted");
        }
        if let Some(manifest) = &self.latest
            && compaction::is_due(manifest)
        {
            let storage = self.checkpoints.storage().clone();
            let (manifest, attempt) = (manifest.clone(), self.attempt);
            #[expect(clippy::disallowed_methods, reason = "its handle is kept, and waited for")]
            let merging = spawn_blocking(move || compaction::merge_all(&*storage, &manifest, attempt));
            self.merging = Some(merging);
        }
    }

    /// What a merge in the background has come to, if it is done.
    async fn finished_merges(&mut self) -> Vec<MergedRuns> {
        if !self.merging.as_ref().is_some_and(JoinHandle::is_finished) {
            return Vec::new();
        }
        let Some(merging) = self.merging.take() else { return Vec::new() };
        let outcome =
            merging.await.unwrap_or_else(|panic| Err(Error::internal("merging runs panicked").with_source(panic)));
        outcome.unwrap_or_else(|error| {
            tracing::warn!(error = error.report(), "runs could not be merged");
            Vec::new()
        })
    }
}

/// Another query's state is refused even if some of its operators are the same: those it lacks would begin in the middle
/// of their input, and results already written would belong to two queries.
///
/// What each operator could do with the state is told all the same: whoever has changed a query sees what has changed with it.
fn check_same_query(manifest: &Manifest, graph: &JobGraph, dir: &Path) -> Result<()> {
    if manifest.job == graph.fingerprint() {
        return Ok(());
    }
    let plan = plan_restore(manifest, &kept_states(graph)?);
    Err(Error::user(format!(
        "the state in {} belongs to another query, or to this one before it was changed; to this query it would be\n{plan}",
        dir.display()
    ))
    .with_help("give each query a --state-dir of its own; a changed query starts with an empty one"))
}
