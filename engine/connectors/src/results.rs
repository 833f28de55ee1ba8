//! The connector `$result` of a cluster: rows of a `SELECT`, on their way from a worker to the command that prints them.
//!
//! They are staged in their checkpoint like those of any sink that wants its rows back, and go through files from there, so that
//! no coordinator sees a row and none is printed twice, whoever dies meanwhile. The files are Arrow's, in a folder of this query
//! alone beside the checkpoints.
//!
//! ```text
//!   <folder>/reader-<n>                      made before the job is submitted, and every few seconds anew: somebody reads here
//!   <folder>/part-<epoch>-<n>.arrow          rows of a completed checkpoint: printed in order, then deleted
//!   <folder>/.part-…                         such a file while it is written
//! ```
//!
//! 1. A commit writes the epoch's files. It can be repeated, by anybody: it writes the same bytes under the same names.
//! 2. The reader looks only at files of epochs that the replicated state calls committed, so that it sees all of an epoch or
//!    nothing; then it deletes them. Why not read the staged rows themselves: a checkpoint retires when it is committed and a few
//!    newer ones are there, and whoever reads stdout may take longer than that.
//! 3. A worker that was taken for dead may repeat a commit behind that. The reader knows what it has printed, and deletes such
//!    a file.
//! 4. A reader that goes deletes `reader-<n>` first. From then on there is nothing to commit, and a sink does not open; both
//!    would be for nobody. A worker that has another folder under this name finds no reader either, and says so.
//! 5. A reader that was killed does not make `reader-<n>` anew. After a while the job fails, so that files do not pile up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;
use async_trait::async_trait;
use tokio::time::Instant;
use weir_core::connector::{
    Boundedness, Commit, Connector, OptionInfo, RESULT_CONNECTOR, RESULT_FOLDER, Role, Sink, SinkContext,
};
use weir_core::{Batch, Epoch, Error, Result, TableSpec};

use crate::blocking::blocking;
use crate::filesystem::listing::local_path;
use crate::options::Options;

/// Beginning of the names of the objects that say that somebody reads.
pub const READERS: &str = "reader-";
/// A reader that makes none of these for so long is gone.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Rows of a file, give or take a batch: the reader holds one file at a time in memory. Not bytes, since a commit that is repeated
/// has to come to the same files.
const FILE_ROWS: usize = 32 * 1024;

const OPTIONS: &[OptionInfo] =
    &[OptionInfo { name: RESULT_FOLDER, required: true, doc: "URL of the folder in which rows wait to be printed." }];

/// The connector.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResultFiles;

/// Where a file stands among the others: rows of earlier epochs come first, and within an epoch those of earlier files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The epoch that its rows belong to.
    pub epoch: Epoch,
    /// Its number among those of this epoch.
    pub number: u64,
}

impl FilePosition {
    /// Where the file of that name stands; `None` for what is no visible file of rows.
    pub fn of(name: &str) -> Option<Self> {
        let (epoch, number) = name.strip_prefix("part-")?.strip_suffix(".arrow")?.split_once('-')?;
        Some(Self { epoch: Epoch(epoch.parse().ok()?), number: number.parse().ok()? })
    }

    fn name(self) -> String {
        format!("part-{}-{}.arrow", self.epoch, self.number)
    }
}

fn folder(table: &TableSpec) -> Result<PathBuf> {
    let folder = local_path(Options::of(table).required(RESULT_FOLDER)?)?;
    if folder.is_empty() { Err(Error::user("the rows of a SELECT have no folder")) } else { Ok(folder.into()) }
}

/// Name of the object that says that somebody reads, number `n`.
pub fn reader(n: u64) -> String {
    format!("{READERS}{n:016}")
}

/// The newest of these objects in the folder; `None`: nobody reads.
async fn reader_in(folder: PathBuf) -> Result<Option<String>> {
    blocking(move || {
        newest_reader(&folder).map_err(|error| {
            Error::environment(format!("cannot find out who reads in {}", folder.display())).with_source(error)
        })
    })
    .await
}

fn newest_reader(folder: &Path) -> std::io::Result<Option<String>> {
    let mut newest = None;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().into_string().ok().filter(|name| name.starts_with(READERS));
        newest = newest.max(name);
    }
    Ok(newest)
}

fn nobody_reads(folder: &Path) -> Error {
    Error::user(format!("nobody reads the rows that this SELECT puts into {}", folder.display())).with_help(
        "its `weir submit` has ended, or is on a machine that has another folder under this name: submit it where the \
         cluster's checkpoint storage is, or write the rows with INSERT INTO",
    )
}

/// A sink that stages its rows, and goes on only as long as somebody reads.
struct ReadSink {
    rows: Vec<Batch>,
    folder: PathBuf,
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
        let reader = reader_in(self.folder.clone()).await?;
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

    fn validate(&self, table: &TableSpec, _role: Role) -> Result<()> {
        folder(table).map(drop)
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_sink(&self, table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let folder = folder(table)?;
        let reader = reader_in(folder.clone()).await?;
        if reader.is_none() {
            return Err(nobody_reads(&folder));
        }
        Ok(Box::new(ReadSink { rows: Vec::new(), folder, reader, since: Instant::now() }))
    }

    async fn commit(&self, table: &TableSpec, mut commit: Commit) -> Result<()> {
        let folder = folder(table)?;
        if reader_in(folder.clone()).await?.is_none() {
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
                let (folder, rows) = (folder.clone(), std::mem::take(&mut rows));
                let name = FilePosition { epoch: commit.epoch, number }.name();
                blocking(move || write(&folder, &name, &rows)).await?;
                number += 1;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Writes a file that is there as a whole, or not at all, and stays. One that is there already holds the same.
fn write(folder: &Path, name: &str, rows: &[RecordBatch]) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::environment(format!("rows cannot be put into {}", folder.display())).with_source(error)
    };
    let schema = rows.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    rows.iter().try_for_each(|records| writer.write(records))?;
    // Somebody may be writing the same file at the same time.
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| failed(errno.into()))?;
    let hidden = folder.join(format!(".{name}-{:016x}", u64::from_le_bytes(random)));
    let written = File::create_new(&hidden).and_then(|mut file| {
        file.write_all(&writer.into_inner().map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(&hidden, folder.join(name))?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|error| {
        // The space is needed back, above all when it has run out.
        let _ = std::fs::remove_file(&hidden);
        failed(error)
    })
}

#[cfg(test)]
mod tests;
