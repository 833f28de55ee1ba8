//! The connector `upsert-kafka`: a table with a primary key, whose rows are records that replace each other, as in a compacted topic. A
//! record without a value says that there is no row of its key any more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Field;
use async_trait::async_trait;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{
    Boundedness, Commit, Connector, Discard, DiscoveryContext, OptionInfo, Role, SinkContext, Source, SourceContext,
    SplitDiscovery, Succession,
};
use weir_core::{ChangelogKind, Location, Result, Sink, TableSpec};

use crate::connector::{SETTINGS, UPSERT, anchor, boundedness, locations, validate, while_reading, while_writing};
use crate::options::SourceOptions;
use crate::sink::{SinkOptions, Writers};
use crate::{discovery, metadata, options, sink, source};

/// The connector `upsert-kafka`.
#[derive(Debug, Clone, Default)]
pub struct UpsertKafka {
    writers: Arc<Writers>,
}

#[async_trait]
impl Connector for UpsertKafka {
    fn name(&self) -> &'static str {
        UPSERT
    }

    fn supports(&self, role: Role) -> bool {
        matches!(role, Role::Source | Role::Sink)
    }

    fn options(&self, given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        options::known_of_upserts(given)
    }

    fn settings(&self) -> &'static [&'static str] {
        SETTINGS
    }

    /// Each row of a stream that only adds rows takes the place of the one before.
    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => false,
            ChangelogKind::Upsert(key) => {
                let is_in = |columns: &[usize], others: &[usize]| columns.iter().all(|column| others.contains(column));
                is_in(key, &table.primary_key) && is_in(&table.primary_key, key)
            }
        }
    }

    fn check_stream(&self, table: &TableSpec, stream: &ChangelogKind) -> Result<()> {
        if stream.is_append() { Ok(()) } else { SinkOptions::check_changes(table) }
    }

    fn succession(&self, table: &TableSpec) -> Option<Succession> {
        SourceOptions::read(table).ok().and_then(|options| options.succession(table))
    }

    fn metadata_columns(&self) -> Vec<Field> {
        metadata::columns()
    }

    fn anchor(&self, options: &mut BTreeMap<String, String>, directory: &Path) {
        anchor(options, directory);
    }

    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>> {
        locations(table)
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        validate(table, role)
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        boundedness(table)
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        discovery::open(table, context).await.map_err(while_reading(table))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        source::open(table, &context).map_err(while_reading(table))
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        sink::open(table, context, &self.writers).await.map_err(while_writing(table))
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        sink::commit(table, commit, &self.writers).await
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        sink::discard(table, discard, &self.writers).await
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        sink::audit(table, audit).await
    }
}
