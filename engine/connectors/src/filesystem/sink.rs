//! The sink of `'connector' = 'filesystem'`: files that appear when their checkpoint is complete, each row in one of
//! them once.
//!
//! The life of a file, all of it in the table's folder and under names (`names`) that readers pass over until the last step:
//!
//! ```text
//!   ….inprogress                          being written
//!        │  prepare: finish, fsync, rename
//!   ….prepared                            durable, and named by a committable
//!        │  commit: compare with what was written; record that it is published; rename without replacing, fsync of the folder
//!   [<column>=<value>/]part-….<extension>       visible
//! ```
//!
//! 1. A file in progress belongs to a live sink, which holds the lock file beside it. Whoever gets that lock may remove
//!    the file: nothing names it (`workplace`, `sweep`).
//! 2. A prepared file may belong to a completed checkpoint, so only one that provably does not is removed: of the same job, of
//!    an older attempt, and of an epoch behind the last completed one.
//! 3. A commit looks at what is there: the prepared file (rename it), or else the final one (done before). It can be
//!    repeated by any process at any time (`committable`). Once it is recorded that all was found (`publication`), readers may
//!    take away what is visible.

mod audit;
mod committable;
mod disk;
mod earlier;
mod layout;
mod names;
mod part;
mod partition;
mod publication;
mod sweep;
#[cfg(test)]
mod tests;
mod workplace;
mod writer;

use async_trait::async_trait;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, OptionInfo, SinkContext};
use weir_core::{Batch, Epoch, Error, OperatorUid, Result, Sink, TableSpec};

use super::listing::local_path;
use crate::blocking::blocking;
use crate::options::Options;
use part::Parts;

pub(super) use partition::push_escaped;
pub use {
    layout::{EncodedFile, Existing, FileLayout},
    names::Sink as SinkNames,
};

pub(crate) const FILE_SIZE: &str = "sink.rolling-policy.file-size";
pub(crate) const FILE_ROWS: &str = "sink.rolling-policy.rows";
pub(crate) const GUARANTEE: &str = "sink.delivery-guarantee";
pub(crate) const EXISTING: &str = "sink.existing-results";
const DEFAULT_PARTITION: &str = "partition.default-name";

const OPTIONS: &[OptionInfo] = &[
    OptionInfo {
        name: FILE_SIZE,
        required: false,
        doc: "Size at which a new file is begun; '128mb' by default. Every checkpoint begins new files too.",
    },
    OptionInfo { name: FILE_ROWS, required: false, doc: "Rows after which a new file is begun; unlimited by default." },
    OptionInfo { name: GUARANTEE, required: false, doc: "'exactly-once', which is the default and all there is." },
    OptionInfo {
        name: EXISTING,
        required: false,
        doc: "What happens if a new job finds results of an earlier job of the same query: 'warn' (default), 'add' or 'refuse'.",
    },
    OptionInfo {
        name: DEFAULT_PARTITION,
        required: false,
        doc: "What stands for null in the name of a partition; '__DEFAULT_PARTITION__' by default.",
    },
];

/// Options of the sink, without those of its format ([`format_options`]).
pub fn options() -> &'static [OptionInfo] {
    OPTIONS
}

/// Options of a format when it is written; none for a format that cannot be.
pub fn format_options(format: &str) -> &'static [OptionInfo] {
    writer::options(format)
}

/// What the table's options and columns say.
#[derive(Debug, Clone)]
struct Settings {
    folder: std::path::PathBuf,
    layout: FileLayout,
}

impl Settings {
    fn of(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let folder = local_path(options.required("path")?)?;
        if folder.is_empty() || folder.contains(['*', '?', '[']) {
            return Err(options.error("path", "not a folder to write files into"));
        }
        Ok(Self { folder: folder.into(), layout: FileLayout::of(table)? })
    }
}

/// Checks the options and columns of a table that is written, without I/O.
///
/// # Errors
/// A user error that names the option or column.
pub fn validate(table: &TableSpec) -> Result<()> {
    Settings::of(table).map(|_| ())
}

/// Opens one subtask's part of the sink. Removes what executions that have died left behind in the folder.
///
/// # Errors
/// If the folder cannot be made or written.
pub async fn open(table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
    let settings = Settings::of(table)?;
    let parts = blocking(move || Parts::open(settings, context)).await?;
    Ok(Box::new(FileSink { parts: Some(parts) }))
}

/// Makes the files of these committables visible. Can be repeated.
///
/// # Errors
/// A data error if a file is lost or damaged; an environment error if it cannot be renamed.
pub async fn commit(table: &TableSpec, commit: Commit) -> Result<()> {
    let folder = Settings::of(table)?.folder;
    blocking(move || committable::commit(&folder, &commit)).await
}

/// Removes what a job has left that will not go on. Can be repeated.
///
/// # Errors
/// An environment error if something cannot be removed.
pub async fn discard(table: &TableSpec, discard: Discard) -> Result<()> {
    let folder = Settings::of(table)?.folder;
    let sink = names::Sink::new(discard.job, &discard.uid);
    blocking(move || sweep::discard(&folder, &sink, discard.behind)).await
}

/// What readers can see of the files of a sink.
///
/// # Errors
/// A data error if a committable makes no sense, an environment error if the folder cannot be looked into.
pub async fn audit(table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
    let folder = Settings::of(table)?.folder;
    blocking(move || audit::audit(&folder, &audit).map(Some)).await
}

/// A file with results of an earlier job of the same query, unless the table says that they do not matter.
///
/// # Errors
/// A user error if there are some and the table says so; an environment error if the folder cannot be read.
pub async fn earlier_results(table: &TableSpec, uid: &OperatorUid) -> Result<Option<String>> {
    let Settings { folder, layout: FileLayout { existing, .. } } = Settings::of(table)?;
    let uid = uid.clone();
    if existing == Existing::Add {
        return Ok(None);
    }
    let found = blocking(move || earlier::earlier_results(&folder, &uid)).await?.map(|path| path.display().to_string());
    existing.judge(table, found)
}

/// The sink. Without parts it has failed, or its last call was given up: what is in its files is not known then.
struct FileSink {
    parts: Option<Parts>,
}

impl FileSink {
    /// Does work that waits for the disk beside the runtime's threads.
    async fn with_parts<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Parts) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut parts =
            self.parts.take().ok_or_else(|| Error::internal("a filesystem sink was used after it had failed"))?;
        let (parts, result) = blocking(move || {
            let result = work(&mut parts)?;
            Ok((parts, result))
        })
        .await?;
        self.parts = Some(parts);
        Ok(result)
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        let rows = batch.into_appended()?;
        self.with_parts(move |parts| parts.write(&rows)).await
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>> {
        self.with_parts(move |parts| parts.prepare(epoch)).await
    }
}
