//! Connectors whose tables reach what is allowed, and nothing else. It is checked when a table is planned, and again before anything of it is
//! opened.

use std::sync::Arc;

use async_trait::async_trait;
use weir_connectors::blocking::blocking;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, DiscoveryContext, Role, SinkContext, SourceContext};
use weir_core::lookup::LookupContext;
use weir_core::{
    Connector, ConnectorRegistry, Location, LookupTable, OperatorUid, Result, Sink, Source, SplitDiscovery, TableSpec,
};

use super::Allowed;

/// Connectors whose tables reach what is allowed.
pub struct Limited {
    connectors: Arc<dyn ConnectorRegistry>,
    allowed: Allowed,
}

impl Limited {
    /// These connectors with that limit; without one they are returned as they are.
    pub fn over(connectors: Arc<dyn ConnectorRegistry>, allowed: Allowed) -> Arc<dyn ConnectorRegistry> {
        if allowed.is_everything() { connectors } else { Arc::new(Self { connectors, allowed }) }
    }
}

#[deny(clippy::missing_trait_methods)]
impl ConnectorRegistry for Limited {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        let connector = self.connectors.get(name)?;
        Some(Arc::new(LimitedConnector { connector, allowed: self.allowed.clone() }))
    }

    fn names(&self) -> Vec<&'static str> {
        self.connectors.names()
    }
}

struct LimitedConnector {
    connector: Arc<dyn Connector>,
    allowed: Allowed,
}

impl LimitedConnector {
    async fn check(&self, table: &TableSpec) -> Result<()> {
        let (connector, allowed, table) = (self.connector.clone(), self.allowed.clone(), table.clone());
        blocking(move || allowed.check(&table, &*connector)).await
    }

    /// The table with those of its options that refer to no secret.
    fn without_references(table: &TableSpec) -> TableSpec {
        let mut known = table.clone();
        known.options.retain(|_, value| !value.contains("${"));
        known
    }
}

// A method with a default would be the default and not the connector's.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Connector for LimitedConnector {
    crate::forwarding::forwarded!();

    fn locations(&self, table: &TableSpec) -> Result<Vec<Location>> {
        self.connector.locations(table)
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        // What a reference stands for is known in a worker only, and checked there.
        let known = Self::without_references(table);
        let locations = self.connector.locations(&known);
        if known.options.len() == table.options.len() || locations.is_ok() {
            self.allowed.check_locations(&table.name, &locations?)?;
        }
        self.connector.validate(table, role)
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        self.check(table).await?;
        self.connector.open_discovery(table, context).await
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        self.check(table).await?;
        self.connector.open_source(table, context).await
    }

    async fn open_lookup(&self, table: &TableSpec, context: LookupContext) -> Result<Box<dyn LookupTable>> {
        self.check(table).await?;
        self.connector.open_lookup(table, context).await
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        self.check(table).await?;
        self.connector.open_sink(table, context).await
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        self.check(table).await?;
        self.connector.commit(table, commit).await
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        self.check(table).await?;
        self.connector.discard(table, discard).await
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        self.check(table).await?;
        self.connector.audit(table, audit).await
    }

    async fn earlier_results(&self, table: &TableSpec, sink: &OperatorUid) -> Result<Option<String>> {
        self.check(table).await?;
        self.connector.earlier_results(table, sink).await
    }
}
