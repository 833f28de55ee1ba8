//! The connector: local paths are left to the one for files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use async_trait::async_trait;
use weir_connectors::blocking::blocking;
use weir_connectors::filesystem::Filesystem;
use weir_connectors::filesystem::sink::{Existing, FileLayout, SinkNames};
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{
    Boundedness, Commit, Connector, Discard, DiscoveryContext, OptionInfo, Role, Sink, SinkContext, Source,
    SourceContext, SplitDiscovery, Succession,
};
use weir_core::lookup::{LookupContext, LookupTable};
use weir_core::{ChangelogKind, ErrorKind, JobIdentity, Location, OperatorUid, Result, TableSpec};
use weir_object_storage::ObjectStorages;
use weir_state::{Storage, Storages};

use crate::read::ObjectFiles;
use crate::{commit, sink};

/// The connector: `filesystem`, for local paths and for those of object stores.
#[derive(Debug, Clone)]
pub struct Files {
    storages: ObjectStorages,
    local: Filesystem,
    /// Reads from object stores.
    remote: Filesystem,
}

impl Default for Files {
    fn default() -> Self {
        let storages = ObjectStorages::default();
        let remote = Filesystem::reading(Arc::new(ObjectFiles(storages.clone())));
        Self { storages, local: Filesystem::default(), remote }
    }
}

/// The table's path, if it is in an object store.
fn url(table: &TableSpec) -> Option<&str> {
    table.options.get("path").map(String::as_str).filter(|path| ObjectStorages::is_object_store(path))
}

impl Files {
    /// Who reads the table.
    fn reader(&self, table: &TableSpec) -> &Filesystem {
        if url(table).is_some() { &self.remote } else { &self.local }
    }

    async fn open(&self, url: &str) -> Result<Arc<dyn Storage>> {
        let (storages, url) = (self.storages.clone(), url.to_owned());
        blocking(move || storages.open(&url)).await
    }
}

// A method with a default would be the default and not that of the connector for local files.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Connector for Files {
    fn name(&self) -> &'static str {
        self.local.name()
    }

    fn supports(&self, role: Role) -> bool {
        self.local.supports(role)
    }

    fn options(&self, given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        self.local.options(given)
    }

    fn settings(&self) -> &'static [&'static str] {
        self.local.settings()
    }

    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        self.local.takes(table, stream)
    }

    fn changes_by_key(&self, table: &TableSpec) -> bool {
        self.local.changes_by_key(table)
    }

    fn check_stream(&self, table: &TableSpec, stream: &ChangelogKind) -> Result<()> {
        self.local.check_stream(table, stream)
    }

    fn succession(&self, table: &TableSpec) -> Option<Succession> {
        self.local.succession(table)
    }

    fn holds_splits(&self) -> bool {
        self.local.holds_splits()
    }

    fn default_schema(&self, options: &BTreeMap<String, String>) -> Result<Option<SchemaRef>> {
        self.local.default_schema(options)
    }

    fn metadata_columns(&self) -> Vec<Field> {
        self.local.metadata_columns()
    }

    fn anchor(&self, options: &mut BTreeMap<String, String>, directory: &Path) {
        self.local.anchor(options, directory);
    }

    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>> {
        match url(table) {
            Some(url) => Ok(vec![Location::Url(url.to_owned())]),
            None => self.local.locations(table),
        }
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        match (url(table), role) {
            (None, _) => self.local.validate(table, role),
            (Some(_), Role::Sink) => FileLayout::of(table).map(drop),
            (Some(_), Role::Source | Role::Lookup) => self.remote.validate(table, role),
        }
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        self.local.boundedness(table)
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        self.reader(table).open_discovery(table, context).await
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        self.reader(table).open_source(table, context).await
    }

    async fn open_lookup(&self, table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
        self.reader(table).open_lookup(table, context).await
    }

    fn staged_schema(&self, table: &TableSpec) -> SchemaRef {
        if url(table).is_some() { sink::pieces() } else { self.local.staged_schema(table) }
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let Some(url) = url(table) else { return self.local.open_sink(table, context).await };
        // Wrong credentials are to be found out before there is a result.
        let storage = self.open(url).await?;
        if context.subtask == 0 {
            let names = SinkNames::new(context.job, &context.uid);
            let committed = blocking(move || commit::committed(&*storage, &names)).await?;
            commit::check_not_behind(url, &table.name, committed, context.epoch)?;
        }
        Ok(Box::new(sink::PieceSink::new(FileLayout::of(table)?, &context)?))
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        match url(table) {
            None => self.local.commit(table, commit).await,
            Some(url) => commit::commit(self.open(url).await?, commit).await,
        }
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        let Some(url) = url(table) else { return self.local.discard(table, discard).await };
        if discard.behind.is_some() {
            return Ok(());
        }
        let storage = self.open(url).await?;
        let markers = commit::markers(&SinkNames::new(discard.job, &discard.uid));
        blocking(move || storage.list(&markers)?.iter().try_for_each(|marker| storage.delete(marker))).await
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        let Some(url) = url(table) else { return self.local.audit(table, audit).await };
        let storage = self.open(url).await?;
        let url = url.to_owned();
        blocking(move || commit::audit(&*storage, &url, &audit).map(Some)).await
    }

    async fn earlier_results(&self, table: &TableSpec, sink: &OperatorUid) -> Result<Option<String>> {
        let Some(url) = url(table) else { return self.local.earlier_results(table, sink).await };
        let existing = FileLayout::of(table)?.existing;
        if existing == Existing::Add {
            return Ok(None);
        }
        // Of whichever job: a new one has none yet.
        let (beginning, _) = SinkNames::new(JobIdentity::default(), sink).visible();
        let (storages, url) = (self.storages.clone(), url.to_owned());
        let found = blocking(move || {
            let is_result = move |path: &str| path.rsplit('/').next().is_some_and(|name| name.starts_with(&beginning));
            storages.first(&url, is_result)
        });
        match found.await {
            // The machine of whoever submits need not reach the store.
            Err(error) if error.kind() == ErrorKind::Environment => Ok(None),
            found => existing.judge(table, found?),
        }
    }
}
