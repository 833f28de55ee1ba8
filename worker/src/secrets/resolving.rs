//! Connectors as a worker sees them: each gets its table with the secrets in it, and its errors pass on without.

use std::sync::Arc;

use async_trait::async_trait;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, DiscoveryContext, Role, SinkContext, SourceContext};
use weir_core::lookup::LookupContext;
use weir_core::{
    Connector, ConnectorRegistry, Location, LookupTable, OperatorUid, Result, Sink, Source, SplitDiscovery, TableSpec,
};

use super::Secrets;
use super::redacted::Untold;

/// Connectors that get secrets instead of references to them.
pub struct Resolving {
    connectors: Arc<dyn ConnectorRegistry>,
    secrets: Secrets,
}

impl Resolving {
    /// The same connectors.
    pub fn new(connectors: Arc<dyn ConnectorRegistry>, secrets: Secrets) -> Self {
        Self { connectors, secrets }
    }
}

#[deny(clippy::missing_trait_methods)]
impl ConnectorRegistry for Resolving {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        let connector = self.connectors.get(name)?;
        Some(Arc::new(Resolved { connector, secrets: self.secrets.clone() }))
    }

    fn names(&self) -> Vec<&'static str> {
        self.connectors.names()
    }
}

struct Resolved {
    connector: Arc<dyn Connector>,
    secrets: Secrets,
}

impl Resolved {
    /// The table as the connector needs it, and what must not be told of it.
    fn table(&self, table: &TableSpec) -> Result<(TableSpec, Untold)> {
        let mut found = Vec::new();
        let mut resolved = table.clone();
        for (option, value) in &mut resolved.options {
            *value = self.secrets.resolve(value, &mut found).map_err(|error| {
                error.context(format!("the option '{option}' of table '{}' cannot be used", table.name))
            })?;
        }
        Ok((resolved, Untold::new(found)))
    }
}

// A method with a default would be the default and not the connector's.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Connector for Resolved {
    crate::forwarding::forwarded!();

    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>> {
        let (table, secrets) = self.table(table)?;
        self.connector.locations(&table).map_err(|error| secrets.redacted(error))
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        self.connector.validate(table, role)
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        let (table, secrets) = self.table(table)?;
        secrets.discovery(self.connector.open_discovery(&table, context).await)
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let (table, secrets) = self.table(table)?;
        secrets.source(self.connector.open_source(&table, context).await)
    }

    async fn open_lookup(&self, table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
        let (table, secrets) = self.table(table)?;
        secrets.lookup(self.connector.open_lookup(&table, context).await)
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let (table, secrets) = self.table(table)?;
        secrets.sink(self.connector.open_sink(&table, context).await)
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        let (table, secrets) = self.table(table)?;
        self.connector.commit(&table, commit).await.map_err(|error| secrets.redacted(error))
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        let (table, secrets) = self.table(table)?;
        self.connector.discard(&table, discard).await.map_err(|error| secrets.redacted(error))
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        let (table, secrets) = self.table(table)?;
        let audited = self.connector.audit(&table, audit).await.map_err(|error| secrets.redacted(error))?;
        // They are made of options.
        Ok(audited.map(|AuditedSink { target, marker, last, absent, epochs }| AuditedSink {
            target: secrets.without(target),
            marker: secrets.without(marker),
            last,
            absent,
            epochs,
        }))
    }

    async fn earlier_results(&self, table: &TableSpec, sink: &OperatorUid) -> Result<Option<String>> {
        let (table, secrets) = self.table(table)?;
        self.connector.earlier_results(&table, sink).await.map_err(|error| secrets.redacted(error))
    }
}
