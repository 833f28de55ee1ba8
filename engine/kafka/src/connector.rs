//! The connector `kafka`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Field;
use async_trait::async_trait;
use weir_connectors::formats::PROTOBUF_DESCRIPTOR;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{
    Boundedness, Commit, Connector, Discard, DiscoveryContext, OptionInfo, Role, SinkContext, Source, SourceContext,
    SplitDiscovery, Succession,
};
use weir_core::{ChangelogKind, Error, Location, Result, Sink, TableSpec};

use crate::layout::Layout;
use crate::options::{self, SourceOptions};
use crate::sink::{SinkOptions, Writers};
use crate::{client, discovery, metadata, offsets, sink, source};

/// Name of the connector whose sink replaces rows by key.
pub(crate) const UPSERT: &str = "upsert-kafka";

/// The connector `kafka`.
#[derive(Debug, Clone, Default)]
pub struct Kafka {
    writers: Arc<Writers>,
}

/// How a cluster is reached, where a new job begins, what becomes of records that cannot be decoded. Which topics are read, and how far,
/// is none of them.
pub(crate) const SETTINGS: &[&str] = &[
    "properties.*",
    offsets::STARTUP_MODE,
    offsets::STARTUP_TIMESTAMP,
    offsets::STARTUP_OFFSETS,
    "scan.topic-partition-discovery.interval",
    "scan.deletions.retention",
    "error-policy",
    "dead-letter.table",
    "sink.*",
];

/// Makes absolute what names files of the client, or of a format.
pub(crate) fn anchor(options: &mut BTreeMap<String, String>, directory: &Path) {
    let descriptors = ["", "value.", "key."].map(|place| format!("{place}{PROTOBUF_DESCRIPTOR}"));
    for name in client::files().chain(descriptors) {
        if let Some(path) = options.get_mut(&name)
            && Path::new(path).is_relative()
        {
            *path = directory.join(&*path).display().to_string();
        }
    }
}

/// Brokers, registries, and files of the client or of a format.
pub(crate) fn locations(table: &TableSpec) -> Result<Vec<Location>> {
    let mut locations = Vec::new();
    for (name, value) in &table.options {
        let hosts = match client::names_brokers(name) {
            true => client::brokers(value),
            false if name.ends_with(".url") => weir_registry::hosts(value),
            false => Ok(Vec::new()),
        };
        locations.extend(hosts.map_err(|error| error.context(format!("option '{name}' of table '{}'", table.name)))?);
        if client::files().any(|file| file == *name) || name.ends_with(PROTOBUF_DESCRIPTOR) {
            locations.push(Location::Path(value.into()));
        }
    }
    Ok(locations)
}

/// Checks the options of a table of either connector.
pub(crate) fn validate(table: &TableSpec, role: Role) -> Result<()> {
    if role == Role::Sink {
        return SinkOptions::read(table).map(drop);
    }
    let options = SourceOptions::read(table)?;
    Layout::new(table, &options.formats)?;
    Ok(())
}

/// Whether a table of either connector ends.
pub(crate) fn boundedness(table: &TableSpec) -> Boundedness {
    let is_bounded = offsets::bounded(&weir_connectors::options::Options::of(table)).is_ok_and(|place| place.is_some());
    if is_bounded { Boundedness::Bounded } else { Boundedness::Unbounded }
}

/// What went wrong, and with which table that is read.
pub(crate) fn while_reading(table: &TableSpec) -> impl FnOnce(Error) -> Error {
    move |error| error.context(format!("while reading table '{}'", table.name))
}

/// What went wrong, and with which table that is written.
pub(crate) fn while_writing(table: &TableSpec) -> impl FnOnce(Error) -> Error {
    move |error| error.context(format!("while writing table '{}'", table.name))
}

#[async_trait]
impl Connector for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn supports(&self, role: Role) -> bool {
        matches!(role, Role::Source | Role::Sink)
    }

    fn options(&self, given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        options::known(given)
    }

    fn settings(&self) -> &'static [&'static str] {
        SETTINGS
    }

    /// Rows that are taken back, if the format of values has words for it.
    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => SinkOptions::read(table).is_ok_and(|options| options.columns.tells_changes()),
            ChangelogKind::Upsert(_) => false,
        }
    }

    /// Who reads them tells rows apart by the key alone.
    fn changes_by_key(&self, table: &TableSpec) -> bool {
        SinkOptions::read(table).is_ok_and(|options| options.columns.tells_changes())
    }

    fn check_stream(&self, table: &TableSpec, stream: &ChangelogKind) -> Result<()> {
        if stream.is_append() {
            return Ok(());
        }
        SinkOptions::check_changes(table)?;
        SinkOptions::check_order(table)
    }

    fn holds_splits(&self) -> bool {
        true
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
