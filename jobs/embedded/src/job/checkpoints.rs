//! Where the checkpoints of a job in one process are: what the last run has left, and the work that its checkpoints need. What is
//! done when, [`CheckpointExecutor`](weir_coordinator::checkpoints::CheckpointExecutor) decides. A checkpoint counts when its
//! manifest is written.
//!
//! Without a state directory the same steps are taken in memory: sinks commit with their epochs as ever, and nothing
//! outlives the process.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;
use weir_coordinator::checkpoints::{Ledger, ManifestOrder};
use weir_coordinator::cluster::Checkpoint;
use weir_core::{Attempt, Epoch, Error, JobGraph, JobIdentity, Result};
use weir_functions::Functions;
use weir_state::{
    Checkpoints, LocalStorage, Manifest, MemoryStorage, MergedRuns, StateLock, Storage, compaction, identity, layout,
    plan_restore,
};
use weir_worker::kept_states;

use crate::blocking::blocking;
use crate::random::random;

/// Checkpoints of one execution of a job.
pub struct CheckpointStore {
    checkpoints: Checkpoints,
    retained: usize,
    /// Of the state directory; `None` if there is none. Also held by all work that is under way: it may outlive this store, and
    /// must not outlive the lock.
    lock: Option<Arc<StateLock>>,
    identity: JobIdentity,
    attempt: Attempt,
    last_epoch: Epoch,
    /// The newest checkpoint, and those before it that are not committed; oldest first.
    ledger: Vec<Checkpoint>,
    /// Of the same checkpoints.
    manifests: Vec<Arc<Manifest>>,
    /// Whether the newest checkpoint of the ledger is one to go on from.
    has_latest: bool,
    /// Held while checkpoints are deleted: two deletions at once would each miss what the other has just taken.
    retiring: Arc<Mutex<()>>,
}

type Work<T> = Box<dyn FnOnce(&Checkpoints) -> Result<T> + Send>;

impl CheckpointStore {
    /// Opens the checkpoints in `dir` and begins a new attempt.
    ///
    /// # Errors
    /// If the folder cannot be used, holds another query's state, or its newest checkpoint is damaged.
    pub async fn open(
        dir: Option<&Path>,
        graph: &JobGraph,
        functions: Arc<Functions>,
        retained: usize,
    ) -> Result<Self> {
        let mut store = Self::empty(Arc::new(MemoryStorage::default()), retained)?;
        let Some(dir) = dir.map(Path::to_owned) else { return Ok(store) };
        let graph = graph.clone();
        blocking(move || {
            let storage = LocalStorage::open(&dir)?;
            let lock = Arc::new(storage.lock()?);
            moved_away(&storage, &dir)?;
            let checkpoints = Checkpoints::new(Arc::new(storage));
            let latest = checkpoints.latest()?;
            if let Some(manifest) = &latest {
                check_same_query(manifest, &graph, &functions, &dir)?;
            }
            let found = identity(&**checkpoints.storage(), lock.place()?, store.identity)?;
            if let Some(original) = found.copied_from {
                tracing::warn!(
                    dir = %dir.display(), %original, identity = %found.identity,
                    "this state directory is a copy: should the original run as well, each writes results of its own"
                );
            }
            store.identity = found.identity;
            store.last_epoch = checkpoints.last_epoch()?;
            store.attempt = checkpoints.begin_attempt()?;
            for manifest in checkpoints.uncommitted()? {
                store.add(checkpoint_of(&manifest, false), Arc::new(manifest));
            }
            store.has_latest = latest.is_some();
            // The newest that is not committed is the newest of all, unless that has nothing to be committed.
            if let Some(latest) = latest.filter(|latest| store.latest().is_none_or(|last| last.epoch != latest.epoch)) {
                store.add(checkpoint_of(&latest, true), Arc::new(latest));
            }
            (store.checkpoints, store.lock) = (checkpoints, Some(lock));
            Ok(store)
        })
        .await
    }

    /// No checkpoint yet.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub(super) fn empty(storage: Arc<dyn Storage>, retained: usize) -> Result<Self> {
        Ok(Self {
            checkpoints: Checkpoints::new(storage),
            retained,
            lock: None,
            identity: JobIdentity(random()?),
            attempt: Attempt(1),
            last_epoch: Epoch(0),
            ledger: Vec::new(),
            manifests: Vec::new(),
            has_latest: false,
            retiring: Arc::default(),
        })
    }

    fn add(&mut self, checkpoint: Checkpoint, manifest: Arc<Manifest>) {
        self.ledger.push(checkpoint);
        self.manifests.push(manifest);
    }

    /// The checkpoints, as an executor wants to know them.
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger { checkpoints: &self.ledger, followed: self.ledger.last().filter(|_| self.has_latest) }
    }

    /// What the job is known by.
    pub fn identity(&self) -> JobIdentity {
        self.identity
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
    pub fn latest(&self) -> Option<&Arc<Manifest>> {
        self.manifests.last().filter(|_| self.has_latest)
    }

    /// Whether no checkpoint of the job was ever completed.
    pub fn is_new(&self) -> bool {
        self.latest().is_none() && self.last_epoch == Epoch(0)
    }

    /// Whether the job has come to its end.
    pub fn is_finished(&self) -> bool {
        self.latest().is_some_and(|manifest| manifest.finished)
    }

    /// Where checkpoints are.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        self.checkpoints.storage()
    }

    /// Whether they outlive the process, and operators keep their state in them.
    pub fn is_durable(&self) -> bool {
        self.lock.is_some()
    }

    /// Work on the storage, which holds the lock until it is done.
    fn work<T: Send + 'static>(&self, work: Work<T>) -> impl Future<Output = Result<T>> + use<T> {
        let (checkpoints, lock) = (self.checkpoints.clone(), self.lock.clone());
        blocking(move || {
            let _lock = lock;
            work(&checkpoints)
        })
    }

    /// The manifest of a checkpoint.
    pub fn manifest(&self, epoch: Epoch) -> Option<Arc<Manifest>> {
        self.manifests.iter().find(|manifest| manifest.epoch == epoch).cloned()
    }

    /// Writes a manifest. A failed write is harmless even if the manifest turns out to be there: the next one holds the same
    /// contents again, and committing twice is committing once.
    pub fn write(&self, order: ManifestOrder) -> impl Future<Output = Result<Arc<Manifest>>> + use<> {
        self.work(Box::new(move |checkpoints| {
            let manifest = order.manifest();
            checkpoints.write(&manifest)?;
            Ok(Arc::new(manifest))
        }))
    }

    /// A manifest is written, and counts.
    pub fn complete(&mut self, checkpoint: Checkpoint, manifest: Arc<Manifest>) {
        self.last_epoch = checkpoint.epoch;
        self.has_latest = true;
        self.add(checkpoint, manifest);
    }

    /// Notes durably that all sinks have made a checkpoint visible.
    pub fn note_commit(&self, epoch: Epoch) -> impl Future<Output = Result<()>> + use<> {
        self.work(Box::new(move |checkpoints| checkpoints.acknowledge_commit(epoch)))
    }

    /// It is noted that a checkpoint is committed. The newest one is needed all the same.
    pub fn committed(&mut self, epoch: Epoch) {
        self.ledger.iter_mut().for_each(|checkpoint| checkpoint.committed |= checkpoint.epoch <= epoch);
        let newest = self.ledger.last().map(|checkpoint| checkpoint.epoch);
        self.ledger.retain(|checkpoint| !checkpoint.committed || Some(checkpoint.epoch) == newest);
        self.manifests.retain(|manifest| self.ledger.iter().any(|checkpoint| checkpoint.epoch == manifest.epoch));
    }

    /// Deletes what no retained checkpoint needs. It is not needed for correctness, so a failure is told and left to the next
    /// time.
    pub fn retire(&self) -> impl Future<Output = ()> + use<> {
        let keep = self.retained;
        let retired = self.work(Box::new(move |checkpoints| checkpoints.retire(keep)));
        let turn = self.retiring.clone();
        async move {
            let _turn = turn.lock().await;
            if let Err(error) = retired.await {
                tracing::warn!(error = error.report(), "old checkpoints could not be deleted");
            }
        }
    }

    /// Merges runs of a checkpoint where there are too many.
    pub fn merge(&self, epoch: Epoch) -> impl Future<Output = Result<Vec<MergedRuns>>> + use<> {
        let (manifest, attempt) = (self.manifest(epoch), self.attempt);
        self.work(Box::new(move |checkpoints| match manifest {
            Some(manifest) => compaction::merge_all(&**checkpoints.storage(), &manifest, attempt),
            None => Ok(Vec::new()),
        }))
    }
}

/// Makes sure that the state in a folder has not moved into a cluster, where the job goes on. Under the folder's lock.
///
/// # Errors
/// A user error if it has.
pub fn moved_away(storage: &dyn Storage, folder: &Path) -> Result<()> {
    if !storage.list(layout::MOVED)?.iter().any(|path| path == layout::MOVED) {
        return Ok(());
    }
    let note = storage.get(layout::MOVED)?;
    let place = String::from_utf8_lossy(&note).trim().to_owned();
    Err(Error::user(format!("the state in {} has moved: it is that of {place}", folder.display())).with_help(format!(
        "what follows is written there; if that job was never started, remove {}",
        folder.join(layout::MOVED).display()
    )))
}

/// What is known of a checkpoint of an earlier run.
fn checkpoint_of(manifest: &Manifest, committed: bool) -> Checkpoint {
    Checkpoint {
        epoch: manifest.epoch,
        attempt: manifest.attempt,
        manifest: layout::manifest(manifest.epoch),
        state_bytes: manifest.state_bytes(),
        written_bytes: 0,
        completed_at: 0,
        duration_ms: 0,
        savepoint: manifest.savepoint,
        finished: manifest.finished,
        parallelism: u32::try_from(manifest.parallelism).unwrap_or(u32::MAX),
        committed,
    }
}

/// Another query's state is refused even if some of its operators are the same: those it lacks would begin in the middle
/// of their input, and results already written would belong to two queries.
///
/// What each operator could do with the state is told all the same: whoever has changed a query sees what has changed with it.
fn check_same_query(manifest: &Manifest, graph: &JobGraph, functions: &Functions, dir: &Path) -> Result<()> {
    if graph.computes(&manifest.job) {
        return Ok(());
    }
    let plan = plan_restore(manifest, &kept_states(graph, functions)?);
    let help = if plan.is_complete() && !plan.sinks.is_empty() {
        "results go where they went before: write them as the state's query did, or begin anew in another --state-dir"
    } else {
        "give each query a --state-dir of its own; a changed query starts with an empty one"
    };
    Err(Error::user(format!(
        "the state in {} belongs to another query, or to this one before it was changed; to this query it would be\n{plan}",
        dir.display()
    ))
    .with_help(help))
}
