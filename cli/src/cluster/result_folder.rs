//! The folder in the cluster's storage through which the rows of a `SELECT` come: files of committed rows, given out in order, deleted
//! once they were. What is in it is told in `weir_worker::results`.

use std::collections::{BTreeMap, VecDeque};
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use weir_core::connector::RESULT_FOLDER;
use weir_core::{Epoch, Error, Result};
use weir_object_storage::ObjectStorages;
use weir_proto::client::{ClusterInfo, JobDetail, results};
use weir_state::{Storage, Storages};
use weir_worker::results::{FilePosition, PATIENCE, READERS, reader};

use crate::blocking::blocking;
use crate::random::random;

/// How often the folder is tried to be removed: what still runs of the job removes its own files first.
const REMOVALS: usize = 20;
/// Pause between two of these tries.
const REMOVE_AGAIN: Duration = Duration::from_millis(100);

/// Letters of the folder's name that stand in the name of a job.
const TOKEN: usize = 6;

/// Where rows wait.
pub struct ResultFolder {
    url: String,
    storage: Arc<dyn Storage>,
    /// Files that were seen and not given out.
    waiting: VecDeque<(FilePosition, String)>,
    /// The last file that was given out.
    last: Option<FilePosition>,
    /// It, until it is deleted.
    given: Option<String>,
    /// Until this is dropped, the cluster is told that somebody reads.
    reading: Option<oneshot::Sender<()>>,
    /// Who tells it.
    reader: JoinSet<()>,
}

impl ResultFolder {
    /// Makes a folder in the cluster's storage, in which somebody reads from now on. `not_reached`: what to do if that is not reached
    /// from here.
    ///
    /// # Errors
    /// If the storage is not reached from here.
    pub async fn create(cluster: &ClusterInfo, not_reached: &'static str) -> Result<Self> {
        let unreached = |error: Error| {
            error.context(format!("cannot fetch the rows of a SELECT from the cluster's storage {}", cluster.storage))
        };
        let folder = results::folder(&cluster.storage, &cluster.cluster, random()?);
        let (root, url) = (cluster.storage.clone(), folder.clone());
        let storage = blocking(move || {
            let storages = ObjectStorages::default();
            if !storages.is_there(&root)? {
                return Err(Error::environment("there is no such folder on this machine").with_help(not_reached));
            }
            let storage = storages.open(&url).map_err(|error| error.with_help(not_reached))?;
            storage.put(&reader(0), b"").map_err(|error| error.with_help(not_reached))?;
            Ok(storage)
        });
        let storage = storage.await.map_err(unreached)?;
        let (reading, ended) = oneshot::channel();
        let mut reader = JoinSet::new();
        reader.spawn(keep_reading(storage.clone(), ended));
        Ok(Self {
            url: folder,
            storage,
            waiting: VecDeque::new(),
            last: None,
            given: None,
            reading: Some(reading),
            reader,
        })
    }

    /// Letters that tell this submission from most others.
    pub fn token(&self) -> &str {
        self.url.get(self.url.len().saturating_sub(TOKEN)..).unwrap_or_default()
    }

    /// Options of the table that the job writes rows into.
    pub fn options(&self) -> BTreeMap<String, String> {
        Self::options_of(&self.url)
    }

    /// Options of a table whose rows go to that folder.
    pub fn options_of(url: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(RESULT_FOLDER.to_owned(), url.to_owned())])
    }

    /// The rows of the next file whose checkpoint is committed, each once; `None` if there is none for now. The file before is deleted: its
    /// rows have arrived. Dropping the future loses none.
    ///
    /// # Errors
    /// If they cannot be read, or the file before cannot be deleted.
    pub async fn next(&mut self, job: &JobDetail) -> Result<Option<Vec<RecordBatch>>> {
        if let Some(path) = self.given.clone() {
            self.delete(path).await?;
            self.given = None;
        }
        if self.waiting.is_empty() {
            // Of later epochs there may be a part.
            let committed = job.checkpoints.iter().filter(|checkpoint| checkpoint.committed);
            let Some(committed) = committed.map(|checkpoint| checkpoint.epoch).max() else { return Ok(None) };
            let storage = self.storage.clone();
            self.waiting = blocking(move || waiting(&*storage, committed)).await?.into();
        }
        while let Some((position, path)) = self.waiting.front().cloned() {
            if self.last >= Some(position) {
                // One that was given out was committed once more, by a worker that had been taken for dead.
                self.delete(path).await?;
                self.waiting.pop_front();
                continue;
            }
            let (storage, from) = (self.storage.clone(), path.clone());
            let batches = blocking(move || read(&*storage, &from)).await?;
            self.waiting.pop_front();
            (self.last, self.given) = (Some(position), Some(path));
            return Ok(Some(batches));
        }
        Ok(None)
    }

    async fn delete(&self, path: String) -> Result<()> {
        let storage = self.storage.clone();
        blocking(move || storage.delete(&path)).await
    }

    /// Removes the folder and what is left in it: nobody reads here any more.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub async fn remove(&mut self) -> Result<()> {
        self.reading = None;
        while self.reader.join_next().await.is_some() {}
        let mut tries = 1;
        loop {
            let storage = self.storage.clone();
            match blocking(move || remove(&*storage)).await {
                Err(_) if tries < REMOVALS => tries += 1,
                ended => return ended,
            }
            #[expect(clippy::disallowed_methods, reason = "a pause between two tries to remove")]
            tokio::time::sleep(REMOVE_AGAIN).await;
        }
    }
}

/// Files with rows of epochs up to this one, in order.
fn waiting(storage: &dyn Storage, committed: Epoch) -> Result<Vec<(FilePosition, String)>> {
    let listing = storage.list("part-")?;
    let mut files: Vec<_> = listing.into_iter().filter_map(|path| Some((FilePosition::of(&path)?, path))).collect();
    files.retain(|(position, _)| position.epoch <= committed);
    files.sort_unstable();
    Ok(files)
}

fn read(storage: &dyn Storage, path: &str) -> Result<Vec<RecordBatch>> {
    let damaged = |error: arrow::error::ArrowError| {
        Error::data(format!("the rows in {} are damaged", storage.locate(path))).with_source(error)
    };
    let reader = FileReader::try_new(Cursor::new(storage.get(path)?), None).map_err(damaged)?;
    reader.map(|records| records.map_err(damaged)).collect()
}

/// Says now and then that somebody reads, though stdout may block for long.
async fn keep_reading(storage: Arc<dyn Storage>, mut ended: oneshot::Receiver<()>) {
    for n in 1.. {
        if tokio::time::timeout(PATIENCE / 10, &mut ended).await.is_ok() {
            return;
        }
        let storage = storage.clone();
        let renewed = blocking(move || {
            storage.put(&reader(n), b"")?;
            storage.delete(&reader(n - 1))
        });
        // The next one may succeed, and there is patience for several.
        if let Err(error) = renewed.await {
            tracing::debug!(error = error.report(), "could not say that somebody reads");
        }
    }
}

/// Readers go first: without one, workers take nothing for lost.
fn remove(storage: &dyn Storage) -> Result<()> {
    for prefix in [READERS, ""] {
        storage.list(prefix)?.iter().try_for_each(|path| storage.delete(path))?;
    }
    storage.vacate()
}
