//! The connector `postgres`.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{
    Boundedness, Commit, Connector, Discard, DiscoveryContext, OptionInfo, Role, SinkContext, SplitDiscovery,
};
use weir_core::lookup::{LookupContext, LookupTable};
use weir_core::{ChangelogKind, Error, Location, OperatorUid, Result, Sink, TableSpec};

use crate::options::{self, LookupOptions, ROOTS, SinkOptions};
use crate::types::PgType;
use crate::{lookup, sink};

/// The connector `postgres`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Postgres;

#[async_trait]
impl Connector for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn supports(&self, role: Role) -> bool {
        matches!(role, Role::Sink | Role::Lookup)
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        options::OPTIONS.to_vec()
    }

    fn settings(&self) -> &'static [&'static str] {
        options::SETTINGS
    }

    /// With a primary key, each row takes the place of the one before.
    fn takes(&self, table: &TableSpec, stream: &ChangelogKind) -> bool {
        match stream {
            ChangelogKind::Append => true,
            ChangelogKind::Retract => false,
            ChangelogKind::Upsert(key) => {
                let is_in = |columns: &[usize], others: &[usize]| columns.iter().all(|column| others.contains(column));
                !key.is_empty() && is_in(key, &table.primary_key) && is_in(&table.primary_key, key)
            }
        }
    }

    fn anchor(&self, options: &mut BTreeMap<String, String>, directory: &Path) {
        if let Some(path) = options.get_mut(ROOTS)
            && Path::new(path).is_relative()
        {
            *path = directory.join(&*path).display().to_string();
        }
    }

    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>> {
        options::ClientOptions::read(table).map(|options| options.locations())
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        match role {
            Role::Source => return Err(options::no_source(table)),
            Role::Lookup => drop(LookupOptions::read(table)?),
            Role::Sink => drop(SinkOptions::read(table)?),
        }
        // What the database has is looked at when the job begins; what it can have in no case is known now.
        let unfit = table.schema.fields().iter().find(|field| PgType::fitting(field.data_type()).is_empty());
        match unfit.filter(|_| role == Role::Sink) {
            None => Ok(()),
            Some(field) => Err(Error::user(format!(
                "column '{}' of table '{}': PostgreSQL has no type for {}",
                field.name(),
                table.name,
                weir_connectors::formats::sql_name(field.data_type())
            ))
            .with_help("it keeps microseconds, arrays of plain values, and no maps or rows: CAST in the query")),
        }
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_discovery(&self, table: &TableSpec, _context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        Err(options::no_source(table))
    }

    async fn open_lookup(&self, table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
        let within = |error: Error| error.context(format!("while reading table '{}'", table.name));
        lookup::open(table, &context).await.map_err(within)
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let within = |error: Error| error.context(format!("while writing table '{}'", table.name));
        sink::open(table, &context).await.map_err(within)
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        sink::commit(table, commit).await
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        sink::audit(table, &audit).await.map(Some)
    }

    async fn earlier_results(&self, table: &TableSpec, sink: &OperatorUid) -> Result<Option<String>> {
        sink::earlier_results(table, sink).await
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        sink::discard(table, &discard).await
    }
}
