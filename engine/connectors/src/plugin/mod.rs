//! Tables whose source or sink is code of a plugin: what users write in Rust, as a connector.
//!
//! ```text
//!   discovery ──asks──▶ thread: PluginSource::splits
//!   source ──splits──▶ pool of threads: PluginSource::open, PluginReader::read ──rows──▶ source
//!   sink: rows are staged in the checkpoint ──▶ commit ──rows──▶ thread: PluginSink::commit
//! ```
//!
//! That code may block, panic, and leave behind what it likes in the threads that it runs on. So it runs on threads of its own, which end with it
//! (`thread`), and never on one that runs subtasks or that others wait for.
//!
//! Which plugins there are is known where a job is opened. Elsewhere the connector says what it can of a table from the table alone, which is all that
//! planning takes.

mod discovery;
mod pool;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod thread;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{
    Boundedness, Commit, DiscoveryContext, OptionInfo, Role, SinkContext, Source, SourceContext, SplitDiscovery,
};
use weir_core::plugin::{NoPlugins, PLUGIN_CONNECTOR, Plugin, PluginTable, PluginTableKind, Plugins, TableRequest};
use weir_core::{Connector, ConnectorRegistry, Error, JobGraph, Location, OperatorSpec, Result, Sink, TableSpec};

use self::discovery::PluginDiscovery;
use self::sink::StagedSink;
use self::source::PooledSource;

/// The connector of tables that are a plugin's.
#[derive(Clone)]
pub struct PluginTables {
    plugins: Arc<dyn Plugins>,
    /// Sinks of the job that runs, by their names: what an earlier version has decided is committed by this one.
    sinks: BTreeMap<String, PluginTable>,
}

impl PluginTables {
    /// Where no plugin is: for planning.
    pub fn unopened() -> Self {
        Self::new(Arc::new(NoPlugins))
    }

    /// With the code of these plugins.
    pub fn new(plugins: Arc<dyn Plugins>) -> Self {
        Self { plugins, sinks: BTreeMap::new() }
    }

    /// The same, where the sinks of this job commit what earlier versions of theirs have decided.
    #[must_use]
    pub fn of_job(mut self, graph: &JobGraph) -> Self {
        let sinks = graph.nodes().iter().filter_map(|node| match &node.spec.operator {
            OperatorSpec::Sink(_) => node.spec.operator.plugin_table(),
            _ => None,
        });
        self.sinks = sinks.map(|table| (table.table.clone(), table.clone())).collect();
        self
    }

    fn code(&self, table: &TableSpec, kind: Option<PluginTableKind>) -> Result<Code> {
        let own = described(table)?;
        // Also if it is another version's.
        let now = self.sinks.get(&own.table).filter(|_| kind == Some(PluginTableKind::Sink)).unwrap_or(own);
        let plugin = self.plugins.find(now.artifact.as_ref())?;
        let request =
            TableRequest { table: now.table.clone(), config: now.config.clone(), columns: table.schema.clone() };
        Ok(Code { plugin, request, name: table.name.clone() })
    }
}

/// The code of a table.
#[derive(Clone)]
struct Code {
    plugin: Arc<dyn Plugin>,
    request: TableRequest,
    /// Of the table, in errors.
    name: String,
}

impl Code {
    fn context(&self, error: Error) -> Error {
        error.context(format!("the plugin's code of table {}", self.name))
    }
}

fn described(table: &TableSpec) -> Result<&PluginTable> {
    let described = table.plugin.as_deref();
    described.ok_or_else(|| Error::internal(format!("table {} does not say which plugin it is of", table.name)))
}

#[async_trait]
impl Connector for PluginTables {
    fn name(&self) -> &'static str {
        PLUGIN_CONNECTOR
    }

    fn supports(&self, role: Role) -> bool {
        matches!(role, Role::Source | Role::Sink)
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    /// What its code reaches is not in the options: to submit native code is a right of its own.
    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, table: &TableSpec, role: Role) -> Result<()> {
        let name = &table.name;
        match (described(table)?.kind, role) {
            (PluginTableKind::Source { .. }, Role::Source) | (PluginTableKind::Sink, Role::Sink) => {}
            (PluginTableKind::Source { .. }, _) => {
                return Err(Error::user(format!("table '{name}' cannot be written: the plugin has a source for it"))
                    .with_help("declare another table for what is written"));
            }
            (PluginTableKind::Sink, _) => {
                return Err(Error::user(format!("table '{name}' cannot be read: the plugin has a sink for it"))
                    .with_help("declare another table for what is read"));
            }
        }
        if !table.partitioned_by.is_empty() {
            return Err(Error::user(format!("table '{name}' cannot be partitioned: its rows go to a plugin")));
        }
        Ok(())
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        table.plugin.as_ref().map_or(Boundedness::Unbounded, |plugin| plugin.kind.boundedness())
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        Ok(Box::new(PluginDiscovery::open(self.code(table, None)?, &context).await?))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(PooledSource::new(self.code(table, None)?, table, &context)))
    }

    async fn open_sink(&self, table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let code = self.code(table, Some(PluginTableKind::Sink))?;
        Ok(Box::new(StagedSink::open(&code).await?))
    }

    async fn commit(&self, table: &TableSpec, commit: Commit) -> Result<()> {
        // Of an epoch without rows no subtask has anything to say.
        if commit.committables.is_empty() {
            return Ok(());
        }
        sink::commit(self.code(table, Some(PluginTableKind::Sink))?, commit).await
    }

    async fn audit(&self, table: &TableSpec, audit: Audit) -> Result<Option<AuditedSink>> {
        sink::audit(self.code(table, Some(PluginTableKind::Sink))?, audit).await
    }
}

/// The connectors of a process, and the plugins of one job.
#[derive(Clone)]
pub struct JobConnectors {
    connectors: Arc<dyn ConnectorRegistry>,
    tables: Arc<PluginTables>,
}

impl JobConnectors {
    /// These connectors, with the code of a job's tables.
    pub fn new(connectors: Arc<dyn ConnectorRegistry>, tables: PluginTables) -> Self {
        Self { connectors, tables: Arc::new(tables) }
    }
}

impl ConnectorRegistry for JobConnectors {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        match name {
            PLUGIN_CONNECTOR => Some(self.tables.clone()),
            _ => self.connectors.get(name),
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.connectors.names()
    }
}
