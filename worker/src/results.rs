//! The connector `$result` of a cluster: rows of a `SELECT`, on their way from a worker to whoever reads them.
//!
//! They are staged in their checkpoint like those of any sink that wants its rows back, and go through files from there, so that
//! none is read twice, whoever dies meanwhile. The files are Arrow's, in a folder of this query alone beside the checkpoints; a
//! coordinator sends them to the reader. What the folder holds, and how it is read, is told in [`weir_proto::client::results`].
//!
//! 1. A commit writes the epoch's files, each of which is there as a whole or not at all. It can be repeated, by anybody: it passes over
//!    those that are there.
//! 2. The reader looks only at files of epochs that the replicated state calls committed, so that it sees all of an epoch or
//!    nothing; then they are deleted. Why not read the staged rows themselves: a checkpoint retires when it is committed and a few
//!    newer ones are there, and whoever reads may take longer than that.
//! 3. A worker that was taken for dead may repeat a commit behind that. The reader says what it has, and such a file is deleted.
//! 4. A reader that goes deletes `reader-<n>` first. From then on there is nothing to commit, and a sink does not open; both
//!    would be for nobody. A worker that has another folder under this name finds no reader either, and says so.
//! 5. A reader that was killed does not make `reader-<n>` anew. After a while the job fails, so that files do not pile up.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;
use async_trait::async_trait;
use tokio::time::Instant;
use weir_connectors::blocking::blocking;
use weir_core::connector::{
    Boundedness, Commit, Connector, OptionInfo, RESULT_CONNECTOR, RESULT_FOLDER, Role, Sink, SinkContext,
};
use weir_core::{Batch, Epoch, Error, ErrorKind, Location, Result, TableSpec};
use weir_object_storage::ObjectStorages;
use weir_proto::client::FilePosition;
use weir_proto::client::results::{PATIENCE, READERS};
use weir_state::{Storage, Storages};

/// Rows of a file, give or take a batch: the reader holds one file at a time in memory. Not bytes, since a commit that is repeated
/// has to come to the same files.
const FILE_ROWS: usize = 32 * 1024;

const OPTIONS: &[OptionInfo] =
    &[OptionInfo { name: RESULT_FOLDER, required: true, doc: "URL of the folder in which rows wait to be printed." }];

/// The connector.
#[derive(Debug, Clone, Default)]
pub struct ResultFiles {
    storages: ObjectStorages,
}

/// URL of the folder.
fn folder(table: &TableSpec) -> Result<&str> {
    let folder = table.options.get(RESULT_FOLDER).filter(|folder| !folder.is_empty());
    folder.map(String::as_str).ok_or_else(|| Error::user("the rows of a SELECT have no folder"))
}

/// What is in the folder of a query.
struct Folder {
    storage: Arc<dyn Storage>,
    names: Vec<String>,
}

impl Folder {
    /// `None`: there is no such folder, as seen from this machine, which must not make one.
    async fn look(storages: &ObjectStorages, url: &str) -> Result<Option<Self>> {
        let (storages, folder) = (storages.clone(), url.to_owned());
        let found = blocking(move || {
            if !storages.is_there(&folder)? {
                return Ok(None);
            }
            let storage = storages.open(&folder)?;
            let names = storage.list("")?;
            Ok(Some(Self { storage, names }))
        });
        found.await.map_err(|error| error.context(format!("cannot find out who reads in {url}")))
    }

    /// The newest of the objects that say that somebody reads.
    fn reader(&self) -> Option<&String> {
        self.names.iter().filter(|name| name.starts_with(READERS)).max()
    }
}

fn nobody_reads(folder: &str) -> Error {
    Error::user(format!("nobody reads the rows that this SELECT puts into {folder}")).with_help(
        "its `weir submit` has ended; or this worker has another folder under this name than the coordinators: give all of them the same storage",
    )
}

/// A sink that stages its rows, and goes on only as long as somebody reads.
struct ReadSink {
    rows: Vec<Batch>,
    storages: ObjectStorages,
    folder: String,
    reader: Option<String>,
    /// Since when the reader is this one.
    since: Instant,
}

#[async_trait]
impl Sink for ReadSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        if batch.weights().is_some() {
            return Err(Error::internal("rows that take others back cannot be printed"));
        }
        self.rows.push(batch);
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        let folder = match Folder::look(&self.storages, &self.folder).await {
            // Somebody may read all the same.
            Err(error) if error.kind() == ErrorKind::Environment && self.since.elapsed() <= PATIENCE => {
                return Ok(None);
            }
            folder => folder?,
        };
        let reader = folder.as_ref().and_then(Folder::reader).cloned();
        if reader != self.reader {
            (self.reader, self.since) = (reader, Instant::now());
        }
        if self.reader.is_none() || self.since.elapsed() > PATIENCE {
            return Err(nobody_reads(&self.folder));
        }
        Ok(None)
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.rows)
    }
}

#[async_trait]
impl Connector for ResultFiles {
    fn name(&self) -> &'static str {
        RESULT_CONNECTOR
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        OPTIONS.to_vec()
    }

    /// Coordinators have seen to it that the folder is one of the cluster's own.
    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        folder(table).map(drop)
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_sink(&self, table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let url = folder(table)?;
        let folder = Folder::look(&self.storages, url).await?;
        let Some(reader) = folder.as_ref().and_then(Folder::reader).cloned() else { return Err(nobody_reads(url)) };
        let (storages, folder) = (self.storages.clone(), url.to_owned());
        Ok(Box::new(ReadSink { rows: Vec::new(), storages, folder, reader: Some(reader), since: Instant::now() }))
    }

    async fn commit(&self, table: &TableSpec, mut commit: Commit) -> Result<()> {
        let Some(folder) = Folder::look(&self.storages, folder(table)?).await? else { return Ok(()) };
        if folder.reader().is_none() {
            return Ok(());
        }
        let mut number = 0;
        let mut rows: Vec<RecordBatch> = Vec::new();
        loop {
            let batch = commit.staged.next().await?;
            let is_last = batch.is_none();
            rows.extend(batch.map(Batch::into_appended).transpose()?);
            let full = rows.iter().map(RecordBatch::num_rows).sum::<usize>() >= FILE_ROWS;
            if !rows.is_empty() && (full || is_last) {
                let (storage, rows) = (folder.storage.clone(), std::mem::take(&mut rows));
                let name = FilePosition { epoch: commit.epoch, number }.name();
                if !folder.names.contains(&name) {
                    blocking(move || storage.put(&name, &file_of(&rows)?)).await?;
                }
                number += 1;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

fn file_of(rows: &[RecordBatch]) -> Result<Vec<u8>> {
    let schema = rows.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    rows.iter().try_for_each(|records| writer.write(records))?;
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests;
