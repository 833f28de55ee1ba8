//! Files in local folders as tables: JSON lines, CSV, Parquet, Arrow IPC.
//!
//! As a source, a table is a file, a folder or a pattern. Files are listed once, or watched for with
//! `'source.monitor-interval'`; a file has to appear in one step (be renamed into its folder) and must not change
//! afterwards. Large files are cut into ranges that several subtasks read (`split`). As a sink, files appear when the
//! checkpoint that they belong to completes ([`sink`]). Joins look rows up in all files at once (`lookup`).

mod discovery;
mod known;
mod layout;
mod lines;
pub(crate) mod listing;
mod lookup;
mod options;
mod place;
mod reader;
mod seen;
pub mod sink;
mod source;
mod split;
mod store;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Field;
use async_trait::async_trait;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{
    Boundedness, Commit, Connector, Discard, DiscoveryContext, METADATA_KEY, OptionInfo, Role, Sink, SinkContext,
    Source, SourceContext, SplitDiscovery,
};
use weir_core::lookup::{LookupContext, LookupTable};
use weir_core::{Error, Location, OperatorUid, Result, TableSpec};

use self::layout::Layout;
pub use self::listing::{FileInfo, Listing};
use self::options::{Format, SourceOptions};
pub use self::store::FileStore;
use self::store::LocalFiles;
pub use self::wanted::Wanted;
use crate::formats::decode::RecordDecoder;
use crate::formats::decode::sql_name;

/// The connector `filesystem`.
#[derive(Debug, Clone)]
pub struct Filesystem {
    /// Where files are read.
    files: Arc<dyn FileStore>,
}

impl Default for Filesystem {
    fn default() -> Self {
        Self::reading(Arc::new(LocalFiles))
    }
}

impl Filesystem {
    /// One whose tables are read from elsewhere; written are local files alone.
    pub fn reading(files: Arc<dyn FileStore>) -> Self {
        Self { files }
    }

    fn validate_source(&self, table: &TableSpec) -> Result<()> {
        let options = SourceOptions::read(table)?;
        self.files.check(&options.path)?;
        let layout = Layout::new(table)?;
        let is_text = matches!(options.format, Format::Json { .. } | Format::Csv(_));
        if !is_text && layout.wants_offsets() {
            return Err(Error::user("metadata 'record.offset' is there in the formats 'json' and 'csv' only"));
        }
        for field in table.schema.fields().iter().filter(|field| !field.metadata().contains_key(METADATA_KEY)) {
            let of_column =
                |error: Error| error.context(format!("column '{}' of table '{}'", field.name(), table.name));
            if is_text || table.partitioned_by.contains(field.name()) {
                RecordDecoder::check(field).map_err(of_column)?;
            }
            if matches!(options.format, Format::Csv(_)) && field.data_type().is_nested() {
                return Err(Error::user(format!(
                    "column '{}' of table '{}': {} cannot be read from CSV",
                    field.name(),
                    table.name,
                    sql_name(field.data_type())
                )));
            }
        }
        Ok(())
    }
}

/// How often a folder is looked at, what becomes of records that cannot be decoded, how large files get. The size of splits is none
/// of them: positions are kept by split, and files that are cut otherwise have others.
const SETTINGS: &[&str] = &[
    "source.monitor-interval",
    "source.forget-after",
    "source.max-file-age",
    "error-policy",
    "dead-letter.table",
    "max-record-size",
    "json.ignore-parse-errors",
    "csv.ignore-parse-errors",
    sink::FILE_SIZE,
    sink::FILE_ROWS,
    sink::GUARANTEE,
    sink::EXISTING,
    lookup::SETTINGS[0],
    lookup::SETTINGS[1],
    lookup::SETTINGS[2],
];

#[async_trait]
impl Connector for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn supports(&self, role: Role) -> bool {
        match role {
            Role::Source | Role::Sink | Role::Lookup => true,
        }
    }

    fn options(&self, given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        let mut options: Vec<OptionInfo> = options::known(given.get("format").map(String::as_str)).collect();
        let format = given.get("format").map_or("", String::as_str);
        for option in sink::options().iter().chain(sink::format_options(format)) {
            if options.iter().all(|known| known.name != option.name) {
                options.push(*option);
            }
        }
        options
    }

    fn settings(&self) -> &'static [&'static str] {
        SETTINGS
    }

    fn metadata_columns(&self) -> Vec<Field> {
        layout::metadata_columns()
    }

    fn anchor(&self, options: &mut BTreeMap<String, String>, directory: &Path) {
        if let Some(path) = options.get_mut("path") {
            *path = listing::anchored(path, directory);
        }
    }

    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>> {
        let path = crate::options::Options::of(table).required("path").and_then(listing::local_path)?;
        Ok(vec![Location::Path(path.into())])
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        match role {
            Role::Sink => sink::validate(table),
            Role::Source => self.validate_source(table),
            Role::Lookup => self.validate_source(table).and_then(|()| lookup::validate(table)),
        }
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        if table.options.contains_key("source.monitor-interval") {
            Boundedness::Unbounded
        } else {
            Boundedness::Bounded
        }
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        let within = |error: Error| error.context(format!("while reading table '{}'", table.name));
        discovery::open(table, context, self.files.clone()).await.map_err(within)
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let within = |error: Error| error.context(format!("while reading table '{}'", table.name));
        source::open(table, &context, self.files.clone()).map_err(within)
    }

    async fn open_lookup(&self, table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
        let within = |error: Error| error.context(format!("while reading table '{}'", table.name));
        lookup::open(table, context, self.files.clone()).await.map_err(within)
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        sink::open(table, context).await
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        sink::commit(table, commit).await
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        sink::discard(table, discard).await
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        sink::audit(table, audit).await
    }

    async fn earlier_results(&self, table: &TableSpec, sink: &OperatorUid) -> Result<Option<String>> {
        sink::earlier_results(table, sink).await
    }
}

/// What a blocking thread has come to. A panic in it is ours.
fn joined<T>(thread: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    thread.map_err(|error| Error::internal("reading files broke off").with_source(error))?
}
