//! The connector `$result` of a cluster: rows of a `SELECT`, on their way from a worker to the command that prints them.
//!
//! They go through files, so that no coordinator sees a row and none is printed twice, whoever dies meanwhile: those of the
//! `filesystem` sink, in Arrow's format, in a folder of this query alone below the checkpoint storage.
//!
//! ```text
//!   <folder>/reader-<n>                      made before the job is submitted, and every few seconds anew: somebody reads here
//!   <folder>/.weir-…                         rows that are not decided yet
//!   <folder>/part-<uid>-<epoch>-<subtask>-<n>.arrow
//!                                            rows of a completed checkpoint: printed in order, then deleted
//! ```
//!
//! 1. The reader looks only at files of epochs that the replicated state calls committed. A commit that is repeated before that
//!    finds the file; behind it, nobody repeats it. So a file may be deleted once it is printed.
//! 2. A reader that goes deletes `reader-<n>` first. From then on there is nothing to commit, and a sink does not open; both
//!    would be for nobody. A worker that has another folder under this name finds no reader either, and says so.
//! 3. A reader that was killed does not make `reader-<n>` anew. After a while the job fails, so that files do not pile up.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use weir_core::connector::{
    Boundedness, Connector, OptionInfo, RESULT_CONNECTOR, RESULT_FOLDER, Role, Sink, SinkContext, Source, SourceContext,
};
use weir_core::{Batch, Epoch, Error, Result, TableSpec};

use crate::filesystem::sink;
use crate::options::Options;

/// Beginning of the names of the objects that say that somebody reads.
pub const READERS: &str = "reader-";
/// A reader that makes none of these for so long is gone.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Size of a file: the reader holds one at a time in memory.
const FILE_SIZE: &str = "16mb";

const OPTIONS: &[OptionInfo] =
    &[OptionInfo { name: RESULT_FOLDER, required: true, doc: "URL of the folder in which rows wait to be printed." }];

/// The connector.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResultFiles;

/// Where a file stands among the others: rows of earlier epochs come first, and within an epoch those of earlier files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The epoch that its rows belong to.
    pub epoch: Epoch,
    /// The subtask that wrote it.
    pub subtask: usize,
    /// Its number among those of this epoch and subtask.
    pub number: u64,
}

impl Place {
    /// Where the file of that name stands; `None` for what is no visible file of rows.
    pub fn of(name: &str) -> Option<Self> {
        let mut words = name.strip_prefix("part-")?.strip_suffix(".arrow")?.rsplit('-');
        let number = words.next()?.parse().ok()?;
        let subtask = words.next()?.parse().ok()?;
        let epoch = words.next()?.parse().ok()?;
        Some(Self { epoch: Epoch(epoch), subtask, number })
    }
}

/// The table as the filesystem sink knows it.
fn files(table: &TableSpec) -> Result<TableSpec> {
    let folder = Options::of(table).required(RESULT_FOLDER)?;
    let options = [("path", folder), ("format", "arrow"), (sink::FILE_SIZE, FILE_SIZE)];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(TableSpec { connector: "filesystem".to_owned(), options: BTreeMap::from(options), ..table.clone() })
}

/// Name of the object that says that somebody reads, number `n`.
pub fn reader(n: u64) -> String {
    format!("{READERS}{n:016}")
}

/// The newest of these objects in the folder; `None`: nobody reads.
async fn reader_in(folder: PathBuf) -> Result<Option<String>> {
    sink::blocking(move || {
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

/// A sink that goes on only as long as somebody reads.
struct ReadSink {
    files: Box<dyn Sink>,
    folder: PathBuf,
    reader: Option<String>,
    /// Since when the reader is this one.
    since: Instant,
}

#[async_trait]
impl Sink for ReadSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.files.write(batch).await
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>> {
        let reader = reader_in(self.folder.clone()).await?;
        if reader != self.reader {
            (self.reader, self.since) = (reader, Instant::now());
        }
        if self.reader.is_none() || self.since.elapsed() > PATIENCE {
            return Err(nobody_reads(&self.folder));
        }
        self.files.prepare(epoch).await
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
        sink::validate(&files(table)?)
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_source(&self, _table: &TableSpec, _context: SourceContext) -> Result<Box<dyn Source>> {
        Err(Error::internal("results cannot be read back"))
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let files = files(table)?;
        let folder = sink::folder(&files)?;
        let reader = reader_in(folder.clone()).await?;
        if reader.is_none() {
            return Err(nobody_reads(&folder));
        }
        let files = sink::open(&files, context).await?;
        Ok(Box::new(ReadSink { files, folder, reader, since: Instant::now() }))
    }

    async fn commit(&self, table: &TableSpec, committables: Vec<Vec<u8>>) -> Result<()> {
        let files = files(table)?;
        if reader_in(sink::folder(&files)?).await?.is_none() {
            return Ok(());
        }
        sink::commit(&files, committables).await
    }
}

#[cfg(test)]
mod tests;
